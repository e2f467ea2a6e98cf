"""The Kubeflow pipeline, run by KFP's own local runner against the live service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from whole_service import GERMAN, WholeService

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
KUBEFLOW = ROOT / "deploy" / "kubeflow"
RUN = """
import json, sys
from kfp import local
sys.path.insert(0, sys.argv[1])
import pipeline
local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[2], raise_on_error=True)
print("ANSWER", pipeline.train_to_champion(**json.loads(sys.argv[3])).output)
"""


@pytest.fixture(scope="module")
def kfp_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with KFP, which pins other versions of some packages than the service runs with."""
    folder = tmp_path_factory.mktemp("kfp")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    packages = (KUBEFLOW / "requirements.txt").read_text().split()
    subprocess.run([folder / "bin" / "pip", "install", "--quiet", *packages], check=True)
    return folder / "bin" / "python"


def call(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run([python, *arguments], capture_output=True, text=True, check=False, env=plain | {"PATH": path})


def arguments(whole: WholeService, name: str, **changes: Any) -> str:
    data = {"source": GERMAN["data"]["source"]}
    spec = GERMAN | {"name": name, "evaluation": {"bootstrap_samples": 50}} | changes
    return json.dumps({"service_url": f"http://127.0.0.1:{whole.port}", "model": name, "spec": spec,
                       "evaluation_data": data, "slices": ["housing"], "idempotency_key": f"kfp-{name}"})  # fmt: skip


def test_the_pipeline_trains_measures_and_promotes(whole: WholeService, kfp_python: Path, tmp_path: Path) -> None:
    done = call(kfp_python, "-c", RUN, str(KUBEFLOW), str(tmp_path), arguments(whole, "kubeflow-credit"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ANSWER 1" in done.stdout
    model = whole.http.get("/api/v1/models/kubeflow-credit").json()
    assert model["aliases"]["champion"] == "1"
    kinds = [job["kind"] for job in whole.http.get("/api/v1/jobs", params={"name": "kubeflow-credit"}).json()["items"]]
    assert sorted(kinds) == ["evaluate", "train"]
    (measured,) = [path for path in tmp_path.rglob("executor_output.json") if path.parent.name == "evaluate"]
    assert float(json.loads(measured.read_text())["artifacts"]["metrics"]["artifacts"][0]["metadata"]["roc_auc"]) > 0.7


def test_a_job_that_the_service_refuses_fails_the_pipeline(
    whole: WholeService, kfp_python: Path, tmp_path: Path
) -> None:
    wrong = GERMAN["data"] | {"target": "credit"}
    done = call(kfp_python, "-c", RUN, str(KUBEFLOW), str(tmp_path), arguments(whole, "kubeflow-odd", data=wrong))
    assert done.returncode != 0
    assert "creditability" in done.stdout + done.stderr


def test_the_compiled_pipeline_is_that_of_the_code(kfp_python: Path, tmp_path: Path) -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import pipeline; pipeline.compiled(sys.argv[2])"
    done = call(kfp_python, "-c", code, str(KUBEFLOW), str(tmp_path / "pipeline.yaml"))
    assert done.returncode == 0, done.stderr
    fresh, kept = (list(yaml.safe_load_all(path.read_text()))
                   for path in (tmp_path / "pipeline.yaml", KUBEFLOW / "pipeline.yaml"))  # fmt: skip
    assert fresh == kept
