"""Traces of clients are kept for screens and dropped; pages of transfers and reviews follow their cursors."""

import pytest

from node.store.database import Database
from node.store.rows import CommitRecord, Write
from node.store.rows_program import ClientTrace, DropTrace
from node.store.writer import StoreWriter
from protocol.identifiers import Account, Id
from protocol.ledger.program_state import ReviewState, TransferState
from tests.support.documents import uuid
from tests.support.governing import live_under_terms
from tests.support.ledger import holder, new_ledger
from tests.unit.node.store.recorder import write_log

ANN, BOB = holder("ann"), holder("bob")
EARLY, LATE = "2026-03-01T12:00:00.000000Z", "2026-03-01T13:00:00.000000Z"
END = "9999-12-31T00:00:00.000000Z"


def commit(writer: StoreWriter, *writes: Write) -> None:
    writer.commit(CommitRecord(old_size=0, writes=writes))


def trace(
    name: str, account: Account, at: str, *, activity: str = "transfer", device: str | None = "phone"
) -> ClientTrace:
    return ClientTrace(
        id=uuid(name), account=account, activity=activity, seen_at=at, address="203.0.113.7", device=device, agent=None
    )


def test_traces_tell_what_an_account_ordered_and_who_is_behind_a_device(
    database: Database, writer: StoreWriter
) -> None:
    commit(writer, trace("one", ANN, EARLY), trace("two", ANN, LATE, activity="conversion"), trace("three", BOB, LATE))
    commit(writer, trace("three", BOB, LATE), trace("four", BOB, EARLY, device=None))
    reader = database.reader()
    both = ("transfer", "conversion")
    assert reader.traced_ids(ANN, activities=both, since=EARLY, limit=9) == {uuid("one"), uuid("two")}
    assert reader.traced_ids(ANN, activities=("conversion",), since=EARLY, limit=9) == {uuid("two")}
    assert reader.traced_ids(ANN, activities=both, since=LATE, limit=9) == {uuid("two")}
    assert len(reader.traced_ids(ANN, activities=both, since=EARLY, limit=1)) == 1
    assert reader.traced_accounts("device", "phone", activities=both, since=EARLY, limit=9) == {ANN, BOB}
    assert reader.traced_accounts("device", "phone", activities=("transfer",), since=LATE, limit=9) == {BOB}
    assert reader.traced_accounts("device", "tablet", activities=both, since=EARLY, limit=9) == set()
    assert reader.traced_accounts("address", "203.0.113.7", activities=both, since=EARLY, limit=1) <= {ANN, BOB}


def test_traces_are_dropped_one_by_one(database: Database, writer: StoreWriter) -> None:
    commit(writer, trace("one", ANN, EARLY), trace("two", BOB, LATE))
    reader = database.reader()
    assert reader.traces_before(LATE) == [uuid("one")]
    commit(writer, DropTrace(uuid("one")), DropTrace(uuid("nobody")))
    assert reader.traces_before(END) == [uuid("two")]


@pytest.fixture
def lived(database: Database, writer: StoreWriter) -> Database:
    ledger = new_ledger()
    live_under_terms(ledger)
    write_log(writer, ledger.sealed)
    return database


def test_transfers_are_paged_by_account_and_state(lived: Database) -> None:
    reader, sender = lived.reader(), holder("governed one")
    found = reader.transfers()
    assert [transfer for transfer, _ in found] == [uuid("open offer"), uuid("unwanted"), uuid("gift")]
    assert reader.transfers(account=sender) == found == reader.transfers(account=holder("governed two"))
    assert reader.transfers(account=holder("governed three")) == []
    assert reader.transfers(state=TransferState.DECLINED) == found[1:2]
    assert reader.transfers(before_seq=found[0][1].offered_seq, limit=1) == found[1:2]
    assert reader.transfers_lapsed(EARLY) == []
    assert reader.transfers_lapsed(END) == [Id(uuid("open offer"))]


def test_reviews_are_paged_by_state(lived: Database) -> None:
    reader = lived.reader()
    found = reader.reviews()
    assert [(order, record.state) for order, record in found] == [
        (uuid("waiting"), ReviewState.OPEN),
        (uuid("suspect"), ReviewState.REJECTED),
    ]
    assert reader.reviews(state=ReviewState.OPEN) == found[:1]
    assert reader.reviews(before_seq=found[0][1].opened_seq) == found[1:]
