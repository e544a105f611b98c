"""One commit: all of it or nothing, each work by itself, one checkpoint over everything."""

from collections.abc import Callable, Iterable

import pytest

from node.engine import engine
from node.engine.work import Work
from node.store import schema
from node.store.errors import StoreFailed
from node.store.rows import PutSetting
from node.store.writer import StoreWriter
from protocol.checkpoint import Checkpoint, open_checkpoint
from protocol.encoding import ZERO_DIGEST
from protocol.entries import unseal
from protocol.errors import Code, Refusal
from protocol.keys import Role
from protocol.ledger.commands import CaptureHold, IssuePoints, PlaceHold
from protocol.ledger.lot_commands import ReversePoints
from protocol.ledger.program_commands import MergeAccount, SetProgram
from protocol.ledger.program_state import LIMIT_USE
from protocol.ledger.state import ACCOUNTS
from protocol.ledger.view import Need, Overlay
from protocol.merkle import leaf_hash
from protocol.note import Verifier
from protocol.program import Limit, ProgramTerms
from tests.support import rfc6962
from tests.support.documents import AURORA, uuid
from tests.support.ledger import genesis_of, holder
from tests.unit.node.engine.conftest import ON_SQLITE, Bench
from tests.unit.node.engine.works import (
    Bug,
    CannotSayNeeds,
    HalfDone,
    Insatiable,
    NeedsWhatOthersMade,
    ReadsUnasked,
    Stages,
    issuing,
    opening,
    work,
)


def last_checkpoint(bench: Bench) -> Checkpoint:
    stored = bench.reader.latest_checkpoint()
    assert stored is not None
    return open_checkpoint(stored.note, [Verifier(AURORA.ledger, AURORA.signing_keys[Role.LOG].public)])


def check_log(bench: Bench) -> None:
    """Hold that the stored log is gapless, chained, in order of time, and that its last checkpoint covers it."""
    stored = bench.reader.entries(0, 10_000)
    sealed = [unseal(data) for data in stored]
    assert [each.entry.seq for each in sealed] == list(range(len(sealed)))
    assert [each.entry.prev for each in sealed] == [ZERO_DIGEST, *(each.leaf for each in sealed)][: len(sealed)]
    times = [each.entry.time for each in sealed]
    assert times == sorted(set(times))
    assert len({each.entry.nonce for each in sealed}) == len(sealed)
    checkpoint = last_checkpoint(bench)
    assert checkpoint.size == len(stored) == bench.engine.size
    assert checkpoint.root == rfc6962.tree_root([leaf_hash(data) for data in stored])


def test_the_first_commit_begins_the_log(empty: Bench) -> None:
    empty.do(genesis_of(AURORA))
    check_log(empty)
    stored = empty.reader.latest_checkpoint()
    assert stored is not None
    assert (stored.number, stored.size) == (0, 1)


@ON_SQLITE
def test_nothing_comes_before_genesis(empty: Bench) -> None:
    (refusal,) = empty.commit(work(opening("ann")))
    assert isinstance(refusal, Refusal)
    assert refusal.code == Code.LEDGER_MISSING
    assert empty.reader.latest_checkpoint() is None


def test_works_of_one_commit_share_one_checkpoint(bench: Bench) -> None:
    answers = bench.do(*(issuing(number) for number in range(20)))
    assert [answer.sealed.entry.seq for answer in answers] == list(range(2, 22))
    stored = bench.reader.latest_checkpoint()
    assert stored is not None
    assert (stored.number, stored.size) == (2, 22)
    check_log(bench)


def test_works_of_one_commit_see_each_other(bench: Bench) -> None:
    hold = uuid("hold")
    bench.do(
        opening("bob"),
        issuing(1, name="bob", amount=50),
        PlaceHold(id=hold, account=holder("bob"), amount=30),
        CaptureHold(id=uuid("capture"), hold=hold, amount=10, final=False),
    )
    record = bench.reader.record(ACCOUNTS, holder("bob"))
    assert record is not None
    assert (record.posted, record.held) == (40, 20)
    check_log(bench)


