"""From a source of the spec to rows that a model can be fitted on."""

from training.data.access import DataAccess
from training.data.folds import nested_splits
from training.data.labels import class_label
from training.data.loading import batches, load, size_bytes
from training.data.roles import require_columns
from training.data.row_hashes import row_hashes
from training.data.rows import evaluation_rows, labelled_piece, make_rows, unified_frame
from training.data.schema import infer_schema, labelled_rows
from training.data.snapshots import SnapshotStore
from training.data.split_checks import check_train_rows, split_warnings
from training.data.splitting import split_rows
from training.data.table import Column, Dataset, Rows, Split, TableSchema
from training.data.target import encode_target

__all__ = [
    "Column", "DataAccess", "Dataset", "Rows", "SnapshotStore", "Split", "TableSchema", "batches",
    "check_train_rows", "class_label", "encode_target", "evaluation_rows", "infer_schema", "labelled_piece",
    "labelled_rows", "load", "make_rows", "nested_splits", "require_columns", "row_hashes", "size_bytes",
    "split_rows", "split_warnings", "unified_frame",
]  # fmt: skip
