"""Commands about this machine: up, down, status, doctor, env."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from ray_app.cli.options import AsJson

Detach = Annotated[bool, typer.Option("--detach", "-d", help="Return as soon as the service can take work.")]


def up(*, detach: Detach = False, as_json: AsJson = False) -> None:
    """Starts Ray, the service and the MLflow page on this machine.

    Stays until Ctrl-C, which stops them; with --detach they go on, until `mts down`. Where they run already, says so.

    Example: mts up --detach
    """
    from ray_app.cli.output import err, print_json
    from ray_app.cli.startup import interruptible, show_startup, stay, tell_addresses
    from ray_app.local import control
    from ray_app.settings import Settings

    settings = Settings()
    state = control.current(settings)
    ran_already = state is not None and state.status == "ready"
    try:
        with interruptible():
            if state is None or not ran_already:
                state = show_startup(control.start(settings))
            if as_json:
                print_json(state)
            else:
                tell_addresses(state, ran_already=ran_already)
            if not detach and not ran_already:
                stay(settings)
    except KeyboardInterrupt:
        if detach:
            err.print("\nthe start goes on: `mts status` says how far it is, `mts down` ends it", markup=False)
            raise typer.Exit(1) from None
        with err.status("stopping"):
            control.stop(settings)
        err.print("stopped", markup=False)


WaitS = Annotated[
    float | None,
    typer.Option("--wait-s", min=0, help="Lets running jobs come to their end for so long [MTS_DRAIN_S, 10]."),
]


def down(*, wait_s: WaitS = None, as_json: AsJson = False) -> None:
    """Stops everything that `mts up` started here; jobs and models stay.

    No further job is begun. Those that run are given some seconds to come to their end; what does not then leaves a
    checkpoint, and goes on from there after the next start.

    Example: mts down --wait-s 600
    """
    from ray_app.cli.output import err, print_json, print_line
    from ray_app.local import control
    from ray_app.settings import Settings

    settings = Settings()
    limit_s = settings.drain_s if wait_s is None else wait_s
    with err.status(f"stopping; running jobs have {limit_s:g} s to come to their end"):
        stopped = control.stop(settings, limit_s)
    if as_json:
        print_json({"was_running": stopped.was_running, "ended_processes": stopped.ended})
    elif stopped.ended:
        print_line(f"stopped ({stopped.ended} processes)")
    else:
        print_line("nothing was running")


def status(*, as_json: AsJson = False) -> None:
    """Says what runs here and where; exits 1 unless everything does.

    Example: mts status
    """
    from ray_app.cli.output import print_json, print_line, print_table
    from ray_app.cli.startup import part_rows
    from ray_app.local import control
    from ray_app.settings import Settings

    state = control.current(Settings())
    if as_json:
        print_json(state if state is not None else {"status": "stopped"})
    elif state is None:
        print_line("nothing runs here; start with `mts up`")
    else:
        print_table(("PART", "STATUS", "ADDRESS", "PID", "RESTARTS", "SINCE"), part_rows(state))
    if state is None or state.status != "ready":
        raise typer.Exit(1)


def doctor(*, as_json: AsJson = False) -> None:
    """Prints the settings, checks this machine and the service, and names the remedy for what is wrong.

    Exits 1 if a check fails.

    Example: mts doctor
    """
    from ray_app.cli.output import err, print_json, print_line, print_table
    from ray_app.local.doctor import examine
    from ray_app.settings import Settings

    settings = Settings()
    with err.status("looking"):
        checks = examine(settings)
    failed = [check for check in checks if check.status == "failed"]
    if as_json:
        print_json({"settings": settings.shown(), "checks": [check.model_dump() for check in checks]})
    else:
        print_table(("SETTING", "VALUE"), settings.shown().items())
        print_line("")
        print_table(("CHECK", "STATUS", "FOUND"), ((check.name, check.status, check.found) for check in checks))
        for check in failed:
            err.print(f"[red]{check.name}[/red]", end=": ")
            err.print(check.remedy, markup=False)
    if failed:
        raise typer.Exit(1)


def env(*, as_json: AsJson = False) -> None:
    """Prints what a shell needs for `ray job submit`, `ray.init()` and MLflow on the running cluster.

    Example: eval "$(mts env)" && ray job submit --working-dir . -- python -m training run examples/german_credit.yaml
    """
    import shlex

    from ray_app.cli.output import print_json, print_line
    from ray_app.local import control
    from ray_app.local.environment import batch_environment
    from ray_app.local.errors import LocalError
    from ray_app.settings import Settings

    settings = Settings()
    state = control.current(settings)
    if state is None:
        raise LocalError("nothing runs here", hint="start with `mts up`")
    variables = batch_environment(state, settings)
    if as_json:
        print_json(variables)
    else:
        for name, value in variables.items():
            print_line(f"export {name}={shlex.quote(value)}")


COMMANDS: dict[str, Callable[..., Any]] = {"up": up, "down": down, "status": status, "doctor": doctor, "env": env}
