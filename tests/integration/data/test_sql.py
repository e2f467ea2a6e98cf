"""Databases as sources: a real PostgreSQL server and SQLite."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest
from sqlalchemy.engine import make_url

from tests.integration.data.conftest import GERMAN, PASSWORD, Databases
from training.data import DataAccess, load, size_bytes
from training.data.sources import sql_source
from training.errors import AccessError, DataError, SpecError, TrainingError, UnavailableError
from training.spec import SqlSource

END_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mts-data'"
BOTH = pytest.mark.parametrize("connection", ["warehouse", "laptop"])


def sql(connection: str, **parts: Any) -> SqlSource:
    return SqlSource.model_validate({"type": "sql", "connection": connection, **parts})


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """A table has no order of its own."""
    return frame.sort_values("row_number", ignore_index=True)


@BOTH
def test_a_table_is_the_rows_of_the_file_that_it_came_from(connection: str, access: DataAccess) -> None:
    data = load(sql(connection, query="select * from loans order by row_number"), access)
    pd.testing.assert_frame_equal(data.frame.drop(columns="row_number"), pd.read_csv(GERMAN))
    pd.testing.assert_frame_equal(in_order(load(sql(connection, table="loans"), access).frame), data.frame)
    assert data.uri.startswith(f"sql://{connection}/")


def test_both_databases_give_the_same_hash(access: DataAccess) -> None:
    query = "select * from loans order by row_number"
    hashes = {load(sql(connection, query=query), access).sha256 for connection in ("warehouse", "laptop")}
    assert len(hashes) == 1


@pytest.mark.parametrize("partitions", [1, 3, 7])
def test_ranges_side_by_side_are_the_same_rows(partitions: int, access: DataAccess) -> None:
    whole = load(sql("warehouse", query="select * from loans order by row_number"), access)
    source = sql("warehouse", table="loans", partition_column="row_number", partitions=partitions)
    parts = load(source, access)
    pd.testing.assert_frame_equal(in_order(parts.frame), whole.frame)
    assert load(source, access).sha256 == parts.sha256


def test_rows_without_a_value_in_the_partition_column_are_read_once(access: DataAccess) -> None:
    query = "select case when n % 3 = 0 then null else n end as k, n from generate_series(1, 90) as n"
    frame = load(sql("warehouse", query=query, partition_column="k", partitions=4), access).frame
    assert sorted(frame["n"]) == list(range(1, 91))


@pytest.mark.parametrize(
    "kind", ["date '2024-01-01' + n", "timestamp '2024-01-01' + n * interval '7 hours'", "n / 8.0"]
)
def test_times_and_fractions_make_ranges_too(kind: str, access: DataAccess) -> None:
    query = f"select {kind} as k, n from generate_series(1, 50) as n"
    frame = load(sql("warehouse", query=query, partition_column="k", partitions=5), access).frame
    assert frame["n"].tolist() == list(range(1, 51))


@BOTH
def test_parameters_are_bound_and_never_pasted(connection: str, access: DataAccess) -> None:
    query = "select row_number, purpose from loans where purpose = :purpose or row_number < :most"
    harmless = sql(connection, query=query, parameters={"purpose": "x' OR '1'='1", "most": 3})
    assert load(harmless, access).frame["row_number"].tolist() == [0, 1, 2]


@BOTH
@pytest.mark.parametrize(
    ("parts", "field", "words"),
    [
        ({"query": "select * from loan"}, "data.source.query", "loan"),
        ({"query": "select nope from loans"}, "data.source.query", "nope"),
        ({"query": "selct 1"}, "data.source.query", "begins with 'selct'"),
        ({"query": "select a; select b"}, "data.source.query", "more than one statement"),
        ({"query": "delete from loans"}, "data.source.query", "writes"),
        ({"query": "select * from loans where age_in_years > 1000"}, "data.source.query", "no rows"),
        ({"query": "select age_in_years, age_in_years from loans"}, "data.source.query", "named 'age_in_years'"),
        ({"table": "loanz"}, "data.source.table", "loanz"),
        ({"table": "loans; drop table loans"}, "data.source.table", "drop"),
        ({"table": "loans", "max_rows": 10}, "data.source", "more than 10 rows"),
        ({"query": "select :a from loans"}, "data.source.parameters", ":a has no value"),
    ],
)
def test_what_cannot_be_read_is_named(
    connection: str, parts: dict[str, Any], field: str, words: str, access: DataAccess
) -> None:
    with pytest.raises((SpecError, DataError)) as caught:
        load(sql(connection, **parts), access)
    assert caught.value.problems[0].field == field
    assert words in caught.value.message
    assert caught.value.hint


@BOTH
def test_a_misspelt_statement_is_found_without_reading(connection: str, access: DataAccess) -> None:
    with pytest.raises(DataError, match="nope"):
        size_bytes(sql(connection, query="select nope from loans"), access)
    assert 10_000 < size_bytes(sql(connection, table="loans"), access) < 10_000_000


def test_nothing_can_be_written(access: DataAccess, databases: Databases) -> None:
    with psycopg.connect(databases.postgres_admin, autocommit=True) as connection:
        connection.execute("CREATE OR REPLACE FUNCTION grow() RETURNS int LANGUAGE sql AS "
                           "'INSERT INTO nothing VALUES (1) RETURNING a' SECURITY DEFINER")  # fmt: skip
    with pytest.raises(DataError, match="tried to write"):
        load(sql("warehouse", query="select grow()"), access)
    with psycopg.connect(databases.postgres_admin) as connection:
        assert connection.execute("SELECT count(*) FROM nothing").fetchone() == (0,)


@pytest.mark.parametrize(
    ("connection", "query"),
    [
        ("warehouse", "select set_config('transaction_read_only', 'off', false), grow()"),
        ("warehouse", "select set_config('default_transaction_read_only', 'off', false), grow()"),
        ("warehouse", "select * into stolen from loans"),
        ("warehouse", "select * from loans for update"),
        ("warehouse", "select query_to_xml('insert into nothing values (1)', true, true, '')"),
        ("warehouse", "select lo_creat(-1)"),
        ("warehouse", "select lo_import('/etc/passwd')"),
        ("warehouse", "select pg_read_file('/etc/passwd')"),
        ("warehouse", "select pg_ls_dir('/')"),
        ("warehouse", "copy loans to program 'id'"),
        ("warehouse", "do $$ begin insert into nothing values (1); end $$"),
        ("warehouse", "select 1; insert into nothing values (1)"),
        ("warehouse", "set role postgres"),
        ("laptop", "select load_extension('/tmp/evil')"),
        ("laptop", "select writefile('/tmp/evil', 'x')"),
        ("laptop", "select readfile('/etc/passwd')"),
        ("laptop", "attach database '/tmp/evil.db' as evil"),
        ("laptop", "pragma writable_schema = on"),
        ("laptop", "with x as (select 1) insert into loans (row_number) select * from x"),
    ],
)
def test_no_statement_reaches_further_than_reading(
    connection: str, query: str, access: DataAccess, databases: Databases
) -> None:
    with psycopg.connect(databases.postgres_admin, autocommit=True) as admin:
        admin.execute("CREATE OR REPLACE FUNCTION grow() RETURNS int LANGUAGE sql AS "
                      "'INSERT INTO nothing VALUES (1) RETURNING a' SECURITY DEFINER")  # fmt: skip
    with pytest.raises(TrainingError) as caught:
        load(sql(connection, query=query), access)
    assert not isinstance(caught.value, UnavailableError), "it is the caller's mistake, and is not tried again"
    assert "root:" not in caught.value.message
    with psycopg.connect(databases.postgres_admin) as admin:
        assert admin.execute("SELECT count(*), to_regclass('stolen') FROM nothing").fetchone() == (0, None)


def test_a_table_without_a_grant_is_refused(access: DataAccess) -> None:
    with pytest.raises(DataError, match="may not read"):
        load(sql("warehouse", table="secrets"), access)


@pytest.mark.parametrize(
    ("connection", "query"),
    [
        ("warehouse", "select pg_sleep(60)"),
        ("laptop", "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"),
    ],
)
def test_what_runs_too_long_is_stopped(
    connection: str, query: str, databases: Databases, write_connections: Callable[..., DataAccess]
) -> None:
    access = write_connections(
        warehouse={"url": databases.postgres, "password": "env:PG_PASSWORD", "statement_timeout_s": 0.3},
        laptop={"url": databases.sqlite, "statement_timeout_s": 0.3},
    )
    with pytest.raises(DataError, match=r"time limit of the connection, 0\.3 s"):
        load(sql(connection, query=query), access)


def test_an_unknown_connection_names_the_nearest(access: DataAccess) -> None:
    with pytest.raises(AccessError, match="nearest: warehouse"):
        load(sql("warehose", table="loans"), access)
    with pytest.raises(AccessError, match="no connection"):
        load(sql("warehouse", table="loans"), DataAccess((), Path()))


@pytest.fixture
def guarded_server(databases: Databases) -> Any:
    """The server asks for passwords on TCP only; here is its socket's folder, for a URL with a wrong user."""
    return make_url(databases.postgres)


