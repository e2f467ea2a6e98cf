from training.registry.params import MAX_VALUE_CHARS, flat_params


def test_nested_names_are_joined_by_dots():
    assert flat_params({"model": {"params": {"eta": 0.1, "tree": "hist"}}, "seed": 0}) == {
        "model.params.eta": "0.1", "model.params.tree": "hist", "seed": "0",
    }  # fmt: skip


def test_nothing_is_left_out_and_lists_are_kept_short():
    found = flat_params(
        {"a": None, "b": [], "c": {}, "d": [1, "x"], "e": list(range(100)), "f": [{"row": 1}], "g": False}
    )
    assert found == {"d": '[1, "x"]', "e": "<100 entries>", "f": "<1 entries>", "g": "false"}


def test_names_and_values_fit_mlflow():
    found = flat_params({"größe (m²)!": "x" * 5000})
    assert list(found) == ["größe _m²__"]
    assert len(found["größe _m²__"]) == MAX_VALUE_CHARS
