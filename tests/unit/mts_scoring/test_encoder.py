"""What the encoder makes of raw columns."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.mts_scoring.columns import FEW_ROWS, Feature, InputError
from training.mts_scoring.encoder import LINEAR_MAX_ONE_HOT, TREE_CATEGORIES, TableEncoder
from training.mts_scoring.reading import TABLE_ROWS

NAN = float("nan")


def encoder_of(values: Any, kind: str, style: str = "tree", **options: Any) -> TableEncoder:
    return TableEncoder.fit(pd.DataFrame({"x": values}), [Feature("x", kind)], style=style, **options)


def encoded(encoder: TableEncoder, values: Any) -> npt.NDArray[np.float32]:
    """The matrix, the same for a few rows and for many: they take different ways through the code."""
    frame = pd.DataFrame({"x": values})
    few = encoder.transform(frame)
    times = TABLE_ROWS // max(1, len(frame)) + 1
    many = encoder.transform(pd.concat([frame] * times, ignore_index=True))
    np.testing.assert_array_equal(many, np.tile(few, (times, 1)))
    return few


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3],
        [1.0, 2.0, 3.0],
        pd.array([1, 2, 3], dtype="Int64"),
        pd.Series([1, 2, 3], dtype="float32"),
        pd.Series([1, 2, 3], dtype="category"),
        [Decimal(1), Decimal(2), Decimal(3)],
        pd.Series([1, 2.0, np.int8(3)], dtype=object),
    ],
    ids=["int", "float", "Int64", "float32", "category", "decimal", "object"],
)
def test_numbers_of_any_type(values: Any) -> None:
    assert encoded(encoder_of([0.5], "numeric"), values).ravel().tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "values", [[1.0, None], pd.array([1, None], dtype="Int64"), pd.Series([1, None], dtype=object)]
)
def test_missing_numbers_are_nan(values: Any) -> None:
    np.testing.assert_array_equal(encoded(encoder_of([0.5], "numeric"), values).ravel(), [1, NAN])


def test_a_column_of_nothing_is_all_missing() -> None:
    assert np.isnan(encoded(encoder_of([0.5], "numeric"), [None, None])).all()


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("numeric", "12", r"column 'x' should hold a number, not '12' \(str\)"),
        ("numeric", pd.Timestamp("2024-01-01"), r"column 'x' should hold a number, not Timestamp"),
        ("numeric", [1, 2], r"column 'x' should hold a number, not \[1, 2\] \(list\)"),
        ("numeric", 1e39, r"column 'x' should hold finite numbers up to 3.4e38, not 1e\+39 \(float64\)"),
        ("boolean", 2, r"column 'x' is boolean; 2 \(int\) is neither true nor false"),
        ("boolean", "yes", r"column 'x' is boolean; 'yes' \(str\) is neither true nor false"),
        ("categorical", {"a": 1}, r"column 'x'.*\{'a': 1\}"),
        ("categorical", b"a", r"column 'x' is categorical; b'a' \(bytes\) is neither text, number nor time"),
        ("datetime", "31.12.2024", r"column 'x' should hold a time in ISO 8601 .*not '31.12.2024' \(str\)"),
        ("datetime", "2024-02-31", r"column 'x' should hold a time in ISO 8601 .*not '2024-02-31' \(str\)"),
        ("datetime", "9999-12-31", r"column 'x' should hold a time in ISO 8601 .*not '9999-12-31' \(str\)"),
        ("datetime", 20240101, r"column 'x' should hold a time.*not 20240101 \(int\)"),
    ],
)
@pytest.mark.parametrize("rows", [1, FEW_ROWS + 1, TABLE_ROWS + 1])
def test_wrong_values_are_named(kind: str, value: Any, message: str, rows: int) -> None:
    encoder = encoder_of({"datetime": ["2024-01-01"], "categorical": ["a"]}.get(kind, [1]), kind)
    good = {"datetime": "2024-01-02", "categorical": "a"}.get(kind, 1)
    frame = pd.DataFrame(
        {"x": pd.Series([value] + [good] * (rows - 1), dtype=None if isinstance(value, float) else object)}
    )
    with pytest.raises(InputError, match=message):
        encoder.transform(frame)


@pytest.mark.parametrize(
    "values",
    [[True, False, None], [1, 0, None], ["true", "FALSE", None], pd.array([True, False, None], dtype="boolean")],
)
def test_booleans_however_they_are_written(values: Any) -> None:
    np.testing.assert_array_equal(encoded(encoder_of([True, False], "boolean"), values).ravel(), [1, 0, NAN])


@pytest.mark.parametrize("trained", [[1, 2], [1.0, 2.0], ["1", "2"], pd.Series(["1", "2"], dtype="category")])
@pytest.mark.parametrize(
    "sent", [[1, 2], [1.0, 2.0], ["1", "2"], pd.Series([1, 2], dtype="category"), pd.array(["1", "2"], dtype="string")]
)
def test_a_category_is_the_same_from_csv_and_json(trained: Any, sent: Any) -> None:
    assert encoded(encoder_of(trained, "categorical"), sent).ravel().tolist() == [0, 1]


def test_truth_values_and_texts_as_categories() -> None:
    encoder = encoder_of(["True", "1.0", "1"], "categorical")
    assert encoded(encoder, [True, "1.0", 1]).ravel().tolist() == [2, 1, 0]


def test_an_unseen_category_counts_as_missing_where_training_had_no_rest() -> None:
    encoder = encoder_of(["a", "b", None], "categorical")
    np.testing.assert_array_equal(encoded(encoder, ["b", "new", None, NAN, pd.NA]).ravel(), [1, NAN, NAN, NAN, NAN])


def test_an_unseen_category_shares_the_code_of_the_rare_ones() -> None:
    encoder = encoder_of(["a", "a", "b", "b", "c"], "categorical", max_categories=2)
    np.testing.assert_array_equal(encoded(encoder, ["a", "b", "c", "new", None]).ravel(), [0, 1, 2, 2, NAN])


def test_only_the_most_frequent_categories_are_kept() -> None:
    names = [f"v{i}" for i in range(1000)] + ["common"] * 5
    codes = encoded(encoder_of(names, "categorical"), ["common", "v999"]).ravel()
    assert codes[0] < TREE_CATEGORIES
    assert codes[1] == TREE_CATEGORIES


def test_times_become_calendar_parts_and_days() -> None:
    encoder = encoder_of(pd.to_datetime(["2024-01-31T12:00", "2025-03-02T18:00"]), "datetime")
    assert encoder.names == ("x year", "x month", "x weekday", "x hour", "x days")
    assert set(encoder.sources) == {"x"}
    assert encoded(encoder, ["2024-02-01T06:00:00"]).tolist() == [[2024, 2, 3, 6, 1.25]]


@pytest.mark.parametrize(
    "sent",
    [
        "2024-02-01T06:00:00",
        "2024-02-01 06:00",
        "2024-02-01T07:00:00+01:00",
        "2024-02-01T06:00:00Z",
        dt.datetime(2024, 2, 1, 6),
        pd.Timestamp("2024-02-01T06:00", tz="UTC"),
        np.datetime64("2024-02-01T06:00"),
    ],
)
def test_a_time_is_the_same_however_it_is_written(sent: Any) -> None:
    encoder = encoder_of(pd.to_datetime(["2024-01-31T12:00", "2025-03-02T18:00"]), "datetime")
    assert encoded(encoder, [sent]).tolist() == [[2024, 2, 3, 6, 1.25]]
    assert encoded(encoder, pd.Series([sent], dtype=object)).tolist() == [[2024, 2, 3, 6, 1.25]]


def test_dates_lose_the_parts_that_never_vary() -> None:
    encoder = encoder_of([dt.date(2024, 1, 1), dt.date(2024, 1, 2), None], "datetime")
    assert encoder.names == ("x weekday", "x days")
    np.testing.assert_array_equal(encoded(encoder, [dt.date(2024, 1, 3), None]), [[2, 2], [NAN, NAN]])


def test_linear_numbers_are_imputed_flagged_and_standardised() -> None:
    encoder = encoder_of([1.0, 3.0, 3.0, 5.0, None], "numeric", "linear")
    assert encoder.names == ("x", "x: missing")
    matrix = encoded(encoder, [1.0, 3.0, 3.0, 5.0, None])
    np.testing.assert_allclose(matrix.mean(axis=0), [0, 0.2], atol=1e-6)
    np.testing.assert_allclose(matrix[:, 0].std(), 1, atol=1e-6)
    assert matrix[4].tolist() == [0, 1]


def test_linear_constants_stay_finite() -> None:
    assert encoded(encoder_of([7.0, 7.0], "numeric", "linear"), [7.0, 8.0]).ravel().tolist() == [0, 1]
    assert np.isfinite(encoded(encoder_of([0.1] * 5, "numeric", "linear"), [0.1, 5.0])).all()


def test_linear_categories_are_one_hot_with_an_infrequent_column() -> None:
    encoder = encoder_of(["a"] * 5 + ["b"] * 5 + ["rare", None], "categorical", "linear")
    assert encoder.names == ("x=a", "x=b", "x: infrequent", "x: missing")
    assert encoded(encoder, ["b", "rare", "new", None]).tolist() == [
        [0, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
    ]


def test_linear_width_is_bounded_however_many_categorical_columns() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"c{i}": rng.integers(0, 50, 600).astype(str) for i in range(200)})
    encoder = TableEncoder.fit(frame, [Feature(name, "categorical") for name in frame], style="linear")
    assert len(encoder.names) <= LINEAR_MAX_ONE_HOT + 2 * 200


def test_a_column_that_is_there_twice_is_refused() -> None:
    frame = pd.DataFrame([[1, 2]], columns=["x", "x"])
    with pytest.raises(InputError, match="column 'x' is there more than once"):
        encoder_of([1], "numeric").transform(frame)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match="column 'x': a model cannot read a column of kind 'text'"):
        encoder_of(["a long story"], "text")


mixed_rows = st.lists(
    st.tuples(
        st.none() | st.floats(-1e30, 1e30),
        st.none() | st.text(max_size=3) | st.integers(-5, 5),
        st.none() | st.booleans(),
        st.none() | st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)),
    ),
    min_size=1,
    max_size=30,
)
KINDS = ("numeric", "categorical", "boolean", "datetime")


def table(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(KINDS), dtype=object)
    return frame.assign(numeric=frame["numeric"].astype(float), datetime=pd.to_datetime(frame["datetime"]))


@settings(max_examples=60, deadline=None)
@given(train=mixed_rows, fresh=mixed_rows, style=st.sampled_from(["tree", "linear"]))
def test_any_table_encodes_the_same_after_a_round_trip_through_json(
    train: list[tuple[Any, ...]], fresh: list[tuple[Any, ...]], style: str
) -> None:
    encoder = TableEncoder.fit(table(train), [Feature(kind, kind) for kind in KINDS], style=style)
    again = TableEncoder.from_state(json.loads(json.dumps(encoder.state(), allow_nan=False)))
    matrix = encoder.transform(table(fresh))
    np.testing.assert_array_equal(again.transform(table(fresh)), matrix)
    assert matrix.dtype == np.float32
    assert matrix.shape == (len(fresh), len(encoder.names))
    assert style == "tree" or np.isfinite(matrix).all()
