"""Each write lands where it belongs, in its order, and evidence only grows."""

import dataclasses
import re
from hashlib import sha256
from pathlib import Path

import pytest

from node.store.columns import TableClass
from node.store.database import Database
from node.store.dump import columns_of, tables_of
from node.store.errors import StoreFailed, ValueUnstorable
from node.store.evidence import EVIDENCE_TABLES, chain_all
from node.store.rows import (
    Answered,
    ChannelState,
    CommitRecord,
    DeleteProposal,
    EraseMetadata,
    Metadata,
    PartnerCheckpoint,
    PartnerUrl,
    Pending,
    Proposal,
    PutMetadata,
    PutProposal,
    PutSetting,
    ReceivedBody,
    ReceivedEnvelope,
    Requeue,
    SentBody,
    StoredPartnerCheckpoint,
    Write,
)
from node.store.rows_access import ExpireCredential, PutCredential, RevokeCredential
from node.store.rows_accusations import Accusation
from node.store.rows_witness import CosignedCheckpoint, ProvedLog, PutPublished, PutWitnessed
from node.store.writer import StoreWriter
from protocol.encoding import ZERO_DIGEST, encode
from protocol.identifiers import Digest
from tests.support.documents import AURORA, BLUEBIRD, CONVERSION, COPPER, EPOCH_NONCE, NOW, SOON, digest, uuid

PATH = (digest("left"), digest("right"))


def commit(writer: StoreWriter, *writes: Write) -> None:
    writer.commit(CommitRecord(old_size=0, writes=writes))


def sent(name: str, *, partner: str = BLUEBIRD.ledger, wants_answer: bool = True) -> SentBody:
    return SentBody(
        partner=BLUEBIRD.ledger if partner == BLUEBIRD.ledger else COPPER.ledger,
        digest=digest(name),
        kind="prepare",
        conversion=CONVERSION,
        body=name.encode(),
        entry_seq=7,
        wants_answer=wants_answer,
    )


def received(name: str, *, frame_seq: int = 0) -> ReceivedBody:
    return ReceivedBody(
        partner=BLUEBIRD.ledger,
        digest=digest(name),
        kind="fulfil",
        conversion=CONVERSION,
        body=name.encode(),
        epoch=3,
        epoch_nonce=EPOCH_NONCE,
        frame_seq=frame_seq,
        path=PATH,
    )


def pending(database: Database, partner: str = BLUEBIRD.ledger) -> list[tuple[int, bytes]]:
    ledger = BLUEBIRD.ledger if partner == BLUEBIRD.ledger else COPPER.ledger
    return [(each.number, each.body) for each in database.reader().pending_outbox(ledger)]


def test_a_sent_body_is_kept_once_and_waits_for_its_answer(database: Database, writer: StoreWriter) -> None:
    commit(writer, sent("one"), sent("two", wants_answer=False), sent("one"), sent("three", partner=COPPER.ledger))
    reader = database.reader()
    kept = reader.messages_sent()
    assert [(each.number, each.body) for each in kept] == [(0, b"one"), (1, b"two"), (2, b"three")]
    assert (kept[0].kind, kept[0].conversion, kept[0].entry_seq) == ("prepare", CONVERSION, 7)
    assert reader.pending_outbox(BLUEBIRD.ledger) == [Pending(0, digest("one"), b"one")]
    assert reader.outbox_partners() == [BLUEBIRD.ledger, COPPER.ledger]
    commit(writer, Answered((digest("one"), digest("nobody's"))))
    assert pending(database) == []
    commit(writer, sent("two"), sent("one"))
    assert pending(database) == [(0, b"one"), (1, b"two")]
    assert reader.messages_sent() == kept


def test_the_outbox_is_what_the_writes_lead_to_in_their_order(database: Database, writer: StoreWriter) -> None:
    commit(writer, sent("one"), sent("two"), Answered((digest("one"),)), Requeue(digest("one")))
    assert pending(database) == [(0, b"one"), (1, b"two")]
    commit(writer, Requeue(digest("one")), Answered((digest("one"), digest("two"))))
    assert pending(database) == []
    commit(writer, Requeue(digest("two")))
    assert pending(database) == [(1, b"two")]
    with pytest.raises(StoreFailed):
        commit(writer, Requeue(digest("three")))


