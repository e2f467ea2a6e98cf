"""Batches of predictions and outcomes: what is taken, and what is refused with the row, the field and the remedy."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from watched import BINARY, NDJSON, NOW, PARQUET, REGRESSION, lines, receiver, row

from training.errors import DataError
from training.monitoring.bodies import MAX_ROWS
from training.monitoring.errors import BatchTooLargeError, BodyError
from training.monitoring.schema import MonitoredSchema

ARROW = "application/vnd.apache.arrow.stream"


def parquet(frame: pd.DataFrame) -> bytes:
    body = io.BytesIO()
    frame.to_parquet(body)
    return body.getvalue()


def arrow(frame: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def flat() -> pd.DataFrame:
    return pd.DataFrame({
        "id": ["a", "b"], "time": pd.to_datetime(["2026-01-31T12:00Z", "2026-02-01T12:00Z"]), "score": [0.3, 0.4],
        "income": [1.5, None], "age": [40, 50], "region": ["north", None],
    })  # fmt: skip


def test_the_same_rows_are_the_same_in_every_format() -> None:
    objects = [
        {"id": "a", "time": "2026-01-31T12:00:00Z", "scores": 0.3,
         "features": {"income": 1.5, "age": 40, "region": "north"}},
        {"id": "b", "time": "2026-02-01T12:00:00Z", "scores": 0.4,
         "features": {"income": None, "age": 50, "region": None}},
    ]  # fmt: skip
    by_lines = receiver().predictions(lines(*objects), NDJSON).table
    for body, kind in ((parquet(flat()), PARQUET), (arrow(flat()), ARROW)):
        assert receiver().predictions(body, kind).table.to_pydict() == by_lines.to_pydict()
    assert by_lines["version"].to_pylist() == ["1", "1"]


@pytest.mark.parametrize(
    ("change", "field", "told"),
    [
        ({"scores": 1.2}, "rows[1].scores", "within 0 and 1"),
        ({"scores": -0.1}, "rows[1].scores", "within 0 and 1"),
        ({"scores": None}, "rows[1].scores", "finite number"),
        ({"scores": "0.5"}, "rows[1].scores", "finite number"),
        ({"version": "77"}, "rows[1].version", "no such version"),
        ({"time": "yesterday"}, "time", "ISO 8601"),
        ({"time": None}, "rows[1].time", "RFC 3339"),
        ({"time": 1_700_000_000}, "rows[1].time", "RFC 3339"),
        ({"time": (NOW + timedelta(hours=1)).isoformat()}, "rows[1].time", "future"),
        ({"id": ""}, "rows[1].id", "1 to 200 characters"),
        ({"id": None}, "rows[1].id", "1 to 200 characters"),
        ({"id": "x" * 201}, "rows[1].id", "1 to 200 characters"),
        ({"id": 1.5}, "rows[1].id", "1 to 200 characters"),
    ],
)
def test_a_bad_value_is_named_with_its_row(change: dict[str, Any], field: str, told: str) -> None:
    with pytest.raises(DataError, match=told) as found:
        receiver().predictions(lines(row(0), row(1, **change)), NDJSON)
    assert found.value.problems[0].field == field


def test_a_clock_that_is_a_little_ahead_is_forgiven() -> None:
    ahead = (NOW + timedelta(minutes=4)).isoformat()
    assert receiver().predictions(lines(row(time=ahead)), NDJSON).table.num_rows == 1


def test_a_renamed_feature_is_named_with_its_nearest() -> None:
    renamed = row(features={"Income": 1.0, "age": 40, "region": "north"})
    with pytest.raises(DataError, match=r"features.income: no row has this feature; nearest: Income"):
        receiver().predictions(lines(renamed), NDJSON)


def test_columns_that_the_model_does_not_read_are_told() -> None:
    more = row(features={"income": 1.0, "age": 40, "region": "north", "shoe_size": 42})
    assert receiver().predictions(lines(more), NDJSON).ignored == ("shoe_size",)


def test_values_of_the_wrong_type_become_missing_and_are_marked() -> None:
    odd = row(features={"income": "12", "age": {"years": 4}, "region": 7})
    table = receiver().predictions(lines(odd, row(1)), NDJSON).table
    assert table["feature.income"].to_pylist() == [None, 1.5]
    assert table["feature.region"].to_pylist() == ["7", "north"]
    assert table["wrong"].to_pylist() == ["income\nage\n", None]


def test_nan_in_a_table_is_a_missing_feature_but_no_score() -> None:
    frame = flat()
    assert receiver().predictions(parquet(frame), PARQUET).table["feature.income"].null_count == 1
    with pytest.raises(DataError, match=r"rows\[1\].scores: a finite number"):
        receiver().predictions(parquet(frame.assign(score=[0.3, np.nan])), PARQUET)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (lines(row(0), row(1))[:-9], NDJSON),
        (b'{"id": "a", "scores": NaN}', NDJSON),
        (b"\xff\xfe", NDJSON),
        (b"", NDJSON),
        (b"[]", "application/json"),
        (b"[1, 2]", "application/json"),
        (parquet(flat())[:-30], PARQUET),
        (parquet(flat())[:200], PARQUET),
        (arrow(flat())[:-40], ARROW),
        (b"", PARQUET),
        (b"", ARROW),
    ],
)
def test_a_body_that_is_cut_off_or_no_document_is_refused_whole(body: bytes, kind: str) -> None:
    with pytest.raises(BodyError):
        receiver().predictions(body, kind)


def test_too_many_rows_are_refused_before_they_are_read() -> None:
    with pytest.raises(BatchTooLargeError, match="100,001"):
        receiver().outcomes(b"{}\n" * (MAX_ROWS + 1), NDJSON)


def test_a_row_that_the_batch_repeats_is_kept_once_and_a_conflict_is_refused() -> None:
    batch = receiver().predictions(lines(row(0), row(1), row(0)), NDJSON)
    assert (batch.table.num_rows, batch.repeated) == (2, 1)
    with pytest.raises(DataError, match="twice with different values"):
        receiver().predictions(lines(row(0), row(0, scores=0.9)), NDJSON)
    with pytest.raises(DataError, match="twice with different values"):
        receiver().outcomes(lines({"id": "a", "actual": "yes"}, {"id": "a", "actual": "no"}), NDJSON)


def test_outcomes_are_classes_or_numbers() -> None:
    table = receiver().outcomes(lines({"id": "a", "actual": "yes"}, {"id": 2, "actual": "no"}), NDJSON).table
    assert table["actual"].to_pylist() == [1.0, 0.0]
    assert table["id"].to_pylist() == ["a", "2"]
    with pytest.raises(DataError, match=r"rows\[0\].actual: no class of the model; nearest: yes"):
        receiver().outcomes(lines({"id": "a", "actual": "yess"}), NDJSON)
    with pytest.raises(DataError, match="finite number"):
        receiver(REGRESSION).outcomes(lines({"id": "a", "actual": "yes"}), NDJSON)


def test_multiclass_scores_come_by_class() -> None:
    schema = MonitoredSchema("multiclass", ("a", "b", "c"), BINARY.features, "kind", None)
    table = receiver(schema).predictions(lines(row(scores={"a": 0.2, "c": 0.5, "b": 0.3})), NDJSON).table
    assert [table[name].to_pylist() for name in schema.score_columns] == [[0.2], [0.3], [0.5]]
    with pytest.raises(DataError, match=r"scores.b"):
        receiver(schema).predictions(lines(row(scores={"a": 0.2, "c": 0.5})), NDJSON)


def test_probabilities_of_all_classes_sum_to_one() -> None:
    no, yes = BINARY.classes
    kept = receiver().predictions(lines(row(0, scores={no: 0.7, yes: 0.304})), NDJSON)
    assert kept.table["score.0"].to_pylist() == [0.304]
    with pytest.raises(DataError, match="must sum to one") as found:
        receiver().predictions(
            lines(*(row(index, scores={no: 0.7, yes: 0.3 - 0.2 * index}) for index in (0, 1))), NDJSON
        )
    assert found.value.problems[0].field == "rows[1].scores"


def test_a_field_that_is_not_read_is_told() -> None:
    batch = receiver().predictions(lines(row(0, feetures={"income": 1})), NDJSON)
    assert batch.ignored == ("feetures",)
