"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
JobId = Annotated[str, typer.Argument(metavar="ID", help="Job, as `mts jobs` lists it.")]
ModelName = Annotated[str, typer.Argument(metavar="NAME", help="Registered model.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job is over.")]
Reason = Annotated[str, typer.Option(help="For the record.")]
Url = Annotated[
    str | None, typer.Option(envvar="MTS_URL", help="Where the service is.", show_default="of this machine")
]
