import msgspec
import pytest

from protocol.agreement import Fee, agreement_digest
from protocol.conversion import SourceState
from protocol.entries import ConversionCaptured, ConversionHeld, Posting
from protocol.errors import Code
from protocol.fields import later
from protocol.identifiers import Account, Id, Network
from protocol.ledger import commands
from protocol.ledger.state import BALANCES, OUTGOING, OutgoingRecord
from protocol.limits import ACCEPT_BY_SECONDS_MAX, INTEGER_MAX
from protocol.messages import Fulfil, Prepare, Reject
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    COPPER,
    USD,
    agreement,
    digest,
    digest_of_body,
    direction,
    hex_16,
    signed_agreement,
    uuid,
)
from tests.support.ledger import (
    MemoryLedger,
    Pair,
    add_partner,
    ask_cancel,
    command_of,
    convert,
    enter,
    open_holder,
    order,
    pair_of,
    receive,
    refused,
)

CONVERSION = uuid("conversion")
FEE = Fee(points_per_conversion=5, points_per_step=2)


def record_of(ledger: MemoryLedger, conversion: Id = CONVERSION) -> OutgoingRecord:
    record = ledger.state.get(OUTGOING, conversion)
    assert record is not None
    return record


def balances(ledger: MemoryLedger) -> dict[str, int]:
    return {f"{account} {asset}": row.amount for (account, asset), row in ledger.state.rows(BALANCES)}


def held(pair: Pair, amount: int = 1_300) -> ConversionHeld:
    entry = order(pair.source, BLUEBIRD.ledger, pair.sender, amount).entry
    assert isinstance(entry, ConversionHeld)
    return entry


def fulfil_for(pair: Pair) -> Fulfil:
    """Return the FULFIL of a conversion that is now held and credited."""
    prepare = pair.source.body(order(pair.source, BLUEBIRD.ledger, pair.sender, 1_300))
    fulfil = pair.destination.body(receive(pair.destination, prepare))
    assert isinstance(fulfil, Fulfil)
    return fulfil


def reject_for(pair: Pair) -> Reject:
    """Return the REJECT of a conversion that is now held and refused."""
    prepare = pair.source.body(order(pair.source, BLUEBIRD.ledger, pair.sender, 1_300))
    pair.destination.advance(days=1)
    reject = pair.destination.body(receive(pair.destination, prepare))
    assert isinstance(reject, Reject)
    return reject


def test_an_order_holds_whole_steps_and_the_fee() -> None:
    pair = pair_of(signed=signed_agreement(agreement(there=direction(fee=FEE))))
    before = balances(pair.source)
    entry = held(pair, 1_300)
    assert (entry.steps, entry.source_points, entry.destination_points) == (3, 1_200, 750)
    assert (entry.fee_points, entry.value, entry.currency) == (11, 7_500_000, USD)
    assert entry.alias == pair.alias
    account = pair.source.account(pair.sender)
    assert (account.posted, account.held, account.conversions) == (10_000, 1_211, 1)
    assert pair.source.hold(CONVERSION).conversion
    assert balances(pair.source) == before
    assert record_of(pair.source).state is SourceState.HELD


def test_the_held_conversion_remembers_the_digest_of_its_prepare() -> None:
    pair = pair_of()
    sealed = order(pair.source, BLUEBIRD.ledger, pair.sender, 400)
    assert record_of(pair.source).prepare == digest_of_body(pair.source.body(sealed))


def test_a_fulfil_captures_points_fee_and_value() -> None:
    pair = pair_of(signed=signed_agreement(agreement(there=direction(fee=FEE))))
    convert(pair.source, pair.destination, pair.sender, 1_300, name="conversion")
    account = pair.source.account(pair.sender)
    assert (account.posted, account.held, account.conversions) == (10_000 - 1_211, 0, 0)
    found = balances(pair.source)
    assert found == {
        "issuance AUR": -10_000,
        "converted_out/bluebird.example/main AUR": 1_200,
        "fees AUR": 11,
        "payable/bluebird.example/main USD": 7_500_000,
        "conversion_cost/bluebird.example/main USD": -7_500_000,
    }
    record = record_of(pair.source)
    assert (record.state, record.concluded_seq, record.reason) == (
        SourceState.CAPTURED,
        pair.source.head.size - 1,
        None,
    )
    assert pair.source.hold(CONVERSION).remaining == 0


def test_a_conversion_without_fee_and_value_posts_points_alone() -> None:
    pair = pair_of(signed=signed_agreement(agreement(there=direction(price=0))))
    sealed = convert(pair.source, pair.destination, pair.sender, 400, name="conversion")
    assert isinstance(sealed.entry, ConversionCaptured)
    assert sealed.entry.postings == (
        Posting(pair.sender, AURORA.points, -400),
        Posting(Account("converted_out/bluebird.example/main"), AURORA.points, 400),
    )


