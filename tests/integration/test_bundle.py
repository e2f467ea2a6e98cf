"""A bundle is whole, refuses any change, and gives the golden scores where this project is not installed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import venv
import zipfile
from pathlib import Path

import httpx
import pytest

from training.bundle_file import BundleError, check_archive, check_folder, golden_difference, unpack
from training.data import DataAccess
from training.events import SilentObserver
from training.pipeline import Workplace, run
from training.registry import Registry
from training.spec import TrainSpec, parse_spec

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    workplace = Workplace(
        DataAccess(roots=(str(ROOT / "examples" / "data"),), base=ROOT),
        Registry(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts")),
    )
    spec = {
        "name": "german",
        "data": {"source": {"type": "file", "uri": "examples/data/german_credit.csv"}, "target": "creditability"},
        "evaluation": {"bootstrap_samples": 50},
    }
    run(parse_spec(TrainSpec, spec), workplace, SilentObserver(), job_id="job_bundle")
    info = workplace.registry.version("german", "1")
    one, digest = workplace.registry.bundle(info, folder)
    (folder / "again").mkdir()
    two, again = workplace.registry.bundle(info, folder / "again")
    assert (one.read_bytes(), digest) == (two.read_bytes(), again)
    return one


@pytest.fixture(scope="module")
def unpacked(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    unpack(bundle, folder)
    return folder


def test_a_bundle_holds_all_that_its_user_needs(bundle: Path, unpacked: Path) -> None:
    names = set(zipfile.ZipFile(bundle).namelist())
    assert {"bundle.json", "golden.json", "profile.json", "card.html", "card.json", "requirements.txt", "verify.py",
            "model/MLmodel", "model.onnx", "verify_onnx.py"} <= names  # fmt: skip
    manifest = check_folder(unpacked)
    assert (manifest["name"], manifest["version"], manifest["classes"]) == ("german", "1", ["good", "bad"])
    assert (manifest["threshold"], manifest["outputs"]) == (0.5, ["good", "bad"])
    assert len(manifest["inputs"]) == 20
    assert "mlflow==" in (unpacked / "requirements.txt").read_text()
    golden = json.loads((unpacked / "golden.json").read_text())
    assert golden["edge_rows"] >= 3
    assert len(golden["rows"]) == len(golden["outputs"]) == 20 + golden["edge_rows"]


def test_the_golden_rows_give_the_golden_scores(unpacked: Path) -> None:
    difference, tolerance = golden_difference(unpacked)
    assert difference <= tolerance


def test_its_onnx_gives_the_golden_scores_and_says_how_nearly(unpacked: Path) -> None:
    found = json.loads((unpacked / "bundle.json").read_text())["onnx"]
    assert (found["file"], found["reason"]) == ("model.onnx", None)
    assert 0 <= max(found["largest_difference"].values()) <= found["tolerance"] == 1e-5
    told = subprocess.run(
        [sys.executable, unpacked / "verify_onnx.py", unpacked], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    assert f"{found['largest_difference']['edge_rows']:.3g} on edge rows" in told.stdout


def test_a_change_of_any_one_byte_is_refused(bundle: Path, tmp_path: Path) -> None:
    content = bundle.read_bytes()
    places = [*range(0, len(content), len(content) // 150), *range(len(content) - 120, len(content))]
    altered = tmp_path / "altered.zip"
    for place in places:
        altered.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(BundleError, match="altered"):
            unpack(altered, tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_what_is_no_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "short.zip").write_bytes(b"PK")
    with pytest.raises(BundleError, match="no bundle"):
        check_archive(tmp_path / "short.zip")
    (tmp_path / "cut.zip").write_bytes(bundle.read_bytes()[:-10])
    with pytest.raises(BundleError, match="altered"):
        check_archive(tmp_path / "cut.zip")
    with pytest.raises(BundleError, match="not the bundle that was announced"):
        check_archive(bundle, "0" * 64)


@pytest.mark.parametrize("harm", ["alter", "add", "remove"])
def test_an_unpacked_bundle_is_checked_file_by_file(bundle: Path, tmp_path: Path, harm: str) -> None:
    unpack(bundle, tmp_path / "b")
    victim = tmp_path / "b" / "model" / "MLmodel"
    if harm == "alter":
        victim.write_text(victim.read_text() + " ")
    elif harm == "add":
        victim.with_name("more.py").write_text("")
    else:
        victim.unlink()
    with pytest.raises(BundleError, match=r"MLmodel was altered|more\.py does not belong|MLmodel is missing"):
        check_folder(tmp_path / "b")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_fresh_environment_with_only_its_requirements_gives_the_golden_scores(
    bundle: Path, unpacked: Path, tmp_path: Path
) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    requirements = unpacked / "requirements.txt"
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", requirements], check=True, cwd=tmp_path)
    answer = subprocess.run(
        [python, unpacked / "verify.py", bundle], cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert "within the tolerance" in answer.stdout


@pytest.mark.slow
def test_mlflow_serves_the_golden_scores(unpacked: Path, tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    golden = json.loads((unpacked / "golden.json").read_text())
    columns = list(golden["rows"][0])
    body = {"dataframe_split": {"columns": columns, "data": [[row[name] for name in columns] for row in
                                                             golden["rows"]]}}  # fmt: skip
    log, scripts = tmp_path / "serve.log", Path(sys.executable).parent
    with log.open("wb") as output:
        server = subprocess.Popen(
            [scripts / "mlflow", "models", "serve", "-m", unpacked / "model", "-p", str(port),
             "--env-manager", "local"],
            stdout=output, stderr=output, env=os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
        )  # fmt: skip
    try:
        answer = _answered(server, f"http://127.0.0.1:{port}", body, log)
    finally:
        server.terminate()
        server.wait()
    got = answer["predictions"]
    largest = max(
        abs(row[name] - value)
        for row, outputs in zip(got, golden["outputs"], strict=True)
        for name, value in zip(golden["columns"], outputs, strict=True)
    )
    assert largest <= golden["tolerance"]


def _answered(
    server: subprocess.Popen[bytes], url: str, body: dict[str, object], log: Path
) -> dict[str, list[dict[str, float]]]:
    """What the server says of the rows, as soon as it listens."""
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
        while True:
            assert server.poll() is None, log.read_text()
            try:
                http.get("/ping").raise_for_status()
                return dict(http.post("/invocations", json=body).raise_for_status().json())
            except httpx.ConnectError:
                time.sleep(0.2)
