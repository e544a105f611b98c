"""Points issued, redeemed and transferred."""

from collections.abc import Sequence

from protocol.entries import Entry, PointsIssued, PointsRedeemed, PointsTransferred, Posting, transfer_postings
from protocol.errors import Code, Refusal
from protocol.fields import days_later
from protocol.identifiers import Account
from protocol.ledger.commands import IssuePoints, RedeemPoints, TransferPoints
from protocol.ledger.expiry import clock_of, fixed_last_day
from protocol.ledger.limiting import Use, needs_use, reserve
from protocol.ledger.lot_state import ReversibleRecord
from protocol.ledger.lots import fixed_pieces, needs_clock, restart_clock, start_clock
from protocol.ledger.moment import Moment, check_day, occurred
from protocol.ledger.postings import (
    credit_lot,
    debit_holder,
    ledger_record,
    move_balance,
    pair_amount,
    postings_invalid,
    receive_pieces,
)
from protocol.ledger.programs import terms_of
from protocol.ledger.state import ACCOUNTS, BALANCES, ONLY, PROGRAM, REVERSIBLE, Lot, Piece
from protocol.ledger.view import Need, Overlay, View, need, need_book
from protocol.points import check_amount
from protocol.program import EARN, REDEEM, TRANSFER_IN, TRANSFER_OUT, Activity, ProgramTerms

ISSUANCE = Account("issuance")
REDEMPTION = Account("redemption")
OWN = "own"
"""The origin of lots that this program issued itself."""


def needs_issue(view: Overlay, command: IssuePoints) -> list[Need]:
    """Name the holder and the issuance balance."""
    account = command.account
    balance = need(BALANCES, (ISSUANCE, ledger_record(view).points))
    wanted = [need(ACCOUNTS, account), balance, *needs_clock(view, account)]
    if view.peek(PROGRAM, ONLY) is not None:
        wanted += needs_use(view, Use(activity=EARN, account=account, points=command.amount))
    return wanted


def decide_issue(view: View, command: IssuePoints, moment: Moment) -> PointsIssued:
    """Propose new points for a holder."""
    check_amount(command.amount)
    if command.expires_on is not None:
        check_day(command.expires_on)
    points, terms = ledger_record(view).points, terms_of(view)
    day = occurred(command, moment)
    named = command.expires_on is not None
    return PointsIssued(
        id=command.id,
        request=command.request,
        occurred_on=day,
        postings=transfer_postings(points, command.amount, debit=ISSUANCE, credit=command.account),
        expiry="named" if named else terms.expiry.kind,
        expires_on=command.expires_on if named else fixed_last_day(terms.expiry, day),
        spendable_on=spendable_day(terms, day),
        metadata=command.metadata,
    )


def apply_issue(view: View, entry: PointsIssued) -> None:
    """Credit a holder with one lot of our own, for as long as the program's rule or the request says."""
    amount, _, holder = _checked(view, entry.postings, debit=ISSUANCE)
    seq, day, terms = entry.seq, entry.occurred_on, terms_of(view)
    _check_days(entry, terms)
    clock = clock_of(terms.expiry) if entry.expiry == "rolling" else None
    lot = Lot(
        seq=seq,
        part=0,
        origin=OWN,
        earned_on=day,
        expires_on=entry.expires_on,
        remaining=amount,
        clock=clock,
        spendable_on=entry.spendable_on,
    )
    _reserve(view, amount, (EARN, holder), at=entry.time)
    restart_clock(view, holder, on=day)
    credit_lot(view, holder, lot)
    if clock is not None:
        start_clock(view, holder, on=day)
    view.put(REVERSIBLE, seq, ReversibleRecord(kind="issue", account=holder, amount=amount, remaining=amount))
    move_balance(view, entry.postings[0])


def spendable_day(terms: ProgramTerms, earned_on: str) -> str | None:
    """Return the first day on which points of `earned_on` can be spent, or None where that is at once."""
    return days_later(earned_on, days=terms.pending_days) if terms.pending_days else None


def _check_days(entry: PointsIssued, terms: ProgramTerms) -> None:
    last, rule, day = entry.expires_on, terms.expiry, entry.occurred_on
    first = spendable_day(terms, day)
    if entry.expiry == "named":
        ruled = last is not None
    else:
        ruled = entry.expiry == rule.kind and last == fixed_last_day(rule, day)
    if not ruled or entry.spendable_on != first:
        raise Refusal(Code.EXPIRY_MISMATCH, "the points' days are not those of the program's rule")
    if last is not None and last < (first or day):
        raise Refusal(Code.DATE_INVALID, f"the points would expire before they can be spent, on {first or day}")


