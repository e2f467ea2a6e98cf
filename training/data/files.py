"""A file that a spec may read, and the error for one that it may not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from training.errors import AccessError


@dataclass(frozen=True)
class DataFile:
    """A file that may be read, on a pyarrow file system.

    `label` is how messages name it: never more than what the caller knows already.
    """

    filesystem: Any
    path: str
    label: str
    size_bytes: int

    @property
    def name(self) -> str:
        """Last part of the path, in lower case."""
        return self.path.rsplit("/", 1)[-1].lower()

    def open(self) -> Any:
        """A pyarrow stream of the content, decompressed where the suffix is .gz.

        Raises:
            OSError: the file went away, or the storage is not reachable.
        """
        return self.filesystem.open_input_stream(self.path, compression="gzip" if self.name.endswith(".gz") else None)

    def head(self, size_bytes: int) -> bytes:
        """The first bytes of the content.

        Raises:
            OSError: as `open`, or the compression is damaged.
        """
        with self.open() as stream:
            return bytes(stream.read(size_bytes))


def local_roots(roots: tuple[str, ...]) -> list[Path]:
    """The roots that are folders of this machine, with links followed."""
    folders = [unquote(urlsplit(root).path) if root.startswith("file://") else root for root in roots]
    return [Path(folder).resolve() for folder in folders if "://" not in folder]


def refused(uri: str, roots: tuple[str, ...], field: str) -> AccessError:
    """The one error for whatever is not under a root, so that it tells nothing about what lies there."""
    allowed = ", ".join(shown_root(root) for root in roots) or "none"
    hint = f"Put the data under an allowed root ({allowed}), or ask the operator to add one to MTS_DATA_ROOTS."
    return AccessError.at(field, uri, "not under a data root that the operator allows", hint=hint)


def shown_root(root: str) -> str:
    """A root without the options and credentials that its URI may carry."""
    if "://" not in root:
        return root
    parts = urlsplit(root)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
