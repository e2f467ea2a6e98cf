"""Commands of active learning: `mts label create`, `list`, `show`, `start`, `export`, `import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ray_app.cli.options import AsJson, Url

Pool = Annotated[str, typer.Argument(metavar="POOL", help="Id of a pool, or its model's name for the newest one.")]
Labeller = Annotated[str | None, typer.Option("--as", help="Your name.", show_default="the caller")]

app = typer.Typer(no_args_is_help=True, help="Pools of rows to label: make one, label its rows, see what that brings.")


@app.command()
def create(
    spec: Annotated[Path, typer.Argument(metavar="POOL.yaml", help="In YAML or JSON; - for standard input.")],
    *,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Makes a pool.

    Example: mts label create examples/pools/german_credit.yaml
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_json, print_line
    from ray_app.cli.spec_file import read_spec

    with connect(url) as client:
        pool = client.pools.create(read_spec(spec))
        if as_json:
            print_json(pool)
            return
        print_line(f"{pool.id} is made; label its rows: mts label start {pool.id}")
        print_line(f"or in a browser: {client.url}{pool.links['page']}")


@app.command("list")
def list_pools(*, url: Url = None, as_json: AsJson = False) -> None:
    """Lists pools, newest first.

    Example: mts label list
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.output import print_items, shown_time

    with connect(url) as client:
        found = list(client.pools.all())
    print_items(
        found,
        ("ID", "NAME", "STATUS", "LABELS", "TEST SET", "MODEL", "CREATED"),
        lambda pool: (
            pool.id, pool.name, pool.status, pool.counts.train_labelled,
            f"{pool.counts.test_labelled} of {pool.counts.test_total}", (pool.model or {}).get("version"),
            shown_time(pool.created_at),
        ),
        empty="no pools",
        as_json=as_json,
    )  # fmt: skip


@app.command()
def show(pool: Pool, *, url: Url = None, as_json: AsJson = False) -> None:
    """Shows how far a pool is, the learning curves of both arms, and whether to stop.

    Example: mts label show german-credit-labels
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.labelling import find_pool, show_pool
    from ray_app.cli.output import print_json

    with connect(url) as client:
        found = find_pool(client, pool)
        print_json(found) if as_json else show_pool(found, client.url)


@app.command()
def start(
    pool: Pool,
    *,
    labeller: Labeller = None,
    labels: Annotated[int | None, typer.Option(min=1, help="Stop after so many labels.")] = None,
    answers: Annotated[
        Path | None, typer.Option(help="CSV with the true labels in the target's column: for trying out.")
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Labels rows, one at a time: the number of a label, s skip, u unsure, b back, q quit.

    Example: mts label start german-credit-labels --as ann
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.labelling import Oracle, Person, find_pool, label_rows, show_pool
    from ray_app.cli.output import print_json

    with connect(url) as client:
        found = find_pool(client, pool)
        source = Oracle.of(answers, found) if answers else Person(found)
        after = label_rows(client, found, source, labeller=labeller, limit=labels)
        print_json(after) if as_json else show_pool(after, client.url)


@app.command()
def export(pool: Pool, *, url: Url = None) -> None:
    """Prints rows that wait for a label, as tasks of Label Studio in JSON.

    Example: mts label export german-credit-labels > tasks.json
    """
    from ray_app.cli.connection import connect
    from ray_app.cli.labelling import find_pool
    from ray_app.cli.output import print_json

    with connect(url) as client:
        print_json(client.pools.export(find_pool(client, pool).id))


@app.command("import")
def take_in(
    pool: Pool,
    file: Annotated[Path, typer.Argument(metavar="EXPORT.json", help="JSON export of Label Studio.")],
    *,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Stores the annotations of a JSON export of Label Studio.

    Example: mts label import german-credit-labels export.json
    """
    import json

    from ray_app.cli.connection import connect
    from ray_app.cli.labelling import find_pool
    from ray_app.cli.output import print_json, print_line

    try:
        tasks = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{file}: {error}", param_hint="EXPORT.json") from None
    with connect(url) as client:
        answer = client.pools.take_in(find_pool(client, pool).id, tasks)
    if as_json:
        print_json(answer)
    else:
        print_line(f"{answer.stored} labels stored, {answer.corrected} corrected, {answer.unchanged} known already")
