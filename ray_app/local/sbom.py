"""A bill of materials of what is installed, in CycloneDX 1.5: `python -m ray_app.local.sbom > sbom.json`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Any

PROJECT = "model-training-service"


def document() -> dict[str, Any]:
    """The project with everything that it needs to run, and what each of these needs."""
    found = dict(_needed(PROJECT))
    components = [_component(dist) for name, dist in sorted(found.items()) if name != _key(PROJECT)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": _component(found[_key(PROJECT)]) | {"type": "application"}},
        "components": components,
        "dependencies": [
            {
                "ref": _reference(dist),
                "dependsOn": sorted(_reference(found[key]) for key in _requires(dist) if key in found),
            }
            for dist in found.values()
        ],
    }


def _needed(project: str) -> Iterator[tuple[str, metadata.Distribution]]:
    # what is for another system, or belongs to an extra, is not installed
    installed = {_key(dist.metadata["Name"]): dist for dist in metadata.distributions()}
    waiting, seen = [_key(project)], set()
    while waiting:
        key = waiting.pop()
        if key in seen or key not in installed:
            continue
        seen.add(key)
        yield key, installed[key]
        waiting.extend(_requires(installed[key]))


def _requires(dist: metadata.Distribution) -> list[str]:
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in dist.requires or [])
    return [_key(name[0]) for name in names if name]


def _component(dist: metadata.Distribution) -> dict[str, Any]:
    meta = dist.metadata
    found = {
        "type": "library",
        "bom-ref": _reference(dist),
        "name": meta["Name"],
        "version": dist.version,
        "purl": _reference(dist),
    }
    fields = meta.json
    licence = str(fields.get("license_expression") or fields.get("license") or "")
    return found | ({"licenses": [{"license": {"name": licence.splitlines()[0][:200]}}]} if licence else {})


def _reference(dist: metadata.Distribution) -> str:
    return f"pkg:pypi/{_key(dist.metadata['Name'])}@{dist.version}"


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=1)
