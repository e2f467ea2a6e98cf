"""The commands of `mts`, put together; and the one place where an error becomes words and an exit status."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from ray_app.cli import backup, data, jobs, keys, label, machine, models, monitor, trials

EXIT_FAILED = 1


class Commands(TyperGroup):
    """Shows what went wrong instead of a traceback: exit 1 for a failure, 2 (from typer) for wrong usage."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt:
            raise typer.Exit(EXIT_FAILED) from None
        except Exception as error:
            from ray_app.cli.problems import show

            if not show(error):
                raise
            raise typer.Exit(EXIT_FAILED) from None


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Trains, evaluates and versions models for structured data on Ray.\n\nStart here: "
    "mts up --detach && mts train examples/german_credit.yaml --follow",
)  # fmt: skip
PANELS = (
    ("This machine", machine), ("This machine", backup), ("Jobs", jobs), ("Jobs", trials), ("Data", data),
    ("Models", models),
)  # fmt: skip
for panel, room in PANELS:
    for name, command in room.COMMANDS.items():
        app.command(name, rich_help_panel=panel)(command)

app.add_typer(monitor.app, name="monitor", rich_help_panel="Models")
app.add_typer(keys.app, name="keys", rich_help_panel="This machine")
app.add_typer(label.app, name="label", rich_help_panel="Active learning")


def main() -> None:
    """The entry point `mts`."""
    app(prog_name="mts")
