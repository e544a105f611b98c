"""What can be asked of a ledger about its lots: to undo an issue or a redemption, to post what has expired."""

from typing import TypeAlias

from protocol.identifiers import Account, Digest, Id
from protocol.ledger.command import Command


class ReversePoints(Command, frozen=True, kw_only=True):
    """Undo `amount` of an issue or a redemption, or all that was not undone yet.

    Of an issue whose points are not there any more, `partial` takes as many as there are.
    """

    reverses: Id
    amount: int | None = None
    partial: bool = False
    metadata: Digest | None = None


class ExpireLots(Command, frozen=True, kw_only=True):
    """Post lots of an account, each `(seq, part)`, as lost: their last day is before the command's day."""

    account: Account
    lots: tuple[tuple[int, int], ...]


LotCommand: TypeAlias = ReversePoints | ExpireLots
