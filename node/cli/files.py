"""Documents that people carry between nodes: read from a file, written to a file or to standard output."""

import os
import sys
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import msgspec
import typer

from node.cli.output import print_json, print_line
from node.cli.request import JsonObject
from protocol.errors import CouldNotCheck, EncodingInvalid
from protocol.exchange_file import FILE_BYTES_MAX
from protocol.limits import DOCUMENT_BYTES_MAX

OutOption: TypeAlias = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the document here, not to the screen.")
]
DocumentArgument: TypeAlias = Annotated[
    Path, typer.Argument(metavar="FILE", help="The document's file; - reads standard input.")
]


_PERMISSIONS: Final = 0o777


class FileUnreadable(CouldNotCheck):
    """A file cannot be read or written."""

    code = "file_unreadable"


def read_bytes(path: Path) -> bytes:
    """Return what the file at `path`, or standard input for `-`, holds, or raise `FileUnreadable`."""
    try:
        data = _read_at_most(FILE_BYTES_MAX + 1, path)
    except OSError as error:
        raise FileUnreadable(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > FILE_BYTES_MAX:
        raise FileUnreadable(f"{path} is longer than {FILE_BYTES_MAX} bytes, which no document is")
    return data


def _read_at_most(size: int, path: Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read(size)
    with path.open("rb") as file:
        return file.read(size)


def read_document(path: Path) -> JsonObject:
    """Return the JSON object in the file at `path`, or raise `FileUnreadable` or `EncodingInvalid`."""
    data = read_bytes(path)
    if len(data) > DOCUMENT_BYTES_MAX:
        raise EncodingInvalid(f"{path} is longer than {DOCUMENT_BYTES_MAX} bytes")
    try:
        document: JsonObject = msgspec.json.decode(data, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise EncodingInvalid(f"{path} holds no JSON object: {error}") from error
    return document


def write_document(document: object, out: Path | None, *, said: str) -> None:
    """Write `document` to `out` and say so, or print it."""
    data = msgspec.json.encode(document, order="sorted")
    if out is None:
        print_json(data)
        return
    write_bytes(out, data)
    print_line(f"{said}: {out}")


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file that is there whole or as it was before, also after a crash; or raise `FileUnreadable`."""
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)  # What is no file, as /dev/stdout or a pipe, keeps its place.
        else:
            _write_whole(path.resolve(), data)
    except (OSError, RuntimeError) as error:
        raise FileUnreadable(f"{path} cannot be written: {getattr(error, 'strerror', error)}") from error


def _write_whole(path: Path, data: bytes) -> None:
    beside = path.with_name(f".tallystick-{os.urandom(8).hex()}.new")
    try:
        with beside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            beside.chmod(path.stat().st_mode & _PERMISSIONS)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
