"""Checks a bundle, the archive in which a model is handed over: `python verify.py BUNDLE.zip`.

This file needs nothing but Python; to score the golden rows it needs the bundle's requirements.txt. A copy of it lies
in each bundle as verify.py. Whoever does not trust where the archive came from uses a copy of their own.

Every byte counts: the archive ends with the SHA-256 of all bytes before, and its manifest has that of each file.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

MANIFEST = "bundle.json"
FORMAT_VERSION = 1
MARK = b"sha256:"
TRAILER_BYTES = len(MARK) + 64
MAX_BYTES = 8 * 2**30
"""Of all files together once unpacked: a small archive must not fill a disk."""


class BundleError(ValueError):
    """The archive is not a bundle, or not as it was written."""


def seal(path: Path) -> str:
    """Writes the digest of all bytes before it into the archive's comment, where a place was left; answers it."""
    content = path.read_bytes()
    digest = hashlib.sha256(content[:-TRAILER_BYTES]).hexdigest()
    with path.open("r+b") as file:
        file.seek(-TRAILER_BYTES, io.SEEK_END)
        file.write(MARK + digest.encode())
    return digest


def check_archive(path: Path, sha256: str | None = None) -> str:
    """Checks that no byte of the archive has changed since it was written.

    Args:
        path: the archive.
        sha256: the digest that the sender gave by another way, as in the ETag of the download; also compared.

    Raises:
        BundleError: it has changed, or is no bundle.
    """
    size = path.stat().st_size
    if size < TRAILER_BYTES:
        raise BundleError(f"{path.name} is no bundle: it has only {size} bytes")
    digest = hashlib.sha256()
    left = size - TRAILER_BYTES
    with path.open("rb") as file:
        while left:
            block = file.read(min(left, 2**20))
            digest.update(block)
            left -= len(block)
        trailer = file.read()
    if trailer != MARK + digest.hexdigest().encode():
        raise BundleError(f"{path.name} was altered: its bytes do not give the digest at its end")
    if sha256 is not None and sha256 != digest.hexdigest():
        raise BundleError(f"{path.name} is not the bundle that was announced: its digest is {digest.hexdigest()}")
    return digest.hexdigest()


def unpack(path: Path, folder: Path, sha256: str | None = None) -> dict[str, Any]:
    """Checks the archive, unpacks it into a folder that is new or empty, checks each file; answers the manifest.

    Raises:
        BundleError: see `check_archive` and `check_folder`; or a member would land outside of the folder.
    """
    check_archive(path, sha256)
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise BundleError(f"{path.name} would unpack to more than {MAX_BYTES} bytes")
            for member in archive.infolist():
                parts = PurePosixPath(member.filename)
                if parts.is_absolute() or ".." in parts.parts:
                    raise BundleError(f"{path.name} holds {member.filename!r}, which lies outside")
            archive.extractall(folder)
    except zipfile.BadZipFile as error:
        raise BundleError(f"{path.name} is no archive: {error}") from None
    return check_folder(folder)


def check_folder(folder: Path) -> dict[str, Any]:
    """Checks each file of an unpacked bundle against its manifest, and answers the manifest.

    Raises:
        BundleError: a file is missing, was altered, or does not belong there.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{MANIFEST} cannot be read: {error}") from None
    if manifest.get("format_version") != FORMAT_VERSION:
        raise BundleError(f"format version {manifest.get('format_version')!r}; this code reads {FORMAT_VERSION}")
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    found.pop(MANIFEST)
    saved: dict[str, str] = manifest["sha256"]
    for name in sorted(saved.keys() | found.keys()):
        if name not in found:
            raise BundleError(f"{name} is missing")
        if name not in saved:
            raise BundleError(f"{name} does not belong to the bundle")
        if hashlib.sha256(found[name].read_bytes()).hexdigest() != saved[name]:
            raise BundleError(f"{name} was altered")
    return manifest


def golden_difference(folder: Path, model: Any = None) -> tuple[float, float]:
    """Scores the golden rows of an unpacked bundle with its model, which is loaded where it is not given.

    Returns:
        The largest absolute difference to the expected scores, and the tolerance.
    """
    import pandas as pd  # noqa: PLC0415 - the checks above need Python alone

    golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    if model is None:
        import mlflow.pyfunc  # noqa: PLC0415

        model = mlflow.pyfunc.load_model(str(folder / "model"))
    predicted = model.predict(pd.DataFrame(golden["rows"]))
    pairs = zip(predicted[golden["columns"]].to_numpy().tolist(), golden["outputs"], strict=True)
    largest = max(abs(one - two) for got, wanted in pairs for one, two in zip(got, wanted, strict=True))
    return float(largest), float(golden["tolerance"])


def main(arguments: list[str]) -> int:
    """Checks a bundle, or the folder that it was unpacked to."""
    if len(arguments) != 1:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    path = Path(arguments[0])
    try:
        with tempfile.TemporaryDirectory() as temporary:
            folder = path if path.is_dir() else Path(temporary)
            manifest = check_folder(path) if path.is_dir() else unpack(path, folder)
            largest, tolerance = golden_difference(folder)
    except BundleError as error:
        sys.stderr.write(f"refused: {error}\n")
        return 1
    same = largest <= tolerance
    sys.stdout.write(
        f"{manifest['name']} version {manifest['version']}: the golden rows differ by at most {largest:.3g}, "
        f"{'within' if same else 'above'} the tolerance of {tolerance:g}\n"
    )
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
