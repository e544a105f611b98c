"""What the ledger knows of an appeal: a function of the log (specs/appeals.md)."""

from enum import StrEnum, unique
from typing import Final

import msgspec

from protocol.identifiers import Account, Id


@unique
class AppealState(StrEnum):
    """Where an appeal stands; one that is open or waiting past its deadline is overdue besides."""

    OPEN = "open"
    """The program is to answer."""
    WAITING = "waiting"
    """The program has asked, and the holder is to answer."""
    UPHELD = "upheld"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


UNDECIDED: Final = frozenset({AppealState.OPEN, AppealState.WAITING})
"""The states of an appeal that its deadline still counts for."""


class AppealRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An appeal of `account` about the entry with the id `about`, to be decided by the end of the day `deadline`.

    `entries` are the seqs of what was said about it, in their order: the first opened it. `adjustment` is the id of the
    entry by which the decision moved points, `decided_seq` the entry that decided.
    """

    account: Account
    state: AppealState
    reason: str
    about: Id | None
    deadline: str
    opened_at: str
    opened_seq: int
    entries: tuple[int, ...]
    decided_seq: int | None = None
    adjustment: Id | None = None

    def is_overdue(self, day: str) -> bool:
        """Return whether nobody has decided at the end of the deadline, on the calendar day `day` (UTC)."""
        return self.state in UNDECIDED and self.deadline < day
