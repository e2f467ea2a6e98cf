"""The bill of materials names what the service runs on."""

from __future__ import annotations

from importlib import metadata

import pytest

from ray_app.local.sbom import document


@pytest.mark.slow
def test_what_the_service_runs_on_is_named_with_its_version() -> None:
    found = document()
    components = {component["name"].lower(): component for component in found["components"]}
    for name in ("ray", "mlflow", "xgboost", "fastapi", "sqlalchemy", "torch"):
        assert components[name]["version"] == metadata.version(name)
        assert components[name]["purl"] == f"pkg:pypi/{name}@{metadata.version(name)}"
    references = {component["bom-ref"] for component in found["components"]}
    for dependency in found["dependencies"]:
        assert set(dependency["dependsOn"]) <= references | {found["metadata"]["component"]["bom-ref"]}
