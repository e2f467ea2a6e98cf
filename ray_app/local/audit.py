"""Compares what is installed with the list of known advisories: `python -m ray_app.local.audit`, or `make audit`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

import yaml
from packaging.version import Version
from pydantic import BaseModel, ConfigDict, model_validator

ADVISORIES = Path(__file__).parents[2] / "deploy" / "advisories.yaml"


class Advisory(BaseModel):
    """One of them: a fault that a release mended, or that does not concern us."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    package: str
    id: str
    about: str
    fixed_in: str | None = None
    reason: str | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Advisory:
        if (self.fixed_in is None) == (self.reason is None):
            raise ValueError("give the release that mended it, or the reason why it does not concern us")
        return self


def read_advisories(path: Path = ADVISORIES) -> list[Advisory]:
    """The list."""
    return [Advisory.model_validate(one) for one in yaml.safe_load(path.read_text("utf-8"))["advisories"]]


def installed() -> dict[str, str]:
    """Versions by name, in lower case."""
    return {found.metadata["Name"].lower(): found.version for found in metadata.distributions()}


def open_advisories(known: list[Advisory], versions: Mapping[str, str]) -> Iterator[str]:
    """What is wrong, in words."""
    for one in known:
        found = versions.get(one.package)
        if found is not None and one.fixed_in is not None and Version(found) < Version(one.fixed_in):
            yield f"{one.package} {found}: {one.id}, {one.about}; install {one.fixed_in} or newer"


def main() -> int:
    """Says what is wrong, and what was accepted; 1 where something is wrong."""
    known, versions = read_advisories(), installed()
    wrong = list(open_advisories(known, versions))
    accepted = [f"{one.package}: {one.id}, accepted: {one.reason}" for one in known if one.reason is not None]
    sys.stdout.write("\n".join([*wrong, *accepted, f"{len(known)} advisories, {len(wrong)} open"]) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
