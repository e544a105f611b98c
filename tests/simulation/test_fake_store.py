"""The fake store against the real ones: the same commits, the same answers to whatever a node asks."""

from collections.abc import Iterator, Mapping
from random import Random

import pytest

from node.store.database import Database
from node.store.errors import ForkRefused, StoreFailed
from node.store.reader import StoreReader
from node.store.rows import CommitRecord, Requeue
from node.store.writer import StoreWriter
from protocol.identifiers import Digest, Id
from protocol.ledger.state import ACCOUNTS, LINES, OUTGOING, STATEMENTS, TABLES
from protocol.ledger.view import Overlay, need, need_book
from scripts.alliance.brands import AURORA
from scripts.simulation import alliance
from scripts.simulation.evidence_reader import EvidenceReader
from scripts.simulation.place import Place
from scripts.simulation.reader import MemoryReader
from scripts.simulation.run import Settings, Simulation
from scripts.simulation.settlement_reader import SettlementReader
from scripts.simulation.store import Disk, MemoryWriter, State
from scripts.simulation.world import World

COUNTED = {"counts", "evidence_heads"}
"""Reads that the fake store answers in part; another test is about them."""
SEEDS_MAX = 150
LOOK_EVERY = 40
Named = tuple[tuple[object, ...], Mapping[str, object]]


@pytest.fixture(scope="module")
def records() -> list[CommitRecord]:
    """Return what a place has committed from its genesis on, in a seed in which windows settle and terms change."""
    for seed in range(1, SEEDS_MAX + 1):
        found = records_of(seed)
        if found is not None:
            return found
    pytest.fail("no seed has enough in it")


def records_of(seed: int) -> list[CommitRecord] | None:
    """Return the commits of a seed's first place, or None for a seed that has not everything in it."""
    with pytest.MonkeyPatch.context() as patch:
        kept: list[tuple[Disk, CommitRecord]] = []
        commit = Disk.commit

        def keep(self: Disk, record: CommitRecord) -> None:
            before = self.state
            try:
                commit(self, record)
            finally:
                if self.state is not before:
                    kept.append((self, record))

        simulation = Simulation(seed, Settings())
        life = simulation.life
        if life.restores or not (life.settles and life.treats and life.terms):
            return None
        patch.setattr(Disk, "commit", keep)
        beginning = Place(AURORA, alliance.keyring_of(AURORA), World(Random("beginning")))
        alliance.begin(beginning, simulation.life.terms)
        assert beginning.disk.state.entries == simulation.places[0].disk.state.entries
        outcome = simulation.run()
        assert outcome.violation is None, outcome.violation
        state, disks = simulation.places[0].disk.state, (beginning.disk, simulation.places[0].disk)
        tables = (state.table(LINES), state.table(STATEMENTS), state.table(OUTGOING))
        if not state.proposals or not all(tables):
            return None
        return [record for disk in disks for owner, record in kept if owner is disk]


@pytest.fixture
def stores(database_url: str) -> Iterator[tuple[StoreWriter, StoreReader]]:
    with Database.open(database_url) as database:
        database.migrate()
        with database.writer() as writer:
            yield writer, database.reader()


def test_the_fake_store_answers_as_a_real_one(
    records: list[CommitRecord], stores: tuple[StoreWriter, StoreReader]
) -> None:
    writer, reader = stores
    disk = Disk()
    fake = MemoryWriter(disk)
    for number, record in enumerate(records):
        writer.commit(record)
        fake.commit(record)
        if number % LOOK_EVERY == 0 or record is records[-1]:
            look(disk.state, (writer, fake), (reader, MemoryReader(disk)))
    assert disk.state.table(OUTGOING)
    assert disk.state.table(LINES)
    assert disk.state.table(STATEMENTS)
    assert disk.state.received
    assert disk.state.proposals


