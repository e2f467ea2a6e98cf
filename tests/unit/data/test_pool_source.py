"""Labels joined to rows of another source."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from training.data import DataAccess, load
from training.data.row_ids import mark_text, row_ids, row_marks
from training.errors import DataError
from training.spec import InlineSource, PoolSource

ROWS = [{"no": f"r{index}", "x": index, "y": "hidden"} for index in range(5)]
ACCESS = DataAccess((), Path("/"))


def pool(labels: list[dict[str, Any]], **changes: Any) -> PoolSource:
    raw = {"rows": {"type": "inline", "rows": ROWS}, "id_column": "no", "target": "y", "labels": labels} | changes
    return PoolSource.model_validate(raw)


def test_labels_take_the_place_of_the_target_in_their_own_order() -> None:
    frame = load(pool([{"id": "r3", "label": "a"}, {"id": "r0", "label": "b", "part": "test"}]), ACCESS).frame
    assert frame.to_dict("list") == {"no": ["r3", "r0"], "x": [3, 0], "y": ["a", "b"], "pool_part": ["train", "test"]}


def test_rows_are_numbered_where_they_have_no_ids() -> None:
    frame = load(pool([{"id": "4", "label": 1.5}], id_column=None), ACCESS).frame
    assert frame[["x", "y"]].to_dict("list") == {"x": [4], "y": [1.5]}


def test_a_row_that_has_changed_or_gone_is_left_out_and_named(caplog: pytest.LogCaptureFixture) -> None:
    frame = load(InlineSource(rows=ROWS), ACCESS).frame
    mark = mark_text(row_marks(frame, without=["y"])[1])
    labels = [
        {"id": "r1", "label": "a", "row_hash": mark},
        {"id": "r2", "label": "a", "row_hash": mark},
        {"id": "r9", "label": "b"},
    ]
    with caplog.at_level(logging.WARNING, "training"):
        assert load(pool(labels), ACCESS).frame["no"].tolist() == ["r1"]
    assert "r2, r9" in caplog.text


def test_all_rows_gone_is_an_error() -> None:
    with pytest.raises(DataError, match="every labelled row has changed or is gone"):
        load(pool([{"id": "r9", "label": "b"}]), ACCESS)


def test_rows_that_came_with_labels_are_added_as_train_rows() -> None:
    given = {"type": "inline", "rows": [{"x": 7, "y": "a"}, {"x": 8, "y": "b"}]}
    frame = load(pool([{"id": "r0", "label": "b", "part": "test"}], labelled=given), ACCESS).frame
    assert frame["x"].tolist() == [0, 7, 8]
    assert frame["pool_part"].tolist() == ["test", "train", "train"]


def test_repeated_and_missing_ids_are_named() -> None:
    frame = load(InlineSource(rows=[{"i": "a"}, {"i": "a"}, {"i": None}]), ACCESS).frame
    with pytest.raises(DataError, match="1 rows have no id in 'i', the first is row 2"):
        row_ids(frame, "i")
    with pytest.raises(DataError, match="repeated, such as a"):
        row_ids(frame.head(2), "i")
