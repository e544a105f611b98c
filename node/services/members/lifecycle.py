"""Accounts between opening and closing: frozen, open again, merged into another."""

from dataclasses import dataclass

from node.services.answers import EntryAnswer
from node.services.context import Context
from node.services.pending import Pending
from node.services.requests import digest_request
from protocol.identifiers import Account, Id
from protocol.ledger.program_commands import FreezeAccount, MergeAccount, UnfreezeAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeRequest:
    """Freeze an account, for a reason in one word."""

    id: Id
    account: Account
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfreezeRequest:
    """Open a frozen account again, for a reason in one word."""

    id: Id
    account: Account
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeRequest:
    """Let all points of `account` go to `survivor`, for a reason in one word."""

    id: Id
    account: Account
    survivor: Account
    reason: str


class LifecycleService:
    """Freezes, opens again and merges accounts."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def freeze(self, request: FreezeRequest) -> Pending[EntryAnswer]:
        """Let the holder begin nothing that takes points."""
        command = FreezeAccount(
            id=request.id,
            request=digest_request(self._context.digests, request),
            account=request.account,
            reason=request.reason,
        )
        return self._context.execute(command)

    def unfreeze(self, request: UnfreezeRequest) -> Pending[EntryAnswer]:
        """Open a frozen account again."""
        command = UnfreezeAccount(
            id=request.id,
            request=digest_request(self._context.digests, request),
            account=request.account,
            reason=request.reason,
        )
        return self._context.execute(command)

    def merge(self, request: MergeRequest) -> Pending[EntryAnswer]:
        """Let one account's points go to another, which stands for it from then on."""
        command = MergeAccount(
            id=request.id,
            request=digest_request(self._context.digests, request),
            account=request.account,
            survivor=request.survivor,
            reason=request.reason,
        )
        return self._context.execute(command)
