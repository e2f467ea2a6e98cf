"""The archive in which a version is handed over to the service that uses it."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

from mlflow.artifacts import download_artifacts

from training import bundle_file, onnx_check
from training.evaluation.report import Report, render_page
from training.registry.errors import translated
from training.registry.files import FEATURE_STORE, GOLDEN, REPORT_JSON
from training.registry.golden import Golden
from training.registry.model import VersionInfo
from training.registry.onnx_form import OnnxForm, onnx_form
from training.registry.packaging import MODEL_PATH
from training.registry.versions import read_file

MODEL, ONNX_FILE = "model", "model.onnx"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every member: the same version gives the same archive, byte by byte."""


def write_bundle(info: VersionInfo, folder: Path) -> tuple[Path, str]:
    """Writes the bundle of a version into a folder.

    It holds the MLflow model (`model/`), golden rows with expected scores, the reference profile, the report as card,
    the requirements, `verify.py`, the online schema where features came from a feature store, `model.onnx` where that
    gives the golden scores too, and the manifest `bundle.json` with the schema of input and output, threshold, classes,
    calibration, what came of ONNX, and the SHA-256 of every file.

    Returns:
        The archive, and the SHA-256 of all its bytes but the trailer, see `bundle_file`.

    Raises:
        NotFoundError: the version was not made by this service, or its files are gone.
        UnavailableError: the artifact store is away.
    """
    report = Report.model_validate_json(read_file(info, REPORT_JSON)).model_copy(update={"version": info.version})
    golden = read_file(info, GOLDEN)
    online = _feature_store(info)
    inside = folder / "bundle"
    with translated(f"reading the model of {info.uri}"):
        shutil.copytree(download_artifacts(artifact_uri=info.source, dst_path=str(folder / "download")), inside / MODEL)
    (inside / "golden.json").write_bytes(golden)
    if online is not None:
        (inside / "feature_store.json").write_bytes(online)
    (inside / "profile.json").write_text(report.profile.model_dump_json(indent=2), encoding="utf-8")
    (inside / "card.json").write_text(report.model_dump_json(), encoding="utf-8")
    (inside / "card.html").write_text(render_page(report), encoding="utf-8")
    shutil.copyfile(inside / MODEL / "requirements.txt", inside / "requirements.txt")
    shutil.copyfile(bundle_file.__file__, inside / "verify.py")
    shutil.copyfile(onnx_check.__file__, inside / "verify_onnx.py")
    form = onnx_form(inside / MODEL / MODEL_PATH, Golden.model_validate_json(golden))
    if form.content is not None:
        (inside / ONNX_FILE).write_bytes(form.content)
    manifest = {**_manifest(info, report, inside), "onnx": _described(form)}
    text = json.dumps(manifest, indent=2, ensure_ascii=False, sort_keys=True)
    (inside / bundle_file.MANIFEST).write_text(text, encoding="utf-8")
    path = folder / f"{info.name}-{info.version}.zip"
    _pack(inside, path)
    return path, bundle_file.seal(path)


def _feature_store(info: VersionInfo) -> bytes | None:
    """Which features to ask for online; None for a version whose rows did not come from a feature store."""
    return read_file(info, FEATURE_STORE) if "feature_views" in info.lineage else None


def _manifest(info: VersionInfo, report: Report, inside: Path) -> dict[str, Any]:
    kinds = {column.name: column.kind for column in report.profile.columns}
    return {
        "format_version": bundle_file.FORMAT_VERSION,
        "name": info.name,
        "version": info.version,
        "task": report.task,
        "target": report.target,
        "classes": report.classes,
        "positive_class": report.classes[1] if report.task == "binary" else None,
        "threshold": report.threshold,
        "inputs": [{"name": name, "kind": kind} for name, kind in kinds.items()],
        "outputs": report.classes or ["prediction"],
        "calibration": [bin_.model_dump() for bin_ in report.curves.calibration],
        "metrics": {name: interval.model_dump() for name, interval in report.metrics.items()},
        "lineage": {
            "job_id": info.job_id, "run_id": info.run_id, "data_sha256": info.data_sha256,
            "code_version": info.code_version, "created_at": info.created_at.isoformat(),
            **{name: text for name, text in info.lineage.items() if name.startswith("feature_")},
        },
        "sha256": {
            path.relative_to(inside).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(inside.rglob("*"))
            if path.is_file()
        },
    }  # fmt: skip


def _described(form: OnnxForm) -> dict[str, Any]:
    return {
        "file": None if form.content is None else ONNX_FILE,
        "reason": form.reason,
        "largest_difference": None if form.golden is None else {"golden_rows": form.golden, "edge_rows": form.edge},
        "tolerance": onnx_check.TOLERANCE,
    }


def _pack(inside: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        # a place for the digest, which `seal` fills in
        archive.comment = b"-" * bundle_file.TRAILER_BYTES
        for file in sorted(inside.rglob("*")):
            if file.is_file():
                member = zipfile.ZipInfo(file.relative_to(inside).as_posix(), EPOCH)
                member.compress_type = zipfile.ZIP_DEFLATED
                member.external_attr = 0o644 << 16
                archive.writestr(member, file.read_bytes())
