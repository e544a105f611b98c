"""Four eyes: what needs two people is done once, as both wanted it, or not at all."""

import msgspec
import pytest

from protocol.agreement import agreement_digest
from protocol.approval_entries import (
    APPROVE_WITHIN_SECONDS_MAX,
    Action,
    ActionApproved,
    AgreementSigning,
    ConversionForcing,
    PointsAdjusted,
    TermsSetting,
)
from protocol.entries import transfer_postings
from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Id
from protocol.ledger import commands, names
from protocol.ledger.approval_state import ACTIONS, ActionState
from protocol.ledger.program_commands import SetProgram
from protocol.ledger.state import APPEALS, BALANCES
from protocol.program import ProgramTerms
from tests.support.appeals import appeal
from tests.support.approving import (
    AGENT,
    MANAGER,
    adjust,
    adjustment,
    approve,
    done_id,
    propose,
    refuse,
    want,
)
from tests.support.documents import AURORA, BLUEBIRD, NOW, agreement, signed_agreement, uuid
from tests.support.governing import govern
from tests.support.ledger import (
    MemoryLedger,
    Pair,
    ally,
    force,
    new_ledger,
    open_holder,
    order,
    pair_of,
    refused,
    replay,
    rows_of,
)
from tests.support.succession import begin, end, give_agreements, succeed

TWO = ProgramTerms(four_eyes=True)
ADJUSTMENT = Account("adjustment")


@pytest.fixture
def ledger() -> MemoryLedger:
    found = new_ledger(AURORA)
    open_holder(found, "ann", points=100)
    return found


@pytest.fixture
def ann(ledger: MemoryLedger) -> Account:
    return open_holder(ledger, "ann again")


def state_of(ledger: MemoryLedger, entry: Id) -> ActionState:
    record = ledger.state.get(ACTIONS, entry)
    assert record is not None
    return record.state


def test_an_adjustment_gives_points_at_the_programs_cost(ledger: MemoryLedger, ann: Account) -> None:
    propose(ledger, adjustment(ann, 50, expires_on="2027-01-31"))
    assert ledger.account(ann).posted == 0
    approve(ledger)
    entry = adjust(ledger).entry
    assert isinstance(entry, PointsAdjusted)
    assert (entry.proposal, entry.reason) == (uuid("goodwill gift"), "goodwill")
    (lot,) = ledger.state.lots(ann)
    assert (lot.remaining, lot.origin, lot.expires_on, lot.earned_on) == (50, "own", "2027-01-31", NOW[:10])
    balance = ledger.state.get(BALANCES, (ADJUSTMENT, AURORA.points))
    assert balance is not None
    assert balance.amount == -50
    assert state_of(ledger, done_id("goodwill gift")) is ActionState.DONE
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_an_adjustment_takes_points_that_are_there(ledger: MemoryLedger, ann: Account) -> None:
    want(ledger, adjustment(ann, 50))
    adjust(ledger)
    want(ledger, adjustment(ann, -20), name="back")
    adjust(ledger, name="back")
    assert ledger.account(ann).posted == 30
    want(ledger, adjustment(ann, -31), name="too much")
    with refused(Code.INSUFFICIENT_POINTS, ledger):
        adjust(ledger, name="too much")
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_four_eyes_when_one_person_approves_what_it_proposed(ledger: MemoryLedger, ann: Account) -> None:
    propose(ledger, adjustment(ann))
    with refused(Code.FOUR_EYES, ledger):
        approve(ledger, by=AGENT)
    approve(ledger, by=MANAGER)


def test_approval_missing_until_a_second_person_approves(ledger: MemoryLedger, ann: Account) -> None:
    propose(ledger, adjustment(ann))
    with refused(Code.APPROVAL_MISSING, ledger):
        adjust(ledger)
    refuse(ledger)
    with refused(Code.APPROVAL_MISSING, ledger):
        adjust(ledger)


@pytest.mark.parametrize(
    "change",
    [
        {"proposal": uuid("another")},
        {"reason": "greed"},
        {"expires_on": "2030-01-01"},
        {"appeal": uuid("appeal")},
        {"postings": 51},
    ],
)
def test_approval_missing_when_something_else_is_done(
    ledger: MemoryLedger, ann: Account, change: dict[str, object]
) -> None:
    want(ledger, adjustment(ann, 50))
    draft = PointsAdjusted(
        id=done_id("goodwill gift"),
        request=None,
        occurred_on=NOW[:10],
        proposal=uuid("goodwill gift"),
        postings=transfer_postings(AURORA.points, 50, debit=ADJUSTMENT, credit=ann),
        expires_on=None,
        reason="goodwill",
        appeal=None,
    )
    if "postings" in change:
        change = {"postings": transfer_postings(AURORA.points, 51, debit=ADJUSTMENT, credit=ann)}
    with refused(Code.APPROVAL_MISSING, ledger):
        ledger.judge(msgspec.structs.replace(draft, **change))
    ledger.judge(draft)
    assert ledger.account(ann).posted == 50