@ON_SQLITE
@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(lambda: work(issuing("refused", amount=0)), id="refused"),
        pytest.param(lambda: work(issuing("a"), issuing("b"), issuing("refused", amount=0)), id="refused at its end"),
        pytest.param(lambda: HalfDone(Refusal(Code.CLOCK, "on purpose"), issuing("half")), id="refusing after all"),
        pytest.param(lambda: HalfDone(Bug(), issuing("half")), id="a bug after all was done"),
        pytest.param(lambda: CannotSayNeeds(Bug()), id="a bug in its needs"),
        pytest.param(lambda: CannotSayNeeds(Refusal(Code.CLOCK, "on purpose")), id="refusing in its needs"),
        pytest.param(Insatiable, id="needs without end"),
        pytest.param(ReadsUnasked, id="reads what it did not ask for"),
    ],
)
def test_a_bad_work_harms_no_other_and_leaves_nothing(bench: Bench, bad: Callable[[], Work[object]]) -> None:
    results = bench.commit(work(issuing("before", amount=5)), bad(), work(issuing("after", amount=7)))
    assert [isinstance(result, Exception) for result in results] == [False, True, False]
    entries = bench.entries()
    assert [entry.id for entry in entries[2:]] == [uuid("issue before"), uuid("issue after")]
    assert bench.reader.setting("half") is None
    record = bench.reader.record(ACCOUNTS, holder("ann"))
    assert record is not None
    assert record.posted == 12
    check_log(bench)


@ON_SQLITE
def test_a_commit_of_nothing_but_refusals_writes_nothing(bench: Bench) -> None:
    commits = bench.store.commits
    committed = bench.committed(work(issuing(1, amount=0)), HalfDone(Bug(), issuing(2)))
    assert (committed.sealed, committed.size) == ((), 2)
    assert bench.store.commits == commits


def test_a_repeat_gets_the_first_answer_in_the_same_commit_and_later(bench: Bench) -> None:
    first, again = bench.do(issuing(1), issuing(1))
    (later,) = bench.do(issuing(1))
    assert [answer.repeated for answer in (first, again, later)] == [False, True, True]
    assert first.sealed == again.sealed == later.sealed
    assert bench.engine.size == 3


def test_a_reused_id_is_refused_in_the_same_commit_and_later(bench: Bench) -> None:
    results = bench.commit(work(issuing(1)), work(issuing(1, amount=2)))
    results += bench.commit(work(issuing(1, amount=2)))
    assert [getattr(result, "code", None) for result in results] == [None, Code.ID_REUSED, Code.ID_REUSED]
    assert bench.engine.size == 3


def test_times_increase_while_the_clock_goes_back(bench: Bench) -> None:
    for seconds in (5, -3_600, -86_400, 10):
        bench.advance(seconds)
        bench.do(issuing(f"{seconds} a"), issuing(f"{seconds} b"))
    check_log(bench)
    assert bench.entries()[-1].time.startswith("2026-03-01T12:00:05")


def test_writes_alone_need_no_checkpoint(bench: Bench) -> None:
    before = bench.reader.latest_checkpoint()
    assert bench.commit(Stages(PutSetting("colour", "blue"))) == [[]]
    assert bench.reader.setting("colour") == "blue"
    assert bench.reader.latest_checkpoint() == before


@ON_SQLITE
def test_a_work_sees_what_is_staged_but_not_what_was_undone(bench: Bench) -> None:
    kept, undone, last = PutSetting("a", "1"), PutSetting("b", "2"), PutSetting("c", "3")
    results = bench.commit(Stages(kept), Stages(undone, fails=True), Stages(last))
    assert results[0] == []
    assert results[2] == [kept]
    assert bench.reader.setting("b") is None


@ON_SQLITE
@pytest.mark.parametrize("sizes", [(255, 256, 257), (254, 256), (257,), (1, 300), (511, 512, 514)])
def test_tiles_and_roots_are_right_around_full_tiles(bench: Bench, sizes: tuple[int, ...]) -> None:
    for size in sizes:
        if size > bench.engine.size:
            bench.do(*(issuing(number) for number in range(bench.engine.size, size)))
        check_log(bench)
        check_tiles(bench)
        bench.reopen()


def test_tiles_grow_by_the_row_on_both_databases(bench: Bench) -> None:
    for size in (255, 257):
        bench.do(*(issuing(number) for number in range(bench.engine.size, size)))
        check_log(bench)
        check_tiles(bench)


