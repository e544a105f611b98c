"""The fake store against the real ones: the same commits, the same answers to whatever a node asks."""

from collections.abc import Iterator
from random import Random

import pytest

from node.store.database import Database
from node.store.errors import ForkRefused, StoreFailed
from node.store.reader import StoreReader
from node.store.rows import CommitRecord, Requeue
from node.store.writer import StoreWriter
from protocol.identifiers import Digest, Id
from protocol.ledger.state import ACCOUNTS, OUTGOING, TABLES
from protocol.ledger.view import Need, Overlay, need, need_book
from scripts.alliance.brands import AURORA
from scripts.simulation import alliance
from scripts.simulation.place import Place
from scripts.simulation.reader import MemoryReader
from scripts.simulation.run import Settings, Simulation
from scripts.simulation.store import Disk, MemoryWriter, State
from scripts.simulation.world import World

SEED = 11
LOOK_EVERY = 40


@pytest.fixture(scope="module")
def records() -> list[CommitRecord]:
    """Return what a place has committed from its genesis on, in a seed with all faults."""
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

        simulation = Simulation(SEED, Settings())
        patch.setattr(Disk, "commit", keep)
        beginning = Place(AURORA, alliance.keyring_of(AURORA), World(Random("beginning")))
        assert alliance.begin(beginning).entries == simulation.places[0].disk.state.entries
        outcome = simulation.run()
        assert outcome.violation is None, outcome.violation
        disks = (beginning.disk, simulation.places[0].disk)
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
    assert disk.state.received


def look(state: State, writers: tuple[StoreWriter, StoreWriter], readers: tuple[StoreReader, StoreReader]) -> None:
    """Ask both stores everything."""
    real, fake = writers
    assert real.head() == fake.head()
    assert real.tile(0, 0) == fake.tile(0, 0)
    assert real.range_hashes(len(state.entries)) == fake.range_hashes(len(state.entries))
    wanted = [Need(table, key) for table in TABLES for key in state.table(table)]
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


def questions(state: State) -> dict[str, list[tuple[object, ...]]]:
    """Return arguments for every read of the fake store."""
    partners = [*state.urls, "nobody.example/main.1"]
    accounts = [*state.table(ACCOUNTS), "member/nobody"]
    digests = [*state.sent_numbers, *(digest for _, digest in state.received), Digest("0" * 64)]
    seqs = [0, len(state.entries) - 1, len(state.entries)]
    return {
        "record": [(table, key) for table in TABLES for key in state.table(table)],
        "entry": [(seq,) for seq in seqs],
        "entries": [(seq, 3) for seq in seqs],
        "entry_seq_of_id": [(sealed.entry.id,) for sealed in state.entries] + [("nothing",)],
        "tile": [(0, 0), (1, 0)],
        "latest_checkpoint": [()],
        "accounts": [(), (accounts[0],), (None, 1)],
        "lots": [(account,) for account in accounts],
        "open_holds": [(account,) for account in accounts],
        "holds_expired": [("9999-01-01",), ("9999-01-01", 1), ("2026-03-01",)],
        "balances": [()],
        "partners": [()],
        "agreements": [(), *((partner,) for partner in partners)],
        "current_agreement": [(partner,) for partner in partners],
        "outgoing_page": [()],
        "incoming_page": [()],
        "pending_outbox": [(partner, after) for partner in partners for after in (-1, 3)],
        "outbox_partners": [()],
        "message_sent": [(digest,) for digest in digests],
        "sent_count": [(partner,) for partner in partners],
        "sent_kinds": [(digests,), ([],)],
        "received_digests": [(partner, digests) for partner in partners],
        "latest_partner_checkpoint": [(partner,) for partner in partners],
        "channel": [(partner,) for partner in partners],
        "channels": [()],
        "partner_url": [(partner,) for partner in partners],
        "partner_urls": [()],
        "setting": [(name,) for name in (*state.settings, "nothing")],
    }


def test_every_read_of_the_fake_store_is_asked() -> None:
    public = {name for name in vars(MemoryReader) if not name.startswith("_")}
    assert questions(alliance.make_places(World(Random(1)))[0].disk.state).keys() == public


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
