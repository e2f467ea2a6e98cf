"""No error of MLflow gets out, and none carries a secret."""

import sqlite3

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes

from training.errors import ConflictError, NotFoundError, UnavailableError
from training.registry.errors import translated, without_secrets


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (MlflowException("gone", codes.RESOURCE_DOES_NOT_EXIST), NotFoundError),
        (MlflowException("there", codes.RESOURCE_ALREADY_EXISTS), ConflictError),
        (MlflowException("lost connection", codes.INTERNAL_ERROR), UnavailableError),
        (MlflowException("busy", codes.TEMPORARILY_UNAVAILABLE), UnavailableError),
        (MlflowException("slow down", codes.REQUEST_LIMIT_EXCEEDED), UnavailableError),
        (OSError("disk full"), UnavailableError),
        (sqlite3.OperationalError("database is locked"), UnavailableError),
    ],
)
def test_each_error_has_one_of_ours(raised, kind):
    with (
        pytest.raises(kind, match=f"registering m failed: {str(raised).split(':')[-1].strip()}"),
        translated("registering m"),
    ):
        raise raised


def test_only_the_first_line_of_a_cause_is_told():
    with pytest.raises(UnavailableError) as caught, translated("writing"):
        raise MlflowException("connection lost\n[SQL: INSERT …]\n[parameters: ('secret',)]", codes.INTERNAL_ERROR)
    assert "secret" not in str(caught.value)
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql+psycopg://me:secret@host:5432/mlflow?sslmode=require", "postgresql+psycopg://host:5432/mlflow"),
        ("https://token@mlflow.example", "https://mlflow.example"),
        ("sqlite:///state/mlflow.db?x=1", "sqlite:///state/mlflow.db"),
    ],
)
def test_a_uri_is_shown_without_secrets(uri, shown):
    assert without_secrets(uri) == shown
