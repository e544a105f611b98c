"""Evidence against partners is kept once for each thing, and the words are found of which more can be made."""

from collections.abc import Callable, Sequence

import pytest

from node.store.database import Database
from node.store.errors import StoreFailed
from node.store.rows import CommitRecord, PartnerCheckpoint, ReceivedBody, ReceivedEnvelope, Write
from node.store.rows_accusations import Accusation
from node.store.writer import StoreWriter
from protocol.identifiers import Ledger
from tests.support.documents import BLUEBIRD, COPPER, NOW, digest, hex_16, uuid

FIRST = hex_16("first nonce")
SECOND = hex_16("second nonce")


def commit(writer: StoreWriter, *writes: Write) -> None:
    writer.commit(CommitRecord(old_size=0, writes=writes))


def accusation(name: str, *, partner: Ledger = BLUEBIRD.ledger, subject: str = "decision") -> Accusation:
    return Accusation(
        digest=digest(name),
        partner=partner,
        kind="contradiction",
        subject=subject,
        name=name,
        conversion=uuid(name),
        found_at=NOW,
        evidence=name.encode(),
    )


def said(name: str, kind: str, *, seq: int, about: str | None = "one", by: Ledger = BLUEBIRD.ledger) -> ReceivedBody:
    return ReceivedBody(
        partner=by,
        digest=digest(name),
        kind=kind,
        conversion=None if about is None else uuid(about),
        body=name.encode(),
        epoch=3,
        epoch_nonce=FIRST,
        frame_seq=seq,
        path=(),
    )


def keep(writer: StoreWriter, bodies: Sequence[ReceivedBody]) -> None:
    commit(writer, ReceivedEnvelope(BLUEBIRD.ledger, b"envelope"), *bodies)


def test_a_file_is_kept_once_for_each_thing_that_a_partner_did(database: Database, writer: StoreWriter) -> None:
    commit(writer, accusation("one"), accusation("two"))
    commit(writer, accusation("one", subject="order"), accusation("one", partner=COPPER.ledger))
    reader = database.reader()
    kept = reader.accusations()
    assert [(each.number, each.partner, each.subject, each.name) for each in kept] == [
        (3, COPPER.ledger, "decision", "one"),
        (2, BLUEBIRD.ledger, "order", "one"),
        (1, BLUEBIRD.ledger, "decision", "two"),
        (0, BLUEBIRD.ledger, "decision", "one"),
    ]
    assert reader.accusations(before_number=2, limit=1) == kept[2:3]
    assert reader.accusation(digest("two")) == kept[2]
    two = accusation("two")
    assert all(getattr(kept[2], name) == getattr(two, name) for name in Accusation.__slots__)
    assert reader.accusation(digest("three")) is None
    with pytest.raises(StoreFailed):
        commit(writer, accusation("one"))
    assert len(reader.accusations()) == 4


@pytest.mark.parametrize(
    ("partner", "subject", "name", "known"),
    [
        (BLUEBIRD.ledger, "decision", "one", True),
        (COPPER.ledger, "decision", "one", False),
        (BLUEBIRD.ledger, "order", "one", False),
        (BLUEBIRD.ledger, "decision", "two", False),
    ],
)
def test_whether_there_is_evidence_about_a_thing(
    database: Database, writer: StoreWriter, *, partner: Ledger, subject: str, name: str, known: bool
) -> None:
    commit(writer, accusation("one"))
    assert database.reader().is_accused(partner, subject, name) is known


def test_places_of_a_stream_are_found_by_epoch_and_nonce(database: Database, writer: StoreWriter) -> None:
    keep(writer, [said(f"body {seq}", "query", seq=seq, about=f"{seq}") for seq in range(5)])
    reader = database.reader()

    def places(nonce: str, first: int, last: int, *, by: Ledger = BLUEBIRD.ledger, epoch: int = 3) -> dict[int, str]:
        found = reader.received_places(by, epoch=epoch, epoch_nonce=nonce, first_seq=first, last_seq=last)
        return {seq: str(each) for seq, each in found.items()}

    assert places(FIRST, 1, 3) == {seq: digest(f"body {seq}") for seq in (1, 2, 3)}
    assert places(FIRST, 4, 9) == {4: digest("body 4")}
    for nothing in (places(SECOND, 0, 9), places(FIRST, 5, 9), places(FIRST, 0, 9, by=COPPER.ledger)):
        assert nothing == {}
    assert places(FIRST, 0, 9, epoch=4) == {}


def test_a_received_body_is_found_by_its_number(database: Database, writer: StoreWriter) -> None:
    keep(writer, [said("one", "fulfil", seq=0), said("two", "reject", seq=1)])
    found = database.reader().received_numbered(1)
    assert found is not None
    assert (found.digest, found.kind, found.envelope) == (digest("two"), "reject", b"envelope")
    assert database.reader().received_numbered(2) is None


def test_words_that_may_not_both_be_true_are_paired(database: Database, writer: StoreWriter) -> None:
    keep(
        writer,
        [
            said("credited", "fulfil", seq=0),
            said("ordered", "prepare", seq=1),
            said("asked", "query", seq=2),
            said("refused", "reject", seq=3),
            said("about another", "reject", seq=4, about="two"),
            said("of another", "reject", seq=0, by=COPPER.ledger),
            said("ordered again", "prepare", seq=5),
            said("hello", "hello", seq=6, about=None),
            said("credited again", "fulfil", seq=7),
        ],
    )
    pairs: Callable[..., list[tuple[int, int]]] = database.reader().words_twice
    assert pairs(from_number=0, before_number=9, limit=10) == [(3, 0), (6, 1), (8, 0), (8, 3)]
    assert pairs(from_number=4, before_number=8, limit=10) == [(6, 1)]
    assert pairs(from_number=0, before_number=9, limit=3) == [(3, 0), (6, 1), (8, 0)]


def test_different_checkpoints_of_one_size_are_paired(database: Database, writer: StoreWriter) -> None:
    for name, size, note in (
        (BLUEBIRD.ledger, 5, b"five"),
        (BLUEBIRD.ledger, 7, b"seven"),
        (COPPER.ledger, 5, b"five of another"),
        (BLUEBIRD.ledger, 5, b"five"),
        (BLUEBIRD.ledger, 5, b"another five"),
    ):
        commit(writer, PartnerCheckpoint(name, size, note))
    reader = database.reader()
    found = reader.checkpoints_twice(0)
    assert [(older.note, newer.note) for older, newer in found] == [(b"five", b"another five")] * 2
    assert [(older.number, newer.number) for older, newer in found] == [(0, 4), (3, 4)]
    assert reader.checkpoints_twice(5) == []


@pytest.mark.parametrize(
    ("partner", "log", "forked"),
    [
        (BLUEBIRD.ledger, "bluebird.example/main.1", True),
        (BLUEBIRD.ledger, "bluebird.example/main.10", False),
        (BLUEBIRD.ledger, "bluebird.example/main.2", False),
        (BLUEBIRD.ledger, "bluebird.example/mai_.1", False),
        (COPPER.ledger, "bluebird.example/main.1", False),
    ],
)
def test_a_forked_log_is_known_by_its_name(
    database: Database, writer: StoreWriter, *, partner: Ledger, log: str, forked: bool
) -> None:
    commit(writer, accusation("bluebird.example/main.1 5", subject="log"), accusation("bluebird.example/main.2 5"))
    assert database.reader().is_forked(partner, Ledger(log)) is forked
