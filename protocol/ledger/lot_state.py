"""The rows of points: lots, the pieces that are taken out of them, and what a reversal can return (specs/expiry.md)."""

from typing import Final, Literal

import msgspec

from protocol.identifiers import Account
from protocol.ledger.expiry import Clock
from protocol.ledger.tables import Table

NEVER: Final = "9999-12-31"


class Lot(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Points of one origin, day and expiry; `remaining` are neither spent nor held.

    They can be spent from `spendable_on` on, or at once, up to and including `expires_on`; where they follow the
    account's `clock`, their last day is not written here.
    """

    seq: int
    part: int
    origin: str
    earned_on: str
    expires_on: str | None
    remaining: int
    clock: Clock | None = None
    spendable_on: str | None = None

    @property
    def order(self) -> tuple[str, str, int, int]:
        """Return the key by which lots are consumed: earliest expiry, then earliest earned; clocks are not read."""
        return (self.expires_on or NEVER, self.earned_on, self.seq, self.part)


class Piece(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Some points of one lot, taken out by a hold or a redemption, or on their way to another account."""

    seq: int
    part: int
    origin: str
    earned_on: str
    expires_on: str | None
    amount: int
    clock: Clock | None = None
    spendable_on: str | None = None


class ReversibleRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a reversal of an entry can still return: `remaining` of its `amount`.

    Of a redemption, `pieces` are those points, in the order in which they were taken. Of an issue, what has expired of
    its lot does not remain.
    """

    kind: Literal["issue", "redemption"]
    account: Account
    amount: int
    remaining: int
    pieces: tuple[Piece, ...] = ()


REVERSIBLE: Final[Table[int, ReversibleRecord]] = Table("reversible", ReversibleRecord)
"""By the `seq` of the entry that issued or redeemed the points."""
