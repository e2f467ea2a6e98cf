"""Changes to a model's aliases and tags, one writer at a time, all of a change or nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from mlflow import MlflowClient
from mlflow.store.model_registry.dbmodels.models import (
    SqlModelVersionTag,
    SqlRegisteredModel,
    SqlRegisteredModelAlias,
    SqlRegisteredModelTag,
)
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.time import get_current_time_millis

from training.errors import NotFoundError, TrainingError

T = TypeVar("T")


class HeldModel(Protocol):
    """A model that nobody else changes meanwhile."""

    def aliases(self) -> dict[str, str]:
        """Alias to version."""

    def point(self, alias: str, version: str) -> None:
        """Lets an alias point at a version."""

    def remove(self, alias: str) -> None:
        """Takes an alias away."""

    def version_tag(self, version: str, key: str) -> str | None:
        """A tag of a version."""

    def tag_version(self, version: str, key: str, value: str) -> None:
        """Sets a tag of a version."""

    def tag_model(self, key: str, value: str) -> None:
        """Sets a tag of the model."""


def change(client: MlflowClient, name: str, act: Callable[[HeldModel], T]) -> T:
    """Calls `act` with the model held.

    Over a database, which is what the service itself uses, it is one transaction: two callers come one after the
    other, and a process that dies has changed nothing. Through an MLflow server, whose API has no transactions, the
    calls go out one by one; then a caller that dies in between leaves `previous` and `champion` the same version.

    Raises:
        NotFoundError: no such model.
        TrainingError: whatever `act` raised; it should do so before it changes something.
    """
    store = client._get_registry_client().store
    if not isinstance(store, SqlAlchemyStore):
        return act(_ServerModel(client, name))
    refusal: TrainingError | None = None
    answer: T | None = None
    with store.ManagedSessionMaker(read_only=False) as session:
        # a write comes first: it takes SQLite's lock, or PostgreSQL's lock of this row, before anything is read
        held = session.query(SqlRegisteredModel).filter(SqlRegisteredModel.name == name)
        if not held.update({SqlRegisteredModel.last_updated_time: get_current_time_millis()}):
            refusal = NotFoundError(f"no model named {name}")
        else:
            try:
                answer = act(_StoredModel(session, held.one()))
            except TrainingError as error:
                # MLflow's session would turn it into an error of its own
                refusal = error
    if refusal is not None:
        raise refusal
    return answer  # type: ignore[return-value]  # what `act` answered, None where T is None


class _StoredModel:
    """In a session of MLflow's own store."""

    def __init__(self, session: Any, model: Any) -> None:
        self._session = session
        self._key = {"workspace": model.workspace, "name": model.name}

    def aliases(self) -> dict[str, str]:
        found = self._session.query(SqlRegisteredModelAlias).filter_by(**self._key)
        return {row.alias: str(row.version) for row in found}

    def point(self, alias: str, version: str) -> None:
        self._session.merge(SqlRegisteredModelAlias(**self._key, alias=alias, version=int(version)))
        self._session.flush()

    def remove(self, alias: str) -> None:
        self._session.query(SqlRegisteredModelAlias).filter_by(**self._key, alias=alias).delete()

    def version_tag(self, version: str, key: str) -> str | None:
        found = self._session.query(SqlModelVersionTag).filter_by(**self._key, version=int(version), key=key)
        row = found.one_or_none()
        return None if row is None else str(row.value)

    def tag_version(self, version: str, key: str, value: str) -> None:
        self._session.merge(SqlModelVersionTag(**self._key, version=int(version), key=key, value=value))

    def tag_model(self, key: str, value: str) -> None:
        self._session.merge(SqlRegisteredModelTag(**self._key, key=key, value=value))


class _ServerModel:
    """Through an MLflow server."""

    def __init__(self, client: MlflowClient, name: str) -> None:
        self._client, self._name = client, name

    def aliases(self) -> dict[str, str]:
        found = self._client.get_registered_model(self._name)
        return {alias: str(version) for alias, version in found.aliases.items()}

    def point(self, alias: str, version: str) -> None:
        self._client.set_registered_model_alias(self._name, alias, version)

    def remove(self, alias: str) -> None:
        self._client.delete_registered_model_alias(self._name, alias)

    def version_tag(self, version: str, key: str) -> str | None:
        tags: dict[str, str] = self._client.get_model_version(self._name, version).tags
        return tags.get(key)

    def tag_version(self, version: str, key: str, value: str) -> None:
        self._client.set_model_version_tag(self._name, version, key, value)

    def tag_model(self, key: str, value: str) -> None:
        self._client.set_registered_model_tag(self._name, key, value)
