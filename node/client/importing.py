"""Files of balances of another system, as they are taken in."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from node.client.answers import Written
from node.client.connection import Connection
from protocol.encoding import JsonValue


class ImportState(msgspec.Struct, frozen=True, kw_only=True):
    """How far the import of a file is."""

    file: str
    state: Literal["under_way", "finished"]
    day: str
    rows: int
    points: int
    rows_done: int
    points_done: int
    begun_seq: int
    finished_seq: int | None


class ImportList(msgspec.Struct, frozen=True, kw_only=True):
    """Files that came in."""

    imports: tuple[ImportState, ...]


class RowFault(msgspec.Struct, frozen=True, kw_only=True):
    """Why a row cannot come in."""

    row: int
    column: str
    code: str
    detail: str


class RowFaults(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with rows."""

    faults: tuple[RowFault, ...]


class ImportBegun(Written, frozen=True, kw_only=True):
    """An import has begun."""

    fields: dict[str, object]


class ProgramDay(msgspec.Struct, frozen=True, kw_only=True):
    """The program's calendar day, of all that is told of its terms."""

    today: str


class ImportCalls(Connection):
    """What takes a file of balances in; every call can be repeated."""

    def today(self) -> str:
        """Return the day it is in the program's time zone, by the clock of the node."""
        return self.get("/v1/program").read(ProgramDay).today

    def imports(self, sha256: str | None = None) -> tuple[ImportState, ...]:
        """Return the files that came in, or the one of that SHA-256."""
        return self.get("/v1/imports", {"sha256": sha256}).read(ImportList).imports

    def import_of(self, file: str) -> ImportState:
        """Return how far the import is that the ledger names so."""
        return self.get(f"/v1/imports/{file}").read(ImportState)

    def check_rows(self, sha256: str, rows: Sequence[JsonValue], *, first_row: int) -> tuple[RowFault, ...]:
        """Return what is wrong with rows of a file, of which nothing is written."""
        body: JsonValue = {"sha256": sha256, "first_row": first_row, "rows": list(rows)}
        return self.post("/v1/imports/checks", body).read(RowFaults).faults

    def check_in_place(self, file: str, rows: Sequence[JsonValue], *, first_row: int) -> tuple[RowFault, ...]:
        """Return what is wrong with rows that are to stand for those of a file whose import has begun."""
        body: JsonValue = {"file": file, "first_row": first_row, "rows": list(rows)}
        return self.post("/v1/imports/checks", body).read(RowFaults).faults

    def begin_import(self, sha256: str, *, rows: int, points: int, day: str) -> str:
        """Begin to take a file in and return how the ledger names it."""
        body: JsonValue = {"sha256": sha256, "rows": rows, "points": points, "occurred_on": day}
        return str(self.post("/v1/imports", body).read(ImportBegun).fields["file"])

    def import_rows(self, file: str, rows: Sequence[JsonValue], *, first_row: int) -> None:
        """Take in the next rows of a file."""
        self.post(f"/v1/imports/{file}/rows", {"first_row": first_row, "rows": list(rows)})

    def finish_import(self, file: str) -> Written:
        """Let what the file has brought count."""
        return self.post(f"/v1/imports/{file}/finish", {}).read(Written)
