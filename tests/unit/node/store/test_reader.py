"""Reading beside the writer: pages, and answers that never wait."""

from node.store.database import Database
from node.store.rows import CommitRecord, PutSetting, SentBody, StoreCounts
from node.store.schema import SETTINGS
from node.store.writer import StoreWriter
from protocol.conversion import SourceState
from protocol.entries import decode_entry
from protocol.identifiers import Account, Asset, Id
from protocol.ledger import commands
from protocol.ledger.state import (
    ACCOUNTS,
    AGREEMENTS,
    BALANCES,
    CURRENT,
    INCOMING,
    ISSUED_LINKS,
    OUTGOING,
    PARTNERS,
    TABLES,
)
from protocol.ledger.view import Overlay
from tests.support.documents import AURORA, BLUEBIRD, CONVERSION, NETWORK, NOW, SOON, digest, uuid
from tests.support.ledger import MemoryLedger, genesis_of, open_holder
from tests.unit.node.store.recorder import ANN, CEM, busy_logs, long_log, small_log, write_log


def test_every_record_is_found_by_its_key(database: Database, writer: StoreWriter) -> None:
    side, sealed = busy_logs()[0]
    state = write_log(writer, sealed, side=side).state
    reader = database.reader()
    for family in TABLES:
        for key, record in state.rows(family):
            if family.name != "lots":
                assert reader.record(family, key) == record
    assert reader.record(ACCOUNTS, Account("nobody")) is None
    assert reader.record(ACCOUNTS, Account("\0")) is None
    assert reader.record(ACCOUNTS, Account("\ud800")) is None


def test_an_account_is_read_together_with_its_lots(database: Database, writer: StoreWriter) -> None:
    side, sealed = busy_logs()[0]
    state = write_log(writer, sealed, side=side).state
    reader, with_lots = database.reader(), 0
    for account, record in state.rows(ACCOUNTS):
        assert reader.account_with_lots(account) == (record, reader.lots(account)) == (record, state.lots(account))
        with_lots += len(state.lots(account)) > 1
    assert with_lots
    assert reader.account_with_lots(Account("nobody")) == (None, [])
    assert reader.account_with_lots(Account("\ud800")) == (None, [])


def test_the_log_is_read_as_it_is_served(database: Database, writer: StoreWriter) -> None:
    reader = database.reader()
    assert reader.latest_checkpoint() is None
    assert reader.entries(0, 10) == []
    sealed = long_log(300)
    recorder = write_log(writer, sealed, step=100)
    assert reader.entry(7) == sealed[7].data
    assert reader.entry(300) is None
    assert reader.entry(2**70) is None
    assert reader.entries(255, 3) == [each.data for each in sealed[255:258]]
    assert reader.entries(298, 10) == [each.data for each in sealed[298:]]
    assert reader.leaf(7) == sealed[7].leaf
    assert reader.leaf(300) is None
    assert reader.entry_seq_of_id(sealed[9].entry.id) == 9
    assert reader.entry_seq_of_id(Id("nothing")) is None
    assert reader.tile(0, 1) == b"".join(bytes.fromhex(each.leaf) for each in sealed[256:])
    assert len(reader.tile(0, 0)) == 8192
    assert reader.tile(1, 0) == writer.tile(1, 0) != b""
    assert reader.tile(9, 9) == b""
    latest = reader.latest_checkpoint()
    assert latest is not None
    assert (latest.number, latest.size, latest.root) == (2, 300, recorder.tiles.root().hex())
    first = reader.checkpoint(0)
    assert first is not None
    assert (first.number, first.size) == (0, 100)
    assert reader.checkpoint(3) is None
    assert [getattr(reader.checkpoint_covering(size), "number", None) for size in (1, 100, 101, 300, 301)] == [
        0,
        0,
        1,
        2,
        None,
    ]


def test_history_is_paged_newest_first(database: Database, writer: StoreWriter) -> None:
    sealed = long_log(300)
    write_log(writer, sealed, step=300)
    reader = database.reader()
    account = decode_entry(sealed[1].data)
    (mine, _), *_ = reader.accounts(limit=1)
    expected = [each.data for each in sealed if mine.encode() in each.data][::-1]
    assert len(expected) == 3
    assert account.seq == 1
    assert reader.history(mine) == expected
    assert reader.history(mine, limit=2) == expected[:2]
    assert reader.history(mine, before_seq=decode_entry(expected[1]).seq) == expected[2:]
    assert reader.history(mine, 0) == []


