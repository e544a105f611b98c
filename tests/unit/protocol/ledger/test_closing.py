import msgspec
import pytest

from protocol.errors import Code
from protocol.fields import later
from protocol.ledger.state import COUNTERS, IN, SETTLEMENTS, WINDOW_TOTALS, WINDOWS
from protocol.limits import CLOCK_SKEW_SECONDS_MAX
from protocol.messages import Close
from protocol.settlement.calendar import closes_at
from protocol.settlement.states import WindowState
from protocol.window_entries import WindowClosed, WindowCloseReceived
from tests.support.documents import (
    BLUEBIRD,
    COPPER,
    agreement,
    digest,
    entry_reference,
    signed_agreement,
)
from tests.support.documents import (
    WINDOWS as CALENDAR,
)
from tests.support.ledger import MemoryLedger, Pair, add_partner, convert, enter, new_ledger, pair_of, refused
from tests.support.windows import close, close_both, state, take, window


def closed(pair: Pair, *, number: int = 1) -> Close:
    """Return the destination's close of a window with one conversion."""
    convert(pair.source, pair.destination, pair.sender, 400, name=f"conversion {number}")
    body = pair.destination.body(close(pair.destination, pair.source, number, early=True))
    assert isinstance(body, Close)
    return body


def changed(ledger: MemoryLedger, kind: type[WindowClosed], **fields: object) -> WindowClosed:
    entry = next(sealed.entry for sealed in ledger.sealed if isinstance(sealed.entry, kind))
    return msgspec.structs.replace(entry, **fields)


def test_a_window_closes_at_its_end_and_the_next_opens() -> None:
    pair = pair_of()
    other = pair.destination
    opened = window(other, pair.source, 1).opened_at
    assert opened is not None
    end = closes_at(CALENDAR, opened_at=opened)
    with refused(Code.WINDOW_OPEN, other):
        close(other, pair.source, 1)
    other.wall = end
    entry = close(other, pair.source, 1).entry
    assert isinstance(entry, WindowClosed)
    assert (entry.early, entry.opened_at, entry.totals.count) == (False, opened, 0)
    assert window(other, pair.source, 2).opened_at == entry.time
    counter = other.state.get(COUNTERS, pair.source.name)
    assert counter is not None
    assert (counter.window, counter.dec_seq) == (2, 0)


def test_a_window_can_be_closed_early() -> None:
    pair = pair_of()
    entry = close(pair.destination, pair.source, 1, early=True).entry
    assert isinstance(entry, WindowClosed)
    assert entry.early
    assert state(pair.destination, pair.source, 1) == WindowState.CLOSING


def test_the_first_window_opens_no_earlier_than_its_agreement_begins() -> None:
    begins = "2026-04-01T00:00:00.000000Z"
    terms = msgspec.structs.replace(agreement(), valid_from=begins)
    ledger = new_ledger()
    add_partner(ledger, BLUEBIRD)
    enter(ledger, signed_agreement(terms))
    record = ledger.state.get(WINDOWS, (BLUEBIRD.ledger, 1))
    assert record is not None
    assert record.opened_at == begins


def test_window_closed_and_window_open_where_another_is_open() -> None:
    pair = pair_of()
    close(pair.destination, pair.source, 1, early=True)
    one = changed(pair.destination, WindowClosed)
    with refused(Code.WINDOW_CLOSED, pair.destination):
        pair.destination.judge(msgspec.structs.replace(one, id=f"{one.id}x"))
    with refused(Code.WINDOW_OPEN, pair.destination):
        close(pair.destination, pair.source, 3, early=True)
    # The same close is the same answer.
    assert close(pair.destination, pair.source, 1) == pair.destination.sealed[-1]


def test_partner_unknown_and_agreement_unknown_where_there_is_nobody_to_settle_with() -> None:
    pair = pair_of()
    stranger = new_ledger(COPPER)
    with refused(Code.PARTNER_UNKNOWN, pair.source):
        close(pair.source, stranger, 1)
    add_partner(pair.source, COPPER)
    with refused(Code.AGREEMENT_UNKNOWN, pair.source):
        close(pair.source, stranger, 1)


def test_partner_mismatch_where_a_window_is_of_another_network() -> None:
    pair = pair_of()
    close(pair.destination, pair.source, 1, early=True)
    entry = changed(pair.destination, WindowClosed, id="window/x/2", window=2, network="0" * 32)
    with refused(Code.PARTNER_MISMATCH, pair.destination):
        pair.destination.judge(entry)


@pytest.mark.parametrize("field", ["opened_at", "totals", "agreement", "early"])
def test_statement_mismatch_where_a_close_states_what_the_window_has_not(field: str) -> None:
    pair = pair_of()
    close(pair.destination, pair.source, 1, early=True)
    entry = changed(pair.destination, WindowClosed)
    second = msgspec.structs.replace(
        entry,
        id=entry.id.replace("/1", "/2"),
        window=2,
        opened_at=entry.time,
    )
    wrong: dict[str, object] = {
        "opened_at": entry.opened_at,
        "totals": msgspec.structs.replace(entry.totals, value="1"),
        "agreement": digest("another"),
        "early": not entry.early,
    }
    with refused(Code.STATEMENT_MISMATCH, pair.destination):
        pair.destination.judge(msgspec.structs.replace(second, **{field: wrong[field]}))


