"""serve_config.yaml deploys what app.py builds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from ray._common.utils import import_attr
from ray.serve._private.api import call_user_app_builder_with_args_if_necessary
from ray.serve.schema import ServeDeploySchema

from ray_app.app import AppArgs, build
from ray_app.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    return found


def test_the_file_is_valid_for_serve_deploy_and_listens_on_this_machine_only(config: dict[str, Any]) -> None:
    schema = ServeDeploySchema.model_validate(config)
    (application,) = schema.applications
    assert application.name == "mts"
    assert import_attr(application.import_path) is build
    assert schema.http_options.host == "127.0.0.1"
    assert schema.http_options.port == Settings(_env_file=None).port
    AppArgs.model_validate(application.args)


def test_the_deployment_scales_and_takes_no_cpu_from_training(config: dict[str, Any]) -> None:
    application = call_user_app_builder_with_args_if_necessary(build, config["applications"][0]["args"])
    deployment = application._bound_deployment
    scaling = deployment._deployment_config.autoscaling_config
    assert (scaling.min_replicas, scaling.max_replicas) == (1, 4)
    assert deployment.ray_actor_options["num_cpus"] == 0
    assert deployment.max_ongoing_requests > scaling.target_ongoing_requests


@pytest.mark.parametrize(
    "args", [{"min_replicas": 0}, {"min_replicas": 5, "max_replicas": 2}, {"replicas": 3}, {"max_body_mb": 0}]
)
def test_wrong_arguments_are_refused(args: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AppArgs.model_validate(args)


def test_arguments_override_settings_and_paths_no_longer_depend_on_a_folder() -> None:
    applied = AppArgs(max_body_mb=3).applied_to(Settings(_env_file=None, plan_limit_mb=2))
    assert (applied.max_body_mb, applied.plan_limit_mb) == (3, 2)
    assert applied.home.is_absolute()
    assert applied.base.is_absolute()
