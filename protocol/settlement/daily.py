"""The daily file of a partner: every conversion that was decided on a day, both ways, as one side has it.

The destination stamps the moment of its decision into its word, so both sides put a conversion into the same day,
whenever they learn of it. The file is CSV whose cells need no quotes; its last line counts and hashes the lines, so
that one that was cut off or changed is not compared (specs/reconciliation.md).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum, unique
from hashlib import sha256
from typing import Final

import msgspec

from protocol.errors import ReconciliationInvalid
from protocol.identifiers import Digest, Ledger, Network
from protocol.limits import DOCUMENT_BYTES_MAX
from protocol.points import Natural

DAILY_BYTES_MAX: Final = 64 * DOCUMENT_BYTES_MAX
VERSION: Final = "1"
_HEADER: Final = "header"
_LINE: Final = "line"
_SUM: Final = "sum"
_TRAILER: Final = "trailer"
_HEADER_CELLS: Final = 6
_OTHER_ROWS: Final = 3
"""The sums of both directions, and the trailer."""


@unique
class DailyState(StrEnum):
    """What has become of a conversion: one that is pending is not decided, as far as its source knows."""

    COMPLETED = "completed"
    RETURNED = "returned"
    PENDING = "pending"


class DailyLine(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One conversion as one side has it; what is not known of an undecided or refused one is empty or 0."""

    source: str
    conversion: str
    destination: str
    state: DailyState
    reason: str = ""
    decided_at: str = ""
    window: Natural = 0
    dec_seq: Natural = 0
    source_points: Natural = 0
    destination_points: Natural = 0
    fee_points: Natural = 0
    value: Natural = 0
    currency: str = ""
    agreement: str = ""


COLUMNS: Final = DailyLine.__struct_fields__
# Here, while nobody else asks: two threads that show msgspec a new type at once crash the process (0.22).
msgspec.json.Decoder(DailyLine)


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyFile:
    """What the ledger `sender` has of the conversions with `partner` that were decided on `day`, in UTC."""

    network: Network
    sender: Ledger
    partner: Ledger
    day: str
    lines: tuple[DailyLine, ...]


@unique
class DailyFault(StrEnum):
    """How the two sides of a conversion differ."""

    MISSING_THERE = "missing_there"
    MISSING_HERE = "missing_here"
    UNDELIVERED = "undelivered"
    FIELDS = "fields"


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyDifference:
    """A conversion that the two sides do not have alike; `fields` are those that differ, with ours and theirs."""

    source: str
    conversion: str
    fault: DailyFault
    fields: tuple[tuple[str, str, str], ...] = ()


def encode_daily(file: DailyFile) -> bytes:
    """Return the file's bytes: header, columns, lines in order, sums of each direction, trailer."""
    rows = [
        (_HEADER, VERSION, file.network, file.sender, file.partner, file.day),
        (_LINE, *COLUMNS),
        *((_LINE, *_cells(line)) for line in sorted(file.lines)),
        *_sums(file),
    ]
    text = "".join(",".join(map(str, row)) + "\n" for row in rows)
    return f"{text}{_trailer(text, len(file.lines))}\n".encode()


def _cells(line: DailyLine) -> Iterator[str]:
    return (str(getattr(line, column)) for column in COLUMNS)


def _sums(file: DailyFile) -> Iterator[tuple[object, ...]]:
    """Yield the control totals of each direction: how many of each state, and the sums of the completed."""
    for source in sorted((file.sender, file.partner)):
        lines = [line for line in file.lines if line.source == source]
        completed = [line for line in lines if line.state is DailyState.COMPLETED]
        yield (
            _SUM,
            source,
            *(sum(line.state is state for line in lines) for state in DailyState),
            sum(line.source_points for line in completed),
            sum(line.destination_points for line in completed),
            sum(line.fee_points for line in completed),
            sum(line.value for line in completed),
        )


def _trailer(text: str, count: int) -> str:
    return f"{_TRAILER},{count},{Digest(sha256(text.encode()).hexdigest())}"