def test_a_reject_releases_everything() -> None:
    pair = pair_of()
    before, lots = balances(pair.source), pair.source.lots(pair.sender)
    receive(pair.source, reject_for(pair))
    account = pair.source.account(pair.sender)
    assert (account.available, account.conversions) == (10_000, 0)
    assert (balances(pair.source), pair.source.lots(pair.sender)) == (before, lots)
    record = record_of(pair.source)
    assert (record.state, record.reason) == (SourceState.RELEASED, "expired")


def test_less_than_a_step_cannot_be_converted() -> None:
    pair = pair_of()
    with refused(Code.LESS_THAN_A_STEP, pair.source):
        held(pair, 399)


@pytest.mark.parametrize("amount", [0, INTEGER_MAX + 1])
def test_amount_invalid_of_an_order(amount: int) -> None:
    pair = pair_of()
    with refused(Code.AMOUNT_INVALID, pair.source):
        held(pair, amount)


def test_balance_overflow_of_an_order_that_no_entry_can_state() -> None:
    huge = Fee(points_per_conversion=0, points_per_step=INTEGER_MAX)
    pair = pair_of(signed=signed_agreement(agreement(there=direction(fee=huge, steps_max=INTEGER_MAX))))
    with refused(Code.BALANCE_OVERFLOW, pair.source):
        held(pair, INTEGER_MAX)


def test_insufficient_points_for_steps_and_fee() -> None:
    pair = pair_of(signed=signed_agreement(agreement(there=direction(fee=FEE))), points=406)
    with refused(Code.INSUFFICIENT_POINTS, pair.source):
        held(pair, 400)


def test_steps_below_minimum_and_steps_above_maximum_of_the_agreement() -> None:
    pair = pair_of(signed=signed_agreement(agreement(there=direction(steps_min=2, steps_max=3))))
    with refused(Code.STEPS_BELOW_MINIMUM, pair.source):
        held(pair, 799)
    with refused(Code.STEPS_ABOVE_MAXIMUM, pair.source):
        held(pair, 1_600)
    held(pair, 800)


def test_partner_unknown_agreement_unknown_and_link_unknown_before_there_is_one() -> None:
    pair = pair_of()
    with refused(Code.PARTNER_UNKNOWN, pair.source):
        order(pair.source, COPPER.ledger, pair.sender, 400)
    add_partner(pair.source, COPPER)
    with refused(Code.AGREEMENT_UNKNOWN, pair.source):
        order(pair.source, COPPER.ledger, pair.sender, 400)
    stranger = open_holder(pair.source, "stranger", points=400)
    with refused(Code.LINK_UNKNOWN, pair.source):
        order(pair.source, BLUEBIRD.ledger, stranger, 400)


def test_agreement_not_yet_and_agreement_lapsed_for_an_order() -> None:
    begin, end = "2026-03-02T00:00:00.000000Z", "2026-03-03T00:00:00.000000Z"
    pair = pair_of(signed=signed_agreement(agreement(valid_from=begin, valid_until=end)))
    with refused(Code.AGREEMENT_NOT_YET, pair.source):
        held(pair)
    pair.source.wall = begin
    held(pair)
    pair.source.wall = end
    with refused(Code.AGREEMENT_LAPSED, pair.source):
        order(pair.source, BLUEBIRD.ledger, pair.sender, 400, name="late")


def test_an_agreement_signed_ahead_leaves_the_one_before_in_force_until_it_begins() -> None:
    pair = pair_of()
    first = pair.signed.agreement
    begin = "2026-03-02T00:00:00.000000Z"
    second = agreement(number=2, supersedes=agreement_digest(first), valid_from=begin, there=direction(price=1))
    for ledger in (pair.source, pair.destination):
        enter(ledger, signed_agreement(second))
    assert held(pair).agreement == agreement_digest(first)
    pair.source.wall = begin
    sealed = order(pair.source, BLUEBIRD.ledger, pair.sender, 400, name="next day")
    assert isinstance(sealed.entry, ConversionHeld)
    assert sealed.entry.agreement == agreement_digest(second)


@pytest.mark.parametrize("seconds", [0, ACCEPT_BY_SECONDS_MAX + 1])
def test_clock_when_the_deadline_is_not_ahead_or_too_far(seconds: int) -> None:
    pair = pair_of()
    with refused(Code.CLOCK, pair.source):
        order(pair.source, BLUEBIRD.ledger, pair.sender, 400, accept_by=later(pair.source.head.time, seconds=seconds))


