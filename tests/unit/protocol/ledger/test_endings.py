"""An agreement ends with notice, at both sides, whichever gave it."""

import msgspec
import pytest

from protocol.agreement import agreement_digest
from protocol.entries import AgreementEnded, ConversionRefused
from protocol.errors import Code
from protocol.fields import later
from protocol.ledger import commands, names
from protocol.ledger.endings import end_received
from protocol.ledger.state import AGREEMENTS
from protocol.messages import End
from tests.support.documents import AURORA, BLUEBIRD, COPPER, NOW, digest, entry_reference, uuid
from tests.support.ledger import MemoryLedger, Pair, give_notice, order, pair_of, receive, refused, replay, rows_of

NOTICE_DAYS = 30


def end_of(ledger: MemoryLedger, pair: Pair) -> str | None:
    record = ledger.state.get(AGREEMENTS, agreement_digest(pair.signed.agreement))
    assert record is not None
    return record.end


def told(pair: Pair, *, days: int = NOTICE_DAYS) -> End:
    """Let the source give notice, and return its END."""
    body = pair.source.body(give_notice(pair.source, pair.signed, days=days))
    assert isinstance(body, End)
    return body


def test_both_ledgers_enter_the_end() -> None:
    pair = pair_of()
    body = told(pair)
    assert (body.sender, body.receiver) == (AURORA.ledger, BLUEBIRD.ledger)
    sealed = receive(pair.destination, body)
    assert isinstance(sealed.entry, AgreementEnded)
    assert end_of(pair.source, pair) == end_of(pair.destination, pair) == body.ends_at
    assert receive(pair.destination, body) is sealed
    for ledger in (pair.source, pair.destination):
        assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_nothing_new_after_the_end_and_what_is_under_way_for_the_life_of_a_quote() -> None:
    pair = pair_of()
    body = told(pair)
    receive(pair.destination, body)
    pair.source.wall, far = later(body.ends_at, seconds=-1), later(body.ends_at, seconds=86_400)
    last = order(pair.source, BLUEBIRD.ledger, pair.sender, 400, name="last", accept_by=far)
    pair.source.wall = body.ends_at
    with refused(Code.AGREEMENT_LAPSED, pair.source):
        order(pair.source, BLUEBIRD.ledger, pair.sender, 400)
    late = order(pair.source, BLUEBIRD.ledger, pair.sender, 400, name="quoted", agreed=body.agreement, accept_by=far)
    pair.destination.wall = later(body.ends_at, seconds=pair.signed.agreement.quote_life_seconds - 1)
    assert not isinstance(receive(pair.destination, pair.source.body(last)).entry, ConversionRefused)
    pair.destination.advance(seconds=1)
    decided = receive(pair.destination, pair.source.body(late)).entry
    assert isinstance(decided, ConversionRefused)
    assert decided.reason == Code.AGREEMENT_LAPSED


def test_the_earlier_of_two_notices_counts_whichever_comes_first() -> None:
    pair = pair_of()
    first = told(pair, days=60)
    give_notice(pair.destination, pair.signed, days=40)
    sooner = end_of(pair.destination, pair)
    receive(pair.destination, first)
    assert end_of(pair.destination, pair) == sooner
    other = pair.destination.body(pair.destination.sealed[-2])
    receive(pair.source, other)
    assert end_of(pair.source, pair) == sooner


def test_notice_too_short_of_ours_or_theirs() -> None:
    pair = pair_of()
    with refused(Code.NOTICE_TOO_SHORT, pair.source):
        give_notice(pair.source, pair.signed, days=29)
    body = msgspec.structs.replace(told(pair), ends_at=later(NOW, seconds=60))
    with refused(Code.NOTICE_TOO_SHORT, pair.destination):
        receive(pair.destination, body)


def test_agreement_unknown_cannot_be_ended() -> None:
    pair = pair_of()
    body = told(pair)
    command = commands.EndAgreement(
        id=names.ended_id(digest("another"), AURORA.ledger), agreement=digest("another"), ends_at=body.ends_at
    )
    with refused(Code.AGREEMENT_UNKNOWN, pair.source):
        pair.source.execute(command)
    for change in ({"agreement": digest("another")}, {"sender": COPPER.ledger}, {"network": "0" * 32}):
        with refused(Code.AGREEMENT_UNKNOWN, pair.destination):
            receive(pair.destination, msgspec.structs.replace(body, **change))


def test_date_invalid_when_the_end_is_no_time() -> None:
    pair = pair_of()
    cited = agreement_digest(pair.signed.agreement)
    command = commands.EndAgreement(id=names.ended_id(cited, AURORA.ledger), agreement=cited, ends_at="soon")
    with refused(Code.DATE_INVALID, pair.source):
        pair.source.execute(command)


def test_clock_when_a_notice_comes_from_the_future() -> None:
    pair = pair_of()
    body = msgspec.structs.replace(told(pair), given_at="2026-03-01T13:00:00.000000Z")
    with refused(Code.CLOCK, pair.destination):
        receive(pair.destination, msgspec.structs.replace(body, ends_at="2027-03-01T13:00:00.000000Z"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"notice": digest("x")}, Code.DECISION_MISMATCH),
        ({"partner_entry": entry_reference()}, Code.DECISION_MISMATCH),
        ({"given_at": "2026-01-01T00:00:00.000000Z"}, Code.DECISION_MISMATCH),
        ({"by": COPPER.ledger}, Code.DECISION_MISMATCH),
        ({"id": uuid("another")}, Code.ID_INVALID),
        ({"partner": COPPER.ledger}, Code.AGREEMENT_UNKNOWN),
    ],
)
def test_a_notice_of_our_own_in_a_log_is_given_at_that_moment(change: dict[str, object], code: Code) -> None:
    played, pair = pair_of(), pair_of()
    entry = give_notice(played.source, played.signed).entry
    with refused(code, pair.source):
        pair.source.judge(msgspec.structs.replace(entry, **change))
    pair.source.judge(entry)


@pytest.mark.parametrize(
    "change",
    [
        {"notice": None},
        {"request": None},
        {"partner_entry": None},
        {"partner_entry": entry_reference()},
        {"ends_at": "2027-01-01T00:00:00.000000Z"},
        {"by": COPPER.ledger},
    ],
)
def test_decision_mismatch_unless_an_entry_repeats_the_partners_notice(change: dict[str, object]) -> None:
    played, pair = pair_of(), pair_of()
    entry = receive(played.destination, told(played)).entry
    assert isinstance(entry, AgreementEnded)
    with refused(Code.DECISION_MISMATCH, pair.destination):
        pair.destination.judge(msgspec.structs.replace(entry, **change))
    pair.destination.judge(entry)
    assert end_received(entry, ledger=BLUEBIRD.ledger) is not None
