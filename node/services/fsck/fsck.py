"""The check of a whole store, to the column: the log by its signatures, the rest by the log or by partners' signatures.

What moves no points is only counted, but for metadata, of which entries keep the digest. The first wrong places of each
table are named: table, key, column.
"""

from typing import Final

from node.services.fsck.fsck_derived import HISTORY, check_derived, check_history, count_rows
from node.services.fsck.fsck_evidence import check_evidence
from node.services.fsck.fsck_log import LogWalk
from node.services.fsck.fsck_metadata import METADATA_ROWS, check_metadata
from node.services.fsck.fsck_report import FsckFinding, FsckReport, Notes
from node.services.logs.own_log import open_of, place_of
from node.store.columns import TableClass
from node.store.database import Database
from node.store.dump import tables_of
from protocol.audit.findings import Verdict
from protocol.errors import ProtocolError
from protocol.ledger.state import TABLES

_PROVED: Final = (TableClass.LOG, TableClass.DERIVED, TableClass.EVIDENCE)


def fsck(database: Database, *, state: bytes | None = None) -> FsckReport:
    """Return what is wrong in `database`, read as it is at one moment; raise `StoreFailed` when it cannot be read.

    `state` is the signed checkpoint that the node's state file keeps: the store must lead to it.
    """
    notes = Notes()
    with database.snapshot() as dump:
        walk = LogWalk(dump, notes)
        walk.run()
        if walk.is_sound:
            check_derived(dump, notes, view=walk.replay.view)
            check_history(dump, notes, walk.history, view=walk.replay.view)
        else:
            for name in (*(family.name for family in TABLES), HISTORY):
                count_rows(dump, notes, name)
        check_evidence(dump, notes, walk)
        for name in tables_of(TableClass.OPERATIONAL):
            (check_metadata if name == METADATA_ROWS else count_rows)(dump, notes, name)
    seen = () if state is None else tuple(_check_state(walk, state))
    return _report(notes, walk, seen)


def _check_state(walk: LogWalk, state: bytes) -> list[FsckFinding]:
    key, own, log = walk.key, walk.replay.ledger, walk.last
    if key is None or own is None:
        return [_state_finding("the log has no genesis to check the state file by")]
    try:
        seen = open_of(state, ledger=own.ledger, key=key)
    except ProtocolError as error:
        return [_state_finding(f"{error} ({error.code})")]
    generation, size = place_of(seen)
    if generation > log.generation:
        return [_state_finding(f"it has seen the log {seen.origin}: the store is an older copy")]
    if generation < log.generation:
        return []
    if size > log.tree.size:
        return [_state_finding(f"it has seen {size} entries, the store has {log.tree.size}: it is an older copy")]
    if log.tree.root_at(size) != seen.root:
        return [_state_finding(f"it has seen another history of {size} entries")]
    return []


def _state_finding(detail: str) -> FsckFinding:
    return FsckFinding(key=(), column=None, detail=detail)


def _report(notes: Notes, walk: LogWalk, state: tuple[FsckFinding, ...]) -> FsckReport:
    classes = {name: kind for kind in TableClass for name in tables_of(kind)}
    tables = tuple(notes.report(name, classes[name].value) for kind in _ORDER for name in tables_of(kind))
    broken = bool(state) or any(table.finding_count for table in tables)
    unchecked = any(not table.checked for table in tables if classes[table.name] in _PROVED)
    verdict = Verdict.BROKEN if broken else Verdict.INCOMPLETE if unchecked else Verdict.HELD
    return FsckReport(verdict=verdict, size=walk.last.tree.size, tables=tables, state=state)


_ORDER: Final = (*_PROVED, TableClass.OPERATIONAL)
