"""An audit package as a source of a log: nothing here needs a network (specs/audit.md §2)."""

import lzma
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from protocol.audit.pages import PAGE_BYTES_MAX
from protocol.errors import CouldNotCheck

FILE_BYTES_MAX: Final = PAGE_BYTES_MAX
"""No file of a log is larger than a full page of messages may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How another process opens a source again: a package's path, or a URL and a token."""

    place: str
    token: str | None = None
    is_remote: bool = False


class ClosedSource(ABC):
    """A source that is closed at the end of a `with` block."""

    @abstractmethod
    def fetch(self, path: str) -> bytes | None:
        """Return the file at `path`, or None if there is none; raise `CouldNotCheck` if that cannot be known."""

    @property
    @abstractmethod
    def label(self) -> str:
        """Return how a person would name the place."""

    @abstractmethod
    def close(self) -> None:
        """Give back what the source holds open."""

    def __enter__(self) -> Self:
        """Return the source."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the source."""
        self.close()


class PackageSource(ClosedSource):
    """A log in an audit package: a ZIP file, or a directory that one was unpacked into."""

    def __init__(self, path: Path) -> None:
        """Open the package, or raise `CouldNotCheck` when there is none at `path`."""
        self._path = path
        self.opening = Opening(place=str(path))
        self._archive: zipfile.ZipFile | None = None
        if path.is_dir():
            return
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
            raise CouldNotCheck(f"{path} is no audit package: {error}") from error

    @property
    def label(self) -> str:
        """Return the package's name."""
        return self._path.name

    def close(self) -> None:
        """Close the file."""
        if self._archive is not None:
            self._archive.close()

    def fetch(self, path: str) -> bytes | None:
        """Return the file at `path`, or None if there is none; raise `CouldNotCheck` when it cannot be read."""
        with self._readable(path):
            data = self._from_archive(self._archive, path) if self._archive else self._from_directory(path)
        if data is not None and len(data) > FILE_BYTES_MAX:
            raise CouldNotCheck(f"{self.label}: {path} is longer than {FILE_BYTES_MAX} bytes")
        return data

    @contextmanager
    def _readable(self, path: str) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
            raise CouldNotCheck(f"{self.label}: {path} cannot be read: {error}") from error

    def _from_archive(self, archive: zipfile.ZipFile, path: str) -> bytes | None:
        try:
            member = archive.getinfo(path)
        except KeyError:
            return None
        with archive.open(member) as file:
            # A member may claim any size: no more is unpacked than a file of a log may have.
            return file.read(FILE_BYTES_MAX + 1)

    def _from_directory(self, path: str) -> bytes | None:
        place = self._path / path
        if not place.is_file():
            return None
        with place.open("rb") as file:
            return file.read(FILE_BYTES_MAX + 1)
