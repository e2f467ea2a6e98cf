"""Reads the files that it is told of, in a process that may die: `python -m reading_child FOLDER`.

A line in is the name of a file; a line out is what became of it: `rows COUNT`, `refused MESSAGE`, or `raised TYPE`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from training.data import DataAccess, load
from training.errors import DataError
from training.spec import FileSource


def main() -> None:
    """Until its input ends."""
    folder = Path(sys.argv[1])
    access = DataAccess((str(folder),), folder)
    for line in sys.stdin:
        try:
            told = f"rows {len(load(FileSource(uri=line.strip()), access).frame)}"
        except DataError as error:
            told = f"refused {error.message[:500]!r}" if error.hint else f"raised a DataError without a hint: {error}"
        except Exception as error:  # noqa: BLE001  whatever it is, the test is told
            told = f"raised {type(error).__name__}: {str(error)[:300]!r}"
        print(told, flush=True)


if __name__ == "__main__":
    main()
