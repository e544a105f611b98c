"""A file of balances as another system wrote it: read strictly, row by row, however large it is (specs/import.md §2).

What a spreadsheet makes of numbers and dates is refused and never guessed at: 1.2E+05 has lost digits, and 03/04/2026
is two days. To find rows that stand twice, a hash of each is kept, 8 bytes long, and not the row.
"""

import csv
import hashlib
import re
import stat
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import Final, NamedTuple

from protocol.errors import CouldNotCheck, IdentifierInvalid
from protocol.fields import parse_date
from protocol.identifiers import HOLDER_KINDS, parse_holder, parse_id, parse_partner
from protocol.limits import INTEGER_MAX

REQUIRED: Final = ("points", "earned_on")
COLUMNS: Final = ("account", "external_ref", "kind", "points", "earned_on", "expires_on", "origin")
TRAILER: Final = "trailer"
OWN: Final = "own"
LINE_CHARACTERS_MAX: Final = 4_096
ROWS_MAX: Final = 10_000_000
FAULTS_MAX: Final = 10_000
_CHUNK: Final = 1 << 20
_DIGITS: Final = re.compile(r"[0-9]{1,16}")
_REFERENCE: Final = re.compile(r"[^\x00-\x1f\x7f]{1,128}")
_SCIENTIFIC: Final = re.compile(r"[+-]?[0-9.,]+[eE][+-]?[0-9]+")
_GROUPED: Final = re.compile(r"[0-9]{1,3}(?:[,.'\u00a0\u202f ][0-9]{3})+")


class ImportFileInvalid(CouldNotCheck):
    """A file as a whole cannot be read as balances."""

    code = "import_file_invalid"


class ImportFileChanged(ImportFileInvalid):
    """A file is not what it was when it was read first; what is sent of it is what was read then."""

    def __init__(self) -> None:
        super().__init__("the file was changed meanwhile: put it back as it was, and give the command again")


class Fault(NamedTuple):
    """What is wrong with a row; rows are counted from 1 after the header, 0 is the file as a whole."""

    row: int
    column: str
    code: str
    text: str


class Balance(NamedTuple):
    """A row as it goes to the node."""

    kind: str
    account: str | None
    external_ref: str | None
    points: int
    earned_on: str
    expires_on: str | None
    origin: str

    @property
    def holder(self) -> str:
        """Return by what the row names its holder: two rows of one holder are two lots."""
        return self.account or f"={self.kind}={self.external_ref}"


class Totals(NamedTuple):
    """How many rows, and how many points together."""

    rows: int
    points: int


