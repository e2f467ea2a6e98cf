"""The files that bring up clusters are valid where they will be read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import yaml

from ray_app.app import AppArgs

ROOT = Path(__file__).parents[3]
KUBERNETES = ROOT / "deploy" / "kubernetes"
CLUSTERS = [ROOT / "cluster.yaml", *sorted((ROOT / "deploy").glob("cluster-*.yaml"))]
KINDS = {"ray-service": "RayService", "ray-cluster": "RayCluster", "ray-job": "RayJob", "ray-cron-job": "RayCronJob"}


def strict(schema: Any) -> Any:
    """Kubernetes drops fields that it does not know; a test wants to hear of them."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: strict(part) for name, part in schema.items()}
    open_ended = closed.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in closed
    if "properties" in closed and not open_ended and closed.get("type") == "object":
        closed["additionalProperties"] = False
    if closed.pop("x-kubernetes-int-or-string", None):
        closed.pop("type", None)
    return closed


def manifest(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((KUBERNETES / f"{name}.yaml").read_text()))


def schema_of(kind: str) -> dict[str, Any]:
    held = (Path(__file__).parent / "schemas" / f"{kind}.json.gz").read_bytes()
    schema: dict[str, Any] = strict(json.loads(gzip.decompress(held))["v1"])
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


def validate(document: dict[str, Any], kind: str) -> None:
    """As jsonschema.validate, which first takes seconds to check the schema: that is Kubernetes' own."""
    jsonschema.Draft202012Validator(schema_of(kind)).validate(document)


def found(tree: Any, key: str) -> Iterator[Any]:
    """Every value of a key, at any depth."""
    if isinstance(tree, dict):
        if key in tree:
            yield tree[key]
        for part in tree.values():
            yield from found(part, key)
    elif isinstance(tree, list):
        for part in tree:
            yield from found(part, key)


def pods(tree: Any) -> Iterator[dict[str, Any]]:
    for template in found(tree, "template"):
        yield template["spec"]


@pytest.mark.parametrize("path", CLUSTERS, ids=[path.name for path in CLUSTERS])
def test_a_cluster_file_is_what_ray_up_takes(path: Path) -> None:
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    config = yaml.safe_load(path.read_text())
    jsonschema.validate(config, schema)
    commands = " ".join(config["head_start_ray_commands"])
    assert "--autoscaling-config=" in commands, "without it nothing scales"
    assert "RAY_AUTH_MODE=token" in commands
    assert "serve deploy serve_config.yaml" in commands
    assert "RAY_USAGE_STATS_ENABLED=0" in commands


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_a_manifest_is_what_kuberay_takes(name: str, kind: str) -> None:
    document = manifest(name)
    assert (document["apiVersion"], document["kind"]) == ("ray.io/v1", kind)
    validate(document, kind)


def test_a_misspelt_field_would_be_found() -> None:
    document = manifest("ray-cluster")
    document["spec"]["enableInTreeAutoscalling"] = True
    with pytest.raises(jsonschema.ValidationError, match="enableInTreeAutoscalling"):
        validate(document, "RayCluster")


@pytest.mark.parametrize("name", KINDS)
def test_every_pod_is_probed_limited_and_no_root(name: str) -> None:
    members = list(pods(manifest(name)))
    assert len(members) >= 2
    for pod in members:
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert {"readinessProbe", "livenessProbe"} <= container.keys()
            assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]
            names = {variable["name"] for variable in container["env"]}
            assert {"MTS_DATABASE_URL", "MLFLOW_TRACKING_URI"} <= names
            assert all("secretKeyRef" in variable["valueFrom"] for variable in container["env"])


@pytest.mark.parametrize("name", ["ray-service", "ray-cluster"])
def test_what_stays_up_scales_and_survives_its_head(name: str) -> None:
    spec = manifest(name)["spec"]
    cluster = spec.get("rayClusterConfig", spec)
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["gcsFaultToleranceOptions"]["redisAddress"]
    assert {group["groupName"] for group in cluster["workerGroupSpecs"]} == {"cpu", "gpu"}
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_the_service_of_the_manifest_is_the_one_of_this_project() -> None:
    config = yaml.safe_load(manifest("ray-service")["spec"]["serveConfigV2"])
    [application] = config["applications"]
    assert application["import_path"] == "ray_app.app:build"
    AppArgs.model_validate(application["args"])


def test_no_manifest_holds_a_secret() -> None:
    for path in KUBERNETES.glob("*.yaml"):
        for document in yaml.safe_load_all(path.read_text()):
            assert document["kind"] != "Secret"
            assert not [value for value in found(document, "value") if "password" in str(value).lower()]


def test_the_image_is_one_for_all_roles_and_not_of_root() -> None:
    lines = (ROOT / "deploy" / "Dockerfile").read_text().splitlines()
    assert [line.split()[-1] for line in lines if line.startswith("FROM")] == ["build", "runtime"]
    users = [line for line in lines if line.startswith("USER")]
    assert users == ["USER 1000"]
    copied = [line.split()[-2] for line in lines if line.startswith("COPY") and "--from" not in line]
    assert all((ROOT / name).exists() for line in lines if line.startswith("COPY") and "--from" not in line
               for name in line.split()[1:-1])  # fmt: skip
    assert copied
