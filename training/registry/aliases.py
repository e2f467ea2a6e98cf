"""Which version is the champion, and which one was before."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from mlflow import MlflowClient

from training.errors import ConflictError
from training.registry.errors import translated
from training.registry.model import CHAMPION, PREVIOUS, AliasChange, VersionInfo
from training.registry.versions import by_alias, model, resolve

MAX_HISTORY = 50


def promote(client: MlflowClient, name: str, version: str, *, reason: str, by: str) -> None:
    """Makes a version the champion; the champion before becomes previous.

    Raises:
        NotFoundError: no such model or version.
        ConflictError: it is the champion already.
    """
    info = resolve(client, name, version, None)
    if CHAMPION in info.aliases:
        raise ConflictError(f"version {version} of {name} is the champion already")
    champion = _version_with(client, name, CHAMPION)
    with translated(f"promoting version {version} of {name}"):
        if champion is not None:
            client.set_registered_model_alias(name, PREVIOUS, champion)
        client.set_registered_model_alias(name, CHAMPION, version)
        _remember(client, info, AliasChange(action="promote", by=by, at=_now(), reason=reason, replaced=champion))


def rollback(client: MlflowClient, name: str, *, reason: str, by: str) -> None:
    """Makes the previous champion the champion again, and the present one previous.

    Raises:
        NotFoundError: no such model.
        ConflictError: there is no previous champion.
    """
    champion, previous = _version_with(client, name, CHAMPION), _version_with(client, name, PREVIOUS)
    if champion is None and previous is None:
        model(client, name)
    if previous is None or champion == previous:
        raise ConflictError(
            f"{name} has no previous champion to go back to", hint="promote a version of your choice instead"
        )
    info = resolve(client, name, previous, None)
    with translated(f"rolling {name} back to version {previous}"):
        client.set_registered_model_alias(name, CHAMPION, previous)
        if champion is not None:
            client.set_registered_model_alias(name, PREVIOUS, champion)
        _remember(client, info, AliasChange(action="rollback", by=by, at=_now(), reason=reason, replaced=champion))


def _remember(client: MlflowClient, info: VersionInfo, change: AliasChange) -> None:
    history = [*info.history, change][-MAX_HISTORY:]
    text = json.dumps([entry.model_dump(mode="json") for entry in history], ensure_ascii=False)
    client.set_model_version_tag(info.name, info.version, "history", text)


def _version_with(client: MlflowClient, name: str, alias: str) -> str | None:
    info = by_alias(client, name, alias)
    return None if info is None else info.version


def _now() -> datetime:
    return datetime.now(UTC)
