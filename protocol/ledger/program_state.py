"""The rows of a program's terms, and of what they govern: every one a function of the log."""

from enum import StrEnum
from typing import Final

import msgspec

from protocol.identifiers import Account, Digest, Id
from protocol.ledger.tables import Table
from protocol.program import Activity, Limit, ProgramTerms
from protocol.program_entries import Order


class ProgramRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The terms in force, and the entry that set them; without a row, those that a program begins with."""

    terms: ProgramTerms
    entered_seq: int


class LimitUse(msgspec.Struct, frozen=True, kw_only=True):
    """What has been done of one activity in the last day and year of the program in which it was counted; unbounded."""

    day: str
    day_points: int = 0
    day_count: int = 0
    year: str
    year_points: int = 0
    year_count: int = 0

    def used(self, limit: Limit) -> int:
        """Return what `limit`, of a day or a year, counts."""
        if limit.per == "day":
            return self.day_points if limit.measure == "points" else self.day_count
        return self.year_points if limit.measure == "points" else self.year_count


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted for one subject on a day."""

    subject: str
    activity: Activity
    day: str
    points: int
    count: int


class ReservationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What something that may not come about has reserved of limits, and not given back."""

    taken: tuple[Taken, ...] = ()


class MergeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Where an account's points went when it was merged, and which accounts were merged into it, all levels."""

    survivor: Account | None = None
    absorbed: tuple[Account, ...] = ()


class TransferState(StrEnum):
    """How far a transfer between members has come."""

    OFFERED = "offered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    LAPSED = "lapsed"


class TransferRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer that its recipient is to accept, from `accept_from` on and before `accept_by`."""

    state: TransferState
    account: Account
    recipient: Account
    amount: int
    fee: int
    accept_from: str
    accept_by: str
    offered_at: str
    offered_seq: int
    closed_seq: int | None = None


class PairRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Since which entry a recipient has accepted transfers of a sender."""

    accepted_seq: int


class ReviewState(StrEnum):
    """What has become of an order that a screen put up for review."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"


class ReviewRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An order under review, or what was decided about it."""

    state: ReviewState
    account: Account
    screen: str
    digest: Digest
    points: int
    order: Order
    opened_at: str
    opened_seq: int
    closed_seq: int | None = None


PROGRAM: Final[Table[str, ProgramRecord]] = Table("program", ProgramRecord)
LIMIT_USE: Final[Table[tuple[str, str], LimitUse]] = Table("limit_use", LimitUse)
RESERVATIONS: Final[Table[Id, ReservationRecord]] = Table("reservations", ReservationRecord)
MERGES: Final[Table[Account, MergeRecord]] = Table("merges", MergeRecord)
TRANSFERS: Final[Table[Id, TransferRecord]] = Table("transfers", TransferRecord)
TRANSFER_PAIRS: Final[Table[tuple[Account, Account], PairRecord]] = Table("transfer_pairs", PairRecord)
REVIEWS: Final[Table[Id, ReviewRecord]] = Table("reviews", ReviewRecord)

PROGRAM_TABLES: Final = (PROGRAM, LIMIT_USE, RESERVATIONS, MERGES, TRANSFERS, TRANSFER_PAIRS, REVIEWS)
