"""Commands that save and bring back the state of this machine's service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ray_app.cli.options import AsJson

File = Annotated[Path, typer.Argument(metavar="FILE", help="Such as backup.tar.gz.")]


def backup(file: File, *, as_json: AsJson = False) -> None:
    """Saves jobs, models, uploads and logs to one file, while the service runs.

    Example: mts backup /var/backups/mts-2026-11-24.tar.gz
    """
    from ray_app.cli.output import print_json, print_line
    from ray_app.local.backup import save
    from ray_app.settings import Settings

    manifest = save(Settings(), file)
    size_mb = file.stat().st_size / 1e6
    if as_json:
        print_json({"file": str(file), "files": len(manifest.files), "size_mb": round(size_mb, 1)})
    else:
        print_line(f"{file}: {len(manifest.files)} files, {size_mb:.1f} MB")


def restore(file: File, *, as_json: AsJson = False) -> None:
    """Brings a backup back into a home that is empty; every file is checked first.

    Example: MTS_HOME=/srv/mts mts restore /var/backups/mts-2026-11-24.tar.gz
    """
    from ray_app.cli.output import print_json, print_line
    from ray_app.local.backup_restore import restore as bring_back
    from ray_app.settings import Settings

    settings = Settings()
    manifest = bring_back(settings, file)
    if as_json:
        print_json(
            {
                "home": str(settings.home_path),
                "files": len(manifest.files),
                "created_at": manifest.created_at.isoformat(),
            }
        )
    else:
        made = f"{manifest.created_at:%Y-%m-%d %H:%M} UTC"
        print_line(f"{settings.home_path}: {len(manifest.files)} files of {made}; start with `mts up`")


COMMANDS: dict[str, Callable[..., Any]] = {"backup": backup, "restore": restore}