def look(state: State, writers: tuple[StoreWriter, StoreWriter], readers: tuple[StoreReader, StoreReader]) -> None:
    """Ask both stores everything."""
    real, fake = writers
    assert real.head() == fake.head()
    assert real.tile(0, 0) == fake.tile(0, 0)
    assert real.range_hashes(len(state.entries)) == fake.range_hashes(len(state.entries))
    wanted = [need(table, key) for table in TABLES for key in state.table(table)]
    wanted += [need(OUTGOING, Id("nothing")), *map(need_book, state.table(ACCOUNTS))]
    overlays = []
    for writer in writers:
        overlay = Overlay(complete=False)
        writer.load(wanted, overlay)
        overlays.append({table.name: dict(overlay.rows(table)) for table in TABLES})
        overlays[-1]["books"] = {account: overlay.lots(account) for account in state.table(ACCOUNTS)}
    assert overlays[0] == overlays[1]
    for name, calls in questions(state).items():
        for arguments in calls:
            answers = [getattr(reader, name)(*arguments) for reader in readers]
            assert answers[0] == answers[1], (name, arguments)
    for name, named_calls in named_questions(state).items():
        for arguments, named in named_calls:
            answers = [getattr(reader, name)(*arguments, **named) for reader in readers]
            assert answers[0] == answers[1], (name, arguments, named)


def questions(state: State) -> dict[str, list[tuple[object, ...]]]:
    """Return arguments for every read of the fake store whose arguments need no names."""
    partners = [*state.urls, "nobody.example/main.1"]
    return {**of_the_ledger(state, partners), **of_what_was_said(state, partners), **of_settlement(state, partners)}


def of_the_ledger(state: State, partners: list[str]) -> dict[str, list[tuple[object, ...]]]:
    """Return questions about the log, the ledger's state, and what operators keep."""
    accounts = [*state.table(ACCOUNTS), "member/nobody"]
    seqs = [0, len(state.entries) - 1, len(state.entries)]
    return {
        "record": [(table, key) for table in TABLES for key in state.table(table)],
        "entry": [(seq,) for seq in seqs],
        "entries": [(seq, 3) for seq in seqs],
        "entry_seq_of_id": [(sealed.entry.id,) for sealed in state.entries] + [("nothing",)],
        "tile": [(0, 0), (1, 0)],
        "latest_checkpoint": [()],
        "checkpoint_covering": [(size,) for size in (*(each.size for each in state.checkpoints), 10_000)],
        "checkpoint_of": [(1,), (2,)],
        "published": [(state.checkpoints[-1].root,)],
        "accounts": [(), (accounts[0],), (None, 1)],
        "lots": [(account,) for account in accounts],
        "holds_expired": [("9999-01-01",), ("9999-01-01", 1), ("2026-03-01",)],
        "balances": [()],
        "partners": [()],
        "agreements": [(), *((partner,) for partner in partners)],
        "current_agreement": [(partner,) for partner in partners],
        "outgoing_page": [()],
        "incoming_page": [()],
        "partner_url": [(partner,) for partner in partners],
        "partner_urls": [()],
        "setting": [(name,) for name in (*state.settings, "nothing")],
        "proposals": [()],
        "proposal": [(digest,) for digest in (*state.proposals, Digest("0" * 64))],
    }


def of_what_was_said(state: State, partners: list[str]) -> dict[str, list[tuple[object, ...]]]:
    """Return questions about bodies, streams and partners' checkpoints."""
    digests = [*state.sent_numbers, *(digest for _, digest in state.received), Digest("0" * 64)]
    return {
        "pending_outbox": [(partner, after) for partner in partners for after in (-1, 3)],
        "outbox_partners": [()],
        "message_sent": [(digest,) for digest in digests],
        "message_received": [(digest,) for _, digest in state.received] + [("0" * 64,)],
        "sent_count": [(partner,) for partner in partners],
        "sent_kinds": [(digests,), ([],)],
        "received_digests": [(partner, digests) for partner in partners],
        **of_evidence(state, partners),
        "is_forked": [(partner, partner) for partner in partners],
        "witnessed": [(partner,) for partner in partners],
        "proved": [(partner,) for partner in partners],
        "partner_checkpoint": [(each.ledger, size) for each in state.partner_checkpoints for size in (each.size, 0)],
        "latest_partner_checkpoint": [(partner,) for partner in partners],
        "sent_place": [(partner, digest) for partner in partners for digest in digests],
        "sent_number": [(partner, place) for partner in partners for place in (0, 2, 100)],
        "sent_numbers": [(digests,), ([],)],
        "sent_since": [(partner, number, 3) for partner in partners for number in (0, 3)],
        "stands_no_more": [(partner, number) for partner in partners for number in (0, 3, 100)],
        "words_received": [(partner, place, 3) for partner in partners for place in (0, 2, 100)],
        "words_received_after": [(partner, number, 3) for partner in partners for number in (-1, 3)],
        "channel": [(partner,) for partner in partners],
        "channels": [()],
    }