def needs_redeem(view: Overlay, command: RedeemPoints) -> list[Need]:
    """Name the holder, its lots and the redemption balance."""
    account = command.account
    wanted = [need(ACCOUNTS, account), need_book(account), need(BALANCES, (REDEMPTION, ledger_record(view).points))]
    if view.peek(PROGRAM, ONLY) is not None:
        wanted += needs_use(view, Use(activity=REDEEM, account=account, points=command.amount))
    return wanted


def decide_redeem(view: View, command: RedeemPoints, moment: Moment) -> PointsRedeemed:
    """Propose to use up a holder's points."""
    check_amount(command.amount)
    points = ledger_record(view).points
    return PointsRedeemed(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        postings=transfer_postings(points, command.amount, debit=command.account, credit=REDEMPTION),
        metadata=command.metadata,
    )


def apply_redeem(view: View, entry: PointsRedeemed) -> None:
    """Debit a holder's available points, earliest expiry first."""
    amount, holder, _ = _checked(view, entry.postings, credit=REDEMPTION)
    _reserve(view, amount, (REDEEM, holder), at=entry.time)
    pieces = debit_holder(view, holder, amount, on=entry.occurred_on)
    note_redemption(view, entry, holder, pieces)
    restart_clock(view, holder, on=entry.occurred_on)
    move_balance(view, entry.postings[1])


def note_redemption(view: View, entry: Entry, account: Account, pieces: tuple[Piece, ...]) -> None:
    """Note what `entry` has used up of `account`: what a reversal can return."""
    amount = sum(piece.amount for piece in pieces)
    record = ReversibleRecord(kind="redemption", account=account, amount=amount, remaining=amount, pieces=pieces)
    view.put(REVERSIBLE, entry.seq, record)


def needs_transfer(view: Overlay, command: TransferPoints) -> list[Need]:
    """Name both holders and the lots of the one who gives."""
    source, destination = command.source, command.destination
    wanted = [need(ACCOUNTS, source), need(ACCOUNTS, destination), need_book(source), *needs_clock(view, destination)]
    if view.peek(PROGRAM, ONLY) is not None:
        wanted += needs_use(view, Use(activity=TRANSFER_OUT, account=source, points=command.amount))
        wanted += needs_use(view, Use(activity=TRANSFER_IN, account=destination, points=command.amount))
    return wanted


def decide_transfer(view: View, command: TransferPoints, moment: Moment) -> PointsTransferred:
    """Propose to move points between two holders."""
    check_amount(command.amount)
    points = ledger_record(view).points
    return PointsTransferred(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        postings=transfer_postings(points, command.amount, debit=command.source, credit=command.destination),
        metadata=command.metadata,
    )


def apply_transfer(view: View, entry: PointsTransferred) -> None:
    """Move pieces of lots from one holder to another."""
    amount, source, destination = _checked(view, entry.postings)
    if source == destination:
        raise Refusal(Code.SAME_ACCOUNT, "points cannot be transferred to the account they are on")
    _reserve(view, amount, (TRANSFER_OUT, source), (TRANSFER_IN, destination), at=entry.time)
    pieces = debit_holder(view, source, amount, on=entry.occurred_on)
    giver = view.get(ACCOUNTS, source)
    if giver is not None and giver.active_on is not None:
        pieces = fixed_pieces(pieces, giver.active_on)
        restart_clock(view, source, on=entry.occurred_on)
    restart_clock(view, destination, on=entry.occurred_on)
    receive_pieces(view, destination, pieces, seq=entry.seq)


def _reserve(view: View, points: int, *uses: tuple[Activity, Account], at: str) -> None:
    # Most programs have no terms of their own, and nothing is counted then.
    if view.get(PROGRAM, ONLY) is not None:
        for activity, account in uses:
            reserve(view, Use(activity=activity, account=account, points=points), at=at)


def _checked(
    view: View, postings: Sequence[Posting], *, debit: Account | None = None, credit: Account | None = None
) -> tuple[int, Account, Account]:
    amount = pair_amount(postings)
    taken, given = postings
    source, destination = taken.account, given.account
    if (
        taken.amount != -amount
        or not taken.asset == given.asset == ledger_record(view).points
        or source != (debit or source)
        or destination != (credit or destination)
    ):
        raise postings_invalid()
    return amount, source, destination
