"""`tallystick import-balances`: the balances of another system, all of a file or nothing."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec
import typer

from node.cli.failures import REFUSED, stop
from node.cli.files import write_bytes
from node.cli.import_file import Balance, Fault, ImportFileChanged, Reading, Totals, digest_of, read_file, rows_of
from node.cli.options import JsonOption, NodeOption, TokenOption
from node.cli.output import print_json, print_line, show_progress
from node.client import PATIENT, NodeClient, read_token
from node.client.importing import ImportState
from protocol.encoding import JsonValue
from protocol.errors import Code, Refusal
from protocol.fields import parse_date

ROWS_AT_ONCE: Final = 1_000
SHOWN_MAX: Final = 20
FILE_ROW: Final = 0
TOTALS_DIFFER: Final = "totals_differ"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS: Final = ("row", "column", "code", "text")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a file: how it was read, and what of it is in the ledger."""

    file: str
    sha256: str
    day: str
    rows: int
    points: int
    faults: int
    outcome: str
    finished_seq: int | None = None


class Target(NamedTuple):
    """The import that a file is for, as it stands if it has begun; it may have begun with another file."""

    begun: ImportState | None
    replaces: bool


def parse_day(text: str) -> str:
    """Return `text` if it is a calendar day."""
    try:
        return parse_date(text).isoformat()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def import_balances(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="The balances, as the page import.md describes.")],
    *,
    count: Annotated[int | None, typer.Option(min=0, help="Control total: how many rows there must be.")] = None,
    points: Annotated[int | None, typer.Option(min=0, help="Control total: what the points must sum to.")] = None,
    as_of: Annotated[
        str | None,
        typer.Option(parser=parse_day, metavar="DATE", help="The day as of which it is; else the program's."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, write nothing.")] = False,
    errors: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what is wrong here as CSV: row, column, code, text.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the import under way, whose file is lost: with the same rows anew."),
    ] = False,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Take in opening balances of another system: all rows of a file, or none.

    Control totals are given by options or by the file's last line (trailer,COUNT,POINTS), and must be met. What
    the file brings can be used once all of it is in. After an interruption the same command goes on where it stopped;
    where the file is lost, one that has the same rows in the same order takes its place (--resume).
    """
    sha256 = digest_of(file)
    with NodeClient(node, token=read_token(token_file), retries=PATIENT) as client:
        target = _target(client, sha256, resume=resume, dry_run=dry_run)
        begun = target.begun
        day = begun.day if begun else as_of or client.today()
        reading = _read(file, day=day, sha256=sha256)
        _check_totals(reading, target, count=count, points=points)
        if not reading.faults and (begun is None or begun.state == "under_way"):
            _check_with_node(client, file, reading, target, day=day)
        outcome = "wrong" if reading.faults else "checked"
        if not reading.faults and not dry_run:
            begun, outcome = _import(client, file, reading, target, day=day)
    _tell(file, reading, errors)
    done = _done(file, reading, outcome, day=day, begun=begun)
    if as_json:
        print_json(msgspec.json.encode(done))
    else:
        print_line(_sentence(done))
    stop(REFUSED if reading.faults else 0)


def _read(file: Path, *, day: str, sha256: str) -> Reading:
    reading = read_file(file, day=day, progress=lambda rows: show_progress(f"read {rows:,} rows"))
    if reading.sha256 != sha256:
        raise ImportFileChanged
    return reading


def _target(client: NodeClient, sha256: str, *, resume: bool, dry_run: bool) -> Target:
    own = next(iter(client.imports(sha256)), None)
    if own is not None:
        return Target(own, replaces=False)
    under_way = next((each for each in client.imports() if each.state == "under_way"), None)
    if resume and under_way is None:
        raise typer.BadParameter("no import is under way that this file could go on with: leave --resume out")
    if resume or under_way is None or dry_run:
        return Target(under_way if resume else None, replaces=resume)
    done = f"{under_way.rows_done:,} of {under_way.rows:,} rows are in"
    raise Refusal(Code.IMPORT_OPEN, f"the import of another file is under way since {under_way.day}: {done}")


def _check_totals(reading: Reading, target: Target, *, count: int | None, points: int | None) -> None:
    """Note where the control totals, of which one set at least must be given, are not what the rows come to."""
    given = [total for total in (reading.trailer, _given(count, points)) if total is not None]
    if not given:
        raise typer.BadParameter("give --count and --points, or a last line trailer,COUNT,POINTS: control totals")
    if target.begun is not None:
        given.append(Totals(target.begun.rows, target.begun.points))
    # A row that cannot be read counts no points: then the totals say nothing.
    for total in given if not reading.faults else ():
        if total != reading.totals:
            text = f"{reading.totals.rows} rows of {reading.totals.points} points, not {total.rows} of {total.points}"
            reading.note(Fault(FILE_ROW, "", TOTALS_DIFFER, text))


def _given(count: int | None, points: int | None) -> Totals | None:
    if (count is None) != (points is None):
        raise typer.BadParameter("--count and --points belong together")
    return None if count is None or points is None else Totals(count, points)


def _check_with_node(client: NodeClient, file: Path, reading: Reading, target: Target, *, day: str) -> None:
    """Note the rows that the ledger could not take in.

    Their accounts are there, others have their references, or a row came in under their number that was another one.
    """
    for first_row, rows in _pages(file, reading, day, after=0):
        if target.begun is not None and target.replaces:
            faults = client.check_in_place(target.begun.file, rows, first_row=first_row)
        else:
            faults = client.check_rows(reading.sha256, rows, first_row=first_row)
        for fault in faults:
            reading.note(Fault(fault.row, fault.column, fault.code, fault.detail))
        show_progress(f"checked {first_row + len(rows) - 1:,} rows")


def _import(client: NodeClient, file: Path, reading: Reading, target: Target, *, day: str) -> tuple[ImportState, str]:
    begun = target.begun
    if begun is not None and begun.state == "finished":
        return begun, "imported_before"
    if begun is not None and target.replaces:
        named = begun.file
    else:
        totals = reading.totals
        named = client.begin_import(reading.sha256, rows=totals.rows, points=totals.points, day=day)
    for first_row, rows in _pages(file, reading, day, after=begun.rows_done if begun else 0):
        client.import_rows(named, rows, first_row=first_row)
        show_progress(f"imported {first_row + len(rows) - 1:,} rows")
    if digest_of(file) != reading.sha256:
        raise ImportFileChanged
    client.finish_import(named)
    return client.import_of(named), "imported"


def _pages(file: Path, reading: Reading, day: str, *, after: int) -> Iterator[tuple[int, list[JsonValue]]]:
    """Yield the rows after the row `after`, some at once, each time with the number of the first.

    Rows cannot be taken back: raises `ImportFileChanged` before one is sent that is not what was read at first.
    """
    balances = _balances(file, reading, day, after=after)
    first_row = after + 1
    while rows := [_as_json(row) for row in islice(balances, ROWS_AT_ONCE)]:
        yield first_row, rows
        first_row += len(rows)


def _balances(file: Path, reading: Reading, day: str, *, after: int) -> Iterator[Balance]:
    for number, found in rows_of(file, day=day):
        reading.check(number, found)
        if isinstance(found, Balance) and number > after:
            yield found


def _as_json(row: Balance) -> JsonValue:
    fields: dict[str, JsonValue] = {
        "kind": row.kind,
        "points": row.points,
        "earned_on": row.earned_on,
        "origin": row.origin,
    }
    optional = {"account": row.account, "external_ref": row.external_ref, "expires_on": row.expires_on}
    return fields | {name: value for name, value in optional.items() if value is not None}


def _done(file: Path, reading: Reading, outcome: str, *, day: str, begun: ImportState | None) -> Outcome:
    return Outcome(
        file=str(file),
        sha256=reading.sha256,
        day=day,
        rows=reading.totals.rows,
        points=reading.totals.points,
        faults=len(reading.faults) + reading.more_faults,
        outcome=outcome,
        finished_seq=begun.finished_seq if begun else None,
    )


def _tell(file: Path, reading: Reading, errors: Path | None) -> None:
    show_progress("")
    if errors is not None:
        write_faults(errors, reading.faults)
        return
    for fault in reading.faults[:SHOWN_MAX]:
        where = f"row {fault.row}" if fault.row else str(file)
        print_line(f"{where}{f', {fault.column}' if fault.column else ''}: {fault.code}: {fault.text}")
    more = len(reading.faults) + reading.more_faults - SHOWN_MAX
    if more > 0:
        print_line(f"and {more:,} more: give --errors FILE")


def write_faults(path: Path, faults: Iterable[Fault]) -> None:
    """Write what is wrong as CSV, so that no spreadsheet takes a cell for a formula; or raise `FileUnreadable`."""
    text = StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(_COLUMNS)
    writer.writerows(_safe(fault) for fault in faults)
    write_bytes(path, text.getvalue().encode())


def _safe(cells: Sequence[object]) -> list[str]:
    return [f"'{text}" if text.startswith(_FORMULA) else text for text in map(str, cells)]


def _sentence(done: Outcome) -> str:
    total = f"{done.rows:,} rows, {done.points:,} points as of {done.day}"
    match done.outcome:
        case "wrong":
            return f"nothing is imported: {done.faults:,} faults in {total}"
        case "checked":
            return f"nothing is wrong, and nothing was written: {total}"
        case "imported_before":
            return f"this file was imported before (entry {done.finished_seq}): {total}"
        case _:
            return f"imported (entry {done.finished_seq}): {total}"