def decode_daily(data: bytes) -> DailyFile:
    """Return the file in `data`, whole and unchanged, or raise `ReconciliationInvalid`."""
    if len(data) > DAILY_BYTES_MAX:
        raise ReconciliationInvalid(f"a file has at most {DAILY_BYTES_MAX} bytes")
    try:
        text = data.decode().removeprefix("\ufeff").replace("\r\n", "\n")
        header, columns, rest = text.split("\n", 2)
        kind, version, network, sender, partner, day = header.split(",", _HEADER_CELLS)
    except ValueError as error:
        raise _not_its_lines() from error
    _check_text(header)
    if (kind, version, columns) != (_HEADER, VERSION, ",".join((_LINE, *COLUMNS))):
        raise ReconciliationInvalid("this is no daily file of this version")
    lines = tuple(_lines(rest))
    file = DailyFile(network=Network(network), sender=Ledger(sender), partner=Ledger(partner), day=day, lines=lines)
    _check_lines(file)
    if text.removesuffix("\n") != encode_daily(file).decode().removesuffix("\n"):
        raise ReconciliationInvalid(
            "the file was cut off or changed: its sums or its trailer are not those of its lines"
        )
    return file


def _lines(text: str) -> Iterator[DailyLine]:
    """Yield the conversions among the rows of `text`, each read before the next: of a hostile file few are kept."""
    others, start = 0, 0
    while start < len(text):
        end = text.find("\n", start)
        row = text[start:] if end < 0 else text[start:end]
        start += len(row) + 1
        _check_text(row)
        name, *cells = row.split(",", len(COLUMNS) + 1)
        if name == _LINE:
            yield _line(cells)
            continue
        others += 1
        if others > _OTHER_ROWS:
            raise _not_its_lines()


def _not_its_lines() -> ReconciliationInvalid:
    return ReconciliationInvalid("these are not the lines of a daily file")


def _check_text(row: str) -> None:
    if not row.isprintable():
        raise ReconciliationInvalid("a cell holds what is no text, and would be shown to an operator")


def _check_lines(file: DailyFile) -> None:
    """Refuse lines that a comparison would pass over: of others' conversions, or two of one conversion."""
    sides = {file.sender, file.partner}
    if any({line.source, line.destination} != sides for line in file.lines):
        raise ReconciliationInvalid("a line is of a conversion between others")
    if len({(line.source, line.conversion) for line in file.lines}) != len(file.lines):
        raise ReconciliationInvalid("a conversion has two lines")


def _line(cells: list[str]) -> DailyLine:
    if len(cells) != len(COLUMNS):
        raise _not_its_lines()
    found: object = dict(zip(COLUMNS, cells, strict=True))
    try:
        return msgspec.convert(found, DailyLine, strict=False)
    except msgspec.ValidationError as error:
        raise ReconciliationInvalid(f"a line cannot be read: {error}") from error


def compare_daily(ours: DailyFile, theirs: DailyFile) -> list[DailyDifference]:
    """Return where two sides' files of one day differ, or raise `ReconciliationInvalid` where they are not that."""
    facing = (theirs.network, theirs.partner, theirs.sender, theirs.day)
    if (ours.network, ours.sender, ours.partner, ours.day) != facing:
        raise ReconciliationInvalid("the files are not of the same day between the same two ledgers")
    here, there = ({(line.source, line.conversion): line for line in file.lines} for file in (ours, theirs))
    return list(_differences(here, there))


_Lines = dict[tuple[str, str], DailyLine]


def _differences(here: _Lines, there: _Lines) -> Iterable[DailyDifference]:
    for key in sorted(here.keys() | there.keys()):
        left, right = here.get(key), there.get(key)
        states = {line.state for line in (left, right) if line is not None}
        if states == {DailyState.PENDING}:
            # What is not decided is known to its source alone.
            continue
        if left is None or right is None:
            fault = DailyFault.MISSING_HERE if left is None else DailyFault.MISSING_THERE
            yield DailyDifference(source=key[0], conversion=key[1], fault=fault)
        elif DailyState.PENDING in states:
            yield DailyDifference(source=key[0], conversion=key[1], fault=DailyFault.UNDELIVERED)
        elif left != right:
            pairs = zip(COLUMNS, _cells(left), _cells(right), strict=True)
            fields = tuple((column, ours, theirs) for column, ours, theirs in pairs if ours != theirs)
            yield DailyDifference(source=key[0], conversion=key[1], fault=DailyFault.FIELDS, fields=fields)
