"""A real Feast repository: file offline store, SQLite registry."""

from __future__ import annotations

import json
import warnings
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from training.data import DataAccess, load
from training.data.sources import feast_source, file_source
from training.data.streaming import spool
from training.errors import AccessError, DataError, SpecError, UnavailableError
from training.events import SilentObserver
from training.pipeline import Workplace, run
from training.registry import Registry
from training.spec import FeastSource, FileSource, TrainSpec, parse_spec

CUSTOMERS = 40
DAYS = pd.Timestamp("2024-01-01", tz="UTC")
SECRET = "registry-S3cret"


def day(number: float) -> pd.Timestamp:
    return DAYS + pd.Timedelta(days=number)


def bureau() -> pd.DataFrame:
    """Five states of each customer; one in five was written ten days after the time that it speaks of."""
    generator = np.random.default_rng(0)
    rows = 5 * CUSTOMERS
    times = DAYS + pd.to_timedelta(generator.integers(0, 200 * 24, rows), unit="h")
    late = np.where(generator.random(rows) < 0.2, 10, 0)
    return pd.DataFrame({
        "customer": np.repeat(np.arange(CUSTOMERS), 5), "at": times, "written": times + pd.to_timedelta(late, unit="D"),
        "income": generator.normal(size=rows), "grade": generator.choice(["a", "b", "c"], rows),
    })  # fmt: skip