def test_a_wrong_login_says_nothing_of_it(
    guarded_server: Any, write_connections: Callable[..., DataAccess]
) -> None:  # fmt: skip
    url = guarded_server.set(username="intruder").render_as_string(hide_password=False)
    access = write_connections({"PG_PASSWORD": "wrong-pass"}, warehouse={"url": url, "password": "env:PG_PASSWORD"})
    with pytest.raises(DataError, match="refuses the login of the connection 'warehouse'") as caught:
        load(sql("warehouse", table="loans"), access)
    told = f"{caught.value!r} {caught.value.details()}"
    assert "wrong-pass" not in told
    assert "intruder" not in told


def test_a_password_in_the_url_is_refused_and_not_repeated(write_connections: Callable[..., DataAccess]) -> None:
    access = write_connections(warehouse={"url": f"postgresql://reader:{PASSWORD}@db/warehouse"})
    with pytest.raises(UnavailableError, match="does not belong into the URL") as caught:
        load(sql("warehouse", table="loans"), access)
    assert PASSWORD not in f"{caught.value!r} {caught.value.details()}"


@pytest.mark.parametrize("reference", ["env:NOT_SET", "file:/no/such/file"])
def test_a_secret_that_is_not_there_is_named(
    reference: str, databases: Databases, write_connections: Callable[..., DataAccess]
) -> None:
    access = write_connections(warehouse={"url": databases.postgres, "password": reference})
    with pytest.raises(UnavailableError, match=f"is not there: {reference}"):
        load(sql("warehouse", table="loans"), access)


