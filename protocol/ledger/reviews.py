"""Orders that a screen has put up for review: the points wait on hold until a person has decided (specs/program.md §6).

What a screen sees is no ledger's to judge; here is only that it was asked, what it held, and who let go of it.
"""

from collections.abc import Iterator

import msgspec

from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Id
from protocol.ledger.holds import free, place
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.names import review_id
from protocol.ledger.program_commands import CloseReview, OpenReview
from protocol.ledger.program_state import REVIEWS, ReviewRecord, ReviewState
from protocol.ledger.state import ACCOUNTS, HOLDS, IDS
from protocol.ledger.view import Need, Overlay, View, need, need_book
from protocol.points import check_amount
from protocol.program_entries import ReviewClosed, ReviewOpened


def needs_open(_view: Overlay, command: OpenReview) -> Iterator[Need]:
    """Name the account, its lots, the order and its hold."""
    yield need(ACCOUNTS, command.account)
    yield need_book(command.account)
    yield need(IDS, command.order_id)
    yield need(REVIEWS, command.order_id)
    yield need(HOLDS, review_id(command.order_id))


def decide_open(_view: View, command: OpenReview, moment: Moment) -> ReviewOpened:
    """Propose that an order waits for a person."""
    check_amount(command.points)
    return ReviewOpened(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        account=command.account,
        screen=command.screen,
        digest=command.digest,
        points=command.points,
        order_id=command.order_id,
        order=command.order,
    )


def apply_opened(view: View, entry: ReviewOpened) -> None:
    """Set the order's points aside; an order that has been carried out is under no review."""
    order = Id(entry.order_id)
    if view.get(IDS, order) is not None:
        raise Refusal(Code.ID_REUSED, f"the id {order} is taken")
    place(
        view,
        review_id(order),
        account=entry.account,
        amount=entry.points,
        on=entry.occurred_on,
        seq=entry.seq,
        expires_at=None,
        conversion=False,
    )
    record = ReviewRecord(
        state=ReviewState.OPEN,
        account=entry.account,
        screen=entry.screen,
        digest=entry.digest,
        points=entry.points,
        order=entry.order,
        opened_at=entry.time,
        opened_seq=entry.seq,
    )
    view.put(REVIEWS, order, record)


def needs_close(view: Overlay, command: CloseReview) -> Iterator[Need]:
    """Name the review; once it is known, its hold, account and lots."""
    yield need(REVIEWS, command.order_id)
    yield need(HOLDS, review_id(command.order_id))
    record = view.peek(REVIEWS, command.order_id)
    if record is not None:
        yield need(ACCOUNTS, record.account)
        yield need_book(record.account)


def decide_close(_view: View, command: CloseReview, moment: Moment) -> ReviewClosed:
    """Propose what a person has decided."""
    return ReviewClosed(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        order_id=command.order_id,
        approved=command.approved,
        reason=command.reason,
    )


def apply_closed(view: View, entry: ReviewClosed) -> None:
    """Free the points: an approved order takes them again, under its own id and by all its rules."""
    order = Id(entry.order_id)
    record = view.get(REVIEWS, order)
    if record is None:
        raise Refusal(Code.REVIEW_UNKNOWN, f"no order {order} is under review")
    if record.state is not ReviewState.OPEN:
        raise Refusal(Code.REVIEW_CLOSED, f"the order was {record.state}")
    hold = view.get(HOLDS, review_id(order))
    assert hold is not None, "an order under review has its hold"
    free(view, review_id(order), hold, entry)
    state = ReviewState.APPROVED if entry.approved else ReviewState.REJECTED
    view.put(REVIEWS, order, msgspec.structs.replace(record, state=state, closed_seq=entry.seq))


def parties(view: View, order: Id) -> tuple[Account, ...]:
    """Return whose history a decided review belongs to."""
    record = view.get(REVIEWS, order)
    return () if record is None else (record.account,)
