"""Each outside library lives in one room; the direction of our own imports is held by import-linter."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ROOMS = {
    "fastapi": ("ray_app/api/", "ray_app/app.py"),
    "starlette": ("ray_app/api/", "ray_app/app.py"),
    "ray.serve": ("ray_app/app.py", "ray_app/local/"),
    "ray.train": ("training/distributed/",),
    "ray.tune": ("training/tuning/",),
    "optuna": ("training/tuning/",),
    "ray": ("ray_app/app.py", "ray_app/dispatcher/", "ray_app/local/", "training/distributed/", "training/tuning/"),
    # bundle_file.py is copied into each bundle, where it scores the golden rows
    "mlflow": ("training/registry/", "training/mts_scoring/pyfunc.py", "training/bundle_file.py"),
    # tables belong to the job store; the reader of foreign databases has none, it only runs one SELECT
    "sqlalchemy": (
        "ray_app/jobs/",
        "training/data/sql/",
        "training/data/features/",
        "training/data/sources/sql_source.py",
    ),
    "alembic": ("ray_app/jobs/",),
    "typer": ("ray_app/cli", "training/__main__.py", "training/upkeep.py"),
}


def sources() -> Iterator[Path]:
    for room in ("ray_app", "training"):
        yield from sorted((ROOT / room).rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("library", ROOMS)
def test_a_library_stays_in_its_room(library: str) -> None:
    strays = [
        path.relative_to(ROOT).as_posix()
        for path in sources()
        if any(name == library or name.startswith(f"{library}.") for name in imported(ast.parse(path.read_text())))
        and not path.relative_to(ROOT).as_posix().startswith(ROOMS[library])
    ]
    assert strays == []


def test_only_the_settings_read_the_environment() -> None:
    readers = [
        path.relative_to(ROOT).as_posix()
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "putenv"}
    ]
    # a batch has no settings of the service: its command looks up what the connections file refers to
    assert set(readers) <= {"ray_app/settings.py", "training/__main__.py"}


def test_files_and_functions_stay_small() -> None:
    large = [f"{path.relative_to(ROOT)}: {len(path.read_text().splitlines())} lines" for path in sources()
             if len(path.read_text().splitlines()) > 400]  # fmt: skip
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > 50
    ]
    assert large == []
    assert long == []


def test_no_exception_is_swallowed() -> None:
    swallowed = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler) and all(isinstance(part, ast.Pass | ast.Continue) for part in node.body)
    ]
    assert swallowed == []
