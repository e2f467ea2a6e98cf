"""What counts as one SELECT, and where its parameters stand."""

import pytest

from training.data.sql.statement import bound, single_select
from training.errors import SpecError

FIELD = "data.source"


@pytest.mark.parametrize(
    "query",
    [
        "select 1",
        "  -- a comment; with more\n SELECT a FROM t; ",
        "with x as (select 1 as a) select * from x",
        "select ';' as a, $$ drop table t; $$ as b, \"a;b\" from t",
        "select 'it''s; ok' /* ; */ from t ;  -- the end",
        "(select 1) union (select 2)",
        "select update_time, deleted from t",
    ],
)
def test_one_select(query: str) -> None:
    assert not single_select(query, FIELD).rstrip().endswith(";")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("select 1; select 2", "more than one statement"),
        ("select 1; drop table loans --", "more than one statement"),
        ("delete from loans", "it writes"),
        ("UPDATE loans SET a = 1", "it writes"),
        ("with gone as (delete from t returning *) select * from gone", "it writes"),
        ("explain select 1", "it writes"),
        ("shwo tables", "begins with 'shwo'"),
        ("-- nothing", "no statement"),
        (";", "no statement"),
        ("select 1; 'x'", "more than one statement"),
    ],
)
def test_anything_else_is_refused(query: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        single_select(query, FIELD)
    assert words in caught.value.message
    assert caught.value.problems[0].field == "data.source.query"
    assert caught.value.hint


def test_parameters_stand_outside_of_texts_comments_and_casts() -> None:
    query = (
        "select ':no', a::int, \":no\" from t where a > :low and b = :low -- :no\n and c = $x$ :no $x$ and d < :high"
    )
    found = bound(query, {"low": 1, "high": 2}, lambda name: f"<{name}>", FIELD)
    assert found.count("<low>") == 2
    assert found.count("<high>") == 1
    assert found.count(":no") == 4
    assert "a::int" in found


@pytest.mark.parametrize(
    ("parameters", "words"),
    [({}, "parameter :since has no value"), ({"sinse": 1}, "nearest: sinse"), ({"since": 1, "to": 2}, "no place :to")],
)
def test_places_and_values_belong_together(parameters: dict[str, int], words: str) -> None:
    with pytest.raises(SpecError) as caught:
        bound("select * from t where a > :since", parameters, str, FIELD)
    assert words in caught.value.message
    assert caught.value.problems[0].field == "data.source.parameters"
