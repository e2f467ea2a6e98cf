"""`python -m examples.risk_service --model german-credit`: the consumer on a Ray of its own."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).parents[2]

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", required=True, help="registered model whose champion is used")
parser.add_argument("--training", default="http://127.0.0.1:8000", help="the training service")
parser.add_argument("--port", type=int, default=8100)
parser.add_argument("--monitor", help="monitor of the training service that hears of predictions")
parser.add_argument("--webhook-secret-file", type=Path, help="holds the secret that signs the webhooks")
parser.add_argument("--api-key-file", type=Path, help="holds a key of the training service, where it asks for one")


def free_port() -> int:
    """A TCP port that nobody listens on at present."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def secret_in(file: Path | None) -> str | None:
    """What the file holds, without the line's end."""
    return None if file is None else file.read_text(encoding="utf-8").strip()


def settings(folder: Path) -> dict[str, str]:
    """What Serve's processes read from their environment when they start.

    HAProxy hands requests straight to the replica: Serve's own proxy is a second Python process that costs as much per
    request as all the rest. Its files and ports are this service's own, so that two of them can share a machine.
    """
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": str(int(sys.platform == "linux")),  # Ray brings HAProxy for Linux alone
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        # Ray's workers give way to every other process of the machine unless told not to; callers wait for these
        "RAY_worker_niceness": "0",
        # a request stays in one thread
        "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
        "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
        "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1000",
        # before a replica ends, HAProxy has so long to learn of it; Serve's 30 s are for load balancers in the cloud
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2",
        # a worker of Ray does not look in the folder that it was started from, and another package is called `examples`
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
    }


def main() -> None:
    """Serves until it is stopped."""
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="risk-") as folder:
        chosen = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
        os.environ.update(settings(Path(folder)) | chosen)
        # Ray reads the environment when it is imported
        import ray  # noqa: PLC0415
        from ray import serve  # noqa: PLC0415

        from examples.risk_service.app import Options, build  # noqa: PLC0415

        ray.init(num_cpus=1, include_dashboard=False)
        serve.start(http_options={"host": "127.0.0.1", "port": asked.port}, logging_config={"enable_access_log": False})
        webhook_secret, api_key = secret_in(asked.webhook_secret_file), secret_in(asked.api_key_file)
        options = Options(asked.training, asked.model, asked.monitor, webhook_secret, api_key)
        serve.run(build(options), name="risk")
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):  # Ray's own handler ends the process by an abort
            signal.signal(number, lambda *_: stop.set())
        print(f"listening on http://127.0.0.1:{asked.port}", flush=True)
        stop.wait()
        serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    main()
