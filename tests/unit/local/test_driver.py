from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from ray_app.local.driver import ServeConfig, build_application, load_builder

ROOT = Path(__file__).parents[3]


class Arguments(BaseModel):
    replicas: int = 1


def typed(args: Arguments) -> Any:
    return args


def untyped(args):  # type: ignore[no-untyped-def]
    return args


def test_the_projects_own_configuration_is_read() -> None:
    config = ServeConfig.read(ROOT / "serve_config.yaml")
    assert config.application["import_path"] == "ray_app.app:build"
    assert config.application["route_prefix"] == "/"
    assert config.logging_config["enable_access_log"] is False


def test_without_a_file_the_application_is_deployed_with_its_defaults(tmp_path: Path) -> None:
    config = ServeConfig.read(tmp_path / "serve_config.yaml")
    assert config.application["import_path"] == "ray_app.app:build"
    assert config.application.get("args") is None


def test_the_builder_is_what_the_import_path_names() -> None:
    assert load_builder("pathlib:Path") is Path


def test_a_builder_gets_its_arguments_in_the_type_that_it_asks_for() -> None:
    assert build_application(typed, {"replicas": 3}) == Arguments(replicas=3)
    assert build_application(untyped, {"replicas": 3}) == {"replicas": 3}
    with pytest.raises(ValidationError, match="replicas"):
        build_application(typed, {"replicas": "many"})
