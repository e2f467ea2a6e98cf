"""Makes sure that this process is connected to Ray."""

from __future__ import annotations

import logging

import ray
from ray._common.usage import usage_lib


def ensure_connected() -> None:
    """Connects to the cluster that the environment names, as `ray job submit` does, or starts Ray on this machine.

    A job's task is connected already. Ray's own log lines and its usage statistics stay off.
    """
    if ray.is_initialized():
        return
    usage_lib.set_usage_stats_enabled_via_env_var(enabled=False)
    ray.init(log_to_driver=False, logging_level=logging.WARNING, include_dashboard=False)
