"""Points given back at the program's own risk, and what the destination's late word makes of it."""

from collections.abc import Callable

import msgspec
import pytest

from protocol.agreement import Fee, MemberLimits
from protocol.conversion import SourceState
from protocol.entries import ConversionCaptured, ConversionForced, ConversionReleased, Sealed
from protocol.errors import Code
from protocol.ledger import commands, rules
from protocol.ledger.state import BALANCES, EXPOSURE, MEMBER_USE, OUT, OUTGOING, ExposureRecord, OutgoingRecord
from tests.support.documents import (
    BLUEBIRD,
    NO_MEMBER_LIMITS,
    agreement,
    digest,
    direction,
    signed_agreement,
    uuid,
)
from tests.support.ledger import Pair, ask_cancel, force, order, pair_of, receive, refused, replay, rows_of

VALUE = 7_500_000
PARTNER = "bluebird.example/main"


def forced(*, price: int = 2_500_000) -> Pair:
    """Return a pair whose conversion of three steps was forced while the destination was silent."""
    limits = MemberLimits(**dict.fromkeys(NO_MEMBER_LIMITS.__struct_fields__, 5000))
    there = direction(price=price, fee=Fee(points_per_conversion=5, points_per_step=2), member_limits=limits)
    pair = pair_of(signed=signed_agreement(agreement(there=there)))
    order(pair.source, BLUEBIRD.ledger, pair.sender, 1_300)
    force(pair.source)
    return pair


def prepared(pair: Pair) -> Sealed:
    return next(sealed for sealed in pair.source.sealed if sealed.entry.id == uuid("conversion"))


def fulfilled(pair: Pair) -> Sealed:
    """Let the destination credit after all, and the source hear of it."""
    decided = receive(pair.destination, pair.source.body(prepared(pair)))
    return receive(pair.source, pair.destination.body(decided))


def rejected(pair: Pair) -> Sealed:
    wish = ask_cancel(pair.source)
    return receive(pair.source, pair.destination.body(receive(pair.destination, pair.source.body(wish))))


def money(pair: Pair) -> dict[str, int]:
    rows = pair.source.state.rows(BALANCES)
    return {str(name): row.amount for (name, asset), row in rows if asset == "USD" and row.amount}


def record_of(pair: Pair) -> OutgoingRecord:
    record = pair.source.state.get(OUTGOING, uuid("conversion"))
    assert record is not None
    return record


def exposure(pair: Pair) -> ExposureRecord | None:
    return pair.source.state.get(EXPOSURE, (BLUEBIRD.ledger, OUT))


def test_force_gives_the_points_back_and_books_what_may_be_owed() -> None:
    pair = forced()
    account = pair.source.account(pair.sender)
    assert (account.posted, account.available, account.conversions) == (10_000, 10_000, 0)
    assert money(pair) == {f"loss/{PARTNER}": -VALUE, f"contingent/{PARTNER}": VALUE}
    assert (record_of(pair).state, record_of(pair).reason) == (SourceState.FORCED, "partner_gone")
    assert exposure(pair) == ExposureRecord(conversions=0, value=0, open_value=VALUE)
    use = pair.source.state.get(MEMBER_USE, (pair.sender, BLUEBIRD.ledger, OUT))
    assert use is not None
    assert (use.day_points, use.year_points) == (0, 0)


def test_a_late_fulfil_makes_it_owed_and_leaves_the_member_the_points() -> None:
    pair = forced()
    sealed = fulfilled(pair)
    assert isinstance(sealed.entry, ConversionCaptured)
    assert money(pair) == {f"loss/{PARTNER}": -VALUE, f"payable/{PARTNER}": VALUE}
    assert pair.source.account(pair.sender).available == 10_000
    assert record_of(pair).state is SourceState.FORCED_OWED
    assert exposure(pair) == ExposureRecord(conversions=0, value=0, open_value=VALUE)
    assert rows_of(replay(pair.source)) == rows_of(pair.source.state)


def test_a_late_reject_takes_the_loss_back() -> None:
    pair = forced()
    sealed = rejected(pair)
    assert isinstance(sealed.entry, ConversionReleased)
    assert money(pair) == {}
    assert pair.source.account(pair.sender).available == 10_000
    assert (record_of(pair).state, record_of(pair).reason) == (SourceState.FORCED_CLEARED, "cancelled")
    assert exposure(pair) == ExposureRecord()
    assert rows_of(replay(pair.source)) == rows_of(pair.source.state)


@pytest.mark.parametrize("end", [fulfilled, rejected])
def test_a_conversion_without_value_posts_nothing_when_it_is_forced_and_after(end: Callable[[Pair], Sealed]) -> None:
    pair = forced(price=0)
    end(pair)
    assert money(pair) == {}


def test_conversion_decided_cannot_be_forced_and_none_is_forced_twice() -> None:
    for end in (fulfilled, rejected):
        pair = forced()
        with refused(Code.CONVERSION_DECIDED, pair.source):
            force_again(pair)
        end(pair)
        with refused(Code.CONVERSION_DECIDED, pair.source):
            force_again(pair)
    pair = pair_of()
    order(pair.source, BLUEBIRD.ledger, pair.sender, 400)
    rejected(pair)
    with refused(Code.CONVERSION_DECIDED, pair.source):
        force(pair.source)


def force_again(pair: Pair) -> None:
    command = commands.ForceRelease(id=uuid("again"), conversion=uuid("conversion"), reason="partner_gone")
    pair.source.execute(command)


def test_conversion_unknown_cannot_be_forced() -> None:
    pair = pair_of()
    with refused(Code.CONVERSION_UNKNOWN, pair.source):
        force(pair.source)


def test_entry_too_large_for_a_reason_that_is_no_word() -> None:
    pair = pair_of()
    order(pair.source, BLUEBIRD.ledger, pair.sender, 400)
    with refused(Code.ENTRY_TOO_LARGE, pair.source):
        force(pair.source, reason="Ann Smith, ticket 12")


def test_force_belongs_to_the_history_of_the_account() -> None:
    pair = forced()
    fulfilled(pair)
    for sealed in pair.source.sealed[-2:]:
        assert rules.holders_of(pair.source.state, sealed.entry) == (pair.sender,)


def test_postings_invalid_unless_a_forced_release_books_its_loss() -> None:
    pair, played = forced(), forced()
    entry = played.source.sealed[-1].entry
    assert isinstance(entry, ConversionForced)
    fresh = pair_of(signed=pair.signed)
    order(fresh.source, BLUEBIRD.ledger, fresh.sender, 1_300)
    with refused(Code.POSTINGS_INVALID, fresh.source):
        fresh.source.judge(msgspec.structs.replace(entry, postings=()))
    with refused(Code.ID_INVALID, fresh.source):
        fresh.source.judge(msgspec.structs.replace(entry, id=digest("id")))
    fresh.source.judge(entry)
