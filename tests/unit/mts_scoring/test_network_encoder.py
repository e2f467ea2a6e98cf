"""The arrays that a network reads, and the layers that read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from training.mts_scoring.columns import Feature, InputError
from training.mts_scoring.network_base import CategoryEmbedding, InputLayer, Inputs, InputShape, OneHot
from training.mts_scoring.network_encoder import NetworkEncoder, QuantileScale, RobustScale

NUMBER = (Feature("x", "numeric"),)


def test_robust_scaling_is_smoothly_clipped() -> None:
    scale = RobustScale.fit(np.arange(9.0))  # median 4, quartiles 2 and 6
    assert scale.apply(np.array([4.0, 8.0, 12.0, np.nan])) == pytest.approx(
        [0, 1 / np.sqrt(1 + 1 / 9), 2 / np.sqrt(1 + 4 / 9), 0]
    )
    assert abs(scale.apply(np.array([3e38, -3e38]))) == pytest.approx([3.0, 3.0])


def test_equal_quartiles_fall_back_to_the_range() -> None:
    scale = RobustScale.fit(np.array([0.0] * 9 + [10.0, 4.0]))
    assert scale.scale == pytest.approx(2 / 10)


def test_quantile_scaling_gives_normal_scores() -> None:
    values = np.random.default_rng(0).lognormal(0, 2, 30_000)
    scaled = QuantileScale.fit(values).apply(values)
    assert (scaled.mean(), scaled.std()) == pytest.approx((0.0, 1.0), abs=0.02)
    assert (np.diff(scaled[np.argsort(values)]) >= 0).all()


def test_what_lies_outside_of_training_gets_the_nearest_end() -> None:
    scale = QuantileScale.fit(np.arange(100.0))
    assert scale.apply(np.array([-1e9, 1e9])) == pytest.approx(scale.apply(np.array([0.0, 99.0])))


def test_a_value_that_fills_many_quantiles_gets_their_mean() -> None:
    scale = QuantileScale.fit(np.array([0.0] * 500 + list(range(1, 501))))
    low, missing = scale.apply(np.array([0.0, np.nan]))
    assert -1.0 < low < -0.5  # the mean of the lower half of a normal distribution is -0.8
    assert low <= missing < 0.2


@pytest.mark.parametrize("scaling", ["robust", "quantile"])
def test_missing_numbers_become_the_median_beside_an_indicator(scaling: str) -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0, 5.0, None]})
    encoder = NetworkEncoder.fit(frame, NUMBER, scaling=scaling)  # type: ignore[arg-type]
    encoded = encoder.transform(frame)
    assert encoded.numbers[5, 0] == encoded.numbers[2, 0]
    assert encoded.flags[:, 0].tolist() == [0, 0, 0, 0, 0, 1]


def test_missing_numbers_that_training_never_had_need_no_indicator() -> None:
    encoder = NetworkEncoder.fit(pd.DataFrame({"x": [1.0, 2.0, 3.0]}), NUMBER, scaling="robust")
    encoded = encoder.transform(pd.DataFrame({"x": [None]}, dtype=np.float64))
    assert encoded.flags.shape == (1, 0)
    assert encoded.numbers[0, 0] == 0.0


def test_two_values_are_a_flag_and_one_value_is_dropped() -> None:
    frame = pd.DataFrame(
        {"x": [3.0, 7.0, None, 7.0], "yes": [True, False, None, True], "same": [1.0] * 4, "none": [None] * 4}
    )
    features = (*NUMBER, Feature("yes", "boolean"), Feature("same", "numeric"), Feature("none", "numeric"))
    encoded = NetworkEncoder.fit(frame.astype({"none": float}), features, scaling="robust").transform(
        frame.astype({"none": float})
    )
    assert encoded.numbers.shape == (4, 0)
    assert encoded.flags.T.tolist() == [[-1, 1, 0, 1], [0, 0, 1, 0], [1, -1, 0, 1], [0, 0, 1, 0]]


def test_times_are_numbers() -> None:
    frame = pd.DataFrame({"t": pd.date_range("2024-01-01", periods=400, freq="D")})
    encoder = NetworkEncoder.fit(frame, (Feature("t", "datetime"),), scaling="quantile")
    assert encoder.num_numbers == 3  # month, weekday, days; the year has two values
    assert encoder.num_flags == 1


def test_unseen_and_rare_and_missing_categories_have_codes() -> None:
    frame = pd.DataFrame({"c": ["a"] * 5 + ["b"] * 4 + ["once"]})
    encoder = NetworkEncoder.fit(frame, (Feature("c", "categorical"),), scaling="robust")
    assert encoder.category_shares == ((0.5, 0.4, 0.1, 0.0),)  # a, b, the rest, missing
    codes = encoder.transform(pd.DataFrame({"c": ["b", "a", "once", "never seen", None]})).categories
    assert codes[:, 0].tolist() == [1, 0, 2, 2, 3]


def test_what_was_saved_encodes_alike(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=50), "c": ["a", "b"] * 25, "y": [0.0, 1.0] * 25})
    features = (*NUMBER, Feature("c", "categorical"), Feature("y", "numeric"))
    for scaling in ("robust", "quantile"):
        encoder = NetworkEncoder.fit(frame, features, scaling=scaling)  # type: ignore[arg-type]
        encoder.save(tmp_path / scaling)
        for saved, loaded in zip(
            encoder.transform(frame), NetworkEncoder.load(tmp_path / scaling).transform(frame), strict=True
        ):
            np.testing.assert_array_equal(saved, loaded)


def test_wrong_values_are_named() -> None:
    encoder = NetworkEncoder.fit(pd.DataFrame({"x": [1.0, 2.0, 3.0]}), NUMBER, scaling="robust")
    with pytest.raises(InputError, match="column 'x' should hold a number, not 'one'"):
        encoder.transform(pd.DataFrame({"x": ["one"]}))


def test_codes_that_training_never_had_count_as_the_average() -> None:
    one_hot = OneHot([0.75, 0.0, 0.25])
    assert one_hot(torch.tensor([0, 1, 2])).tolist() == [[1, 0], [0.75, 0.25], [0, 1]]
    embedding = CategoryEmbedding([0.75, 0.0, 0.25], 4)
    embedding.fill_unseen()
    expected = 0.75 * embedding.weight[0] + 0.25 * embedding.weight[2]
    torch.testing.assert_close(embedding.weight[1], expected)


def test_few_categories_are_one_hot_and_many_are_embedded() -> None:
    shape = InputShape(1, 2, ((0.5, 0.5, 0.0), (0.25, 0.25, 0.25, 0.25)))
    layer = InputLayer(shape, None, 1, max_one_hot=3, embedding_width=7)
    assert layer.widths == [1, 1, 1, 2, 7]
    inputs = Inputs(torch.zeros(3, 1), torch.zeros(3, 2), torch.zeros(3, 2, dtype=torch.int64))
    assert layer(inputs).shape == (3, sum(layer.widths))