def test_postings_invalid_when_an_adjustment_moves_points_of_two_holders(ledger: MemoryLedger, ann: Account) -> None:
    other = open_holder(ledger, "bob", points=60)
    draft = PointsAdjusted(
        id=done_id("goodwill gift"),
        request=None,
        occurred_on=NOW[:10],
        proposal=uuid("goodwill gift"),
        postings=transfer_postings(AURORA.points, 50, debit=other, credit=ann),
        expires_on=None,
        reason="goodwill",
        appeal=None,
    )
    with refused(Code.POSTINGS_INVALID, ledger):
        ledger.judge(draft)


def test_date_invalid_when_points_would_expire_before_they_are_given(ledger: MemoryLedger, ann: Account) -> None:
    want(ledger, adjustment(ann, 5, expires_on="2020-01-01"))
    with refused(Code.DATE_INVALID, ledger):
        adjust(ledger)


def test_action_unknown_when_there_is_no_such_proposal(ledger: MemoryLedger, ann: Account) -> None:
    with refused(Code.ACTION_UNKNOWN, ledger):
        approve(ledger)
    propose(ledger, adjustment(ann))
    with refused(Code.ACTION_UNKNOWN, ledger):
        approve(ledger, name="another", entry=done_id("goodwill gift"))
    with refused(Code.ACTION_UNKNOWN, ledger):
        refuse(ledger, name="another", entry=done_id("goodwill gift"))
    with refused(Code.ACTION_UNKNOWN, ledger):
        adjust(ledger, name="nothing")
    propose(ledger, TermsSetting(terms=TWO, reason="order"), name="terms")
    with refused(Code.ACTION_UNKNOWN, ledger):
        adjust(ledger, name="terms")


def test_action_decided_when_it_was(ledger: MemoryLedger, ann: Account) -> None:
    propose(ledger, adjustment(ann))
    refuse(ledger, by=AGENT)
    with refused(Code.ACTION_DECIDED, ledger):
        approve(ledger)
    want(ledger, adjustment(ann), name="other")
    with refused(Code.ACTION_DECIDED, ledger):
        approve(ledger, name="other", by="00000000")
    with refused(Code.ACTION_DECIDED, ledger):
        refuse(ledger, name="other")


def test_action_expired_when_nobody_approves_in_time(ledger: MemoryLedger, ann: Account) -> None:
    propose(ledger, adjustment(ann), seconds=60)
    ledger.advance(seconds=61)
    for late in (approve, refuse):
        with refused(Code.ACTION_EXPIRED, ledger):
            late(ledger)
    propose(ledger, adjustment(ann), name="again", entry=done_id("goodwill gift"))
    approve(ledger, name="again", entry=done_id("goodwill gift"))


def test_action_exists_while_it_can_be_approved_or_was(ledger: MemoryLedger, ann: Account) -> None:
    propose(ledger, adjustment(ann))
    with refused(Code.ACTION_EXISTS, ledger):
        propose(ledger, adjustment(ann), name="twin", entry=done_id("goodwill gift"))
    refuse(ledger)
    propose(ledger, adjustment(ann), name="twin", entry=done_id("goodwill gift"))
    approve(ledger, name="twin", entry=done_id("goodwill gift"))
    with refused(Code.ACTION_EXISTS, ledger):
        propose(ledger, adjustment(ann), name="third", entry=done_id("goodwill gift"))


def test_id_reused_when_the_proposed_entry_is_there(ledger: MemoryLedger, ann: Account) -> None:
    want(ledger, adjustment(ann))
    adjust(ledger)
    with refused(Code.ID_REUSED, ledger):
        propose(ledger, adjustment(ann), name="twin", entry=done_id("goodwill gift"))
    propose(ledger, adjustment(ann), name="late")
    ledger.execute(commands.OpenAccount(id=done_id("late"), account=Account(f"member/{uuid('zoe')}")))
    with refused(Code.ID_REUSED, ledger):
        approve(ledger, name="late")


@pytest.mark.parametrize("entry", [uuid("goodwill gift"), Id("expired/x"), Id("agreement/" + "0" * 64)])
def test_id_invalid_when_no_such_entry_can_have_it(ledger: MemoryLedger, ann: Account, entry: Id) -> None:
    with refused(Code.ID_INVALID, ledger):
        propose(ledger, adjustment(ann), entry=entry)


def test_amount_invalid_when_nothing_is_adjusted(ledger: MemoryLedger, ann: Account) -> None:
    with refused(Code.AMOUNT_INVALID, ledger):
        propose(ledger, adjustment(ann, 0))


@pytest.mark.parametrize("seconds", [0, APPROVE_WITHIN_SECONDS_MAX + 60])
def test_date_invalid_when_a_proposal_ends_at_once_or_never(ledger: MemoryLedger, ann: Account, seconds: int) -> None:
    with refused(Code.DATE_INVALID, ledger):
        propose(ledger, adjustment(ann), seconds=seconds)


def test_an_adjustment_decides_the_appeal_that_it_names(ledger: MemoryLedger, ann: Account) -> None:
    opened = appeal(ledger, ann, about=None)
    want(ledger, adjustment(ann, 9, appeal=opened.entry.id))
    adjust(ledger)
    record = ledger.state.get(APPEALS, opened.entry.id)
    assert record is not None
    assert (record.state, record.adjustment) == ("upheld", done_id("goodwill gift"))
    want(ledger, adjustment(ann, 9, appeal=opened.entry.id), name="twice")
    with refused(Code.APPEAL_DECIDED, ledger):
        adjust(ledger, name="twice")