@dataclass(slots=True, kw_only=True)
class Reading:
    """What reading a whole file has come to: `sha256` is the file's, `rows` has 8 bytes of the hash of each balance."""

    sha256: str = ""
    rows: "array[int]" = field(default_factory=lambda: array("Q"))
    totals: Totals = field(default_factory=lambda: Totals(0, 0))
    trailer: Totals | None = None
    faults: list[Fault] = field(default_factory=list)
    more_faults: int = 0

    def check(self, number: int, found: "Balance | Totals | list[Fault]") -> None:
        """Raise `ImportFileChanged` unless `found` is what the row `number` was when the whole file was read."""
        if isinstance(found, Totals):
            return
        if number > len(self.rows) or not isinstance(found, Balance) or _hashed(*found) != self.rows[number - 1]:
            raise ImportFileChanged

    def note(self, fault: Fault) -> None:
        """Keep a fault, or count it where there are too many."""
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(fault)
        else:
            self.more_faults += 1


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex, or raise `ImportFileInvalid`."""
    try:
        # It is read several times, which what a pipe brings cannot be; a device may have no end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ImportFileInvalid(f"{path} is no regular file: write the balances into one first")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ImportFileInvalid(f"{path} cannot be read: {error.strerror}") from error


def read_file(path: Path, *, day: str, progress: Callable[[int], None] | None = None) -> Reading:
    """Return what a whole file comes to, with all that is wrong with it, or raise `ImportFileInvalid`."""
    reading = Reading()
    seen = _Seen()
    for number, found in rows_of(path, day=day):
        match found:
            case Balance():
                seen.add(found)
                reading.rows.append(_hashed(*found))
                reading.totals = Totals(reading.totals.rows + 1, reading.totals.points + found.points)
            case Totals():
                reading.trailer = found
            case list():
                reading.totals = Totals(reading.totals.rows + 1, reading.totals.points)
                for fault in found:
                    reading.note(fault)
        if progress is not None and number % 1_000 == 0:
            progress(number)
    if not reading.totals.rows:
        raise ImportFileInvalid(f"{path} has no rows")
    if seen.repeats():
        for fault in _repeated(path, day):
            reading.note(fault)
    reading.faults.sort()
    reading.sha256 = digest_of(path)
    return reading


def rows_of(path: Path, *, day: str) -> Iterator[tuple[int, "Balance | Totals | list[Fault]"]]:
    """Yield each row with its number: a balance, what is wrong with it, or at the end the trailer."""
    try:
        with path.open("rb") as file, TextIOWrapper(file, encoding=_encoding(file), newline="") as text:
            yield from _rows(text, day)
    except OSError as error:
        raise ImportFileInvalid(f"{path} cannot be read: {error.strerror}") from error


def _rows(text: TextIOWrapper, day: str) -> Iterator[tuple[int, "Balance | Totals | list[Fault]"]]:
    number, ended = 0, False
    try:
        lines = csv.reader(_bounded(text), strict=True)
        columns = _header(next(lines, []))
        for cells in lines:
            if not any(cells):
                continue
            if ended:
                raise ImportFileInvalid("there are rows after the trailer")
            if cells[0] == TRAILER:
                ended = True
                yield number + 1, _trailer(cells)
                continue
            number += 1
            if number > ROWS_MAX:
                raise ImportFileInvalid(f"a file has at most {ROWS_MAX:,} rows: split it")
            yield number, _row(number, cells, columns, day=day)
    except UnicodeDecodeError as error:
        raise ImportFileInvalid(f"after row {number} the file is not UTF-8: save it as CSV UTF-8") from error
    except csv.Error as error:
        raise ImportFileInvalid(f"after row {number} the file is no CSV: {error}") from error


def _encoding(file: BufferedReader) -> str:
    start = file.peek(4)[:4]
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ImportFileInvalid("the file is UTF-16: save it as CSV UTF-8")
    return "utf-8-sig"


def _bounded(text: TextIOWrapper) -> Iterator[str]:
    """Yield lines of a bounded length, so that a file without line ends is not taken into memory."""
    while line := text.readline(LINE_CHARACTERS_MAX + 1):
        if len(line) > LINE_CHARACTERS_MAX:
            raise ImportFileInvalid(f"a line has more than {LINE_CHARACTERS_MAX} characters")
        if "\x00" in line:
            raise ImportFileInvalid("the file holds null characters: it is no text")
        yield line


def _header(cells: list[str]) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        raise ImportFileInvalid("columns are separated by commas")
    unknown = sorted(set(names) - set(COLUMNS))
    missing = sorted(set(REQUIRED) - set(names))
    if unknown or missing or len(set(names)) != len(names):
        told = f"unknown: {', '.join(unknown) or 'none'}; missing: {', '.join(missing) or 'none'}; none twice"
        raise ImportFileInvalid(f"the first line names the columns ({', '.join(COLUMNS)}): {told}")
    if not {"account", "external_ref"} & set(names):
        raise ImportFileInvalid("a column account or external_ref is needed")
    return names


def _trailer(cells: list[str]) -> Totals:
    numbers = [cell for cell in cells[1:] if cell]
    if len(numbers) != len(Totals._fields) or not all(_DIGITS.fullmatch(each) for each in numbers):
        raise ImportFileInvalid(f"the trailer is {TRAILER},COUNT,POINTS")
    return Totals(int(numbers[0]), int(numbers[1]))


class _Cells:
    """The cells of one row, and what is wrong with them."""

    def __init__(self, number: int, found: dict[str, str]) -> None:
        self._number = number
        self._found = found
        self.faults: list[Fault] = []

    def get(self, column: str) -> str:
        """Return a cell without the spaces around it; an empty one, where the file has no such column."""
        return self._found.get(column, "").strip()

    def wrong(self, column: str, code: str, text: str) -> None:
        """Note what is wrong with a cell."""
        self.faults.append(Fault(self._number, column, code, text))


def _row(number: int, cells: list[str], columns: list[str], *, day: str) -> "Balance | list[Fault]":
    if len(cells) != len(columns):
        return [Fault(number, "", "columns_invalid", f"{len(cells)} cells, where the header has {len(columns)}")]
    row = _Cells(number, dict(zip(columns, cells, strict=True)))
    kind, account = _holder(row)
    reference = row.get("external_ref") or None
    if reference is not None and not _REFERENCE.fullmatch(reference):
        row.wrong("external_ref", "external_ref_invalid", "1 to 128 characters, and no control characters")
    if not row.get("account") and reference is None:
        row.wrong("account", "holder_missing", "an account or an external_ref is needed")
    earned_on = _day(row, "earned_on")
    expires_on = _day(row, "expires_on") if row.get("expires_on") else None
    points = _points(row)
    if earned_on > day:
        row.wrong("earned_on", "date_invalid", f"after {day}, the day of the import")
    if expires_on is not None and expires_on < day:
        row.wrong("expires_on", "date_invalid", f"before {day}, the day of the import: these points have expired")
    origin = _origin(row)
    if row.faults:
        return row.faults
    return Balance(
        kind=kind,
        account=account,
        external_ref=reference,
        points=points,
        earned_on=earned_on,
        expires_on=expires_on,
        origin=origin,
    )


def _holder(row: _Cells) -> tuple[str, str | None]:
    kind, account = row.get("kind") or HOLDER_KINDS[0], row.get("account")
    if kind not in HOLDER_KINDS:
        row.wrong("kind", "kind_invalid", f"none of {', '.join(HOLDER_KINDS)}")
        return kind, None
    if not account:
        return kind, None
    try:
        holder = parse_holder(account) if "/" in account else parse_holder(f"{kind}/{parse_id(account)}")
    except IdentifierInvalid:
        row.wrong("account", "identifier_invalid", "a random UUID in lowercase, or member/<UUID>")
        return kind, None
    found = holder.partition("/")[0]
    if row.get("kind") and found != kind:
        row.wrong("kind", "kind_invalid", f"the account is of a {found}")
    return found, holder


def _points(row: _Cells) -> int:
    text = row.get("points")
    if _DIGITS.fullmatch(text) and int(text) <= INTEGER_MAX:
        return int(text)
    if text.startswith("-"):
        row.wrong("points", "points_negative", "a balance is not below zero")
    elif _SCIENTIFIC.fullmatch(text):
        row.wrong("points", "points_scientific", "a spreadsheet has rounded this number: write all its digits")
    elif _GROUPED.fullmatch(text):
        row.wrong("points", "points_grouped", "digits alone, without anything between thousands")
    else:
        row.wrong("points", "amount_invalid", f"a whole number from 0 to {INTEGER_MAX}")
    return 0


def _day(row: _Cells, column: str) -> str:
    text = row.get(column)
    try:
        return parse_date(text).isoformat()
    except ValueError:
        row.wrong(column, "date_invalid", "a day like 2026-01-31")
        return date.min.isoformat() if column == "earned_on" else date.max.isoformat()


def _origin(row: _Cells) -> str:
    text = row.get("origin") or OWN
    try:
        return text if text == OWN else parse_partner(text)
    except IdentifierInvalid:
        row.wrong("origin", "identifier_invalid", "own, or a partner like bluebird.example/main")
        return OWN


def _hashed(*parts: object) -> int:
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


class _Seen:
    """Hashes of rows, of holders and of what names them: whether any is there twice who should not be."""

    def __init__(self) -> None:
        self._rows = array("Q")
        self._names: dict[str, tuple[array[int], array[int]]] = {
            name: (array("Q"), array("Q")) for name in ("account", "external_ref")
        }

    def add(self, balance: Balance) -> None:
        """Take a row in."""
        self._rows.append(_hashed(*_lot(balance)))
        whole = _hashed(*_named(balance))
        for name, (names, wholes) in self._names.items():
            value = getattr(balance, name)
            if value is not None:
                names.append(_hashed(value))
                wholes.append(whole)

    def repeats(self) -> bool:
        """Return whether a lot stands twice, or one name stands beside two others."""
        if _distinct(self._rows) != len(self._rows):
            return True
        return any(_distinct(names) != _distinct(wholes) for names, wholes in self._names.values())


def _distinct(hashes: "array[int]") -> int:
    ordered = sorted(hashes)
    return sum(1 for at, value in enumerate(ordered) if not at or value != ordered[at - 1])


def _lot(balance: Balance) -> tuple[object, ...]:
    return balance.holder, balance.earned_on, balance.expires_on, balance.origin


def _named(balance: Balance) -> tuple[object, ...]:
    return balance.kind, balance.account, balance.external_ref


def _repeated(path: Path, day: str) -> Iterator[Fault]:
    """Yield the rows that repeat an earlier one, or contradict it; asked only of files that have some."""
    lots: dict[int, int] = {}
    names: dict[int, tuple[int, int]] = {}
    for number, found in rows_of(path, day=day):
        if not isinstance(found, Balance):
            continue
        first = lots.setdefault(_hashed(*_lot(found)), number)
        if first != number:
            yield Fault(number, "account", "row_repeated", f"the same holder, days and origin as row {first}")
        whole = _hashed(*_named(found))
        for column in ("account", "external_ref"):
            value = getattr(found, column)
            if value is None:
                continue
            before, there = names.setdefault(_hashed(column, value), (number, whole))
            if there != whole:
                yield Fault(number, column, "holder_contradicted", f"row {before} names its holder otherwise")