def check_tiles(bench: Bench) -> None:
    """Hold that the stored tiles are exactly those of the stored entries."""
    leaves = [leaf_hash(data) for data in bench.reader.entries(0, 10_000)]
    for index in range(len(leaves) // 256 + 1):
        assert bench.reader.tile(0, index) == b"".join(leaves[256 * index : 256 * index + 256])
    full = [rfc6962.tree_root(leaves[at : at + 256]) for at in range(0, len(leaves) // 256 * 256, 256)]
    assert bench.reader.tile(1, 0) == b"".join(full)
    with bench.database.snapshot() as dump:
        assert len(list(dump.rows("tiles"))) == -(-len(leaves) // 256) + bool(full)


def test_a_damaged_tile_keeps_the_engine_from_signing(bench: Bench) -> None:
    bench.store._session.run(schema.TILES.update().values(hashes=bytes(64)))
    with pytest.raises(StoreFailed) as caught:
        bench.reopen()
    assert caught.value.code == "store_corrupt"


@ON_SQLITE
def test_rows_stay_in_memory_from_commit_to_commit(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.do(issuing(1))
    asked: list[str] = []
    load = StoreWriter.load

    def spied(self: StoreWriter, needs: Iterable[Need], overlay: Overlay) -> None:
        wanted = [each for each in needs if not overlay.is_loaded(each)]
        asked.extend("book" if table is None else table.name for table, _ in wanted)
        load(self, wanted, overlay)

    monkeypatch.setattr(StoreWriter, "load", spied)
    bench.do(issuing(2), issuing(3))
    assert asked == ["ids", "ids"]
    monkeypatch.setattr(engine, "ROWS_KEPT_MAX", 1)
    bench.do(issuing(4))
    asked.clear()
    bench.do(issuing(5))
    assert {"head", "ledger", "program", "accounts", "balances", "ids"} <= set(asked)
    record = bench.reader.record(ACCOUNTS, holder("ann"))
    assert record is not None
    assert record.posted == 5
    check_log(bench)


@ON_SQLITE
def test_an_id_that_another_commit_has_used_is_found(bench: Bench) -> None:
    (first,) = bench.do(issuing(1))
    (again,) = bench.do(issuing(1))
    assert (again.sealed, again.repeated) == (first.sealed, True)


def test_a_work_reads_what_those_before_it_in_its_commit_have_made_it_read(bench: Bench) -> None:
    bench.do(opening("rich"))
    size = bench.engine.size
    _, answers = bench.commit(work(issuing("wealth", name="rich")), NeedsWhatOthersMade(of=holder("rich")))
    assert isinstance(answers, list)
    assert [each.repeated for each in answers] == [False], "what it did at first was undone"
    assert bench.engine.size == size + 2
    check_log(bench)


def test_a_command_reads_what_those_before_it_in_its_commit_have_made_it_read(bench: Bench) -> None:
    bench.do(opening("survivor"), issuing("early", amount=5))
    terms = ProgramTerms(limits=(Limit(activity="earn", scope="account", per="day", measure="points", most=100),))
    merged, survivor = holder("ann"), holder("survivor")
    bench.do(
        issuing("issued", amount=40),
        ReversePoints(id=uuid("taken back"), reverses=uuid("issue issued"), amount=30),
        SetProgram(id=uuid("terms"), terms=terms, reason="opening"),
        issuing("limited", amount=60),
        MergeAccount(id=uuid("merge"), account=merged, survivor=survivor, reason="joined_twice"),
    )
    (refusal,) = bench.commit(work(IssuePoints(id=uuid("more"), account=survivor, amount=101)))
    assert isinstance(refusal, Refusal)
    assert refusal.code == Code.LIMIT_REACHED
    use = bench.reader.record(LIMIT_USE, (merged, "earn"))
    assert use is not None
    assert use.day_points == 60, "what was there before the terms is not counted"
    record = bench.reader.record(ACCOUNTS, survivor)
    assert record is not None
    assert record.posted == 75
    bench.do(ReversePoints(id=uuid("at the survivor"), reverses=uuid("issue issued"), amount=5))
    record = bench.reader.record(ACCOUNTS, survivor)
    assert record is not None
    assert record.posted == 70, "in a commit of its own, too, it reads who stands for the account"
    check_log(bench)
