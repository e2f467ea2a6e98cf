"""Pieces in the order in which they came: in memory as long as they are few, then on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

SPILL_BYTES = 256 * 2**20
"""From here on pieces lie on disk."""


class Spool:
    """Keeps pyarrow.Tables of one origin, whose types may differ from piece to piece.

    On disk they are Arrow files in LZ4, a new one for each change of types. Not safe to use from several threads.

    Args:
        folder: exists, and is for this spool alone; whoever made it removes it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: list[Any] = []
        self._held_bytes = 0
        self._files: list[Path] = []
        self._writer: Any = None
        self._schema: Any = None

    @property
    def is_on_disk(self) -> bool:
        """Whether some of it is."""
        return bool(self._files)

    def put(self, rows: Any) -> None:
        """Adds a piece."""
        if self.is_on_disk:
            self._write(rows)
            return
        self._held.append(rows)
        self._held_bytes += rows.nbytes
        if self._held_bytes > SPILL_BYTES:
            held, self._held = self._held, []
            for one in held:
                self._write(one)

    def pieces(self) -> Iterator[Any]:
        """All of them; nothing may be put any more."""
        self.close()
        yield from self._held
        for path in self._files:
            with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as opened:
                for number in range(opened.num_record_batches):
                    yield pa.Table.from_batches([opened.get_batch(number)])

    def close(self) -> None:
        """Ends writing."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def clear(self) -> None:
        """Forgets everything."""
        self.close()
        for path in self._files:
            path.unlink()
        self._held, self._held_bytes, self._files = [], 0, []

    def _write(self, rows: Any) -> None:
        if self._writer is None or not rows.schema.equals(self._schema):
            self.close()
            path = self._folder / f"{len(self._files)}.arrow"
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._writer = pa.ipc.new_file(str(path), rows.schema, options=options)
            self._schema = rows.schema
            self._files.append(path)
        self._writer.write_table(rows)