def events() -> pd.DataFrame:
    """Loans; some customers ask twice at one time, one is known to no view, and one only later than his loan."""
    generator = np.random.default_rng(1)
    frame = pd.DataFrame({
        "customer": generator.integers(0, CUSTOMERS, 300), "amount": generator.normal(size=300),
        "asked": DAYS + pd.to_timedelta(generator.integers(-20, 220, 300), unit="D"),
    })  # fmt: skip
    frame.loc[:1, "customer"] = 999
    frame.loc[10:12, ["customer", "asked"]] = [3, day(100)]
    frame["y"] = np.where(frame["amount"] + generator.normal(size=300) > 0, "bad", "good")
    return frame


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the repository and the loans."""
    folder = tmp_path_factory.mktemp("lake")
    bureau().to_parquet(folder / "bureau.parquet", index=False)
    states = bureau()[["customer", "at"]].assign(income=1.0)
    states["at"] += pd.Timedelta(days=1000)  # knows everybody, but later than any loan
    states.to_parquet(folder / "later.parquet", index=False)
    pd.DataFrame({"at": [day(0), day(100)], "rate": [1.0, 2.0]}).to_parquet(folder / "rates.parquet", index=False)
    events().to_parquet(folder / "loans.parquet", index=False)
    (folder / "feature_store.yaml").write_text(yaml.safe_dump({
        "project": "credit", "provider": "local", "entity_key_serialization_version": 3,
        "registry": {"registry_type": "sql", "path": f"sqlite:///{folder / 'registry.db'}"},
        "offline_store": {"type": "file"}, "online_store": {"type": "sqlite", "path": str(folder / "online.db")},
    }))  # fmt: skip
    apply(folder)
    connections = {"repositories": {"features": {"path": str(folder)}, "empty": {"path": str(folder / "nothing")}}}
    (folder / "connections.yaml").write_text(yaml.safe_dump(connections))
    return folder


def apply(folder: Path) -> None:
    with warnings.catch_warnings():
        from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, ValueType
        from feast import FileSource as FeastFile
        from feast.on_demand_feature_view import on_demand_feature_view
        from feast.types import Float64, String

        warnings.simplefilter("ignore")  # of its libraries, which the imports above have turned on
        customer = Entity(name="customer", join_keys=["customer"], value_type=ValueType.INT64)
        file = FeastFile(path=str(folder / "bureau.parquet"), timestamp_field="at", created_timestamp_column="written")
        income, grade = Field(name="income", dtype=Float64), Field(name="grade", dtype=String)
        whole = FeatureView(name="bureau", entities=[customer], schema=[income, grade], source=file)
        fresh = FeatureView(
            name="fresh", entities=[customer], ttl=timedelta(days=30), schema=[income], source=file, online=False
        )
        later = FeatureView(
            name="later", entities=[customer], schema=[income],
            source=FeastFile(path=str(folder / "later.parquet"), timestamp_field="at"),
        )  # fmt: skip
        rates = FeatureView(
            name="rates", entities=[], schema=[Field(name="rate", dtype=Float64)],
            source=FeastFile(path=str(folder / "rates.parquet"), timestamp_field="at"),
        )  # fmt: skip

        @on_demand_feature_view(sources=[whole], schema=[Field(name="twice", dtype=Float64)])
        def doubled(inputs: pd.DataFrame) -> pd.DataFrame:
            return pd.DataFrame({"twice": inputs["income"] * 2})

        timeless = FeatureView(
            name="timeless", entities=[customer], schema=[income],
            source=FeastFile(name="timeless", path=str(folder / "later.parquet"), timestamp_field="at"),
        )  # fmt: skip
        service = FeatureService(name="scoring", features=[whole, rates])
        store = FeatureStore(repo_path=str(folder))
        store.apply([customer, whole, fresh, later, rates, doubled, timeless, service])
        timeless = store.get_feature_view("timeless")
        timeless.batch_source.timestamp_field = ""
        store.registry.apply_feature_view(timeless, "credit")
        store.registry.commit()


@pytest.fixture
def access(lake: Path) -> DataAccess:
    return DataAccess((str(lake),), lake, connections_file=lake / "connections.yaml")


def loans(*features: str, **parts: Any) -> FeastSource:
    parts = {"features": list(features) or None, "timestamp_column": "asked", **parts}
    return FeastSource(repository="features", entities=FileSource(uri="loans.parquet"), **parts)


def known(row: Any, *, ttl_days: float = np.inf) -> pd.DataFrame:
    """What the bureau had written by the time of a loan, oldest first."""
    states = bureau()
    states = states[(states["customer"] == row.customer) & (states["at"] <= row.asked)]
    states = states[(states["written"] <= row.asked) & (states["at"] >= row.asked - min(
        pd.Timedelta(days=ttl_days) if np.isfinite(ttl_days) else pd.Timedelta(days=10_000), pd.Timedelta(days=10_000)
    ))]  # fmt: skip
    return states.sort_values("at")


@pytest.mark.parametrize(("view", "ttl_days"), [("bureau", np.inf), ("fresh", 30)])
def test_no_value_from_after_the_event_ever_enters(access: DataAccess, view: str, ttl_days: float) -> None:
    frame = load(loans(f"{view}:income"), access).frame
    rows = events()
    assert frame["amount"].tolist() == rows["amount"].tolist()  # all rows, in their order
    hits = 0
    for got, row in zip(frame["income"], rows.itertuples(), strict=True):
        states = known(row, ttl_days=ttl_days)
        if states.empty:
            assert np.isnan(got)
        else:
            assert got == states["income"].iloc[-1]
            hits += 1
    # the other way round: what was written after a loan is not what it got, though it is nearer in time
    assert 50 < hits < 290


def test_a_view_that_knows_a_customer_only_later_takes_nothing_away(access: DataAccess) -> None:
    frame = load(loans("bureau:income", "later:income", full_feature_names=True), access).frame
    alone = load(loans("bureau:income"), access).frame
    assert frame["later__income"].isna().all()
    np.testing.assert_array_equal(frame["bureau__income"], alone["income"])
    assert len(frame) == 300


def test_a_service_is_its_features(access: DataAccess) -> None:
    service = load(loans(feature_service="scoring"), access).frame
    named = load(loans("bureau:income", "bureau:grade", "rates:rate"), access).frame
    pd.testing.assert_frame_equal(service, named)
    assert service["rate"].isna().tolist() == (events()["asked"] < day(0)).tolist()
    assert set(service["rate"].dropna()) == {1.0, 2.0}


@pytest.mark.slow
def test_many_rows_are_asked_about_in_parts_and_are_the_same_table(
    access: DataAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = loans("bureau:income", "bureau:grade", "later:income", full_feature_names=True)
    whole = load(source, access)
    monkeypatch.setattr(file_source, "STREAMED_BYTES", 0)
    monkeypatch.setattr(spool, "SPILL_BYTES", -1)
    monkeypatch.setattr(feast_source, "ROWS_PER_ASKING", 70)
    parts = load(source, access)
    assert parts.sha256 == whole.sha256
    pd.testing.assert_frame_equal(parts.frame, whole.frame)
    assert parts.feature_store == whole.feature_store
    assert [view.name for view in parts.feature_store.views] == ["bureau", "later"]


def test_features_that_are_computed_on_demand(access: DataAccess) -> None:
    frame = load(loans("doubled:twice", "bureau:income"), access).frame
    np.testing.assert_allclose(frame["twice"], frame["income"] * 2)


def test_the_same_rows_are_the_same_table(access: DataAccess) -> None:
    assert (
        load(loans(feature_service="scoring"), access).sha256 == load(loans(feature_service="scoring"), access).sha256
    )


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        (loans("burau:income"), SpecError, r"features: no feature view of that name; nearest: bureau"),
        (loans("bureau:incom"), SpecError, r"bureau has no such feature; nearest: income"),
        (loans(feature_service="scorin"), SpecError, r"no feature service of that name; nearest: scoring"),
        (loans("timeless:income"), DataError, r"the feature view 'timeless' has no timestamps"),
        (loans("bureau:income", "later:income"), DataError, r"there is a column 'income' already"),
        (loans("bureau:income", timestamp_column="askd"), SpecError, r"no such column; nearest: asked"),
        (loans("bureau:income", timestamp_column="amount"), DataError, r"column 'amount' holds double, not times"),
    ],
)
def test_what_cannot_be_joined_is_named(
    access: DataAccess, source: FeastSource, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        load(source, access)


def test_rows_without_key_or_time_are_named(access: DataAccess, lake: Path) -> None:
    rows = events()
    for column, words in (("asked", "1 rows have no time in 'asked'"), ("customer", "1 rows have no 'customer'")):
        broken = rows.copy()
        broken[column] = broken[column].mask(broken.index == 5)
        broken.to_parquet(lake / "broken.parquet")
        source = loans("bureau:income").model_copy(update={"entities": FileSource(uri="broken.parquet")})
        with pytest.raises(DataError, match=words):
            load(source, access)
    rows.drop(columns="customer").to_parquet(lake / "broken.parquet")
    with pytest.raises(SpecError, match="the features need a column 'customer'"):
        load(source, access)


def test_a_repository_that_is_not_there(access: DataAccess, lake: Path) -> None:
    with pytest.raises(AccessError, match="no repository of that name; nearest: features"):
        load(loans("bureau:income").model_copy(update={"repository": "feature"}), access)
    with pytest.raises(UnavailableError, match=r"has no feature_store.yaml"):
        load(loans("bureau:income").model_copy(update={"repository": "empty"}), access)


def test_a_source_that_has_gone_is_named_without_a_secret(lake: Path, tmp_path: Path) -> None:
    settings = yaml.safe_load((lake / "feature_store.yaml").read_text())
    settings["registry"]["path"] = f"postgresql+psycopg://feast:{SECRET}@127.0.0.1:9/registry"
    (tmp_path / "feature_store.yaml").write_text(yaml.safe_dump(settings))
    (tmp_path / "connections.yaml").write_text(yaml.safe_dump({"repositories": {"features": {"path": "."}}}))
    access = DataAccess((str(lake),), lake, connections_file=tmp_path / "connections.yaml")
    with pytest.raises((DataError, UnavailableError)) as caught:
        load(loans("bureau:income"), access)
    assert SECRET not in f"{caught.value!r} {caught.value.details()}"
    assert "Traceback" not in str(caught.value)


@pytest.mark.slow
def test_the_version_and_its_bundle_say_which_features(lake: Path, access: DataAccess, tmp_path: Path) -> None:
    place = Workplace(access, Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", str(tmp_path / "artifacts")))
    spec = parse_spec(TrainSpec, {
        "name": "loans", "data": {"source": loans(feature_service="scoring").model_dump(mode="json"), "target": "y",
                                  "exclude": ["asked"]},
        "model": {"family": "sklearn", "estimator": "logistic_regression"},
    })  # fmt: skip
    result = run(spec, place, SilentObserver(), job_id="job_feast")
    use = result.data.feature_store
    assert [view.name for view in use.views] == ["bureau", "rates"]
    assert use.known_at_event

    info = place.registry.resolve("loans", version=result.model.version)
    assert info.lineage["feature_views"].startswith(f"bureau latest {use.views[0].definition_sha256[:12]}, rates ")
    archive, _ = place.registry.bundle(info, tmp_path / "out")
    with zipfile.ZipFile(archive) as members:
        online = json.loads(members.read("feature_store.json"))
        manifest = json.loads(members.read("bundle.json"))
    assert manifest["lineage"]["feature_repository"] == "features/credit"
    assert "feature_store.json" in manifest["sha256"]
    assert online["online_store"] == "sqlite"
    first = online["views"][0]
    assert first["join_keys"] == ["customer"]
    assert first["online"]
    assert first["features"][0] == {"column": "income", "reference": "bureau:income", "type": "Float64"}
    assert {"income", "grade", "rate"} <= {column["name"] for column in manifest["inputs"]}