def test_both_closes_reconcile_a_window_whoever_is_first() -> None:
    for swap in (False, True):
        pair = pair_of()
        convert(pair.source, pair.destination, pair.sender, 400, name="a")
        one, other = (pair.destination, pair.source) if swap else (pair.source, pair.destination)
        close_both(one, other, 1)
        assert state(one, other, 1) == state(other, one, 1) == WindowState.RECONCILED
        settled = pair.source.state.get(SETTLEMENTS, pair.destination.name)
        assert settled is not None
        assert (settled.summed, settled.closed, settled.agreed) == (1, 1, 0)


def test_a_close_is_taken_in_before_there_is_an_agreement() -> None:
    pair = pair_of()
    behind = new_ledger(pair.source.side)
    add_partner(behind, BLUEBIRD)
    take(behind, pair.destination.body(close(pair.destination, pair.source, 1, early=True)))
    record = behind.state.get(WINDOWS, (BLUEBIRD.ledger, 1))
    assert record is not None
    assert (record.state, record.opened_at) == (WindowState.CLOSING, None)
    enter(behind, pair.signed)
    record = behind.state.get(WINDOWS, (BLUEBIRD.ledger, 1))
    assert record is not None
    assert record.received is not None
    assert record.opened_at is not None
    close(behind, pair.destination, 1, early=True)
    assert state(behind, pair.destination, 1) == WindowState.RECONCILED


def test_totals_that_differ_make_a_mismatch() -> None:
    pair = pair_of()
    body = closed(pair)
    close(pair.source, pair.destination, 1, early=True)
    take(pair.source, msgspec.structs.replace(body, totals=msgspec.structs.replace(body.totals, value="1")))
    assert state(pair.source, pair.destination, 1) == WindowState.MISMATCH


def test_decision_mismatch_where_an_entry_does_not_cite_its_close() -> None:
    pair = pair_of()
    take(pair.source, closed(pair))
    entry = pair.source.sealed[-1].entry
    assert isinstance(entry, WindowCloseReceived)
    for fields in ({"close": digest("x")}, {"request": digest("x")}, {"early": False}):
        fresh = pair_of().source
        with refused(Code.DECISION_MISMATCH, fresh):
            fresh.judge(msgspec.structs.replace(entry, **fields))


def test_window_closed_and_window_open_where_the_partner_closes_another() -> None:
    pair = pair_of()
    body = closed(pair)
    with refused(Code.WINDOW_OPEN, pair.source):
        take(pair.source, msgspec.structs.replace(body, window=2))
    take(pair.source, body)
    entry = pair.source.sealed[-1].entry
    with refused(Code.WINDOW_CLOSED, pair.source):
        pair.source.judge(msgspec.structs.replace(entry, id=f"{entry.id}x"))
    with refused(Code.ID_REUSED, pair.source):
        take(pair.source, msgspec.structs.replace(body, early=False))


def test_statement_invalid_where_a_closes_totals_contradict_themselves() -> None:
    pair = pair_of()
    body = closed(pair)
    wrong = msgspec.structs.replace(body.totals, count=7)
    with refused(Code.STATEMENT_INVALID, pair.source):
        take(pair.source, msgspec.structs.replace(body, totals=wrong))


def test_clock_where_a_window_was_closed_in_the_future() -> None:
    pair = pair_of()
    body = closed(pair)
    late = later(pair.source.wall, seconds=CLOCK_SKEW_SECONDS_MAX + 1)
    with refused(Code.CLOCK, pair.source):
        take(pair.source, msgspec.structs.replace(body, closed_at=late))


def test_statement_mismatch_where_a_close_does_not_follow_the_one_before() -> None:
    pair = pair_of()
    first = closed(pair)
    skipping = msgspec.structs.replace(first.totals, first_dec_seq=2, last_dec_seq=2)
    with refused(Code.STATEMENT_MISMATCH, pair.source):
        take(pair.source, msgspec.structs.replace(first, totals=skipping))
    take(pair.source, first)
    second = closed(pair, number=2)
    before = entry_reference(seq=first.entry.seq)
    for wrong in (
        msgspec.structs.replace(second, totals=first.totals),
        msgspec.structs.replace(second, closed_at="2026-01-01T00:00:00.000000Z"),
        msgspec.structs.replace(second, entry=before),
    ):
        with refused(Code.STATEMENT_MISMATCH, pair.source):
            take(pair.source, wrong)
    take(pair.source, second)


def test_totals_of_a_window_grow_with_each_credit() -> None:
    pair = pair_of()
    for number in range(1, 5):
        convert(pair.source, pair.destination, pair.sender, 400, name=f"{number}")
        totals = pair.destination.state.get(WINDOW_TOTALS, (pair.source.name, IN, 1))
        assert totals is not None
        assert (totals.count, totals.last_dec_seq, totals.source_points) == (number, number, 400 * number)
        assert len(totals.agreements) == 1
