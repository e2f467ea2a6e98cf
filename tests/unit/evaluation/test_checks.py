"""What can be known to be wrong before anything is fitted is refused then."""

import pytest

from training.errors import SpecError
from training.evaluation import check_metrics
from training.spec import TrainSpec, parse_spec


def spec_with(**parts):
    rows = [{"a": 1, "b": 0}]
    return parse_spec(
        TrainSpec, {"name": "m", "data": {"source": {"type": "inline", "rows": rows}, "target": "b"}} | parts
    )


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"evaluation": {"metrics": ["rmse"]}}, "evaluation.metrics: rmse: no metric of a binary task"),
        (
            {"promotion": {"metric": "macro_f1"}},
            "promotion.metric: macro_f1: no metric of a binary task; known: ",
        ),
        ({"evaluation": {"cost_matrix": {"yes": {"no": 1}, "n": {"yes": 1}}}}, "evaluation.cost_matrix: no such class"),
    ],
)
def test_what_does_not_fit_the_task_is_refused(parts, message):
    with pytest.raises(SpecError, match=message):
        check_metrics(spec_with(**parts), "binary", ("no", "yes"))


def test_what_fits_passes():
    spec = spec_with(
        evaluation={"metrics": ["f1"], "cost_matrix": {"yes": {"no": 5}, "no": {"yes": 1}}}, promotion={"metric": "ece"}
    )
    check_metrics(spec, "binary", ("no", "yes"))