def test_accounts_are_paged_by_name(database: Database, writer: StoreWriter) -> None:
    state = write_log(writer, long_log(300), step=300).state
    reader = database.reader()
    names = sorted(account for account, _ in state.rows(ACCOUNTS))
    assert len(names) == 100
    page, seen = reader.accounts(limit=30), 0
    while page:
        assert page == [(name, state.get(ACCOUNTS, name)) for name in names[seen : seen + 30]]
        seen += len(page)
        page = reader.accounts(page[-1][0], 30)
    assert seen == 100


def test_lots_are_read_in_the_order_of_use(database: Database, writer: StoreWriter) -> None:
    ledger = MemoryLedger(AURORA)
    ledger.execute(genesis_of(AURORA))
    open_holder(ledger, "ann")
    for number, day in enumerate(("2027-01-01", None, "2026-06-01", "2027-01-01")):
        ledger.execute(commands.IssuePoints(id=uuid(f"{number}"), account=ANN, amount=number + 1, expires_on=day))
    state = write_log(writer, ledger.sealed).state
    lots = database.reader().lots(ANN)
    assert [lot.remaining for lot in lots] == [3, 1, 4, 2]
    assert lots == state.lots(ANN)


def test_holds_are_found_by_their_time(database: Database, writer: StoreWriter) -> None:
    ledger = MemoryLedger(AURORA)
    ledger.execute(genesis_of(AURORA))
    open_holder(ledger, "ann", points=100)
    times = {"a": SOON, "b": None, "c": "2026-03-01T12:05:00.000000Z", "d": SOON}
    for name, time in times.items():
        ledger.execute(commands.PlaceHold(id=uuid(name), account=ANN, amount=10, expires_at=time))
    ledger.execute(commands.ReleaseHold(id=uuid("release"), hold=uuid("d")))
    write_log(writer, ledger.sealed)
    reader = database.reader()
    assert reader.holds_expired(NOW) == []
    assert reader.holds_expired(SOON) == [uuid("c"), uuid("a")]
    assert reader.holds_expired(SOON, 1) == [uuid("c")]


def test_partners_agreements_and_links(database: Database, writer: StoreWriter) -> None:
    side, sealed = busy_logs()[1]
    state = write_log(writer, sealed, side=side).state
    reader = database.reader()
    assert reader.partners() == list(state.rows(PARTNERS))
    assert reader.agreements() == reader.agreements(AURORA.ledger) == list(state.rows(AGREEMENTS))
    assert reader.agreements(BLUEBIRD.ledger) == []
    ((_, current),) = state.rows(CURRENT)
    assert reader.current_agreement(AURORA.ledger) == (current.digest, state.get(AGREEMENTS, current.digest))
    assert reader.current_agreement(BLUEBIRD.ledger) is None
    (((partner, alias), link),) = state.rows(ISSUED_LINKS)
    assert reader.issued_links(link.account) == [(partner, alias, link)]
    assert [each for each, _ in reader.accepted_links(link.account)] == [AURORA.ledger]
    assert reader.issued_links(ANN) == []
    assert reader.accepted_links(ANN) == []
    expected = sorted((account, asset, record.amount) for (account, asset), record in state.rows(BALANCES))
    assert reader.balances() == expected
    assert (Account("issuance"), Asset("BLU")) not in {(account, asset) for account, asset, _ in expected}


