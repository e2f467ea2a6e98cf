"""A Feast repository, opened to read: its views, their definitions, and values as of a time."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy.exc import SQLAlchemyError

try:
    # it changes which warnings are shown, for the whole process
    with warnings.catch_warnings():
        import feast
        from feast.errors import FeastError, FeastObjectNotFoundException, FeatureNameCollisionError
        from feast.feature_view import DUMMY_ENTITY_ID
except ImportError as missing:
    raise ImportError("model-training-service[feast] is not installed") from missing

from training.errors import DataError, SpecError, TrainingError, UnavailableError, nearest
from training.result import FeatureField, FeatureViewUse

EVENT_TIME = "event_timestamp"
"""What every offline store of Feast calls the time of a row."""
_PASSWORD = re.compile(r"://[^/@\s]*@")


@dataclass(frozen=True)
class Wanted:
    """The features of one view, by their names in the view; `references` are what Feast is asked for."""

    view: Any
    name: str
    names: tuple[str, ...]

    @property
    def references(self) -> list[str]:
        """Such as bureau:income."""
        return [f"{self.name}:{name}" for name in self.names]

    @property
    def is_on_demand(self) -> bool:
        """Whether the values are computed from other views, or from what a request holds."""
        return isinstance(self.view, feast.OnDemandFeatureView)


class FeatureRepository:
    """A repository that the operator has named. Not safe to use from several threads at once."""

    def __init__(self, name: str, path: Path, field: str) -> None:
        self.name, self._field = name, field
        if not (path / "feature_store.yaml").is_file():
            reason = f"the repository {name!r} has no feature_store.yaml"
            raise UnavailableError.at(f"{field}.repository", name, reason, hint="The operator corrects its path.")
        with self._explained():
            self._store = feast.FeatureStore(repo_path=str(path))

    @property
    def project(self) -> str:
        """Feast's name of the project."""
        return str(self._store.project)

    @property
    def online_store(self) -> str | None:
        """The type of the online store."""
        kind = getattr(self._store.config.online_store, "type", None)
        return None if kind is None else str(kind)

    @property
    def knows_when_written(self) -> bool:
        """Whether the offline store can leave out values that were written after the event."""
        with self._explained():
            offline = self._store._get_provider().offline_store
        return bool(getattr(offline, "supports_filter_by_created_timestamp", False))

    def by_reference(self, references: list[str]) -> list[Wanted]:
        """The views of features such as bureau:income, in the order of their first feature.

        Raises:
            SpecError: no such view or feature; names the nearest.
        """
        found: dict[str, list[str]] = {}
        for reference in references:
            view, _, name = reference.partition(":")
            found.setdefault(view, []).append(name)
        return [self._wanted(view, tuple(dict.fromkeys(names)), "features") for view, names in found.items()]

    def by_service(self, name: str) -> list[Wanted]:
        """The views of a feature service.

        Raises:
            SpecError: no such service, or one that renames views or join keys.
        """
        field = f"{self._field}.feature_service"
        with self._explained():
            try:
                service = self._store.get_feature_service(name)
            except FeastObjectNotFoundException:
                known = [one.name for one in self._store.list_feature_services()]
                raise SpecError.at(field, name, f"no feature service of that name{nearest(name, known)}") from None
        found = []
        for projection in service.feature_view_projections:
            if projection.name_alias or projection.join_key_map:
                reason = f"the service gives the view {projection.name!r} another name or other join keys"
                raise SpecError.at(field, name, reason, hint="Name the features, or make a service of plain views.")
            names = tuple(feature.name for feature in projection.features)
            found.append(self._wanted(projection.name, names, "feature_service"))
        return found

    def request_columns(self, wanted: Wanted) -> list[str]:
        """What a row must hold besides join keys."""
        if not wanted.is_on_demand:
            return []
        return sorted(wanted.view.get_request_data_schema())

    def source_views(self, wanted: Wanted) -> list[Any]:
        """The views that hold the values: the view itself, or those that it is computed from."""
        if not wanted.is_on_demand:
            return [wanted.view]
        with self._explained():
            return [
                self._store.get_feature_view(one.name) for one in wanted.view.source_feature_view_projections.values()
            ]

    def join_keys(self, wanted: Wanted) -> list[str]:
        """Columns of a row by which its values are found; none for a view that holds one value for all."""
        keys = {str(key) for view in self.source_views(wanted) for key in view.join_keys}
        return sorted(keys - {DUMMY_ENTITY_ID})

    def values(self, wanted: Wanted, rows: pd.DataFrame, *, full_names: bool) -> Any:
        """A pyarrow.Table of the features, with the columns of `rows`; rows may be missing, and come in any order.

        Args:
            wanted: the features.
            rows: [n, join keys, request columns, `event_timestamp` in UTC, ...], all different.
            full_names: whether columns are named view__feature.

        Raises:
            DataError: the values cannot be read.
        """
        options = {"filter_by_created_timestamp": True} if self.knows_when_written else {}
        with self._explained():
            job = self._store.get_historical_features(
                entity_df=rows, features=wanted.references, full_feature_names=full_names, **options
            )
            return job.to_arrow()

    def use_of(self, wanted: Wanted, *, full_names: bool) -> FeatureViewUse:
        """The view as it is now."""
        view = wanted.view
        types = {field.name: str(field.dtype) for field in view.features}
        ttl = getattr(view, "ttl", None)
        number = getattr(view, "current_version_number", None)
        updated = view.last_updated_timestamp
        return FeatureViewUse(
            name=wanted.name, version=str(getattr(view, "version", "latest")) if number is None else f"v{number}",
            definition_sha256=hashlib.sha256(view.to_proto().spec.SerializeToString(deterministic=True)).hexdigest(),
            updated_at=None if updated is None else updated.isoformat(), join_keys=self.join_keys(wanted),
            request_columns=self.request_columns(wanted), ttl_s=ttl.total_seconds() if ttl else None,
            online=bool(getattr(view, "online", True)),
            features=[
                FeatureField(
                    column=f"{wanted.name}__{name}" if full_names else name, reference=f"{wanted.name}:{name}",
                    type=types[name],
                )
                for name in wanted.names
            ],
        )  # fmt: skip

    def _wanted(self, name: str, names: tuple[str, ...], part: str) -> Wanted:
        field = f"{self._field}.{part}"
        with self._explained():
            try:
                view = self._store.registry.get_any_feature_view(name.partition("@")[0], self.project)
            except FeastObjectNotFoundException:
                known = [one.name for one in self._store.list_all_feature_views()]
                raise SpecError.at(field, name, f"no feature view of that name{nearest(name, known)}") from None
        known = [feature.name for feature in view.features]
        for one in names:
            if one not in known:
                raise SpecError.at(field, f"{name}:{one}", f"{name} has no such feature{nearest(one, known)}")
        found = Wanted(view, name, names)
        for source in self.source_views(found):
            if not source.batch_source or not source.batch_source.timestamp_field:
                reason = (
                    f"the feature view {source.name!r} has no timestamps: nobody can tell what was known at an event"
                )
                hint = "Name the timestamp_field of its source in the repository, and apply it again."
                raise DataError.at(field, name, reason, hint=hint)
        return found

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns Feast's errors into ours, without what its files may hold of a login."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of its libraries, about each other
                yield
        except TrainingError:
            raise
        except FeatureNameCollisionError:
            hint = "Set full_feature_names: true."
            reason = "two feature views have features of the same name"
            raise SpecError.at(f"{self._field}.full_feature_names", value=False, message=reason, hint=hint) from None
        except SQLAlchemyError as error:
            reason = f"the registry does not answer: {_first_line(error)}"
            raise UnavailableError.at(f"{self._field}.repository", self.name, reason, hint="Try again later.") from None
        except (FeastError, ValueError, KeyError, OSError, TypeError, AttributeError) as error:
            reason = f"the feature store cannot answer: {type(error).__name__}: {_first_line(error)}"
            hint = "Check the repository with `feast plan`, and that its sources are where it says."
            raise DataError.at(f"{self._field}.repository", self.name, reason, hint=hint) from None


def _first_line(error: Exception) -> str:
    lines = _PASSWORD.sub("://***@", str(error)).strip().splitlines() or [""]
    return lines[0][:300]