def test_a_received_body_leads_to_the_envelope_before_it(database: Database, writer: StoreWriter) -> None:
    commit(
        writer,
        ReceivedEnvelope(BLUEBIRD.ledger, b"first"),
        received("one"),
        received("two", frame_seq=1),
        ReceivedEnvelope(BLUEBIRD.ledger, b"second"),
        received("three", frame_seq=2),
    )
    reader = database.reader()
    found = [(each.number, each.body, each.envelope_number, each.envelope) for each in reader.messages_received()]
    assert found == [(0, b"one", 0, b"first"), (1, b"two", 0, b"first"), (2, b"three", 1, b"second")]
    kept = reader.message_received(digest("two"))
    assert kept is not None
    assert (kept.path, kept.epoch, kept.epoch_nonce, kept.frame_seq) == (PATH, 3, EPOCH_NONCE, 1)
    assert reader.received_digests(BLUEBIRD.ledger, [digest("one"), digest("four")]) == {digest("one")}
    assert reader.received_digests(COPPER.ledger, [digest("one")]) == set()


def test_a_received_body_without_its_envelope_or_at_a_taken_place_is_refused(writer: StoreWriter) -> None:
    with pytest.raises(StoreFailed):
        commit(writer, received("one"))
    commit(writer, ReceivedEnvelope(BLUEBIRD.ledger, b"first"), received("one"))
    with pytest.raises(StoreFailed):
        commit(writer, received("two", frame_seq=1))
    with pytest.raises(StoreFailed):
        commit(writer, ReceivedEnvelope(BLUEBIRD.ledger, b"second"), received("other"))


def accusation(name: str) -> Accusation:
    return Accusation(
        digest=digest(name),
        partner=BLUEBIRD.ledger,
        kind="contradiction",
        subject="decision",
        name=name,
        conversion=uuid(name),
        found_at=NOW,
        evidence=name.encode(),
    )


def test_partner_checkpoints_are_all_kept(database: Database, writer: StoreWriter) -> None:
    commit(writer, PartnerCheckpoint(BLUEBIRD.ledger, 5, b"five"), PartnerCheckpoint(COPPER.ledger, 9, b"nine"))
    commit(writer, PartnerCheckpoint(BLUEBIRD.ledger, 3, b"three"), PartnerCheckpoint(BLUEBIRD.ledger, 5, b"fork"))
    reader = database.reader()
    assert [each.note for each in reader.partner_checkpoints()] == [b"five", b"nine", b"three", b"fork"]
    assert [each.note for each in reader.partner_checkpoints(1, 2)] == [b"nine", b"three"]
    expected = StoredPartnerCheckpoint(number=0, ledger=BLUEBIRD.ledger, size=5, note=b"five")
    assert reader.latest_partner_checkpoint(BLUEBIRD.ledger) == expected
    assert reader.latest_partner_checkpoint(AURORA.ledger) is None


def test_channels_and_addresses_have_one_last_state(database: Database, writer: StoreWriter) -> None:
    begun = ChannelState(partner=BLUEBIRD.ledger, out_epoch=1, out_nonce=EPOCH_NONCE)
    going = dataclasses.replace(
        begun, in_epoch=4, in_nonce="n", in_next_seq=5, in_bodies=6, in_last_body=digest("last"), answered_epoch=1
    )
    fenced = dataclasses.replace(going, fence_epoch=3, fence_next_seq=2, fence_bodies=1, fence_last_body=digest("f"))
    reader = database.reader()
    for state in (begun, going, fenced, begun):
        commit(writer, PartnerUrl(BLUEBIRD.ledger, state.out_nonce), state)
        assert reader.channel(BLUEBIRD.ledger) == state
    commit(writer, ChannelState(partner=COPPER.ledger), going, fenced, PartnerUrl(BLUEBIRD.ledger, "https://b.example"))
    assert reader.channels() == [fenced, ChannelState(partner=COPPER.ledger)]
    assert reader.channel(AURORA.ledger) is None
    assert reader.partner_urls() == {BLUEBIRD.ledger: "https://b.example"}
    assert reader.partner_url(BLUEBIRD.ledger) == "https://b.example"
    assert reader.partner_url(COPPER.ledger) is None


def test_proposals_come_and_go(database: Database, writer: StoreWriter) -> None:
    first, second = (PutProposal(digest(name), BLUEBIRD.ledger, name.encode(), NOW) for name in ("one", "two"))
    commit(writer, first, second, DeleteProposal(digest("never there")))
    reader = database.reader()
    assert reader.proposal(digest("one")) == Proposal(digest("one"), BLUEBIRD.ledger, b"one", NOW)
    assert {each.document for each in reader.proposals()} == {b"one", b"two"}
    commit(writer, DeleteProposal(digest("one")), DeleteProposal(digest("two")), second)
    assert [each.document for each in reader.proposals()] == [b"two"]
    commit(writer, first, DeleteProposal(digest("one")))
    assert reader.proposal(digest("one")) is None


