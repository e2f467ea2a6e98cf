"""The tables that ship with the project load and make sense."""

from pathlib import Path

import pytest

from training.data import DataAccess, infer_schema, load, split_rows, split_warnings
from training.spec import DataSpec, FileSource, SplitSpec

FOLDER = Path(__file__).parents[3] / "examples" / "data"


@pytest.mark.parametrize(
    ("name", "target", "task", "classes", "shape"),
    [
        ("german_credit", "creditability", "binary", ("good", "bad"), (1000, 21)),
        ("breast_cancer", "diagnosis", "binary", ("benign", "malignant"), (569, 31)),
        ("diabetes", "progression", "regression", (), (442, 11)),
    ],
)
def test_example(name, target, task, classes, shape):
    source = FileSource(uri=f"{name}.csv")
    frame = load(source, DataAccess((str(FOLDER),), FOLDER)).frame
    spec = DataSpec(source=source, target=target)
    schema = infer_schema(frame, spec, SplitSpec())
    assert (schema.task, schema.classes, frame.shape) == (task, classes, shape)
    assert schema.warnings == ()
    assert len(schema.features) == shape[1] - 1
    assert split_warnings(frame, schema, split_rows(frame, schema, spec, SplitSpec())) == ()


def test_every_example_is_described():
    readme = (FOLDER / "README.md").read_text()
    for path in FOLDER.glob("*.csv"):
        assert f"## {path.name}" in readme