def test_a_secret_can_lie_in_a_file(
    tmp_path: Path, databases: Databases, write_connections: Callable[..., DataAccess]
) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    access = write_connections(warehouse={"url": databases.postgres, "password": f"file:{tmp_path / 'password'}"})
    assert len(load(sql("warehouse", table="loans"), access).frame) == 1000


def test_a_server_that_is_down_is_asked_again_and_then_named(
    write_connections: Callable[..., DataAccess], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sql_source, "PAUSE_S", 0.01)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://reader@127.0.0.1:{taken.getsockname()[1]}/warehouse"
        access = write_connections(warehouse={"url": url, "password": "env:PG_PASSWORD"})
        with pytest.raises(UnavailableError, match="does not answer") as caught:
            load(sql("warehouse", table="loans"), access)
    assert caught.value.retryable
    assert "attempt 3 of 3" in caplog.text
    assert PASSWORD not in f"{caplog.text} {caught.value!r} {caught.value.details()}"


def test_a_connection_lost_in_the_middle_is_read_from_the_beginning(
    access: DataAccess, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_source, "PAUSE_S", 0.01)
    real, cut = sql_source._read, threading.Event()

    def cut_once(reader: Any, login: Any, selection: Any, limit: int) -> Any:
        pieces = real(reader, login, selection, limit)
        if cut.is_set():
            return (yield from pieces)
        yield next(pieces)
        yield next(pieces)
        with psycopg.connect(databases.postgres_admin, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mts-data'"
            )
        cut.set()
        return (yield from pieces)

    monkeypatch.setattr(sql_source, "_read", cut_once)
    query = "select n, repeat('x', 1000) as t from generate_series(1, 100000) as n order by n"
    frame = load(sql("warehouse", query=query), access).frame
    assert cut.is_set()
    assert frame["n"].tolist() == list(range(1, 100_001))


