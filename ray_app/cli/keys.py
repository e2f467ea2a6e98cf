"""Commands about API keys: add, list, revoke. They change the file that MTS_API_KEYS_FILE names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ray_app.cli.options import AsJson

app = typer.Typer(no_args_is_help=True, help="API keys of the service: made here, shown once, stored as hashes.")

KeyId = Annotated[str, typer.Argument(metavar="ID", help="Who or what uses it: a-z, 0-9 and -.")]
RoleName = Annotated[
    str, typer.Option("--role", help="viewer, trainer, approver or admin; each may do what the ones before may.")
]
Days = Annotated[int, typer.Option("--expires-days", min=1, max=3650, help="Days until it stops to work.")]
Rate = Annotated[int | None, typer.Option("--requests-per-minute", min=1, help="More are answered 429.")]
Active = Annotated[int | None, typer.Option("--max-active-jobs", min=1, help="Jobs that may wait or run at once.")]


@app.command()
def add(
    key_id: KeyId, *, role: RoleName = "viewer", days: Days = 90, rate: Rate = None, active: Active = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Makes a key and prints it, this once; a running service takes it at once.

    Example: mts keys add nightly --role trainer --expires-days 30 --max-active-jobs 20
    """
    from datetime import UTC, datetime, timedelta

    from ray_app.cli.output import err, print_json, print_line
    from ray_app.services.key_file import add_key
    from ray_app.services.keys import Role, checked_id, new_key
    from training.errors import SpecError, nearest

    if role not in set(Role):
        raise SpecError.at("role", role, f"no such role{nearest(role, list(Role))}")
    path = _path()
    expires_at = datetime.now(UTC) + timedelta(days=days)
    key, record = new_key(checked_id(key_id), Role(role), expires_at=expires_at)
    record = record.model_copy(update={"requests_per_minute": rate, "max_active_jobs": active})
    add_key(path, record)
    if as_json:
        print_json({"id": key_id, "role": role, "expires_at": expires_at.isoformat(), "key": key})
    else:
        print_line(key)
        err.print(f"this is the only time that it is shown; its hash is in {path}", markup=False)


@app.command(name="list")
def list_keys(*, as_json: AsJson = False) -> None:
    """Lists the keys: who, what they may do, until when.

    Example: mts keys list
    """
    from ray_app.cli.output import print_json, print_table, shown_time
    from ray_app.services.key_file import read_keys

    keys = read_keys(_path())
    if as_json:
        print_json([key.model_dump(mode="json", exclude={"salt", "hash"}) for key in keys])
        return
    rows = [
        (key.id, key.role, shown_time(key.expires_at) or "never", key.requests_per_minute, key.max_active_jobs)
        for key in keys
    ]
    print_table(("ID", "ROLE", "EXPIRES", "REQUESTS/MIN", "ACTIVE JOBS"), rows, empty="no keys")


@app.command()
def revoke(key_id: KeyId, *, as_json: AsJson = False) -> None:
    """Removes a key; a running service refuses it from its next request on.

    Example: mts keys revoke nightly
    """
    from ray_app.cli.output import print_json, print_line
    from ray_app.services.key_file import revoke_key

    revoke_key(_path(), key_id)
    if as_json:
        print_json({"revoked": key_id})
    else:
        print_line(f"revoked {key_id}")


def _path() -> Path:
    from ray_app.services.key_file import SETTING
    from ray_app.settings import Settings
    from training.errors import SpecError

    path = Settings().api_keys_file
    if path is None:
        raise SpecError.at(SETTING, None, "is not set", hint=f"export {SETTING}=$HOME/.mts/keys.yaml, then again")
    return path
