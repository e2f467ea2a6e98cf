"""A folder of the artifact store, on this machine or on object storage, in which files appear whole or not at all."""

from __future__ import annotations

import posixpath
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pyarrow import fs

from training.data.files import shown_root
from training.data.remote import filesystem_of
from training.errors import UnavailableError

HINT = "Check MTS_ARTIFACT_URI and that the storage can be reached."


class ArtifactFolder:
    """Files below a URI, by paths with slashes. Safe to use from threads.

    Every method raises UnavailableError when the storage is away.
    """

    def __init__(self, artifact_uri: str, folder: str) -> None:
        """Takes the artifact store, whose URI may carry options, and the name of a folder in it."""
        place, sign, options = artifact_uri.partition("?") if "://" in artifact_uri else (artifact_uri, "", "")
        self.uri = f"{place.rstrip('/')}/{folder}{sign}{options}"
        with self._explained():
            self._filesystem, self._root = filesystem_of(self.uri)

    def location(self, path: str) -> str:
        """Where a file lies, for people; without credentials."""
        return f"{shown_root(self.uri)}/{path}"

    def path(self, path: str) -> tuple[Any, str]:
        """The pyarrow file system and the path of a file on it."""
        return self._filesystem, posixpath.join(self._root, path)

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        with self._explained():
            return bool(self._info(path).type != fs.FileType.NotFound)

    def write(self, path: str, fill: Callable[[Any], None]) -> None:
        """A file with what `fill` writes to the stream; a reader sees the whole of it or none."""
        target = posixpath.join(self._root, path)
        partial = f"{target}.{uuid.uuid4().hex}.partial"
        with self._explained():
            self._filesystem.create_dir(posixpath.dirname(target), recursive=True)
        try:
            with self._explained():
                with self._filesystem.open_output_stream(partial) as stream:
                    fill(stream)
                self._filesystem.move(partial, target)
        except BaseException:
            self._remove_file(partial)
            raise

    def write_bytes(self, path: str, content: bytes) -> None:
        """A small file."""
        self.write(path, lambda stream: stream.write(content))

    def read_bytes(self, path: str) -> bytes | None:
        """A small file; None where there is none."""
        with self._explained():
            if self._info(path).type != fs.FileType.File:
                return None
            with self._filesystem.open_input_stream(posixpath.join(self._root, path)) as stream:
                return bytes(stream.read())

    def names(self, folder: str = "") -> list[str]:
        """Names of what lies directly in a folder, sorted; nothing where there is no folder."""
        with self._explained():
            place = posixpath.join(self._root, folder).rstrip("/")
            # without markers, which copies of a bucket lack, Google's storage lists no folder among the files
            deep = self._filesystem.type_name == "gcs"
            found = self._filesystem.get_file_info(fs.FileSelector(place, allow_not_found=True, recursive=deep))
        names = {info.path[len(place) :].strip("/").split("/")[0] if deep else info.base_name for info in found}
        return sorted(name for name in names if not name.endswith(".partial"))

    def info(self, path: str) -> Any:
        """Size and time of a file, as pyarrow tells them."""
        with self._explained():
            return self._info(path)

    def remove(self, folder: str) -> bool:
        """Removes a folder with all in it; False where there was none."""
        with self._explained():
            if self._info(folder).type == fs.FileType.NotFound:
                return False
            try:
                self._filesystem.delete_dir(posixpath.join(self._root, folder))
            except FileNotFoundError:  # of the marker alone, see `names`, or somebody else has removed it
                if self._info(folder).type != fs.FileType.NotFound:
                    raise
        return True

    def _info(self, path: str) -> Any:
        return self._filesystem.get_file_info(posixpath.join(self._root, path))

    def _remove_file(self, full_path: str) -> None:
        with self._explained():
            if self._filesystem.get_file_info(full_path).type == fs.FileType.File:
                self._filesystem.delete_file(full_path)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = str(error).splitlines()[0]
            raise UnavailableError(f"the artifact store does not answer: {reason}", hint=HINT) from error