def test_types_of_postgresql(access: DataAccess) -> None:
    query = """
        select n as whole, n::numeric(10, 2) / 4 as price, n::numeric * 10::numeric ^ 20 as long_number,
               case when n > 1 then n::bigint + 9007199254740993 end as gap, n % 2 = 0 as flag, n::real as single,
               timestamptz '2024-05-31 12:00+02' as moment, date '2024-05-31' as day, time '12:30' as clock,
               md5(n::text)::uuid as key, jsonb_build_object('a', n) as document, 'x'::char(3) as padded,
               nullif(n, 2)::numeric as whole_gap, null::text as hole
        from generate_series(1, 3) as n order by n"""
    frame = load(sql("warehouse", query=query), access).frame
    assert frame["whole"].dtype == "int64"
    assert frame["price"].tolist() == [0.25, 0.5, 0.75]
    assert frame["long_number"].tolist() == [f"{n}{'0' * 20}" for n in (1, 2, 3)]
    assert frame["gap"].tolist() == [None, str(2 + 9007199254740993), str(3 + 9007199254740993)]
    assert frame["flag"].tolist() == [False, True, False]
    assert frame["moment"].tolist() == [pd.Timestamp("2024-05-31T10:00:00")] * 3
    assert frame["day"].tolist() == [pd.Timestamp("2024-05-31")] * 3
    assert frame["key"][0] == "c4ca4238-a0b9-2382-0dcc-509a6f75849b"
    assert frame["document"][0] == '{"a": 1}'
    assert frame["whole_gap"].isna().tolist() == [False, True, False]
    assert frame["hole"].isna().all()


@pytest.mark.parametrize("value", ["array[1, 2]", "'abc'::bytea", "interval '1 day'", "inet '10.0.0.1'"])
def test_what_is_no_scalar_is_refused_by_name(value: str, access: DataAccess) -> None:
    with pytest.raises(DataError, match="column 'odd' holds"):
        load(sql("warehouse", query=f"select {value} as odd from generate_series(1, 3)"), access)


def test_a_file_of_connections_with_a_mistake_is_the_operators(tmp_path: Path) -> None:
    path = tmp_path / "connections.yaml"
    access = DataAccess((), tmp_path, connections_file=path)
    for text, words in [
        ("connections: {a: {url: 'sqlite:///x', max_row: 3}}", "max_row"),
        ("connections: {a: {url: 'sqlite:///x', password: hunter2}}", "connections.a.password"),
        ("{", "neither YAML"),
    ]:
        path.write_text(text)
        with pytest.raises(UnavailableError, match=words) as caught:
            load(sql("a", table="t"), access)
        assert "hunter2" not in f"{caught.value!r} {caught.value.details()}"
    path.unlink()
    with pytest.raises(TrainingError, match="cannot be read"):
        load(sql("a", table="t"), access)