def test_conversions_are_paged_newest_first(database: Database, writer: StoreWriter) -> None:
    side, sealed = busy_logs()[0]
    state = write_log(writer, sealed, side=side).state
    reader = database.reader()
    every = sorted(state.rows(OUTGOING), key=lambda row: -row[1].held_seq)
    assert reader.outgoing_page() == every
    assert reader.outgoing_page(limit=2) == every[:2]
    assert reader.outgoing_page(before_seq=every[1][1].held_seq) == every[2:]
    held = [(key, record) for key, record in every if record.state is SourceState.HELD]
    assert reader.outgoing_page(state=SourceState.HELD) == held != []
    assert reader.outgoing_page(account=ANN, partner=BLUEBIRD.ledger) == every
    assert reader.outgoing_page(account=CEM) == reader.outgoing_page(partner=AURORA.ledger) == []
    assert reader.outgoing(every[0][0]) == every[0][1]
    assert reader.outgoing(CONVERSION) is None
    ((key, incoming),) = state.rows(INCOMING)
    assert reader.incoming_page() == reader.incoming_page(partner=BLUEBIRD.ledger) == [(key, incoming)]
    assert reader.incoming_page(before_seq=incoming.decided_seq) == reader.incoming_page(partner=AURORA.ledger) == []
    assert reader.incoming(*key) == incoming
    assert reader.incoming(NETWORK, BLUEBIRD.ledger, CONVERSION) is None


def test_messages_are_found_and_paged(database: Database, writer: StoreWriter) -> None:
    bodies = [
        SentBody(
            partner=BLUEBIRD.ledger,
            digest=digest(name),
            kind=name,
            conversion=CONVERSION if name != "three" else None,
            body=name.encode(),
            entry_seq=None,
        )
        for name in ("one", "two", "three")
    ]
    writer.commit(CommitRecord(old_size=0, writes=tuple(bodies)))
    reader = database.reader()
    assert [each.body for each in reader.messages_sent(1, 1)] == [b"two"]
    assert [each.body for each in reader.sent_of_conversion(CONVERSION)] == [b"one", b"two"]
    assert reader.received_of_conversion(BLUEBIRD.ledger, CONVERSION) == []
    found = reader.message_sent(digest("three"))
    assert found is not None
    assert (found.number, found.conversion, found.entry_seq) == (2, None, None)
    assert reader.message_sent(digest("four")) is None
    assert reader.message_received(digest("one")) is None
    assert reader.sent_kinds([digest("one"), digest("four")]) == {digest("one"): "one"}
    assert reader.sent_kinds([]) == {}
    assert [reader.sent_count(each) for each in (BLUEBIRD.ledger, AURORA.ledger)] == [3, 0]
    assert [each.number for each in reader.pending_outbox(BLUEBIRD.ledger, 0, 1)] == [1]
    assert [each.number for each in reader.pending_outbox(BLUEBIRD.ledger, after_number=0)] == [1, 2]
    assert reader.pending_outbox(BLUEBIRD.ledger, limit=0) == []


def test_counts(database: Database, writer: StoreWriter) -> None:
    reader = database.reader()
    assert reader.counts() == StoreCounts(entries=0, accounts=0, messages_sent=0, messages_received=0, outbox=0)
    write_log(writer, small_log())
    assert (reader.counts().entries, reader.counts().accounts) == (4, 2)


def test_reads_go_on_beside_an_open_transaction(database: Database, writer: StoreWriter) -> None:
    writer.commit(CommitRecord(old_size=0, writes=(PutSetting("a", "before"),)))
    reader = database.reader()
    with writer._session.transaction():
        writer._session.upsert(SETTINGS, [("a", "after")])
        assert reader.setting("a") == "before"
    assert reader.setting("a") == "after"


def test_a_snapshot_stays_as_it_was(database: Database, writer: StoreWriter) -> None:
    writer.commit(CommitRecord(old_size=0, writes=(PutSetting("a", "before"),)))
    with database.snapshot() as snapshot:
        assert list(snapshot.rows("settings")) == [("a", "before")]
        writer.commit(CommitRecord(old_size=0, writes=(PutSetting("a", "after"), PutSetting("b", "new"))))
        assert list(snapshot.rows("settings")) == [("a", "before")]
    with database.snapshot() as snapshot:
        assert list(snapshot.rows("settings")) == [("a", "after"), ("b", "new")]


def test_a_dump_is_whole_and_in_the_order_of_the_key(database: Database, writer: StoreWriter) -> None:
    state = write_log(writer, long_log(2_500), step=2_500).state
    assert isinstance(state, Overlay)
    with database.snapshot() as snapshot:
        assert [row[0] for row in snapshot.rows("entries")] == list(range(2_500))
        lots = [row[:3] for row in snapshot.rows("lots")]
    assert len(lots) == 2_399
    assert lots == sorted(lots, key=lambda key: [key[0], key[1], key[2]])
