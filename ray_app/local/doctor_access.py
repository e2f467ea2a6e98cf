"""Checks of what the settings point at: keys, certificate, databases, artifacts, and what a killed start has left."""

from __future__ import annotations

import resource
import sqlite3
import ssl
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ray_app.jobs.database import Database
from ray_app.jobs.migrate import sound_version
from ray_app.jobs.migrations import HEAD
from ray_app.local import processes
from ray_app.local.check import Check, verdict
from ray_app.local.control import current
from ray_app.local.state import RunFolder
from ray_app.services.key_file import read_keys
from ray_app.settings import Settings, masked
from training.errors import TrainingError

MIN_OPEN_FILES = 4096
SOON = timedelta(days=14)


def keys_file(settings: Settings) -> Iterator[Check]:
    """The API keys: there, readable to their owner only, and not all over."""
    path = settings.api_keys_file
    if path is None:
        yield Check(name="api keys", status="skipped", found="none; only this machine can call")
        return
    add = "mts keys add NAME --role trainer"
    if not path.is_file():
        yield verdict("api keys", False, f"no file {path}", f"make a key: {add}")
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    yield verdict("api keys file", mode & 0o077 == 0, f"{path} has mode {mode:04o}", f"chmod 600 {path}")
    try:
        keys = read_keys(path)
    except TrainingError as error:
        yield verdict("api keys", False, error.message, f"restore the file, or move it away and make keys anew: {add}")
        return
    now = datetime.now(UTC)
    good = [key for key in keys if key.expires_at is None or key.expires_at > now]
    yield verdict("api keys", bool(good), f"{len(good)} of {len(keys)} hold", f"make one that holds: {add}")


def certificate(settings: Settings) -> Iterator[Check]:
    """The certificate fits its key and holds a while longer."""
    cert, key = settings.tls_cert_file, settings.tls_key_file
    if cert is None or key is None:
        return
    remedy = "have a new certificate made for this key, and point MTS_TLS_CERT_FILE and MTS_TLS_KEY_FILE at the two"
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(cert, key)
        ends = _not_after(cert)
    except (OSError, ValueError) as error:
        yield verdict("certificate", False, f"{cert}: {error}", remedy)
        return
    yield verdict("certificate", ends > datetime.now(UTC) + SOON, f"holds until {ends:%Y-%m-%d}", remedy)


def job_store(settings: Settings) -> Iterator[Check]:
    """The job store answers, and no newer release has written it."""
    url = settings.store_url
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        yield Check(name="job store", status="skipped", found=f"{url}: the first start makes it")
        return
    remedy = "check the database that MTS_DATABASE_URL names, or bring a backup back with `mts restore`"
    try:
        database = Database(url)
        try:
            version = database.read(sound_version)
        finally:
            database.close()
    except TrainingError as error:
        yield verdict("job store", False, error.message, error.hint or remedy)
        return
    except Exception as error:  # noqa: BLE001 - whatever a driver raises is what the doctor is there to tell
        yield verdict("job store", False, f"{masked(url)}: {type(error).__name__}", remedy)
        return
    newer = version is not None and version > HEAD
    found = f"{masked(url)}, schema {version or 'none yet'}"
    yield verdict("job store", not newer, found, f"it is of a newer release (this one knows {HEAD}): start that one")


def registry_file(settings: Settings) -> Iterator[Check]:
    """A registry on SQLite is whole."""
    path = Path(settings.tracking_uri.removeprefix("sqlite:///"))
    if not settings.tracking_uri.startswith("sqlite:///") or not path.exists():
        return
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            [found] = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        found = str(error)
    yield verdict("registry file", found == "ok", f"{path}: {found}", "bring a backup back with `mts restore`")


def artifacts(settings: Settings) -> Iterator[Check]:
    """A folder of models can be written."""
    if "://" in settings.artifacts:
        yield Check(name="artifacts", status="skipped", found="remote; a first training shows it")
        return
    folder = Path(settings.artifacts)
    place = next(path for path in (folder, *folder.parents) if path.exists())
    remedy = f"make {place} a folder that this user can write, or set MTS_ARTIFACT_URI"
    try:
        with tempfile.TemporaryFile(dir=place):
            good = True
    except OSError:
        good = False
    yield verdict("artifacts", good, str(folder), remedy)


def open_files(_settings: Settings) -> Iterator[Check]:
    """Ray and a service with many readers hold many files and connections open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = hard != resource.RLIM_INFINITY and hard < MIN_OPEN_FILES
    yield verdict("open files", not few, f"at most {hard}", "ulimit -n 65536, or LimitNOFILE=65536 in the unit")


def left_over(settings: Settings) -> Iterator[Check]:
    """Processes whose supervisor was killed."""
    if current(settings) is not None:
        return
    found = processes.marked(RunFolder(settings).path)
    told = f"{len(found)} processes without a supervisor" if found else "none"
    yield verdict("left over", not found, told, "mts down ends them; mts up does so too, and goes on")


def _not_after(cert: Path) -> datetime:
    from cryptography import x509  # noqa: PLC0415 - only where there is a certificate

    return x509.load_pem_x509_certificate(cert.read_bytes()).not_valid_after_utc
