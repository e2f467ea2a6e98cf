"""The pipeline as a batch: `python -m training run SPEC.yaml`, alone or under `ray job submit`."""

from __future__ import annotations

import json
import os
import sys
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import TypeAdapter
from rich.console import Console

from training.data import DataAccess
from training.errors import SpecError, TrainingError
from training.pipeline import Workplace, plan, run
from training.registry import Registry
from training.spec import TrainSpec, parse_spec
from training.terminal import TerminalObserver, result_table

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)
out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

EXIT_FAILED = 1
EXIT_USAGE = 2


@app.command("run")
def run_spec(
    spec: Annotated[Path, typer.Argument(help="Spec in YAML or JSON.")],
    *,
    home: Annotated[Path, typer.Option(envvar="MTS_HOME", help="State, where no URI below is given.")] = Path(".mts"),
    tracking_uri: Annotated[str | None, typer.Option(envvar="MLFLOW_TRACKING_URI", help="MLflow store.")] = None,
    artifact_uri: Annotated[str | None, typer.Option(envvar="MTS_ARTIFACT_URI", help="Artifact folder.")] = None,
    data_roots: Annotated[str, typer.Option(envvar="MTS_DATA_ROOTS", help="Readable folders beside this one.")] = "",
    connections_file: Annotated[
        Path | None, typer.Option(envvar="MTS_CONNECTIONS_FILE", help="Named databases and feature repositories.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, train nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Trains, evaluates and registers a model.

    Example: python -m training run examples/german_credit.yaml
    """
    place = home.expanduser().resolve()
    roots = tuple(root.strip() for root in data_roots.split(",") if root.strip())
    workplace = Workplace(
        access=DataAccess(
            roots=(str(Path.cwd()), *roots), base=Path.cwd(), connections_file=connections_file, secret=os.environ.get
        ),
        registry=Registry(tracking_uri or f"sqlite:///{place / 'mlflow.db'}", artifact_uri or str(place / "artifacts")),
        checkpoints=place / "checkpoints",
    )
    try:
        parsed = parse_spec(TrainSpec, _read(spec))
        if dry_run:
            out.print_json(plan(parsed, workplace).model_dump_json())
            return
        with TerminalObserver(err) as observer:
            result = run(parsed, workplace, observer, job_id=f"batch_{uuid.uuid4().hex}")
    except SpecError as error:
        _show(error)
        raise typer.Exit(EXIT_USAGE) from None
    except TrainingError as error:
        _show(error)
        raise typer.Exit(EXIT_FAILED) from None
    if as_json:
        sys.stdout.write(result.model_dump_json(indent=2) + "\n")
    else:
        out.print(result_table(result))


@app.command("schema")
def schema() -> None:
    """Prints the JSON Schema of a training spec.

    Example: python -m training schema > spec.schema.json
    """
    sys.stdout.write(json.dumps(TypeAdapter(TrainSpec).json_schema(), indent=2) + "\n")


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise SpecError(f"{path}: neither YAML nor JSON: {error}") from None


def _show(error: TrainingError) -> None:
    err.print(f"[red]{type(error).__name__}[/red] {error.message}", highlight=False)
    for problem in error.problems:
        err.print(f"  {problem.field}: {problem.message} (got {problem.value!r})", highlight=False, markup=False)
    if error.hint:
        err.print(f"  {error.hint}", highlight=False, markup=False)


if __name__ == "__main__":
    app()
