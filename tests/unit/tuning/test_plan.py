"""What a search may ask for, and what is refused, with the field, before anything runs."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from training.errors import SpecError
from training.models.families import family_of
from training.spec import SklearnSpec, TorchArchitecture, TorchSpec, TrainSpec, XGBoostSpec, parse_spec
from training.spec.model import SklearnEstimator
from training.tuning import plan_study
from training.tuning.default_spaces import default_space

DATA = {"source": {"type": "inline", "rows": [{"x": 1, "y": 0}]}, "target": "y"}
MODELS = [
    XGBoostSpec(),
    *(SklearnSpec(estimator=name) for name in get_args(SklearnEstimator)),
    *(TorchSpec(architecture=name) for name in get_args(TorchArchitecture)),
]
ONLY = {"logistic_regression": "binary", "ridge": "regression", "elastic_net": "regression"}


def name_of(model: Any) -> str:
    return str(getattr(model, "estimator", getattr(model, "architecture", "xgboost")))


def spec_of(tune: dict[str, Any], **changes: Any) -> TrainSpec:
    return parse_spec(TrainSpec, {"name": "toy", "data": DATA, "tune": tune, **changes})


def fails(tune: dict[str, Any], task: str = "binary", **changes: Any) -> SpecError:
    with pytest.raises(SpecError) as caught:
        plan_study(spec_of(tune, **changes), task)
    return caught.value


def range_of(low: Any, high: Any, kind: str = "float", **more: Any) -> dict[str, Any]:
    return {"type": kind, "low": low, "high": high, **more}


@pytest.mark.parametrize(
    "model", MODELS, ids=lambda model: getattr(model, "estimator", getattr(model, "architecture", "xgboost"))
)
def test_every_family_has_a_space_that_it_accepts(model: Any) -> None:
    task = ONLY.get(getattr(model, "estimator", ""), "binary")
    space = default_space(model, task)
    searched = {name: parameter.model_dump() for name, parameter in space.parameters.items()}

    plan = plan_study(spec_of({"search_space": searched}, model=model.model_dump()), task)

    assert set(plan.space.parameters) == set(space.parameters)
    assert space.as_point({}) is not None
    # the values taken for the family's defaults are ones that it takes
    family_of(model).check(model.model_copy(update={"params": dict(space.defaults)}), task)


def test_a_number_of_trials_is_enough() -> None:
    plan = plan_study(spec_of({"num_trials": 50}), "binary")

    assert (plan.goal.objectives, plan.scheduler, plan.tune.searcher) == (("roc_auc",), "asha", "tpe")
    assert "learning_rate" in plan.space.parameters


def test_what_the_spec_fixes_is_not_searched_unless_it_is_named() -> None:
    model = {"family": "xgboost", "params": {"max_depth": 4, "subsample": 0.9}}
    plan = plan_study(spec_of({"search_space": {"subsample": range_of(0.6, 1.0)}}, model=model), "binary")

    assert "max_depth" not in plan.space.parameters
    assert plan.space.parameters["subsample"].low == 0.6
    assert plan.space.defaults["subsample"] == 0.9


@pytest.mark.parametrize(
    ("tune", "field", "words"),
    [
        ({"search_space": {"max_depth": range_of(9, 3, "int")}}, "tune.search_space.max_depth", "above high"),
        ({"search_space": {"gamma": range_of(0.0, 1.0, log=True)}}, "tune.search_space.gamma", "above zero"),
        ({"search_space": {"gamma": range_of(0.1, 1.0, log=True, step=0.1)}}, "tune.search_space.gamma", "log or step"),
        (
            {"search_space": {"booster": {"type": "choice", "values": []}}},
            "tune.search_space.booster.values",
            "at least 1",
        ),
        ({"search_space": {"max_bin": {"type": "choice", "values": [64, 64]}}}, "tune.search_space.max_bin", "twice"),
        (
            {"search_space": {"max_bin": {"type": "choise", "values": [64]}}},
            "tune.search_space.max_bin.type",
            "nearest: choice",
        ),
        ({"search_space": {"max_dept": range_of(2, 8, "int")}}, "tune.search_space.max_dept", "nearest: max_depth"),
        ({"search_space": {"subsample": range_of(0.5, 2.0)}}, "tune.search_space.subsample", "2"),
        ({"search_space": {"n_jobs": range_of(1, 2, "int")}}, "tune.search_space.n_jobs", "cpus_per_worker"),
        (
            {"search_space": {"gamma": range_of(0.1, 1, when={"max_dept": 3})}},
            "tune.search_space.gamma.when.max_dept",
            "no parameter",
        ),
        (
            {"search_space": {"gamma": range_of(0.1, 1, when={"gamma": 1})}},
            "tune.search_space.gamma.when.gamma",
            "itself",
        ),
        ({"search_space": {"gamma": range_of(0, 1, step=5)}}, "tune.search_space.gamma", "longer than the range"),
        (
            {"search_space": {"gamma": range_of(0, 1, when={"max_depth": []})}},
            "tune.search_space.gamma.when",
            "no value",
        ),
        (
            {"search_space": {"gamma": range_of(0, 1, when={"max_depth": 99})}},
            "tune.search_space.gamma.when.max_depth",
            "from 2 to 10",
        ),
        (
            {"search_space": {"eta": range_of(0.1, 0.2), "learning_rate": range_of(0.1, 0.2)}},
            "tune.search_space.learning_rate",
            "the same parameter as eta",
        ),
        (
            {
                "search_space": {
                    "gamma": range_of(0, 1, when={"reg_alpha": 1}),
                    "reg_alpha": range_of(0, 1, when={"reg_lambda": 1}),
                    "reg_lambda": range_of(0, 1, when={"gamma": 1}),
                }
            },
            "tune.search_space.gamma.when",
            "in a circle",
        ),
        ({"metric": "rmse"}, "tune.metric", "binary"),
        ({"metric": "roc_acu"}, "tune.metric", "nearest: roc_auc"),
        ({"objectives": ["roc_auc", "predict_m"]}, "tune.objectives", "nearest: predict_ms"),
        ({"objectives": ["roc_auc", "roc_auc"]}, "tune.objectives", "twice"),
        ({"metric": "roc_auc", "objectives": ["log_loss"]}, "tune", "not both"),
        ({"constraints": ["ece < five"]}, "tune.constraints", "ece <= 0.05"),
        ({"constraints": ["rmse <= 1"]}, "tune.constraints", "binary"),
        ({"time_budget_s": 0}, "tune.time_budget_s", "greater than 0"),
        ({"num_trials": 0}, "tune.num_trials", "greater than or equal to 1"),
        ({"searcher": "grid"}, "tune.search_space", "nothing to search"),
        ({"searcher": "grid", "search_space": {"gamma": range_of(0, 1)}}, "tune.search_space.gamma", "step"),
        ({"searcher": "cmaes", "objectives": ["roc_auc", "fit_s"]}, "tune.searcher", "one objective"),
        ({"scheduler": "asha", "objectives": ["roc_auc", "fit_s"]}, "tune.scheduler", "several objectives"),
        ({"scheduler": "hyperbnd"}, "tune.scheduler", "hyperband"),
        ({"warm_start": False, "warm_start_from": "other"}, "tune.warm_start_from", "warm_start is false"),
    ],
)
def test_what_cannot_be_searched_is_named(tune: dict[str, Any], field: str, words: str) -> None:
    error = fails(tune)

    assert error.problems[0].field == field
    assert words in error.message


def test_a_grid_larger_than_the_number_of_trials_is_refused() -> None:
    grid = {"max_depth": range_of(2, 10, "int"), "max_bin": {"type": "choice", "values": [64, 128, 256]}}

    error = fails({"searcher": "grid", "num_trials": 26, "search_space": grid})

    assert error.problems[0].field == "tune.num_trials"
    assert "27 points" in error.message
    assert (
        plan_study(spec_of({"searcher": "grid", "num_trials": 27, "search_space": grid}), "binary").space.grid_size()
        == 27
    )


def test_by_default_no_trial_ends_early_where_its_curve_does_not_say_all() -> None:
    assert plan_study(spec_of({"constraints": ["ece <= 0.05"]}), "binary").scheduler == "none"
    assert plan_study(spec_of({"constraints": ["ece <= 0.05"], "scheduler": "asha"}), "binary").scheduler == "asha"
    assert plan_study(spec_of({"objectives": ["roc_auc", "fit_s"]}), "binary").scheduler == "none"


def test_a_scheduler_needs_a_family_that_tells_how_it_does() -> None:
    forest = {"family": "sklearn", "estimator": "random_forest"}

    error = fails({"scheduler": "asha"}, model=forest)

    assert error.problems[0].field == "tune.scheduler"
    assert "random_forest" in error.message
    assert plan_study(spec_of({}, model=forest), "binary").scheduler == "none"
    assert plan_study(spec_of({"folds": 3}, model=forest), "binary").scheduler == "asha"


def test_folds_by_chance_do_not_go_with_a_split_that_is_not() -> None:
    error = fails({"folds": 5}, split={"strategy": "predefined", "column": "part"})

    assert error.problems[0].field == "tune.folds"


def test_a_parameter_comes_after_those_that_it_depends_on() -> None:
    space = {
        "max_leaves": range_of(4, 64, "int", when={"grow_policy": "lossguide"}),
        "grow_policy": {"type": "choice", "values": ["depthwise", "lossguide"]},
    }
    plan = plan_study(spec_of({"search_space": space}), "binary")
    names = list(plan.space.parameters)

    assert names.index("grow_policy") < names.index("max_leaves")
    wrong = {**space, "max_leaves": range_of(4, 64, "int", when={"grow_policy": "lossguid"})}
    assert "nearest: lossguide" in fails({"search_space": wrong}).message


def test_a_parameter_by_another_name_takes_the_place_of_the_family_s_own() -> None:
    named = plan_study(spec_of({"search_space": {"eta": range_of(0.1, 0.2)}}), "binary").space
    fixed = plan_study(spec_of({}, model={"family": "xgboost", "params": {"eta": 0.1}}), "binary").space

    assert "eta" in named.parameters
    assert "learning_rate" not in named.parameters
    assert named.as_point({}) is not None
    assert not {"eta", "learning_rate"} & set(fixed.parameters)


def test_a_condition_on_what_the_spec_fixes_is_refused() -> None:
    model = {"family": "xgboost", "params": {"max_depth": 4}}

    error = fails({"search_space": {"gamma": range_of(0, 1, when={"max_depth": 9})}}, model=model)

    assert error.problems[0].field == "tune.search_space.gamma.when.max_depth"
    assert "max_depth is 4" in error.message


HYBRID = {"family": "hybrid"}


def test_a_stack_is_searched_by_the_spaces_of_its_members() -> None:
    space = {"xgboost.max_depth": range_of(2, 4, "int")}
    plan = plan_study(spec_of({"num_trials": 20, "search_space": space}, model=HYBRID), "binary")

    assert [start["member"] for start in plan.starts] == ["xgboost", "tabm", "logistic_regression"]
    assert plan.scheduler == "none"
    drawn = plan.space.draw(lambda name, parameter: "tabm" if name == "member" else parameter.low
                            if hasattr(parameter, "low") else parameter.values[0])  # fmt: skip
    assert {name.partition(".")[0] for name in drawn} == {"member", "tabm"}
    assert plan.space.parameters["xgboost.max_depth"].high == 4


def test_a_pair_is_searched_as_one_model() -> None:
    plan = plan_study(spec_of({}, model={"family": "hybrid", "strategy": "leaf_embedding"}), "binary")

    assert plan.starts == ({},)
    assert {"xgboost.learning_rate", "tabm.dropout"} <= set(plan.space.parameters)


@pytest.mark.parametrize(
    ("strategy", "name", "words"),
    [
        ("stack", "xgbost.max_depth", "nearest: xgboost"),
        ("stack", "xgboost.max_dept", "nearest: max_depth"),
        ("stack", "max_depth", "named with it"),
        ("leaf_embedding", "n_tree", "nearest: n_trees"),
        ("leaf_embedding", "tabm.dropuot", "nearest: dropout"),
    ],
)
def test_a_parameter_that_no_member_has_is_named(strategy: str, name: str, words: str) -> None:
    error = fails({"search_space": {name: range_of(2, 4, "int")}}, model=HYBRID | {"strategy": strategy})

    assert error.problems[0].field == f"tune.search_space.{name}"
    assert words in error.message


def test_trials_of_several_workers_cannot_be_ended_early_or_vary_in_size() -> None:
    spread = {"num_workers": 2}

    assert plan_study(spec_of({}, resources=spread), "binary").scheduler == "none"
    assert fails({"scheduler": "asha"}, resources=spread).problems[0].field == "tune.scheduler"
    elastic = fails({}, model={"family": "torch"}, resources={"num_workers": [1, 2], "engine": "ray_train"})
    assert elastic.problems[0].field == "resources.num_workers"


TORCH = {"family": "torch"}


def test_pbt_searches_what_may_change_while_a_network_trains() -> None:
    plan = plan_study(spec_of({"scheduler": "pbt"}, model=TORCH), "binary")

    assert {"learning_rate", "weight_decay", "dropout"} == set(plan.space.parameters)


@pytest.mark.parametrize(
    ("model", "tune", "field", "words"),
    [
        ({"family": "xgboost"}, {}, "tune.scheduler", "cannot drive xgboost"),
        (TORCH, {"search_space": {"n_blocks": range_of(1, 4, "int")}}, "tune.search_space.n_blocks", "cannot change"),
        (TORCH, {"folds": 3}, "tune.folds", "validation rows"),
        (
            TORCH,
            {"searcher": "grid", "search_space": {"dropout": range_of(0, 0.4, step=0.1)}},
            "tune.searcher",
            "on the way",
        ),
        (TORCH, {"stop": {"patience": 3}}, "tune.stop", "side by side"),
        (TORCH, {"objectives": ["roc_auc", "fit_s"]}, "tune.scheduler", "one metric"),
    ],
)
def test_what_pbt_cannot_drive_is_named(model: dict[str, Any], tune: dict[str, Any], field: str, words: str) -> None:
    error = fails({"scheduler": "pbt"} | tune, model=model)

    assert error.problems[0].field == field
    assert words in error.message


def test_a_search_tries_known_configurations_of_its_space_early() -> None:
    known = plan_study(spec_of({"num_trials": 50}), "binary").known
    fixed = plan_study(spec_of({"num_trials": 50}, model={"family": "xgboost", "params": {"max_depth": 4}}), "binary")

    assert len(known) == 5
    assert all("max_depth" not in config for config in fixed.known)
    assert all(fixed.space.fits(config) for config in fixed.known)
    assert plan_study(spec_of({"num_trials": 9}), "binary").known == ()
    assert plan_study(spec_of({"num_trials": 50, "searcher": "random"}), "binary").known == ()
