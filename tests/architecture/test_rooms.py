"""Each outside library lives in one room; the direction of our own imports is held by import-linter."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
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
    # releasing.py is apart from training/distributed, so that the dispatcher need not import what fits models
    "ray": (
        "ray_app/app.py",
        "ray_app/dispatcher/",
        "ray_app/local/",
        "training/distributed/",
        "training/tuning/",
        "training/releasing.py",
    ),
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


@cache
def sources() -> list[tuple[str, int, list[ast.AST]]]:
    """Of each file its path, its lines, and all that is in it."""
    files = [path for room in ("ray_app", "training") for path in sorted((ROOT / room).rglob("*.py"))]
    texts = [path.read_text() for path in files]
    return [
        (path.relative_to(ROOT).as_posix(), len(text.splitlines()), list(ast.walk(ast.parse(text))))
        for path, text in zip(files, texts, strict=True)
    ]


def imported(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("library", ROOMS)
def test_a_library_stays_in_its_room(library: str) -> None:
    strays = [
        path
        for path, _, nodes in sources()
        if not path.startswith(ROOMS[library])
        and any(name == library or name.startswith(f"{library}.") for name in imported(nodes))
    ]
    assert strays == []


def test_only_the_settings_read_the_environment() -> None:
    readers = [
        path
        for path, _, nodes in sources()
        for node in nodes
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "putenv"}
    ]
    # a batch has no settings of the service: its command looks up what the connections file refers to
    assert set(readers) <= {"ray_app/settings.py", "training/__main__.py"}


def test_files_and_functions_stay_small() -> None:
    large = [f"{path}: {lines} lines" for path, lines, _ in sources() if lines > 400]
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path, _, nodes in sources()
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > 50
    ]
    assert large == []
    assert long == []


def test_no_exception_is_swallowed() -> None:
    swallowed = [
        f"{path}:{node.lineno}"
        for path, _, nodes in sources()
        for node in nodes
        if isinstance(node, ast.ExceptHandler) and all(isinstance(part, ast.Pass | ast.Continue) for part in node.body)
    ]
    assert swallowed == []
