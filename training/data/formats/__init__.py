"""File formats: one class per format, by name."""

from training.data.formats.base import TableFormat
from training.data.formats.csv_format import CsvFormat
from training.data.formats.jsonl_format import JsonLinesFormat
from training.data.formats.parquet_format import ParquetFormat

FORMATS: dict[str, TableFormat] = {"csv": CsvFormat(), "parquet": ParquetFormat(), "jsonl": JsonLinesFormat()}

__all__ = ["FORMATS", "TableFormat"]
