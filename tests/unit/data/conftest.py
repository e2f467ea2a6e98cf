from pathlib import Path

import pytest

from training.data import DataAccess


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The one folder that may be read; what lies beside it may not."""
    path = tmp_path / "allowed"
    path.mkdir()
    return path


@pytest.fixture
def access(folder: Path) -> DataAccess:
    return DataAccess((str(folder),), folder)
