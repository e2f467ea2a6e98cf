from typing import Any

import numpy as np
import pandas as pd
import pytest

from training.data import TableSchema, class_label, encode_target, infer_schema, labelled_rows
from training.errors import DataError, SpecError, TrainingError
from training.spec import DataSpec, FileSource, SplitSpec

N = 60
RNG = np.random.default_rng(0)


def spec(**fields: Any) -> DataSpec:
    return DataSpec(source=FileSource(uri="rows.csv"), **({"target": "y"} | fields))


def table(**columns: Any) -> pd.DataFrame:
    """Sixty rows with a useful feature and a binary target, and more columns."""
    return pd.DataFrame({"x": RNG.normal(size=N), "y": ["good", "good", "bad"] * (N // 3)} | columns)


def infer(frame: pd.DataFrame, split: SplitSpec | None = None, **fields: Any) -> TableSchema:
    return infer_schema(frame, spec(**fields), split or SplitSpec())


def fault(kind: type[TrainingError], frame: pd.DataFrame, split: SplitSpec | None = None, **fields: Any) -> Any:
    with pytest.raises(kind) as caught:
        infer(frame, split, **fields)
    assert type(caught.value) is kind
    assert caught.value.problems
    return caught.value


def kind_of(values: Any, name: str = "column", **fields: Any) -> tuple[str, str]:
    column = next(c for c in infer(table(**{name: values}), **fields).columns if c.name == name)
    return column.kind, column.role


PROSE = [f"the {i}th customer wrote that the parcel came late" for i in range(N)]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("amount", RNG.normal(size=N), ("numeric", "feature")),
        ("amount", np.arange(N) * 7 + 3, ("numeric", "feature")),
        ("amount", pd.array([1, 2, None] * (N // 3), dtype="Int64"), ("numeric", "feature")),
        ("city", pd.array(["Köln", "Bern", None] * (N // 3), dtype="string"), ("categorical", "feature")),
        ("row", np.arange(N), ("numeric", "feature")),
        ("grid", np.arange(N), ("numeric", "feature")),
        ("paid", RNG.random(N) < 0.5, ("boolean", "feature")),
        ("paid", [True, None, False] * (N // 3), ("boolean", "feature")),
        ("day", pd.date_range("2024-01-01", periods=N), ("datetime", "feature")),
        ("city", ["Köln", "Bern", None] * (N // 3), ("categorical", "feature")),
        ("city", pd.Categorical(["Köln", "Bern", "Wien"] * (N // 3)), ("categorical", "feature")),
        ("only_here", ["here", None] * (N // 2), ("categorical", "feature")),
        ("sku", [f"sku{i % 40}" for i in range(N)], ("categorical", "feature")),
        ("id", np.arange(N), ("identifier", "dropped")),
        ("customer_id", RNG.permutation(N) + 10_000, ("identifier", "dropped")),
        ("customerId", [float(i) if i else np.nan for i in range(N)], ("identifier", "dropped")),
        ("Unnamed: 0", np.arange(N), ("identifier", "dropped")),
        ("plan_id", [1, 2, 3] * (N // 3), ("numeric", "feature")),
        ("token", [f"{i:x}-abc" for i in range(N)], ("identifier", "dropped")),
        ("comment", PROSE, ("text", "dropped")),
        ("same", [4] * N, ("constant", "dropped")),
        ("same", ["x"] * N, ("constant", "dropped")),
        ("same", [True] * N, ("constant", "dropped")),
        ("hole", [np.nan] * N, ("empty", "dropped")),
        ("hole", [None] * N, ("empty", "dropped")),
    ],
)
def test_kinds(name, values, expected):
    assert kind_of(values, name) == expected


def test_what_is_dropped_is_said_once_per_kind():
    many = {f"c{i}": [1] * N for i in range(30)}
    schema = infer(table(id=np.arange(N), comment=PROSE, **many))
    assert len(schema.warnings) == 3
    constant, identifier, text = schema.warnings
    assert "c0 (every value is 1)" in constant
    assert "and 22 more" in constant
    assert "id (a different whole number" in identifier
    assert "data.include keeps them" in text


def test_include_keeps_identifiers_and_prose_with_a_warning():
    schema = infer(table(id=np.arange(N), comment=PROSE), include=["id", "comment"])
    assert [(c.name, c.kind) for c in schema.features] == [("id", "numeric"), ("comment", "categorical")]
    assert len(schema.warnings) == 2
    assert next(c.role for c in schema.columns if c.name == "x") == "excluded"


def test_roles():
    frame = table(key=range(N), w=1.0, t=range(N), g=range(N), s="train", out=1.5)
    fields = {
        "id_column": "key",
        "weight_column": "w",
        "time_column": "t",
        "group_column": "g",
        "exclude": ["out", "key"],
    }
    schema = infer(frame, SplitSpec(column="s"), **fields)
    assert {c.name: c.role for c in schema.columns} == {
        "x": "feature", "y": "target", "key": "id", "w": "weight", "t": "time", "g": "group", "s": "split",
        "out": "excluded",
    }  # fmt: skip
    assert [c.name for c in schema.columns] == list(frame.columns)


@pytest.mark.parametrize(
    ("fields", "field", "value"),
    [
        ({"target": "defualt"}, "data.target", "defualt"),
        ({"include": ["x", "defualt"]}, "data.include", "defualt"),
        ({"exclude": ["defualt"]}, "data.exclude", "defualt"),
        ({"id_column": "defualt"}, "data.id_column", "defualt"),
        ({"weight_column": "defualt"}, "data.weight_column", "defualt"),
        ({"time_column": "defualt"}, "data.time_column", "defualt"),
        ({"group_column": "defualt"}, "data.group_column", "defualt"),
        ({"split": SplitSpec(column="defualt")}, "split.column", "defualt"),
    ],
)
def test_a_misspelt_column_is_named_with_the_nearest(fields, field, value):
    problem = fault(SpecError, table(default=range(N)), **fields).problems[0]
    assert (problem.field, problem.value, problem.message) == (field, value, "no such column; nearest: default")


def test_all_misspelt_columns_are_named_at_once():
    error = fault(SpecError, table(), target="z", exclude=["q"])
    assert [p.field for p in error.problems] == ["data.target", "data.exclude"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"weight_column": "y"}, "data.weight_column"),
        ({"id_column": "x", "group_column": "x"}, "data.group_column"),
        ({"time_column": "x", "split": SplitSpec(column="x")}, "split.column"),
        ({"include": ["y"]}, "data.include"),
        ({"include": ["x"], "exclude": ["x"]}, "data.include"),
        ({"include": ["x"], "weight_column": "x"}, "data.include"),
        ({"exclude": ["y"]}, "data.exclude"),
    ],
)
def test_a_column_has_one_role(fields, field):
    assert fault(SpecError, table(), **fields).problems[0].field == field


@pytest.mark.parametrize(
    ("target", "fields", "task", "classes"),
    [
        (["b", "a"] * 30, {}, "binary", ("a", "b")),
        (["a", "b", "b"] * 20, {}, "binary", ("b", "a")),
        (["a", "b", "b"] * 20, {"positive_class": "b"}, "binary", ("a", "b")),
        ([0, 1, 1] * 20, {}, "binary", ("1", "0")),
        ([0, 1, 1] * 20, {"positive_class": 1}, "binary", ("0", "1")),
        ([0.0, 1.0, np.nan] * 20, {"positive_class": "1"}, "binary", ("0", "1")),
        ([True, False, False] * 20, {}, "binary", ("false", "true")),
        ([True, False, None] * 20, {"positive_class": False}, "binary", ("true", "false")),
        ([0.5, 1.5] * 30, {}, "binary", ("0.5", "1.5")),
        (["c", "a", "b"] * 20, {}, "multiclass", ("a", "b", "c")),
        ([10, 9, 2] * 20, {}, "multiclass", ("2", "9", "10")),
        ([1.0, 2.0, 3.0] * 20, {}, "multiclass", ("1", "2", "3")),
        (list(range(20)) * 3, {}, "regression", ()),
        (list(range(20)) * 3, {"task": "multiclass"}, "multiclass", tuple(str(i) for i in range(20))),
        ([0.5, 1.5, 2.5] * 20, {}, "regression", ()),
        ([0, 1] * 30, {"task": "regression"}, "regression", ()),
        (["Köln", "Ω", "x y"] * 20, {}, "multiclass", ("Köln", "x y", "Ω")),
    ],
)
def test_task_and_classes(target, fields, task, classes):
    schema = infer(table(y=target), **fields)
    assert (schema.task, schema.classes) == (task, classes)


@pytest.mark.parametrize(
    ("target", "fields", "kind", "field", "message"),
    [
        (["a"] * N, {}, DataError, "data.target", "one value only: a"),
        ([None] * N, {}, DataError, "data.target", "all values of column 'y' are missing"),
        ([np.nan] * N, {}, DataError, "data.target", "all values of column 'y' are missing"),
        (pd.date_range("2024-01-01", periods=N), {}, DataError, "data.target", "a time cannot be predicted"),
        ([1.5, np.inf, 3.0] * 20, {}, DataError, "data.target", "infinite"),
        ([1.0, np.inf, 3.0] * 20, {"task": "multiclass"}, DataError, "data.target", "infinite"),
        (["a", "b", "c"] * 20, {"task": "binary"}, SpecError, "data.task", "3 values"),
        (["a", "b"] * 30, {"task": "multiclass"}, SpecError, "data.task", "two values"),
        (["a", "b"] * 30, {"task": "regression"}, SpecError, "data.task", "no numbers, such as 'a'"),
        ([True, False] * 30, {"task": "regression"}, SpecError, "data.task", "no numbers"),
        (["good", "bad"] * 30, {"positive_class": "bda"}, SpecError, "data.positive_class", "nearest: bad"),
        ([0, 1] * 30, {"positive_class": True}, SpecError, "data.positive_class", "known: 0, 1"),
        (["a", "b", "c"] * 20, {"positive_class": "a"}, SpecError, "data.positive_class", "multiclass"),
        (RNG.normal(size=N), {"positive_class": "a"}, SpecError, "data.positive_class", "regression"),
        ([*map(str, RNG.normal(size=N - 1)), "n.a."], {}, DataError, "data.target", "row 60 holds 'n.a.'"),
    ],
)
def test_targets_that_cannot_be_learnt(target, fields, kind, field, message):
    error = fault(kind, table(y=target), **fields)
    assert error.problems[0].field == field
    assert message in error.message


def test_too_many_classes():
    frame = pd.DataFrame({"x": RNG.normal(size=2002), "y": [f"c{i}" for i in range(1001)] * 2})
    assert "regression" in fault(DataError, frame).hint


def test_rows_without_a_target_are_left_out_and_counted():
    frame = table(y=["a", None, "b"] * 20)
    assert infer(frame).warnings == ("20 rows without a value in 'y' are left out",)
    rows = labelled_rows(frame, spec())
    assert len(rows) == 40
    assert rows.index.equals(pd.RangeIndex(40))
    assert labelled_rows(rows, spec()) is rows
    assert infer(rows).warnings == ()


def test_too_few_rows():
    assert "at least 10" in fault(DataError, table().head(9)).message
    assert "7 rows with a target" in fault(DataError, table(y=["a", "b", *[None] * 53, *"ababa"])).message


def test_no_feature_left():
    error = fault(DataError, table(id=range(N)).drop(columns="x"))
    assert "id (a different whole number" in error.message
    assert "include" in error.hint
    assert "no feature" in fault(DataError, table(), exclude=["x"]).message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, np.inf, -np.inf] * 20, "column 'c' has 40 infinite values, the first in row 2"),
        ([1.0, 2.0, 1e300] * 20, "column 'c' has 20 values beyond ±3.4e38, the first in row 3"),
        ([*map(str, range(N - 1)), "abc"], "column 'c' mixes numbers and text: row 60 holds 'abc'"),
        (["?", *(f"{i}.5" for i in range(N - 1))], "row 1 holds '?'"),
        ([*(f"2024-01-{i % 28 + 1:02d}" for i in range(N - 1)), "soon"], "mixes dates and text: row 60 holds 'soon'"),
    ],
)
def test_features_that_cannot_be_used_unless_excluded(values, message):
    error = fault(DataError, table(c=values))
    assert message in error.message
    assert error.problems[0].field == "data.source"
    assert error.hint
    assert infer(table(c=values), exclude=["c"]).features


@pytest.mark.parametrize(
    "values",
    [
        ["1", "2", "3A"] * 20,
        [*map(str, range(40)), *(f"V{i}" for i in range(20))],
        ["1", "2", "x", *["3"] * 57],
    ],
)
def test_codes_of_digits_and_letters_are_categories(values):
    kind, _ = kind_of(values)
    assert kind in {"categorical", "identifier"}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, -1.0, 2.0] * 20, "the first in row 2"),
        ([1.0, np.nan, 2.0] * 20, "20 weights in 'w' are missing, infinite or negative"),
        ([np.inf] * N, "60 weights"),
        ([0.0] * N, "all weights in 'w' are zero"),
        (["a"] * N, "no numbers"),
    ],
)
def test_weights_that_are_none(weights, message):
    error = fault(DataError, table(w=weights), weight_column="w")
    assert error.problems[0].field == "data.weight_column"
    assert message in error.message


def test_weights_of_rows_without_a_target_do_not_count():
    frame = table(y=["a", None, "b"] * 20, w=[1.0, np.nan, 2.0] * 20)
    assert infer(frame, weight_column="w").task == "binary"


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("1.0", "1.0"), (1, "1"), (1.0, "1"), (np.int8(1), "1"), (np.float64(-2), "-2"), (0.5, "0.5"), (True, "true"),
        (np.False_, "false"), ("Ω", "Ω"), (pd.Timestamp("2024-05-31"), "2024-05-31T00:00:00"),
    ],
)  # fmt: skip
def test_class_label(value, label):
    assert class_label(value) == label


@pytest.mark.parametrize("value", [None, np.nan, pd.NaT, pd.NA])
def test_a_missing_value_has_no_label(value):
    with pytest.raises(ValueError, match="missing"):
        class_label(value)


@pytest.mark.parametrize("values", [[1, 0, 1], [1.0, 0.0, 1.0], ["1", "0", "1"], pd.Categorical(["1", "0", "1"])])
def test_labels_are_encoded_alike_whatever_their_type(values):
    codes = encode_target(pd.Series(values, name="y"), "binary", ("0", "1"))
    assert codes.dtype == np.int64
    assert codes.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        (["good", "bda"], "binary", "labels that the model does not know: bda; nearest: bad"),
        (["good", None], "binary", "1 rows without a value"),
        (["good", 3], "regression", "no numbers, such as 'good'"),
        ([1.0, np.inf], "regression", "1 infinite values"),
    ],
)
def test_targets_that_cannot_be_encoded(values, task, message):
    with pytest.raises(DataError) as caught:
        encode_target(pd.Series(values, name="y"), task, ("good", "bad"))
    assert message in caught.value.message


@pytest.mark.slow
def test_ten_thousand_columns():
    wide = pd.DataFrame(RNG.normal(size=(N, 10_000)), columns=[f"c{i}" for i in range(10_000)])
    assert len(infer(pd.concat([wide, table()], axis=1)).features) == 10_001