def test_credentials_are_revoked_for_good(database: Database, writer: StoreWriter) -> None:
    made = PutCredential(id=uuid("c"), role="operator", name="Ann", prefix="0123", hash="hash", created_at=NOW)
    other = dataclasses.replace(made, id=uuid("d"), name="Cem")
    commit(writer, made, other)
    reader = database.reader()
    assert {each.name for each in reader.credentials("0123")} == {"Ann", "Cem"}
    assert reader.credentials("9999") == []
    commit(writer, RevokeCredential(uuid("c"), NOW))
    commit(writer, RevokeCredential(uuid("c"), SOON))
    assert {each.name: each.revoked_at for each in reader.all_credentials()} == {"Ann": NOW, "Cem": None}
    for wrong in (RevokeCredential(uuid("nobody"), NOW), made):
        with pytest.raises(StoreFailed):
            commit(writer, wrong)
    both = dataclasses.replace(made, id=uuid("e"), prefix="4567")
    commit(writer, RevokeCredential(uuid("e"), SOON), both)
    assert [each.revoked_at for each in reader.credentials("4567")] == [SOON]


def test_credentials_end_at_the_earliest_time_that_was_said(database: Database, writer: StoreWriter) -> None:
    made = PutCredential(
        id=uuid("c"),
        role="partner",
        name="Bluebird",
        prefix="0123",
        hash="hash",
        created_at=NOW,
        issued_by="89ab",
        partner=BLUEBIRD.ledger,
        per_minute=60,
    )
    commit(writer, made)
    reader = database.reader()
    assert [each.expires_at for each in reader.all_credentials()] == [None]
    for end in (SOON, NOW, SOON):
        commit(writer, ExpireCredential(uuid("c"), end))
    (found,) = reader.credentials("0123")
    assert (found.expires_at, found.revoked_at) == (min(NOW, SOON), None)
    assert (found.issued_by, found.partner, found.per_minute) == ("89ab", BLUEBIRD.ledger, 60)
    with pytest.raises(StoreFailed):
        commit(writer, ExpireCredential(uuid("nobody"), NOW))


def test_settings_and_erasable_rows(database: Database, writer: StoreWriter) -> None:
    commit(writer, PutSetting("a", "1"), PutSetting("a", "2"), PutMetadata(digest("m"), b"salt", b"data"))
    reader = database.reader()
    assert reader.setting("a") == "2"
    assert reader.setting("b") is None
    assert reader.settings() == {"a": "2"}
    assert reader.metadata(digest("m")) == Metadata(b"salt", b"data")
    commit(writer, EraseMetadata(digest("m")), EraseMetadata(digest("n")), PutSetting("a", "3"))
    assert reader.metadata(digest("m")) is None
    assert reader.setting("a") == "3"


def test_the_chain_over_evidence_is_the_one_that_is_specified(database: Database, writer: StoreWriter) -> None:
    commit(writer, PartnerCheckpoint(BLUEBIRD.ledger, 5, b"\x00\xff"))
    row = encode({"generation": 1, "ledger": BLUEBIRD.ledger, "note": "00ff", "number": 0, "size": 5})
    (head,) = database.reader().evidence_heads()
    assert (head.name, head.count) == ("partner_checkpoints", 1)
    assert head.chain == sha256(ZERO_DIGEST.encode() + row).hexdigest()


def test_evidence_heads_follow_every_row_of_every_commit(database: Database, writer: StoreWriter) -> None:
    for number in range(3):
        commit(
            writer,
            ReceivedEnvelope(BLUEBIRD.ledger, b"%d" % number),
            received(f"one {number}", frame_seq=2 * number),
            received(f"two {number}", frame_seq=2 * number + 1),
            sent(f"sent {number}"),
            PartnerCheckpoint(BLUEBIRD.ledger, number, b"note"),
            accusation(f"thing {number}"),
        )
    heads = {head.name: head for head in database.reader().evidence_heads()}
    assert {head.name: head.count for head in heads.values()} == {
        "accusations": 3,
        "envelopes_received": 3,
        "messages_received": 6,
        "messages_sent": 3,
        "partner_checkpoints": 3,
    }
    with database.snapshot() as snapshot:
        for name, head in heads.items():
            rows = list(snapshot.rows(name))
            assert chain_all(ZERO_DIGEST, columns_of(name), rows) == head.chain
            assert chain_all(ZERO_DIGEST, columns_of(name), rows[:-1]) != head.chain
            assert chain_all(ZERO_DIGEST, columns_of(name), rows[::-1]) != head.chain
    assert {table.name for table in EVIDENCE_TABLES} | {"evidence_heads"} == set(tables_of(TableClass.EVIDENCE))


