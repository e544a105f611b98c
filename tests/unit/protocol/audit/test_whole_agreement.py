"""Logs in which limits, promotions, refunds, force and notice have done their work hold, and match each other."""

from protocol.agreement import InFlightLimits, MemberLimits
from protocol.audit.findings import FindingCode, Verdict
from protocol.audit.log import LogAudit, audit_log
from protocol.audit.matching import MoneyMatch, match_pair
from protocol.audit.report import make_report
from protocol.entries import ConversionRefused, Sealed
from protocol.errors import Code
from protocol.messages import Body
from protocol.points import Step
from tests.support.audits import Alliance, Half, MemorySource, alliance, answer, hand_over
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    USD,
    YESTERDAY,
    agreement,
    direction,
    promotion,
    signed_agreement,
)
from tests.support.ledger import ask_cancel, force, give_notice, order

PRICE = 2_500_000


def whole() -> Alliance:
    """Return an alliance whose agreement sets everything that an agreement can set."""
    limits = MemberLimits(
        out_points_per_day=20_000, out_points_per_year=50_000, in_points_per_day=3_000, in_points_per_year=None
    )
    march = promotion(
        name="march", starts_at=YESTERDAY, step=Step(source=2_000, destination=1_500), budget_points=1_500
    )
    there = direction(
        cap=40 * PRICE,
        in_flight=InFlightLimits(conversions=5, value=30 * PRICE),
        member_limits=limits,
        promotions=(march,),
    )
    back = direction(BLUEBIRD, AURORA, step=Step(source=250, destination=300), price=2_400_000, cap=40 * PRICE)
    return alliance(signed=signed_agreement(agreement(there=there, back=back)))


def audited(half: Half) -> LogAudit:
    return audit_log(MemorySource(half.files(), label=half.name))


def asked(made: Alliance, name: str) -> Body:
    return made.source.ledger.body(ask_cancel(made.source.ledger, name=name))


def decided(made: Alliance, body: Body) -> Sealed:
    """Let the destination answer a body of the source, and the source conclude."""
    sealed = answer(made.source, made.destination, body)
    answer(made.destination, made.source, made.destination.ledger.body(sealed))
    return sealed


def live(made: Alliance) -> None:
    """Let everything happen that the agreement's terms are about."""
    made.converted("promoted", amount=2_000)
    made.converted("one", amount=1_200)
    refused = decided(made, made.ordered("too much for a day", amount=4_000))
    assert isinstance(refused.entry, ConversionRefused)
    assert refused.entry.reason == Code.MEMBER_LIMIT
    late = made.ordered("owed", amount=400)
    made.ordered("cleared", amount=400)
    for name in ("owed", "cleared"):
        force(made.source.ledger, name=name)
    decided(made, late)
    decided(made, asked(made, "cleared"))
    sealed = order(made.destination.ledger, AURORA.ledger, made.pair.receiver, 500, name="refund", refund_of="one")
    credited = answer(made.destination, made.source, made.destination.ledger.body(sealed))
    answer(made.source, made.destination, made.source.ledger.body(credited))
    answer(
        made.destination,
        made.source,
        made.destination.ledger.body(give_notice(made.destination.ledger, made.pair.signed)),
    )


def test_both_logs_hold_and_their_halves_match() -> None:
    made = whole()
    live(made)
    source, destination = (audited(half) for half in made.halves)
    assert make_report([source, destination]).verdict is Verdict.HELD
    report = match_pair(source, destination)
    assert (report.verdict, report.findings) == (Verdict.HELD, ())
    there, back = report.directions
    assert (there.completed, there.returned, there.pending) == (3, 2, 0)
    owed = str(2_600_000 + 4 * PRICE)
    assert there.money == (MoneyMatch(currency=USD, payable=owed, receivable=owed),)
    assert (back.completed, back.money[0].payable) == (1, str(2 * PRICE))


def test_a_late_fulfil_after_force_is_no_contradiction() -> None:
    made = whole()
    fulfil = made.decided("one")
    force(made.source.ledger, name="one")
    hand_over(made.destination, made.source, [fulfil])
    audit = audited(made.source)
    assert audit.messages is not None
    assert FindingCode.DECISIONS_CONTRADICT not in {one.code for one in audit.messages.accusations.listed}
