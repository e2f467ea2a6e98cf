"""What the rows of a job look like, column by column."""

from training.data.profiling.columns import ColumnProfile, Histogram, profile_columns
from training.data.profiling.page import page
from training.data.profiling.report import DataReport, DataReports

__all__ = ["ColumnProfile", "DataReport", "DataReports", "Histogram", "page", "profile_columns"]
