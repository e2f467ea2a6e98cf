"""Free TCP ports."""

from __future__ import annotations

import socket
from collections.abc import Collection

SEARCH_LIMIT = 200


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on the port now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # A port whose last connections are in TIME_WAIT is free for a server, and servers set this too.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def next_free(preferred: int, *, taken: Collection[int] = (), host: str = "127.0.0.1") -> int:
    """The preferred port or the first free one above it; 0 means any free port.

    Raises:
        OSError: none of the next 200 ports is free.
    """
    if preferred == 0:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
            return int(probe.getsockname()[1])
    for port in range(preferred, min(preferred + SEARCH_LIMIT, 65536)):
        if port not in taken and is_free(port, host):
            return port
    raise OSError(f"no free port from {preferred} to {preferred + SEARCH_LIMIT - 1} on {host}")
