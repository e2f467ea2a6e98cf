"""The environment of everything that is started on this machine: one table, each line with its reason."""

from __future__ import annotations

import sys
from pathlib import Path

from ray_app.local.processes import RUN_FOLDER_MARK
from ray_app.local.state import RunFolder, RunState
from ray_app.settings import Settings, child_environment

# Addresses and jobs of other clusters that a user's shell may carry; ours are passed as arguments.
FOREIGN = (
    "RAY_ADDRESS",
    "RAY_API_SERVER_ADDRESS",
    "RAY_NAMESPACE",
    "RAY_JOB_CONFIG_JSON_ENV_VAR",
    "MLFLOW_RUN_ID",
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_EXPERIMENT_NAME",
)

CLUSTER: dict[str, tuple[str, str]] = {
    "RAY_AUTH_MODE": ("token", "whoever reaches a Ray port can run code: ask each for the token"),
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": (
        "0",
        "Ray turns 127.0.0.1 into the machine's outer address and then listens on all interfaces, except with this",
    ),
    "RAY_USAGE_STATS_ENABLED": ("0", "nothing leaves the machine"),
    "RAY_num_workers_soft_limit": ("16", "idle workers below this number stay warm; by default one per CPU"),
    "RAY_idle_worker_killing_time_threshold_ms": (
        "3600000",
        "those above it stay warm for an hour; by default 1 s",
    ),
    "RAY_worker_niceness": (
        "0",
        "what answers people goes first: a job lowers its own priority; by default all are at 15",
    ),
    "RAY_ROTATION_MAX_BYTES": ("10485760", "a log file of Ray is cut at 10 MB; by default at 512 MB"),
    "RAY_ROTATION_BACKUP_COUNT": ("2", "and two older pieces of it are kept"),
    "RAY_enable_worker_prestart": ("1", "worker processes start before the first task asks for them"),
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": (
        "1",
        "a dead HTTP proxy is replaced after three failed checks: 30 s by default",
    ),
    "OMP_NUM_THREADS": ("1", "teams that share cores are several times slower; a fit sets its own number"),
    "OMP_WAIT_POLICY": ("PASSIVE", "threads that spin while they wait take the cores from those that work"),
    "OPENBLAS_NUM_THREADS": ("1", "as above"),
    "MKL_NUM_THREADS": ("1", "as above"),
    "MLFLOW_DISABLE_TELEMETRY": ("true", "nothing leaves the machine"),
    "DO_NOT_TRACK": ("true", "nothing leaves the machine"),
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": ("false", "a stored pickle would run code when it is loaded"),
    "GIT_PYTHON_REFRESH": ("quiet", "MLflow works without git on the machine"),
    "PYTHONUNBUFFERED": ("1", "what a process says before it dies is in its log"),
}

MLFLOW_SERVER: dict[str, tuple[str, str]] = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": ("false", "the page shows runs; it must not run code"),
}


def cluster_environment(settings: Settings, run: RunFolder) -> dict[str, str]:
    """For the supervisor and all that it starts."""
    own = {
        RUN_FOLDER_MARK: str(run.path),
        # `ray job submit -- python -m training …` finds the interpreter of this installation
        "PATH": f"{Path(sys.executable).parent}:{child_environment({}).get('PATH', '')}",
    }
    fixed = {name: value for name, (value, _) in CLUSTER.items()}
    return child_environment(dict.fromkeys(FOREIGN) | fixed | settings.as_environment() | own)


def ray_environment(settings: Settings, run: RunFolder) -> dict[str, str]:
    """For Ray and all that runs on it. Temporary files that a killed job leaves go when the cluster goes."""
    return cluster_environment(settings, run) | {"TMPDIR": str(run.ray_folder / "tmp")}


def mlflow_environment(settings: Settings, run: RunFolder) -> dict[str, str]:
    """For the MLflow page. The store's address may hold a password, so it is passed here and not as an argument."""
    fixed = {name: value for name, (value, _) in MLFLOW_SERVER.items()}
    return cluster_environment(settings, run) | fixed | {"MLFLOW_BACKEND_STORE_URI": settings.tracking_uri}


def batch_environment(state: RunState, settings: Settings) -> dict[str, str]:
    """What a user's shell needs for `ray job submit`, `ray.init` and MLflow; the lines of `mts env`."""
    return {
        "RAY_ADDRESS": state.ray_address,
        "RAY_API_SERVER_ADDRESS": state.dashboard,
        "RAY_AUTH_MODE": "token",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
    }
