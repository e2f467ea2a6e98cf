"""Looks at this machine and at the service, and names the remedy for whatever is wrong."""

from __future__ import annotations

import os
import shutil
import ssl
import stat
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import httpx
import psutil

from ray_app.local import doctor_access as access
from ray_app.local.auth import token_path
from ray_app.local.check import Check, verdict
from ray_app.local.control import current
from ray_app.local.parts import PROBE_TIMEOUT_S
from ray_app.local.ports import is_free
from ray_app.local.tls import trusted
from ray_app.settings import Settings, child_environment

GIB = 1024**3
MIN_DISK_BYTES = 2 * GIB
MIN_MEMORY_BYTES = 2 * GIB
MIN_SHARED_BYTES = GIB // 2
PYTHON = (3, 11)


def examine(settings: Settings) -> list[Check]:
    """All checks, in the order in which faults build on each other."""
    return [check for look in CHECKS for check in look(settings)]


def python_version(_settings: Settings) -> Iterator[Check]:
    """The interpreter."""
    found = ".".join(str(part) for part in sys.version_info[:3])
    yield verdict("python", sys.version_info[:2] == PYTHON, found, "install Python 3.11 and run `make clean .venv`")


def packages(settings: Settings) -> Iterator[Check]:
    """Installed versions against constraints.txt."""
    path = next((p for p in (settings.base / "constraints.txt", _ROOT / "constraints.txt") if p.exists()), None)
    if path is None:
        yield Check(name="packages", status="skipped", found="there is no constraints.txt to compare with")
        return
    pinned = dict(line.strip().split("==") for line in path.read_text().splitlines() if "==" in line)
    installed = {name: _version(name) for name in pinned}
    wrong = [
        f"{name} {found} instead of {pinned[name]}"
        for name, found in installed.items()
        if found is not None and found.partition("+")[0] != pinned[name]
    ]
    found = ", ".join(wrong) or f"{sum(v is not None for v in installed.values())} as pinned"
    yield verdict("packages", not wrong, found, f"pip install -c {path} -e . (or `make clean .venv`)")


def home(settings: Settings) -> Iterator[Check]:
    """Whether state can be written, and how much more of it."""
    place = _existing(settings.home_path)
    free = shutil.disk_usage(place).free
    writable = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    yield verdict(
        "home", writable, str(settings.home_path), f"make {place} writable, or set MTS_HOME to another folder"
    )
    yield verdict("disk", free >= MIN_DISK_BYTES, f"{free / GIB:.1f} GiB free", f"free at least 2 GiB under {place}")


def memory(_settings: Settings) -> Iterator[Check]:
    """Memory, and the part of it through which processes share tables."""
    available = psutil.virtual_memory().available
    yield verdict("memory", available >= MIN_MEMORY_BYTES, f"{available / GIB:.1f} GiB available", "end other programs")
    shared = Path("/dev/shm")  # noqa: S108 - looked at, not written
    if shared.is_dir():
        size = shutil.disk_usage(shared).total
        remedy = "start the container with --shm-size=2g; Ray's object store is slow without it"
        yield verdict("shared memory", size >= MIN_SHARED_BYTES, f"{size / GIB:.1f} GiB", remedy)


def data_roots(settings: Settings) -> Iterator[Check]:
    """The folders that a spec may read."""
    uploads = str(settings.home_path / "uploads")
    missing = [root for root in settings.roots if "://" not in root and root != uploads and not Path(root).is_dir()]
    found = f"no such folder: {', '.join(missing)}" if missing else f"{len(settings.roots)} roots"
    yield verdict("data roots", not missing, found, "set MTS_DATA_ROOTS to folders that exist, or run in the checkout")


def token(_settings: Settings) -> Iterator[Check]:
    """Ray's token: whoever can read it can run code on the cluster."""
    path = token_path(child_environment({}))
    if path is None or not path.exists():
        yield Check(name="token", status="skipped", found="`mts up` makes it" if path else "in the environment")
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    yield verdict("token", mode & 0o077 == 0, f"{path} has mode {mode:04o}", f"chmod 600 {path}")


def registry(settings: Settings) -> Iterator[Check]:
    """Where MLflow keeps runs and versions."""
    uri = settings.tracking_uri
    path = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and not path.exists():
        yield Check(name="registry", status="skipped", found=f"{path}: the first start makes it")
    elif uri.startswith("sqlite:///"):
        remedy = f"make {path} writable for this user"
        yield verdict("registry", os.access(path, os.R_OK | os.W_OK), str(path), remedy)
    else:
        yield Check(name="registry", status="skipped", found="remote; /readyz looks at it")


def service(settings: Settings) -> Iterator[Check]:
    """What runs, and whether it can take work."""
    state = current(settings)
    if state is None:
        free = is_free(settings.port, settings.host)
        found = "free" if free else "taken by another program"
        yield verdict(f"port {settings.port}", free, found, "choose another: MTS_PORT=8001 mts up")
        yield Check(name="service", status="skipped", found="not running; start it with `mts up`")
        return
    dashboard = _answer(f"{state.dashboard}/api/version")
    # 401: it lives, and asks for the token as it should
    yield verdict("ray", dashboard in {"200", "401"}, f"{state.dashboard}: {dashboard}", _again("ray", state.status))
    ready = _answer(f"{settings.service_url}/readyz", trusted(settings))
    yield verdict("api", ready == "200", f"{settings.service_url}: {ready}", _again("service", state.status))
    page = state.parts["mlflow"]
    if page.status == "running":
        yield verdict("mlflow page", True, page.address, "")
    else:
        yield Check(name="mlflow page", status="skipped", found=f"{page.status}; nothing waits for it")


CHECKS: tuple[Callable[[Settings], Iterator[Check]], ...] = (
    python_version, packages, home, memory, access.open_files, data_roots, token, access.keys_file, access.certificate,
    access.job_store, registry, access.registry_file, access.artifacts, access.left_over, service,
)  # fmt: skip
_ROOT = Path(__file__).parents[2]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _existing(path: Path) -> Path:
    """The path, or its nearest parent that exists."""
    return next(place for place in (path, *path.parents) if place.exists())


def _answer(url: str, verify: ssl.SSLContext | bool = True) -> str:  # noqa: FBT001, FBT002 - as httpx calls it
    try:
        response = httpx.get(url, timeout=PROBE_TIMEOUT_S, trust_env=False, verify=verify)
    except httpx.TransportError as error:
        return str(error) or type(error).__name__
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return f"503 {response.text[:300]}"
    return str(response.status_code)


def _again(log: str, status: str) -> str:
    if status == "starting":
        return "it is still starting: look again in half a minute"
    return f"look into {log}.log in the home's logs; `mts down && mts up` starts anew and loses nothing"
