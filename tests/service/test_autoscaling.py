"""A cluster that really scales, on one machine: nodes come for a job that needs more than the head has, and go."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import ray
import yaml
from ray.util import get_node_ip_address
from whole_service import BIN, GERMAN, ROOT, free_port

from ray_app.dispatcher import connect
from ray_app.dispatcher.client import NAME, NAMESPACE
from ray_app.settings import Settings

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]

EMPTY_LISTS = (
    "initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands",
    "head_start_ray_commands", "worker_start_ray_commands", "cluster_synced_files", "rsync_exclude", "rsync_filter",
)  # fmt: skip
PROVIDER = {
    "type": "fake_multinode", "use_node_id_as_ip": True, "disable_node_updaters": True,
    "disable_launch_config_check": True,
}  # fmt: skip
CONFIG = {
    "cluster_name": "tests", "max_workers": 2, "upscaling_speed": 1.0, "idle_timeout_minutes": 0.1,
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": 1}, "node_config": {}, "max_workers": 0},
        "worker": {"resources": {"CPU": 2}, "node_config": {}, "min_workers": 0, "max_workers": 2},
    },
    "head_node_type": "ray.head.default", "auth": {}, "docker": {}, "file_mounts": {},
    "file_mounts_sync_continuously": False,
    **{name: [] for name in EMPTY_LISTS},
}  # fmt: skip
FAKE_CLOUD = {
    "RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_enable_autoscaler_v2": "0",
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": "f" * 51 + "00000",
}  # fmt: skip


@contextmanager
def autoscaled_cluster() -> Iterator[Path]:
    """A head with one CPU; connected to, for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="mts-as-", ignore_cleanup_errors=True) as folder:
        port = free_port()
        address = f"{get_node_ip_address()}:{port}"
        config = Path(folder) / "autoscaler.yaml"
        config.write_text(yaml.safe_dump(CONFIG | {"provider": PROVIDER | {"gcs_address": address}}))
        command = [
            BIN / "ray", "start", "--head", "--block", "--num-cpus=1", f"--port={port}",
            f"--autoscaling-config={config}", f"--ray-client-server-port={free_port()}", "--include-dashboard=false",
            f"--temp-dir={folder}/ray", "--min-worker-port=0", "--max-worker-port=0",
        ]  # fmt: skip
        shared = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": folder}
        with (
            pytest.MonkeyPatch.context() as environment,
            (Path(folder) / "head.log").open("w") as log,
            subprocess.Popen(
                command, cwd=ROOT, env=os.environ | shared | FAKE_CLOUD, stdout=log, stderr=log, start_new_session=True
            ) as process,
        ):
            for name, value in shared.items():
                environment.setenv(name, value)
            try:
                _connect(address)
                yield Path(folder)
            finally:
                ray.shutdown()
                family = psutil.Process(process.pid).children(recursive=True)
                os.killpg(process.pid, signal.SIGTERM)
                for child in psutil.wait_procs(family, timeout=10)[1]:
                    child.kill()
                process.kill()


def _connect(address: str) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            ray.init(address=address, namespace="tests", log_to_driver=False)
        except ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


def nodes() -> int:
    return sum(node["Alive"] for node in ray.nodes())


def test_nodes_come_for_a_job_and_go_again() -> None:
    # more than the head has, and more than one new node has
    spec = {**GERMAN, "name": "german-credit", "resources": {"num_workers": 2, "cpus_per_worker": 2}, "max_retries": 0}
    with autoscaled_cluster() as folder, asyncio.Runner() as runner:
        settings = Settings(home=folder / "home", base=ROOT, data_roots=(str(ROOT / "examples" / "data"),))
        jobs = connect(settings)
        try:
            assert nodes() == 1
            job, _ = runner.run(jobs.submit("train", spec))
            told: list[str] = []
            while not job.status.final:
                job = runner.run(jobs.get(job.id, wait_s=0.2))
                if job.progress.message and job.progress.message not in told:
                    told.append(job.progress.message)
            most = nodes()
            assert job.status == "SUCCEEDED", job
            assert any("waiting for 2 workers with 2 CPUs each" in message for message in told), told
            assert most == 3
            deadline = time.monotonic() + 240
            while nodes() > 1:
                assert time.monotonic() < deadline, "idle nodes do not go"
                time.sleep(0.5)
        finally:
            ray.kill(ray.get_actor(NAME, namespace=NAMESPACE))