@pytest.mark.parametrize("wrong", [PutSetting("a", "\ud800"), PartnerCheckpoint(BLUEBIRD.ledger, 2**64, b"note")])
def test_what_no_column_can_hold_is_refused_whole(database: Database, writer: StoreWriter, wrong: Write) -> None:
    with pytest.raises(ValueUnstorable):
        commit(writer, PutSetting("b", "kept"), wrong)
    assert database.reader().settings() == {}
    commit(writer, PutSetting("b", "kept"))
    assert database.reader().settings() == {"b": "kept"}


def test_what_was_cosigned_last_takes_the_place_of_what_was_before(database: Database, writer: StoreWriter) -> None:
    reader = database.reader()
    assert (reader.witnessed(BLUEBIRD.ledger), reader.published(AURORA.ledger), reader.all_witnessed()) == (
        None,
        None,
        [],
    )
    commit(writer, PutWitnessed(COPPER.ledger, 3, b"copper 3"), PutWitnessed(BLUEBIRD.ledger, 5, b"bluebird 5"))
    commit(writer, PutWitnessed(BLUEBIRD.ledger, 6, b"bluebird 6"), PutWitnessed(BLUEBIRD.ledger, 8, b"bluebird 8"))
    commit(writer, PutPublished(AURORA.ledger, 2, b"aurora 2"))
    commit(writer, PutPublished(AURORA.ledger, 4, b"aurora 4"))
    bluebird = CosignedCheckpoint(BLUEBIRD.ledger, 8, b"bluebird 8")
    assert reader.witnessed(BLUEBIRD.ledger) == bluebird
    assert reader.all_witnessed() == [bluebird, CosignedCheckpoint(COPPER.ledger, 3, b"copper 3")]
    assert reader.published(AURORA.ledger) == CosignedCheckpoint(AURORA.ledger, 4, b"aurora 4")
    assert (reader.witnessed(AURORA.ledger), reader.published(BLUEBIRD.ledger)) == (None, None)


def test_how_far_a_log_is_proved_takes_the_place_of_what_was_before(database: Database, writer: StoreWriter) -> None:
    reader = database.reader()
    assert reader.proved(BLUEBIRD.ledger) is None
    row = ProvedLog(
        origin=BLUEBIRD.ledger, next_number=3, size=9, note=b"nine", proved_at="2026-01-01T00:00:00.000000Z", fault=None
    )
    commit(writer, row)
    assert reader.proved(BLUEBIRD.ledger) == row
    commit(writer, dataclasses.replace(row, next_number=4), dataclasses.replace(row, fault="other hashes"))
    assert reader.proved(BLUEBIRD.ledger) == dataclasses.replace(row, fault="other hashes")
    assert reader.proved(COPPER.ledger) is None


def test_checkpoints_of_one_log_are_read_from_a_number_on(database: Database, writer: StoreWriter) -> None:
    kept = [(BLUEBIRD.ledger, 5, 1), (COPPER.ledger, 5, 1), (BLUEBIRD.ledger, 9, 2), (BLUEBIRD.ledger, 3, 1)]
    commit(writer, *(PartnerCheckpoint(ledger, size, b"note", generation) for ledger, size, generation in kept))
    reader = database.reader()
    found = reader.partner_checkpoints_of(BLUEBIRD.ledger, generation=1, from_number=0)
    assert [(each.number, each.size) for each in found] == [(0, 5), (3, 3)]
    assert reader.partner_checkpoints_of(BLUEBIRD.ledger, generation=1, from_number=1) == found[1:]
    assert reader.partner_checkpoints_of(BLUEBIRD.ledger, generation=1, from_number=0, limit=1) == found[:1]
    assert [each.size for each in reader.partner_checkpoints_of(BLUEBIRD.ledger, generation=2, from_number=0)] == [9]


def test_no_write_is_left_untried() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert [kind.__name__ for kind in Write.__args__ if not re.search(rf"\b{kind.__name__}\(", tests)] == []
    assert Digest(ZERO_DIGEST) == ZERO_DIGEST
