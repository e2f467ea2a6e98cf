"""The settings of the service: the only reader of the environment and of `.env`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

CLIENT_FIELDS = {"url", "api_key"}
"""Settings of whoever calls the service; the service itself never sees them."""


class Settings(BaseSettings):
    """Read once, where a process starts, and passed on as an argument; picklable."""

    model_config = SettingsConfigDict(
        env_prefix="MTS_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True,
        use_attribute_docstrings=True,
    )  # fmt: skip

    home: Path = Path(".mts")
    """State of the service on this machine."""
    base: Path = Path()
    """Folder that relative data paths of a spec start from."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    database_url: SecretStr | None = None
    """SQLAlchemy URL of the job store. Default: SQLite in home."""
    mlflow_tracking_uri: Annotated[str | None, Field(validation_alias="MLFLOW_TRACKING_URI")] = None
    """Default: SQLite in home."""
    artifact_uri: str | None = None
    """Folder or URI of model artifacts. Default: a folder in home."""
    data_roots: Annotated[tuple[str, ...], NoDecode] = ()
    """Folders or URI prefixes that a spec may read, separated by commas. Default: examples/data and home's uploads."""
    connections_file: Path | None = None
    """Names the SQL databases and Feast repositories that a spec may read (YAML or JSON)."""
    api_keys_file: Path | None = None
    oidc_issuer: str | None = None
    """OpenID Connect provider whose tokens are taken beside API keys."""
    oidc_audience: str = "mts"
    """What its tokens must be made for."""
    oidc_role_claim: str = "roles"
    """Claim with the caller's roles; a dot leads into an object, as in realm_access.roles."""
    tls_cert_file: Path | None = None
    """Certificate chain in PEM; with the key below the service speaks https."""
    tls_key_file: Path | None = None
    webhooks_file: Path | None = None
    url: str | None = None
    """Where `mts` finds the service. Default: host and port above."""
    api_key: SecretStr | None = None
    """Key that `mts` sends, where the service asks for one."""
    mlflow_port: Annotated[int, Field(ge=0, le=65535)] = 5000
    """Of the MLflow web page; the next free one is taken where it is in use."""
    dashboard_port: Annotated[int, Field(ge=0, le=65535)] = 8265
    """Of Ray's dashboard; the next free one is taken where it is in use."""
    ray_port: Annotated[int, Field(ge=0, le=65535)] = 6379
    """Of Ray's control store; the next free one is taken where it is in use."""
    num_cpus: Annotated[int, Field(ge=1)] | None = None
    """CPUs that `mts up` gives to Ray. Default: all of the machine."""
    log_format: Literal["text", "json"] = "text"
    """Of the service's own log lines; json carries the ids of requests and jobs as fields."""
    otlp_endpoint: Annotated[str, Field(pattern=r"^https?://[^@\s]+$")] | None = None
    """OpenTelemetry collector (OTLP over HTTP, such as http://collector:4318) that hears of requests and jobs."""
    drain_s: Annotated[float, Field(ge=0)] = 10.0
    """`mts down` lets jobs that run come to their end for so long; then they leave a checkpoint and stop."""
    keep_job_logs_days: Annotated[float, Field(gt=0)] = 90.0
    """Text logs of jobs are removed after this; jobs, events and models stay."""
    keep_audit_days: Annotated[float, Field(gt=0)] = 400.0
    """Audit logs are removed after this."""
    max_body_mb: Annotated[float, Field(gt=0)] = 16.0
    """A larger request body is refused with 413."""
    max_inflow_mb: Annotated[float, Field(gt=0)] = 48.0
    """The same for a batch of predictions or outcomes; Ray Serve's proxy takes 50 MB."""
    label_studio_secret: SecretStr | None = None
    """What Label Studio's webhook must prove to know; None refuses it."""
    max_upload_mb: Annotated[float, Field(gt=0)] = 1024.0
    """A larger file in POST /datasets is refused with 413."""
    release_ahead: Annotated[int, Field(ge=1)] = 4
    """Jobs handed to Ray beyond what fits now; these are what an autoscaler sees, and what priority cannot reorder."""
    plan_limit_mb: Annotated[float, Field(ge=0)] = 8.0
    """Data up to this size are read and checked before POST /train answers; larger ones when the job starts."""

    @field_validator("data_roots", mode="before")
    @classmethod
    def _split_commas(cls, raw: object) -> object:
        return tuple(part.strip() for part in raw.split(",") if part.strip()) if isinstance(raw, str) else raw

    @model_validator(mode="after")
    def _loopback_or_keys(self) -> Self:
        if not self.loopback and self.api_keys_file is None and self.oidc_issuer is None:
            raise ValueError(
                f"MTS_HOST={self.host} is reachable from other machines, and there are no API keys; "
                "set MTS_API_KEYS_FILE, or MTS_HOST=127.0.0.1"
            )
        return self

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("MTS_TLS_CERT_FILE and MTS_TLS_KEY_FILE go together; set both, or none")
        return self

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def service_url(self) -> str:
        """Where this machine reaches the service."""
        if self.url is not None:
            return self.url.rstrip("/")
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared, not bound
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "https" if self.tls_cert_file else "http"
        return f"{scheme}://{everywhere.get(self.host, host)}:{self.port}"

    def shown(self) -> dict[str, str]:
        """Every setting by its variable, with secrets masked: what `mts doctor` prints."""
        values = {_variable(name): getattr(self, name) for name in type(self).model_fields}
        values |= {
            "MTS_HOME": self.home_path, "MTS_BASE": self.base.resolve(), "MTS_DATA_ROOTS": ",".join(self.roots),
            "MTS_DATABASE_URL": masked(self.store_url), "MLFLOW_TRACKING_URI": masked(self.tracking_uri),
            "MTS_ARTIFACT_URI": masked(self.artifacts), "MTS_URL": masked(self.service_url),
        }  # fmt: skip
        return {name: "" if value is None else str(value) for name, value in values.items()}

    @cached_property
    def home_path(self) -> Path:
        """Absolute path of home."""
        return self.home.expanduser().resolve()

    @property
    def store_url(self) -> str:
        """SQLAlchemy URL of the job store; may hold a password: never print it."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.home_path / 'jobs.db'}"

    @property
    def tracking_uri(self) -> str:
        """MLflow tracking and registry URI. PostgreSQL is reached by psycopg 3, which is what we install."""
        given = self.mlflow_tracking_uri or f"sqlite:///{self.home_path / 'mlflow.db'}"
        return given.replace("postgresql://", "postgresql+psycopg://", 1) if given.startswith("postgresql:") else given

    @property
    def artifacts(self) -> str:
        """Folder or URI below which artifacts are stored."""
        return self.artifact_uri or str(self.home_path / "artifacts")

    @property
    def roots(self) -> tuple[str, ...]:
        """Folders (absolute) and URI prefixes that a spec may read."""
        given = self.data_roots or (str(self.base / "examples" / "data"), str(self.home_path / "uploads"))
        return tuple(root if "://" in root else str(Path(root).expanduser().resolve()) for root in given)

    @property
    def connections_path(self) -> Path | None:
        """Absolute path of the connections file."""
        return None if self.connections_file is None else self.connections_file.expanduser().resolve()

    @property
    def logs_path(self) -> Path:
        """Folder of job logs on the head node."""
        return self.home_path / "logs"

    def as_environment(self) -> dict[str, str]:
        """The variables from which a process in any folder reads these same settings; holds secrets: never print it."""
        values = {
            "MTS_HOME": str(self.home_path),
            "MTS_BASE": str(self.base.resolve()),
            "MTS_DATABASE_URL": _secret(self.database_url),
            "MTS_LABEL_STUDIO_SECRET": _secret(self.label_studio_secret),
            "MTS_DATA_ROOTS": ",".join(self.roots),
            "MTS_ARTIFACT_URI": self.artifacts,
            "MLFLOW_TRACKING_URI": self.tracking_uri,
        }
        for name in type(self).model_fields.keys() - CLIENT_FIELDS:
            value = getattr(self, name)
            values.setdefault(_variable(name), str(value.resolve()) if isinstance(value, Path) else _text(value))
        return {name: value for name, value in values.items() if value is not None}


def environment_secret(name: str) -> str | None:
    """A variable of this process that the connections file refers to as `env:NAME`."""
    return os.environ.get(name)


def child_environment(overrides: Mapping[str, str | None]) -> dict[str, str]:
    """This process's environment with changes, for a child process; None removes a variable."""
    merged: dict[str, str | None] = {**os.environ, **overrides}
    return {name: value for name, value in merged.items() if value is not None}


def masked(url: str) -> str:
    """The URL without its password and its query, which may hold secrets too."""
    parts = urlsplit(url)
    if "@" not in parts.netloc and not parts.query:
        return url
    user, _, host = parts.netloc.rpartition("@")
    # without a colon it may be a token
    shown = f"{user.partition(':')[0]}:***@" if ":" in user else "***@" if user else ""
    return urlunsplit(parts._replace(netloc=shown + host, query="…" if parts.query else ""))


def _variable(field: str) -> str:
    return "MLFLOW_TRACKING_URI" if field == "mlflow_tracking_uri" else f"MTS_{field.upper()}"


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()
