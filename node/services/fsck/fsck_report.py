"""What `fsck` says: for each table its class, its rows, and the first places where something is wrong."""

from collections.abc import Iterator
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from protocol.audit.findings import Verdict

FINDINGS_MAX: Final = 10
"""Findings listed for one table; the others are counted."""

Key: TypeAlias = tuple[str | int, ...]

_ENCODER: Final = msgspec.json.Encoder(order="sorted")


class FsckFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One wrong place: the row's key, empty for the table as a whole, and the column, null for the whole row."""

    key: Key
    column: str | None
    detail: str

    def line(self, table: str) -> str:
        """Return the finding in `table` as a person reads it."""
        row = f"[{', '.join(map(str, self.key))}]" if self.key else ""
        return f"{table}{row}{f'.{self.column}' if self.column else ''}: {self.detail}"


class TableReport(msgspec.Struct, frozen=True, kw_only=True):
    """One table: `checked` is false for those that nothing proves, and where what proves them is itself broken."""

    name: str
    kind: str
    rows: int
    checked: bool
    findings: tuple[FsckFinding, ...]
    finding_count: int


class FsckReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `fsck` found in all tables, and in the state file beside them."""

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    verdict: Verdict
    size: int
    tables: tuple[TableReport, ...]
    state: tuple[FsckFinding, ...]

    def json(self) -> bytes:
        """Return the report as one JSON object."""
        return _ENCODER.encode(self)

    def lines(self) -> Iterator[str]:
        """Yield the report as a person reads it."""
        for table in self.tables:
            state = "ok" if table.checked else "not checked"
            yield f"{table.name} ({table.kind}): {table.rows} rows, {'BROKEN' if table.finding_count else state}"
            for finding in table.findings:
                yield f"  {finding.line(table.name)}"
            if table.finding_count > len(table.findings):
                yield f"  and {table.finding_count - len(table.findings)} more"
        for finding in self.state:
            yield finding.line("state file")
        yield f"Verdict: {self.verdict}."


class TableNotes:
    """Collects what is found in one table."""

    __slots__ = ("checked", "count", "listed", "rows")

    def __init__(self) -> None:
        """Start with nothing found and nothing checked."""
        self.rows = 0
        self.checked = False
        self.listed: list[FsckFinding] = []
        self.count = 0

    def note(self, key: Key, column: str | None, detail: str) -> None:
        """Note something wrong."""
        self.count += 1
        if len(self.listed) < FINDINGS_MAX:
            self.listed.append(FsckFinding(key=key, column=None if column is None else str(column), detail=detail))


class Notes:
    """Collects what is found in all tables."""

    __slots__ = ("_tables",)

    def __init__(self) -> None:
        """Start with no table."""
        self._tables: dict[str, TableNotes] = {}

    def table(self, name: str) -> TableNotes:
        """Return the notes on the table `name`."""
        return self._tables.setdefault(name, TableNotes())

    def report(self, name: str, kind: str) -> TableReport:
        """Return what was found in the table `name`, whose name and columns may be SQLAlchemy's own kind of text."""
        notes = self.table(name)
        return TableReport(
            name=str(name),
            kind=kind,
            rows=notes.rows,
            checked=notes.checked,
            findings=tuple(notes.listed),
            finding_count=notes.count,
        )
