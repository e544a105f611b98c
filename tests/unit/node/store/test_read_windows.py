"""Pages of settlement on both databases: cursors, lines of one direction, bodies from a message on."""

from node.store.database import Database
from node.store.rows import CommitRecord, ReceivedBody, ReceivedEnvelope, Write
from node.store.writer import StoreWriter
from protocol.identifiers import Ledger
from protocol.ledger.state import LINES, OUT, STATEMENTS, WINDOWS
from tests.support.documents import BLUEBIRD, COPPER, digest, hex_16, uuid
from tests.support.history import history
from tests.unit.node.store.recorder import write_log


def test_windows_and_statements_go_on_after_a_cursor(database: Database, writer: StoreWriter) -> None:
    pair = history()
    state = write_log(writer, pair.source.sealed, side=pair.source.side).state
    reader = database.reader()
    windows = sorted(state.rows(WINDOWS), key=lambda row: (-row[0][1], row[0][0]))
    assert len(windows) > 1
    assert reader.windows_page(limit=100) == reader.windows_page(BLUEBIRD.ledger, limit=100) == windows
    found, after = [], None
    while page := reader.windows_page(after=after, limit=1):
        found += page
        (partner, number), _ = page[-1]
        after = (number, partner)
    assert found == windows
    # A cursor stands between partners, too: with the same window, whoever comes later in the alphabet follows.
    (_, newest), _ = windows[0]
    assert reader.windows_page(after=(newest, Ledger("a.example/main.1")), limit=1) == windows[:1]
    assert reader.windows_page(COPPER.ledger, limit=1) == []
    statements = sorted(state.rows(STATEMENTS), key=lambda row: -row[1].agreed_seq)
    assert len(statements) > 1
    assert reader.statements_page(limit=100) == statements
    first = reader.statements_page(BLUEBIRD.ledger, limit=1)
    assert first == statements[:1]
    assert reader.statements_page(before_seq=first[0][1].agreed_seq, limit=100) == statements[1:]


def test_lines_are_found_by_direction_and_by_conversion(database: Database, writer: StoreWriter) -> None:
    pair = history()
    state = write_log(writer, pair.source.sealed, side=pair.source.side).state
    reader = database.reader()
    lines = sorted(
        ((key, line) for key, line in state.rows(LINES) if (key[1], line.window) == (OUT, 1)), key=lambda row: row[0]
    )
    assert len(lines) > 1
    assert reader.lines_of_way(BLUEBIRD.ledger, OUT, 1, limit=100) == lines
    assert reader.lines_of_way(BLUEBIRD.ledger, OUT, 1, limit=1) == lines[:1]
    assert reader.lines_of_conversion(BLUEBIRD.ledger, lines[0][1].conversion) == lines[:1]
    assert reader.lines_of_conversion(BLUEBIRD.ledger, uuid("nothing")) == []


def received(number: int, kind: str) -> ReceivedBody:
    return ReceivedBody(
        partner=BLUEBIRD.ledger,
        digest=digest(f"body {number}"),
        kind=kind,
        conversion=None,
        body=f"body {number}".encode(),
        epoch=1,
        epoch_nonce=hex_16("epoch"),
        frame_seq=number,
        path=(),
    )


def test_bodies_of_a_kind_are_read_from_a_message_on(database: Database, writer: StoreWriter) -> None:
    kinds = ["close", "lines", "statement", "lines", "lines"]
    write_log(writer, history().source.sealed[:1], side=history().source.side)
    bodies = [received(number, kind) for number, kind in enumerate(kinds)]
    writes: tuple[Write, ...] = (ReceivedEnvelope(BLUEBIRD.ledger, b"envelope"), *bodies)
    writer.commit(CommitRecord(old_size=1, writes=writes))
    reader = database.reader()
    for start, count, expected in ((0, 9, [1, 3, 4]), (2, 9, [3, 4]), (2, 1, [3]), (5, 9, [])):
        found = reader.bodies_received(BLUEBIRD.ledger, "lines", from_number=start, limit=count)
        assert found == [f"body {number}".encode() for number in expected]
    assert reader.bodies_received(COPPER.ledger, "lines", from_number=0, limit=9) == []
