"""What `mts` prints: tables on a terminal, plain lines in a pipe or a file, JSON for machines.

Answers go to standard output, all else to standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel
from rich import box
from rich.console import Console
from rich.table import Table

T = TypeVar("T")

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

STATUS_STYLES = {
    "SUCCEEDED": "green",
    "FAILED": "red",
    "CANCELLED": "yellow",
    "RUNNING": "cyan",
    "running": "green",
    "ok": "green",
    "failed": "red",
}


def print_json(value: Any) -> None:
    """Prints models, or plain data, as one JSON document."""
    sys.stdout.write(json.dumps(_plain(value), indent=2, ensure_ascii=False) + "\n")


def print_json_line(value: Any) -> None:
    """Prints one line of JSON, at once."""
    sys.stdout.write(json.dumps(_plain(value), ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "") -> None:
    """Prints rows as a table, or in aligned columns where the output is no terminal."""
    texts = [["" if value is None else str(value) for value in row] for row in rows]
    if not texts:
        err.print(empty, markup=False)
    elif out.is_terminal:
        table = Table(*columns, box=box.SIMPLE, show_edge=False, pad_edge=False)
        for row in texts:
            table.add_row(*(_styled(text) for text in row))
        out.print(table)
    else:
        widths = [max(len(text) for text in column) for column in zip(columns, *texts, strict=True)]
        for row in [list(columns), *texts]:
            line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
            sys.stdout.write(line.rstrip() + "\n")


def print_items(
    found: Sequence[T], columns: Sequence[str], row: Callable[[T], Sequence[object]], *, empty: str, as_json: bool
) -> None:
    """Prints what was found: a row of a table for each, or all of it as JSON."""
    if as_json:
        print_json(found)
    else:
        print_table(columns, (row(item) for item in found), empty=empty)


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Prints names with values, one a line; leaves out what there is not."""
    given = [(name, str(value)) for name, value in fields if value not in (None, "", [], {})]
    width = max((len(name) for name, _ in given), default=0)
    for name, value in given:
        out.print(f"[bold]{name.ljust(width)}[/bold]  {_styled(value)}")


def print_line(text: str) -> None:
    """Prints one line as it is."""
    out.print(text, markup=False)


def shown_time(time: datetime | None) -> str:
    """A time in the zone of this machine."""
    return "" if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def shown_duration(started: datetime | None, finished: datetime | None) -> str:
    """How long something took, or has taken until now."""
    if started is None:
        return ""
    seconds = ((finished or datetime.now(UTC)) - started).total_seconds()
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def shown_number(value: object) -> str:
    """A metric's value."""
    return f"{value:.4f}" if isinstance(value, int | float) else ""


def _styled(text: str) -> str:
    from rich.markup import escape

    style = STATUS_STYLES.get(text)
    return f"[{style}]{text}[/{style}]" if style else escape(text)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
