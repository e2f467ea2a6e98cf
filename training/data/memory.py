"""How much memory a process may still take, and what it need not keep."""

from __future__ import annotations

from pathlib import Path

import psutil
import pyarrow as pa

from training.heap import trim

_CGROUP = Path("/sys/fs/cgroup")


def free_bytes(limit_mb: int | None = None) -> int:
    """What this machine, and the control group of this process, have left; no more than a limit that was agreed on."""
    found = [psutil.virtual_memory().available]
    if limit_mb is not None:
        found.append(limit_mb * 10**6)
    try:
        most, used = ((_CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:  # another kind of machine
        return min(found)
    if most.isdecimal():
        found.append(int(most) - int(used))
    return max(0, min(found))


def give_back() -> None:
    """Gives back what is free again and nobody else could use: a frame lay in Arrow's buffers."""
    pa.default_memory_pool().release_unused()
    trim()
