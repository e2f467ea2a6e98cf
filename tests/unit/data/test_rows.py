import numpy as np
import pandas as pd
import pytest

from training.data import evaluation_rows, infer_schema, make_rows, require_columns, split_rows
from training.errors import DataError, SpecError
from training.spec import DataSpec, FileSource, SplitSpec

DATA = DataSpec(source=FileSource(uri="rows.csv"), target="y", weight_column="w", exclude=["out"])
FRAME = pd.DataFrame(
    {"x": np.arange(30.0), "y": ["a", "b", "b"] * 10, "w": 2.0, "out": 1, "city": ["Köln", "Bern"] * 15}
)
SCHEMA = infer_schema(FRAME, DATA, SplitSpec())


def test_rows_for_a_model():
    parts = split_rows(FRAME, SCHEMA, DATA, SplitSpec())
    rows = make_rows(FRAME, SCHEMA, DATA, parts.train)
    assert list(rows.frame.columns) == ["x", "city"]
    assert rows.frame["x"].tolist() == [float(i) for i in parts.train]
    assert rows.frame.index.equals(pd.RangeIndex(len(parts.train)))
    assert rows.target.dtype == np.int64
    assert [SCHEMA.classes[code] for code in rows.target] == FRAME["y"].iloc[parts.train].tolist()
    assert rows.weight is not None
    assert rows.weight.tolist() == [2.0] * len(parts.train)
    assert len(rows) == len(parts.train)


def test_all_rows_and_neighbouring_rows():
    assert len(make_rows(FRAME, SCHEMA, DATA, None)) == 30
    rows = make_rows(FRAME, SCHEMA, DATA, np.arange(5, 9))
    assert rows.frame["x"].tolist() == [5, 6, 7, 8]
    assert rows.frame.index.equals(pd.RangeIndex(4))
    assert len(make_rows(FRAME, SCHEMA, DATA, np.array([], dtype=np.int64))) == 0


def test_the_table_is_left_as_it_is():
    before = FRAME.copy()
    make_rows(FRAME, SCHEMA, DATA, np.arange(5, 9))
    evaluation_rows(FRAME, target="y", task="binary", classes=("b", "a"))
    pd.testing.assert_frame_equal(FRAME, before)


def test_evaluation_rows_keep_every_column():
    frame = FRAME.assign(y=FRAME["y"].where(FRAME.index != 4))
    rows, warnings = evaluation_rows(frame, target="y", task="binary", classes=("b", "a"), weight_column="w")
    assert list(rows.frame.columns) == list(FRAME.columns)
    assert len(rows) == 29
    assert rows.weight is not None
    assert warnings == ("1 rows without a value in 'y' are left out",)


def test_evaluation_on_one_class_is_warned_of():
    _, warnings = evaluation_rows(FRAME[FRAME["y"] == "b"], target="y", task="binary", classes=("b", "a"))
    assert "no row of class a" in warnings[0]


@pytest.mark.parametrize(
    ("frame", "kind", "message"),
    [
        (FRAME.rename(columns={"y": "Y"}), SpecError, "no column 'y', the target of the model; known: x, Y"),
        (FRAME.drop(columns="w"), SpecError, "no such column"),
        (FRAME.assign(y=None), DataError, "all values of the target 'y' are missing"),
        (FRAME.assign(y="B"), DataError, "labels that the model does not know: B"),
        (FRAME.assign(w=-1.0), DataError, "negative"),
    ],
)
def test_evaluation_rows_that_are_none(frame, kind, message):
    with pytest.raises(kind, match=message):
        evaluation_rows(frame, target="y", task="binary", classes=("a", "b"), weight_column="w")


def test_columns_that_a_field_names_must_be_there():
    require_columns(FRAME, ["city"], "evaluation.slices")
    with pytest.raises(SpecError) as caught:
        require_columns(FRAME, ["city", "ctiy"], "evaluation.slices")
    assert [(p.field, p.value) for p in caught.value.problems] == [("evaluation.slices", "ctiy")]