def of_evidence(state: State, partners: list[str]) -> dict[str, list[tuple[object, ...]]]:
    """Return questions about accusations and the words that they are made of."""
    kept = state.accusations
    things: list[tuple[object, ...]] = [(each.partner, each.subject, each.name) for each in kept]
    return {
        "accusations": [(), (1,), (None, 1)],
        "accusation": [(digest,) for digest in (*(each.digest for each in kept), Digest("0" * 64))],
        "is_accused": [*things, *((partner, "decision", "nothing") for partner in partners)],
        "received_numbered": [(number,) for number in (0, 1, 10_000)],
        "messages_received": [(0, 3), (2, 3), (10_000, 3)],
        "checkpoints_twice": [(0,), (3,)],
        "witnessed": [("nobody.example/main.1",)],
        "proved": [("nobody.example/main.1",)],
    }


def of_settlement(state: State, partners: list[str]) -> dict[str, list[tuple[object, ...]]]:
    """Return questions about lines and statements."""
    lines = state.table(LINES).values()
    return {
        "statement_named": [(record.digest,) for record in state.table(STATEMENTS).values()] + [("0" * 64,)],
        "lines": [(partner, window) for partner in partners for window in (1, 2)],
        "lines_of_conversion": [(partner, line.conversion) for partner in partners for line in lines],
    }


def named_questions(state: State) -> dict[str, list[Named]]:
    """Return arguments, some of them named, for the reads that are not among `questions`."""
    partners = [*state.urls, "nobody.example/main.1"]
    of_kinds = [(partner, kind) for partner in partners for kind in ("prepare", "statement", "close")]
    return {
        "received_places": [
            ((partner,), {"epoch": epoch, "epoch_nonce": nonce, "first_seq": max(seq - 2, 0), "last_seq": seq + 1})
            for partner, epoch, nonce, seq in state.frames
        ],
        "lines_of_way": [
            ((partner, way, window), {"limit": limit})
            for partner in partners
            for way in ("out", "in")
            for window in (1, 2)
            for limit in (1, 100)
        ],
        "received_in": [
            ((partner,), {"epoch": epoch, "epoch_nonce": nonce, "seq": seq + ahead})
            for partner, epoch, nonce, seq in list(state.frames)[:20]
            for ahead in (0, 10_000)
        ],
        "words_twice": [((), {"from_number": 0, "before_number": number, "limit": 5}) for number in (3, 10_000)],
        "bodies_received": [(each, {"from_number": number, "limit": 2}) for each in of_kinds for number in (0, 3)],
    }


def test_every_read_of_the_fake_store_is_asked() -> None:
    state = alliance.make_places(World(Random(1)))[0].disk.state
    readers = (MemoryReader, EvidenceReader, SettlementReader)
    reads = {name for reader in readers for name in vars(reader) if not name.startswith("_")}
    assert questions(state).keys() | named_questions(state).keys() == reads - COUNTED


def test_what_is_counted_is_what_a_real_store_counts(
    records: list[CommitRecord], stores: tuple[StoreWriter, StoreReader]
) -> None:
    disk = Disk()
    for record in records:
        stores[0].commit(record)
        MemoryWriter(disk).commit(record)
    reader = MemoryReader(disk)
    assert reader.counts() == stores[1].counts()
    heads = {head.name: head.count for head in stores[1].evidence_heads()}
    assert {head.name: head.count for head in reader.evidence_heads()}.items() <= heads.items()


def test_both_refuse_another_log_and_an_unknown_body(
    records: list[CommitRecord], stores: tuple[StoreWriter, StoreReader]
) -> None:
    disk = Disk()
    for writer in (stores[0], MemoryWriter(disk)):
        writer.commit(records[0])
        with pytest.raises(ForkRefused):
            writer.commit(records[0])
        with pytest.raises(StoreFailed):
            writer.commit(CommitRecord(old_size=len(disk.state.entries) or 1, writes=(Requeue(Digest("0" * 64)),)))
    assert disk.state.outbox == {}
