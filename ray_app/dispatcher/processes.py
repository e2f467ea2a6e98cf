"""Ends a worker process for certain."""

from __future__ import annotations

import logging
import os

import psutil

from ray_app.dispatcher.messages import Whereabouts

logger = logging.getLogger(__name__)


def own_start_s() -> float:
    """When this process started, in seconds since the epoch: with its id, it names the process for good."""
    return float(psutil.Process(os.getpid()).create_time())


def end_process(where: Whereabouts) -> bool:
    """Kills the process and all that it has started. Runs on its node; False where it is gone already."""
    try:
        process = psutil.Process(where.pid)
        if process.create_time() != where.started_s:
            return False
        tree = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return False
    for member in tree:
        _kill(member)
    return True


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        logger.debug("process %d was gone already", process.pid)
