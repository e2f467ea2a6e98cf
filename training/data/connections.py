"""The operator's file of named databases and feature repositories. Secrets are references and are looked up late."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from training.errors import AccessError, UnavailableError, nearest

SecretOf = Callable[[str], str | None]
"""Looks a name up in the environment of the process that connects."""


def no_secret(name: str) -> str | None:
    """The environment of a process that has none to give."""
    del name
    return None


OPERATOR = "The operator corrects the file that MTS_CONNECTIONS_FILE names."


class FileModel(BaseModel):
    """A part of the file. An unknown field is an error, for a misspelt limit would be no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)


class Connection(FileModel):
    """A database. `password` is `env:NAME` or `file:/path`, never the password itself."""

    url: str
    """SQLAlchemy URL without a password, such as postgresql://reader@db.example/warehouse."""
    password: Annotated[str, Field(pattern=r"^(env|file):.+$")] | None = None
    statement_timeout_s: Annotated[float, Field(gt=0)] = 600.0
    max_rows: Annotated[int, Field(ge=1)] = 100_000_000
    """No spec reads more rows than this."""

    @field_validator("url")
    @classmethod
    def _no_password(cls, url: str) -> str:
        user = urlsplit(url).netloc.rpartition("@")[0]
        if user.partition(":")[2] or "password=" in url.lower():
            raise ValueError("a password does not belong into the URL; give it as password: env:NAME or file:/path")
        return url


class FeatureRepository(FileModel):
    """A Feast repository on a path that every worker can read."""

    path: Path


class Connections(FileModel):
    """The whole file."""

    connections: dict[str, Connection] = {}
    repositories: dict[str, FeatureRepository] = {}


def read_connections(path: Path | None) -> Connections:
    """What the file says; nothing where there is no file.

    Raises:
        UnavailableError: the file cannot be read or holds a mistake; says where, and never what a value was.
    """
    if path is None:
        return Connections()
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Connections.model_validate(raw or {})
    except OSError as error:
        raise UnavailableError(f"the connections file cannot be read: {error.strerror}", hint=OPERATOR) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise UnavailableError("the connections file is neither YAML nor JSON", hint=OPERATOR) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UnavailableError(f"the connections file: {where}: {first['msg']}", hint=OPERATOR) from None


def named(known: Mapping[str, Any], name: str, what: str, field: str) -> Any:
    """The entry of that name.

    Raises:
        AccessError: there is none; names the nearest.
    """
    if name in known:
        return known[name]
    hint = f"Name one that the operator allows in MTS_CONNECTIONS_FILE{nearest(name, known)}."
    raise AccessError.at(field, name, f"no {what} of that name{nearest(name, known)}", hint=hint)


def password_of(connection: Connection, name: str, secret: SecretOf, field: str) -> SecretStr | None:
    """The password that the reference leads to.

    Raises:
        UnavailableError: it leads nowhere; names the reference.
    """
    if connection.password is None:
        return None
    kind, _, place = connection.password.partition(":")
    try:
        value = secret(place) if kind == "env" else Path(place).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError:
        value = None
    if not value:
        reason = f"the password of the connection {name!r} is not there: {connection.password}"
        raise UnavailableError.at(field, name, reason, hint="The operator sets it where the workers run.")
    return SecretStr(value)