def under_four_eyes(pair: Pair) -> Pair:
    govern(pair.source, TWO)
    return pair


def test_approval_missing_for_a_forced_release_under_four_eyes() -> None:
    pair = under_four_eyes(pair_of())
    order(pair.source, pair.destination.name, pair.sender, 400)
    with refused(Code.APPROVAL_MISSING, pair.source):
        force(pair.source)
    entry = uuid("force conversion")
    want(pair.source, ConversionForcing(conversion=uuid("conversion"), reason="another"), entry=entry)
    with refused(Code.APPROVAL_MISSING, pair.source):
        force(pair.source)
    order(pair.source, pair.destination.name, pair.sender, 400, name="second")
    entry = uuid("force second")
    want(pair.source, ConversionForcing(conversion=uuid("second"), reason="partner_gone"), name="two", entry=entry)
    force(pair.source, name="second")
    assert state_of(pair.source, entry) is ActionState.DONE
    assert rows_of(replay(pair.source)) == rows_of(pair.source.state)


def test_what_was_proposed_needs_its_approval_without_four_eyes_too() -> None:
    pair = pair_of()
    order(pair.source, pair.destination.name, pair.sender, 400)
    entry = uuid("force conversion")
    action = ConversionForcing(conversion=uuid("conversion"), reason="partner_gone")
    propose(pair.source, action, entry=entry)
    with refused(Code.APPROVAL_MISSING, pair.source):
        force(pair.source)
    approve(pair.source, entry=entry)
    force(pair.source)


def test_approval_missing_for_an_agreement_under_four_eyes() -> None:
    ledger, partner = new_ledger(AURORA), new_ledger(BLUEBIRD)
    govern(ledger, TWO)
    signed = signed_agreement(agreement())
    digest = agreement_digest(signed.agreement)
    entry = names.agreement_id(digest)
    with pytest.raises(Refusal) as caught:
        ally(ledger, partner, signed=signed)
    assert caught.value.code == Code.APPROVAL_MISSING
    want(ledger, AgreementSigning(agreement=signed.agreement, forced=False), entry=entry)
    ledger.execute(commands.EnterAgreement(id=entry, signed=signed))
    assert state_of(ledger, entry) is ActionState.DONE


def test_an_agreement_is_proposed_under_its_own_id_and_whole(ledger: MemoryLedger) -> None:
    terms = agreement()
    with refused(Code.ID_INVALID, ledger):
        propose(ledger, AgreementSigning(agreement=terms, forced=False))
    broken = msgspec.structs.replace(terms, parties=(terms.parties[1], terms.parties[0]))
    with refused(Code.AGREEMENT_INVALID, ledger):
        propose(ledger, AgreementSigning(agreement=broken, forced=False))


def set_terms(ledger: MemoryLedger, terms: ProgramTerms, name: str) -> None:
    ledger.execute(SetProgram(id=done_id(name), terms=terms, reason="order"))


def test_four_eyes_cannot_be_turned_off_by_one_person(ledger: MemoryLedger) -> None:
    govern(ledger, TWO)
    with refused(Code.APPROVAL_MISSING, ledger):
        set_terms(ledger, ProgramTerms(), "off")
    action: Action = TermsSetting(terms=ProgramTerms(), reason="order")
    want(ledger, action, name="off")
    with refused(Code.APPROVAL_MISSING, ledger):
        set_terms(ledger, ProgramTerms(pending_days=3), "off")
    set_terms(ledger, ProgramTerms(), "off")
    set_terms(ledger, ProgramTerms(pending_days=3), "alone")
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_who_approved_stands_in_the_log(ledger: MemoryLedger, ann: Account) -> None:
    propose(ledger, adjustment(ann))
    entry = approve(ledger).entry
    assert isinstance(entry, ActionApproved)
    record = ledger.state.get(ACTIONS, done_id("goodwill gift"))
    assert record is not None
    assert (record.proposed_by, entry.by, record.decided_by) == (AGENT, MANAGER, MANAGER)


def test_a_successor_enters_again_what_was_approved_in_the_gap() -> None:
    pair = pair_of()
    ledger, partner = pair.source, pair.destination
    govern(ledger, TWO)
    size = len(ledger.sealed)
    following = agreement(number=2, supersedes=agreement_digest(pair.signed.agreement))
    signed = signed_agreement(following)
    entry = names.agreement_id(agreement_digest(following))
    want(ledger, AgreementSigning(agreement=following, forced=False), entry=entry)
    command = commands.EnterAgreement(id=entry, signed=signed)
    ledger.execute(command)
    partner.execute(command)
    successor = succeed(ledger, size)
    begin(successor, partner.name)
    give_agreements(successor, partner)
    end(successor, partner.name)
    assert successor.state.get(ACTIONS, entry) is None
    assert rows_of(replay(successor)) == rows_of(successor.state)
