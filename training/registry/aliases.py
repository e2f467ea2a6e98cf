"""Which version is the champion, which was before and which would be next; versions that are put away."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from mlflow import MlflowClient

from training.errors import ConflictError, NotFoundError
from training.registry.errors import translated
from training.registry.exclusive import HeldModel, change
from training.registry.model import ARCHIVED, AUDIT, CHALLENGER, CHAMPION, PREVIOUS, AliasChange, AuditEntry
from training.registry.versions import model, resolve

MAX_HISTORY = 50
MAX_REASON_CHARS = 2000


@dataclass(frozen=True)
class Act:
    """Who changes something, and why."""

    by: str
    reason: str


@dataclass(frozen=True)
class Seen:
    """The champion that a decision to promote was made against; None where there was none."""

    champion: str | None


def promote(client: MlflowClient, name: str, version: str, act: Act, seen: Seen | None = None) -> None:
    """Makes a version the champion; the champion before becomes previous.

    Raises:
        NotFoundError: no such model or version.
        ConflictError: it is the champion already, it is archived, or the champion is not the one that was `seen`.
    """
    resolve(client, name, version, None)

    def move(held: HeldModel) -> None:
        aliases = held.aliases()
        champion = aliases.get(CHAMPION)
        if champion == version:
            raise ConflictError(f"version {version} of {name} is the champion already")
        if held.version_tag(version, ARCHIVED):
            raise ConflictError(f"version {version} of {name} is archived", hint="take it back from the archive first")
        if seen is not None and seen.champion != champion:
            raise ConflictError(
                f"version {champion} became the champion of {name} meanwhile", hint="compare with it, then try again"
            )
        if champion is not None:
            held.point(PREVIOUS, champion)
        held.point(CHAMPION, version)
        if aliases.get(CHALLENGER) == version:
            held.remove(CHALLENGER)
        _remember(held, version, _entry("promote", act, champion))

    with translated(f"promoting version {version} of {name}"):
        change(client, name, move)


def rollback(client: MlflowClient, name: str, act: Act) -> None:
    """Makes the previous champion the champion again, and the present one previous.

    Raises:
        NotFoundError: no such model.
        ConflictError: there is no previous champion, or it is archived.
    """

    def swap(held: HeldModel) -> None:
        aliases = held.aliases()
        champion, previous = aliases.get(CHAMPION), aliases.get(PREVIOUS)
        if previous is None or champion == previous:
            raise ConflictError(
                f"{name} has no previous champion to go back to", hint="promote a version of your choice instead"
            )
        held.point(CHAMPION, previous)
        if champion is not None:
            held.point(PREVIOUS, champion)
        _remember(held, previous, _entry("rollback", act, champion))

    try:
        with translated(f"rolling {name} back"):
            change(client, name, swap)
    except NotFoundError:
        model(client, name)  # names the nearest
        raise


RELEASED = {
    CHAMPION: "promote another version first",
    PREVIOUS: "promote another version first: the one that is replaced becomes the previous one",
    CHALLENGER: "it is the challenger until it is promoted, or until the gate keeps a later version",
}
"""How an alias leaves a version."""


def challenge(client: MlflowClient, name: str, version: str) -> None:
    """Notes a version that was not promoted as the challenger, unless it became the champion meanwhile."""

    def note(held: HeldModel) -> None:
        if held.aliases().get(CHAMPION) != version:
            held.point(CHALLENGER, version)

    with translated(f"noting version {version} of {name} as the challenger"):
        change(client, name, note)


def archive(client: MlflowClient, name: str, version: str, act: Act, *, away: bool = True) -> None:
    """Puts a version away, so that nobody promotes it by mistake; or, with `away=False`, takes it back.

    Raises:
        NotFoundError: no such model or version.
        ConflictError: an alias points at it.
    """
    resolve(client, name, version, None)

    def put(held: HeldModel) -> None:
        if away:
            _check_unused(held, name, version, "archived")
        entry = _entry("archive" if away else "restore", act, None)
        held.tag_version(version, ARCHIVED, entry.model_dump_json() if away else "")
        _remember(held, version, entry)

    with translated(f"archiving version {version} of {name}"):
        change(client, name, put)


def delete(client: MlflowClient, name: str, version: str, act: Act) -> None:
    """Deletes a version for good; the run that made it stays, with its artifacts.

    Raises:
        NotFoundError: no such model or version.
        ConflictError: an alias points at it.
    """
    resolve(client, name, version, None)

    def close(held: HeldModel) -> None:
        _check_unused(held, name, version, "deleted")
        entry = _entry("delete", act, None)
        # archived, nobody can promote it between here and its deletion
        held.tag_version(version, ARCHIVED, entry.model_dump_json())
        _remember(held, version, entry)

    with translated(f"deleting version {version} of {name}"):
        change(client, name, close)
        client.delete_model_version(name, version)


def _check_unused(held: HeldModel, name: str, version: str, done: str) -> None:
    pointing = sorted(alias for alias, target in held.aliases().items() if target == version)
    if pointing:
        raise ConflictError(
            f"version {version} of {name} is the {' and the '.join(pointing)}: it cannot be {done}",
            hint="; ".join(dict.fromkeys(RELEASED.get(alias, "point the alias elsewhere") for alias in pointing)),
        )


def _remember(held: HeldModel, version: str, entry: AliasChange) -> None:
    """In the version's history, and in the model's audit log, where an entry is never changed again."""
    if entry.action in {"promote", "rollback"}:
        before = json.loads(held.version_tag(version, "history") or "[]")
        text = json.dumps([*before, entry.model_dump(mode="json")][-MAX_HISTORY:], ensure_ascii=False)
        held.tag_version(version, "history", text)
    logged = AuditEntry(version=version, **entry.model_dump())
    stamp = int(entry.at.timestamp() * 1e6)
    held.tag_model(f"{AUDIT}{stamp:020d}.{secrets.token_hex(4)}", logged.model_dump_json())


def _entry(action: str, act: Act, replaced: str | None) -> AliasChange:
    reason = act.reason if len(act.reason) <= MAX_REASON_CHARS else act.reason[:MAX_REASON_CHARS] + "…"
    return AliasChange(action=action, by=act.by, at=datetime.now(UTC), reason=reason, replaced=replaced)