def test_account_closed_cannot_order() -> None:
    pair = pair_of(points=400)
    convert(pair.source, pair.destination, pair.sender, 400, name="conversion")
    pair.source.execute(commands.CloseAccount(id=uuid("close"), account=pair.sender))
    with refused(Code.ACCOUNT_CLOSED, pair.source):
        order(pair.source, BLUEBIRD.ledger, pair.sender, 400, name="again")


def test_a_cancel_changes_nothing_but_the_wish() -> None:
    pair = pair_of()
    sealed = order(pair.source, BLUEBIRD.ledger, pair.sender, 400)
    wish = ask_cancel(pair.source)
    record = record_of(pair.source)
    assert (record.state, record.cancel_requested) == (SourceState.HELD, True)
    assert pair.source.account(pair.sender).held == 400
    body = pair.source.body(wish)
    prepare = pair.source.body(sealed)
    assert isinstance(prepare, Prepare)
    assert (body.key, getattr(body, "prepare", None)) == (prepare.key, record.prepare)  # type: ignore[union-attr]
    assert ask_cancel(pair.source) is wish


def test_conversion_unknown_to_cancel_or_conclude() -> None:
    pair = pair_of()
    fulfil, reject = fulfil_for(pair), reject_for(pair_of())
    stranger = pair_of().source
    with refused(Code.CONVERSION_UNKNOWN, stranger):
        ask_cancel(stranger)
    for body in (fulfil, reject):
        with refused(Code.CONVERSION_UNKNOWN, stranger):
            receive(stranger, body)


def test_conversion_unknown_when_another_partner_decides_it() -> None:
    pair = pair_of()
    fulfil = fulfil_for(pair)
    for false in (
        msgspec.structs.replace(fulfil, destination=COPPER.ledger),
        msgspec.structs.replace(fulfil, network=Network(hex_16("another network"))),
    ):
        with refused(Code.CONVERSION_UNKNOWN, pair.source):
            receive(pair.source, false)


def test_decision_mismatch_when_a_fulfil_or_reject_is_about_another_prepare() -> None:
    pair = pair_of()
    for body in (fulfil_for(pair), reject_for(pair_of())):
        with refused(Code.DECISION_MISMATCH, pair.source):
            receive(pair.source, msgspec.structs.replace(body, prepare=digest("another prepare")))


def test_decision_mismatch_when_a_fulfil_states_other_amounts() -> None:
    pair = pair_of()
    fulfil = fulfil_for(pair)
    for change in ({"destination_points": 1}, {"value": 1}):
        with refused(Code.DECISION_MISMATCH, pair.source):
            receive(pair.source, msgspec.structs.replace(fulfil, **change))


def test_decision_mismatch_when_a_fulfil_names_another_source() -> None:
    pair = pair_of()
    fulfil = fulfil_for(pair)
    with refused(Code.DECISION_MISMATCH, pair.source):
        receive(pair.source, msgspec.structs.replace(fulfil, source=COPPER.ledger))


def test_conversion_decided_cannot_be_cancelled() -> None:
    for answer in (fulfil_for, reject_for):
        pair = pair_of()
        receive(pair.source, answer(pair))
        with refused(Code.CONVERSION_DECIDED, pair.source):
            ask_cancel(pair.source)


def test_a_decision_comes_twice_and_counts_once() -> None:
    for answer in (fulfil_for, reject_for):
        pair = pair_of()
        body = answer(pair)
        first = receive(pair.source, body)
        assert receive(pair.source, body) is first


def test_id_reused_when_a_second_decision_differs_from_the_first() -> None:
    pair = pair_of()
    fulfil = fulfil_for(pair)
    reject = Reject(
        network=fulfil.network,
        source=fulfil.source,
        destination=fulfil.destination,
        id=fulfil.id,
        prepare=fulfil.prepare,
        cancel=None,
        reason="expired",
        decided_at=fulfil.decided_at,
        entry=fulfil.entry,
    )
    receive(pair.source, fulfil)
    with refused(Code.ID_REUSED, pair.source):
        receive(pair.source, reject)
    with refused(Code.ID_REUSED, pair.source):
        receive(pair.source, msgspec.structs.replace(fulfil, dec_seq=2))


def test_a_decision_of_a_conversion_uses_what_the_source_kept_not_what_it_has_now() -> None:
    pair = pair_of()
    fulfil = fulfil_for(pair)
    first = pair.signed.agreement
    second = agreement(number=2, supersedes=agreement_digest(first), there=direction(price=1, fee=FEE))
    enter(pair.source, signed_agreement(second))
    pair.source.execute(command_of(fulfil))
    assert balances(pair.source)["payable/bluebird.example/main USD"] == 7_500_000
