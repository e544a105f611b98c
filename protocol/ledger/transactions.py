"""Points issued, redeemed and transferred."""

from collections.abc import Iterator, Sequence

from protocol.entries import PointsIssued, PointsRedeemed, PointsTransferred, Posting, transfer_postings
from protocol.errors import Code, Refusal
from protocol.identifiers import Account
from protocol.ledger.commands import IssuePoints, RedeemPoints, TransferPoints
from protocol.ledger.moment import Moment, check_day, occurred
from protocol.ledger.postings import (
    check_postings,
    credit_holder,
    debit_holder,
    ledger_record,
    move_structural,
    moved_pieces,
    pair_amount,
)
from protocol.ledger.state import ACCOUNTS, BALANCES, Piece
from protocol.ledger.view import Need, Overlay, View, need, need_book
from protocol.points import check_amount

ISSUANCE = Account("issuance")
REDEMPTION = Account("redemption")
OWN = "own"
"""The origin of lots that this program issued itself."""


def needs_issue(view: Overlay, command: IssuePoints) -> Iterator[Need]:
    """Name the holder and the issuance balance."""
    yield need(ACCOUNTS, command.account)
    yield need(BALANCES, (ISSUANCE, ledger_record(view).points))


def decide_issue(view: View, command: IssuePoints, moment: Moment) -> PointsIssued:
    """Propose new points for a holder."""
    check_amount(command.amount)
    if command.expires_on is not None:
        check_day(command.expires_on)
    points = ledger_record(view).points
    return PointsIssued(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        postings=transfer_postings(points, command.amount, debit=ISSUANCE, credit=command.account),
        expires_on=command.expires_on,
        metadata=command.metadata,
    )


def apply_issue(view: View, entry: PointsIssued) -> None:
    """Credit a holder with one lot of our own."""
    amount, (_, holder) = _checked(view, entry.postings, debit=ISSUANCE)
    if entry.expires_on is not None and entry.expires_on < entry.occurred_on:
        raise Refusal(Code.DATE_INVALID, "the points would expire before they are earned")
    piece = Piece(
        seq=entry.seq, part=0, origin=OWN, earned_on=entry.occurred_on, expires_on=entry.expires_on, amount=amount
    )
    credit_holder(view, holder, (piece,))
    move_structural(view, entry.postings)


def needs_redeem(view: Overlay, command: RedeemPoints) -> Iterator[Need]:
    """Name the holder, its lots and the redemption balance."""
    yield need(ACCOUNTS, command.account)
    yield need_book(command.account)
    yield need(BALANCES, (REDEMPTION, ledger_record(view).points))


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
    amount, (holder, _) = _checked(view, entry.postings, credit=REDEMPTION)
    debit_holder(view, holder, amount, on=entry.occurred_on)
    move_structural(view, entry.postings)


def needs_transfer(_view: Overlay, command: TransferPoints) -> Iterator[Need]:
    """Name both holders and the lots of the one who gives."""
    yield need(ACCOUNTS, command.source)
    yield need(ACCOUNTS, command.destination)
    yield need_book(command.source)


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
    amount, (source, destination) = _checked(view, entry.postings)
    if source == destination:
        raise Refusal(Code.SAME_ACCOUNT, "points cannot be transferred to the account they are on")
    pieces = debit_holder(view, source, amount, on=entry.occurred_on)
    credit_holder(view, destination, moved_pieces(pieces, seq=entry.seq))


def _checked(
    view: View, postings: Sequence[Posting], *, debit: Account | None = None, credit: Account | None = None
) -> tuple[int, tuple[Account, Account]]:
    amount = pair_amount(postings)
    accounts = (debit or postings[0].account, credit or postings[1].account)
    points = ledger_record(view).points
    check_postings(postings, transfer_postings(points, amount, debit=accounts[0], credit=accounts[1]))
    return amount, accounts
