"""What members wait for as of the end of a day: points on offer to somebody, and orders that a person is to look at."""

from collections.abc import Iterator
from enum import StrEnum, unique

import msgspec

from protocol.audit.days import day_of
from protocol.audit.outcome import LogAudit
from protocol.fields import parse_date
from protocol.identifiers import Account, Id
from protocol.ledger.program_state import REVIEWS, TRANSFERS


@unique
class WaitingKind(StrEnum):
    """For whom it waits."""

    TRANSFER = "transfer"
    """Points that the recipient has neither accepted nor declined."""
    REVIEW = "review"
    """An order that nobody has decided."""


class WaitingLine(msgspec.Struct, frozen=True, kw_only=True):
    """Points of `account` that are on hold since the entry `seq`; `about` is the recipient, or what stopped the order.

    `until` is when nobody can accept a transfer any more.
    """

    kind: WaitingKind
    id: Id
    account: Account
    about: str
    points: int
    seq: int
    since: str
    age_days: int
    until: str | None


def waiting_lines(audit: LogAudit, *, day: str, end_seq: int) -> tuple[WaitingLine, ...]:
    """Return what was undecided at the end of `day`, before which `end_seq` entries were written, the oldest first."""
    lines = (*_transfers(audit, day, end_seq), *_reviews(audit, day, end_seq))
    return tuple(sorted(lines, key=lambda line: line.seq))


def _transfers(audit: LogAudit, day: str, end_seq: int) -> Iterator[WaitingLine]:
    for transfer, record in audit.replay.view.rows(TRANSFERS):
        if _is_open(record.offered_seq, record.closed_seq, end_seq):
            yield WaitingLine(
                kind=WaitingKind.TRANSFER,
                id=transfer,
                account=record.account,
                about=record.recipient,
                points=record.amount + record.fee,
                seq=record.offered_seq,
                since=record.offered_at,
                age_days=_age(record.offered_at, day),
                until=record.accept_by,
            )


def _reviews(audit: LogAudit, day: str, end_seq: int) -> Iterator[WaitingLine]:
    for order, record in audit.replay.view.rows(REVIEWS):
        if _is_open(record.opened_seq, record.closed_seq, end_seq):
            yield WaitingLine(
                kind=WaitingKind.REVIEW,
                id=order,
                account=record.account,
                about=record.screen,
                points=record.points,
                seq=record.opened_seq,
                since=record.opened_at,
                age_days=_age(record.opened_at, day),
                until=None,
            )


def _is_open(opened: int, closed: int | None, end_seq: int) -> bool:
    return opened < end_seq and (closed is None or closed >= end_seq)


def _age(since: str, day: str) -> int:
    return (parse_date(day) - parse_date(day_of(since))).days
