"""`serve deploy serve_config.yaml` on a cluster that `ray start` made: the same application, without `mts up`."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
import yaml
from whole_service import BIN, GERMAN, ROOT, free_port

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(300)]

RAY_STARTED = "Ray runtime started."


@contextmanager
def head(environment: dict[str, str], folder: str, dashboard_port: int) -> Iterator[None]:
    """A head node of its own; its processes end with the context."""
    command = [
        BIN / "ray", "start", "--head", "--block", "--num-cpus=2", "--node-ip-address=127.0.0.1",
        f"--port={free_port()}", f"--dashboard-port={dashboard_port}", f"--ray-client-server-port={free_port()}",
        "--dashboard-agent-listen-port=0", "--min-worker-port=0", "--max-worker-port=0", f"--temp-dir={folder}/ray",
    ]  # fmt: skip
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if RAY_STARTED in line:
                    break
            else:
                pytest.fail("".join(said))
            yield
        finally:
            family = psutil.Process(process.pid).children(recursive=True)
            os.killpg(process.pid, signal.SIGTERM)
            _, alive = psutil.wait_procs(family, timeout=10)
            for child in alive:
                child.kill()
            process.kill()


def until_it_takes_applications(address: str) -> None:
    """Ray says that it runs when its dashboard listens, whose part for Serve may still be starting: it answers 5xx."""
    with httpx.Client(base_url=address, timeout=60, transport=httpx.HTTPTransport(retries=8)) as dashboard:
        while dashboard.get("/api/serve/applications/").is_server_error:
            time.sleep(0.2)


def test_the_shipped_configuration_trains() -> None:
    config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    port, dashboard_port = free_port(), free_port()
    config["http_options"]["port"] = port
    with tempfile.TemporaryDirectory(prefix="mts-sd-", ignore_cleanup_errors=True) as folder:
        (Path(folder) / "serve_config.yaml").write_text(yaml.safe_dump(config))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MTS_", "MLFLOW_", "RAY_"))}
        environment = kept | {
            "MTS_HOME": f"{folder}/home", "MTS_PORT": str(port), "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_TMPDIR": folder,
        }  # fmt: skip
        with head(environment, folder, dashboard_port):
            address = f"http://127.0.0.1:{dashboard_port}"
            until_it_takes_applications(address)
            deploy = [BIN / "serve", "deploy", f"--address={address}", f"{folder}/serve_config.yaml"]
            sent = subprocess.run(deploy, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
            assert sent.returncode == 0, sent.stdout + sent.stderr
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}", timeout=120, transport=httpx.HTTPTransport(retries=8)
            ) as http:
                while http.get("/readyz").status_code != 200:
                    time.sleep(0.2)
                job = http.post("/api/v1/train", json=GERMAN).raise_for_status().json()
                done = http.get(f"/api/v1/jobs/{job['id']}", params={"wait_s": 60}).json()
    assert done["status"] == "SUCCEEDED", done
    assert done["result"]["model"]["version"] == "1"
