"""The exchange file: parcels that travel as a file, with numbers and control totals (specs/file-exchange.md).

One canonical JSON record a line: a header, one parcel a line, a trailer. The parcels are those that travel over HTTPS,
signed as there; what is around them tells an operator at once that a file is whole, whose it is and what is in it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from protocol.encoding import Codec
from protocol.envelope import decode_parcel
from protocol.errors import (
    BodyInvalid,
    EnvelopeInvalid,
    ExchangeFileDamaged,
    ExchangeFileIncomplete,
    ExchangeFileInvalid,
)
from protocol.fields import DigestField, LedgerField, NetworkField, TimeField
from protocol.identifiers import Digest
from protocol.messages import Body, Fulfil, Prepare, decode_body
from protocol.points import Amount, Natural
from protocol.statement import TotalText

FILE_BYTES_MAX: Final = 67_108_864
FILE_PARCELS_MAX: Final = 256
_RECORD_BYTES_MAX: Final = 4_096
_OTHER_LINES: Final = 2
"""The header and the trailer."""


class FileHeader(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="record", tag="header"
):
    """The first line: from whom to whom, and the file's number; `epoch` is that of the sender's stream."""

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    network: NetworkField
    sender: LedgerField
    receiver: LedgerField
    number: Amount
    created_at: TimeField
    epoch: Amount


class PrepareTotals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many PREPAREs a file holds, and the sums of what they state."""

    count: Natural = 0
    source_points: TotalText = "0"
    destination_points: TotalText = "0"
    value: TotalText = "0"


class FulfilTotals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many FULFILs a file holds, and the sums of what they state."""

    count: Natural = 0
    destination_points: TotalText = "0"
    value: TotalText = "0"


class FileTrailer(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="record", tag="trailer"
):
    """The last line: what the file holds; `sha256` is the hash of all lines before."""

    parcels: Natural
    bodies: Natural
    prepares: PrepareTotals
    fulfils: FulfilTotals
    sha256: DigestField


class ExchangeFile(msgspec.Struct, frozen=True, kw_only=True):
    """A whole file whose totals are right; its parcels' signatures are not yet verified."""

    header: FileHeader
    parcels: tuple[bytes, ...]
    trailer: FileTrailer


_HEADERS: Final = Codec(msgspec.json.Decoder(FileHeader), error=ExchangeFileInvalid, bytes_max=_RECORD_BYTES_MAX)
_TRAILERS: Final = Codec(msgspec.json.Decoder(FileTrailer), error=ExchangeFileInvalid, bytes_max=_RECORD_BYTES_MAX)


def encode_exchange_file(header: FileHeader, parcels: Sequence[bytes]) -> bytes:
    """Return the file that carries `parcels`, or raise `ExchangeFileInvalid` where no reader would accept it."""
    lines = b"".join(line + b"\n" for line in (_HEADERS.encode(header), *parcels))
    trailer = _trailer_of(header, parcels, sha256=_sha256(lines))
    data = lines + _TRAILERS.encode(trailer) + b"\n"
    decode_exchange_file(data)  # What is made here must be what another node accepts.
    return data


def decode_exchange_file(data: bytes) -> ExchangeFile:
    """Return the file in `data`, or raise `ExchangeFileInvalid`.

    Raises its kind `ExchangeFileIncomplete` when the end is missing, and `ExchangeFileDamaged` when the lines are not
    those that the trailer was made for.
    """
    if len(data) > FILE_BYTES_MAX:
        raise ExchangeFileInvalid(f"longer than {FILE_BYTES_MAX} bytes")
    # Before they are lines: of a file of line ends alone these would take twenty times its memory.
    if data.count(b"\n") > FILE_PARCELS_MAX + _OTHER_LINES:
        raise _too_many()
    *lines, tail = data.split(b"\n")
    trailer = _read_trailer(lines, tail)
    if _sha256(data[: -len(lines[-1]) - 1]) != trailer.sha256:
        raise ExchangeFileDamaged(f"the lines are not those that the trailer was made for: {_damage_in(lines)}")
    header, parcels = _HEADERS.decode(lines[0]), tuple(lines[1:-1])
    if trailer != _trailer_of(header, parcels, sha256=trailer.sha256):
        raise ExchangeFileInvalid("the trailer counts other parcels, bodies or totals than are there")
    return ExchangeFile(header=header, parcels=parcels, trailer=trailer)


def _read_trailer(lines: Sequence[bytes], tail: bytes) -> FileTrailer:
    """Return the last line, or raise what tells best why it is none: every line ends with LF, so no tail follows it."""
    if lines and not tail:
        try:
            return _TRAILERS.decode(lines[-1])
        except ExchangeFileInvalid as error:
            _HEADERS.decode(lines[0])
            if len(lines) > 1 and not _is_parcel(lines[-1]):
                raise ExchangeFileDamaged(f"the trailer cannot be read: {error}") from error
    _HEADERS.decode(lines[0] if lines else tail)
    raise ExchangeFileIncomplete("the file ends before its trailer")


def _damage_in(lines: Sequence[bytes]) -> str:
    """Return which line is the first that nobody can have sent; what a signature covers shows it without a key."""
    try:
        _HEADERS.decode(lines[0])
    except ExchangeFileInvalid:
        return "line 1 is no header"
    for number, line in enumerate(lines[1:-1], 2):
        if not _is_parcel(line):
            return f"line {number} is no parcel"
    return "each can be read, so it is the header, a signature or a whole line that is another"


def _is_parcel(line: bytes) -> bool:
    try:
        decode_parcel(line)
    except EnvelopeInvalid:
        return False
    return True


def _too_many() -> ExchangeFileInvalid:
    return ExchangeFileInvalid(f"more than {FILE_PARCELS_MAX} parcels")


def _sha256(lines: bytes) -> Digest:
    return Digest(hashlib.sha256(lines).hexdigest())


def _trailer_of(header: FileHeader, parcels: Sequence[bytes], *, sha256: Digest) -> FileTrailer:
    if len(parcels) > FILE_PARCELS_MAX:
        raise _too_many()
    bodies = [body for line in parcels for body in _bodies_of(header, line)]
    prepares = [body for body in bodies if isinstance(body, Prepare)]
    fulfils = [body for body in bodies if isinstance(body, Fulfil)]
    return FileTrailer(
        parcels=len(parcels),
        bodies=len(bodies),
        prepares=PrepareTotals(
            count=len(prepares),
            source_points=str(sum(body.source_points for body in prepares)),
            destination_points=str(sum(body.destination_points for body in prepares)),
            value=str(sum(body.value for body in prepares)),
        ),
        fulfils=FulfilTotals(
            count=len(fulfils),
            destination_points=str(sum(body.destination_points for body in fulfils)),
            value=str(sum(body.value for body in fulfils)),
        ),
        sha256=sha256,
    )


def _bodies_of(header: FileHeader, line: bytes) -> Iterator[Body]:
    try:
        parcel = decode_parcel(line)
        within = parcel.header
        if (within.network, within.sender, within.receiver) != (header.network, header.sender, header.receiver):
            raise ExchangeFileInvalid("a parcel is from, or for, another ledger than the file")
        for body in parcel.bodies:
            yield decode_body(body)
    except (BodyInvalid, EnvelopeInvalid) as error:
        raise ExchangeFileInvalid(f"a parcel cannot be read: {error}") from error
