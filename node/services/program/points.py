"""Accounts, points and holds: the ledger as a programme's own systems use it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from node.engine.asking import asking_for
from node.engine.work import Answer, CommandWork, Desk
from node.services.answers import EntryAnswer, IssuedAnswer, MovedAnswer, ReversedAnswer
from node.services.batches import EachOrAll
from node.services.context import Context
from node.services.metadata import metadata_row
from node.services.pending import Pending
from node.services.refusals import NodeCode, NodeRefusal
from node.services.requests import (
    CaptureHoldRequest,
    CloseAccountRequest,
    IssueRequest,
    OpenAccountRequest,
    PlaceHoldRequest,
    RedeemRequest,
    ReleaseHoldRequest,
    ReverseRequest,
    TransactionRequest,
    TransferRequest,
    digest_request,
)
from node.services.written import AnswerRow
from node.store.rows import PutMetadata
from protocol.errors import Refusal
from protocol.identifiers import Digest, Id
from protocol.ledger.commands import (
    AnyCommand,
    CaptureHold,
    CloseAccount,
    IssuePoints,
    OpenAccount,
    PlaceHold,
    RedeemPoints,
    ReleaseHold,
    TransferPoints,
)
from protocol.ledger.lot_commands import ReversePoints
from protocol.ledger.names import expired_id
from protocol.ledger.view import Need, Overlay


class BatchItem(NamedTuple):
    """A command and the metadata row beside its entry."""

    command: AnyCommand
    metadata: PutMetadata | None


class BatchWork(EachOrAll[BatchItem]):
    """Many commands in one commit, each by itself, or with `atomic` all or none."""

    def __init__(self, items: Sequence[BatchItem], *, atomic: bool) -> None:
        super().__init__(items, atomic=atomic)
        self._asking = asking_for([item.command for item in items])

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Yield what every command reads."""
        return self._asking.needs(view)

    def do(self, desk: Desk, item: BatchItem) -> Answer:
        """Execute a command, and keep its metadata unless it is a repeat."""
        answer = desk.execute(item.command)
        if item.metadata is not None and not answer.repeated:
            desk.stage(item.metadata)
        return answer


class PointsService:
    """Opens and closes accounts, moves points, places and settles holds."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def open_account(self, request: OpenAccountRequest) -> Pending[EntryAnswer]:
        """Open a holder's account."""
        return self._context.execute(
            OpenAccount(
                id=request.id,
                request=self._digest(request),
                occurred_on=request.occurred_on,
                account=request.account,
            )
        )

    def close_account(self, request: CloseAccountRequest) -> Pending[EntryAnswer]:
        """Close an empty account."""
        return self._context.execute(
            CloseAccount(
                id=request.id,
                request=self._digest(request),
                occurred_on=request.occurred_on,
                account=request.account,
            )
        )

    def transact(self, request: TransactionRequest) -> Pending[EntryAnswer]:
        """Issue, redeem or transfer points, or undo what was issued or redeemed."""
        item = self._item(request)
        return self._context.execute(item.command, () if item.metadata is None else (item.metadata,))

    def write(self, request: TransactionRequest) -> Pending[AnswerRow]:
        """Do what `transact` does; its answer is to be encoded, and nothing else."""
        item = self._item(request)
        work = CommandWork([item.command], writes=() if item.metadata is None else (item.metadata,))
        return Pending(self._context.writer.submit(work), self._context.row_of_first)

    def write_each(self, requests: Sequence[TransactionRequest], *, atomic: bool) -> Pending[list[AnswerRow | Refusal]]:
        """Do many transactions in one commit; with `atomic`, raise `ItemRefused` when one of them is refused.

        The answers are to be encoded, and nothing else.
        """
        work = BatchWork([self._item(each) for each in requests], atomic=atomic)
        return Pending(self._context.writer.submit(work), self._context.row_of_each)

    def transaction(self, transaction_id: Id) -> EntryAnswer:
        """Return the answer that the transaction was given, or raise `not_found`."""
        seq = self._context.reader.entry_seq_of_id(transaction_id)
        sealed = None if seq is None else self._context.entry(seq)
        answer = None if sealed is None else self._context.render(sealed)
        if not isinstance(answer, IssuedAnswer | MovedAnswer | ReversedAnswer):
            raise NodeRefusal(NodeCode.NOT_FOUND, f"there is no transaction {transaction_id}")
        return answer

    def place_hold(self, request: PlaceHoldRequest) -> Pending[EntryAnswer]:
        """Set points aside."""
        metadata = metadata_row(request.metadata, self._context.randomness)
        command = PlaceHold(
            id=request.id,
            request=self._digest(request),
            occurred_on=request.occurred_on,
            account=request.account,
            amount=request.amount,
            expires_at=request.expires_at,
            metadata=_cited(metadata),
        )
        return self._context.execute(command, [metadata] if metadata else [])

    def capture_hold(self, request: CaptureHoldRequest) -> Pending[EntryAnswer]:
        """Redeem held points."""
        return self._context.execute(
            CaptureHold(
                id=request.id,
                request=self._digest(request),
                occurred_on=request.occurred_on,
                hold=request.hold,
                amount=request.amount,
                final=request.final,
            )
        )

    def release_hold(self, request: ReleaseHoldRequest) -> Pending[EntryAnswer]:
        """Give back what remains of a hold."""
        return self._context.execute(
            ReleaseHold(
                id=request.id, request=self._digest(request), occurred_on=request.occurred_on, hold=request.hold
            )
        )

    def expire_hold(self, hold: Id) -> Pending[EntryAnswer]:
        """Release a hold whose time has passed: the node's own act, once for each hold."""
        return self._context.execute(ReleaseHold(id=expired_id(hold), hold=hold, expired=True))

    def expired_holds(self, limit: int) -> list[Id]:
        """Return holds whose time has passed and of which something remains."""
        return self._context.reader.holds_expired(self._context.now, limit)

    def _digest(
        self,
        request: OpenAccountRequest
        | CloseAccountRequest
        | TransactionRequest
        | PlaceHoldRequest
        | CaptureHoldRequest
        | ReleaseHoldRequest,
    ) -> Digest:
        return digest_request(self._context.digests, request)

    def _item(self, request: TransactionRequest) -> BatchItem:
        metadata = metadata_row(request.metadata, self._context.randomness)
        return BatchItem(_command(request, self._digest(request), _cited(metadata)), metadata)


def _cited(metadata: PutMetadata | None) -> Digest | None:
    return None if metadata is None else metadata.digest


def _command(request: TransactionRequest, digest: Digest, metadata: Digest | None) -> AnyCommand:
    match request:
        case IssueRequest():
            return IssuePoints(
                id=request.id,
                request=digest,
                occurred_on=request.occurred_on,
                account=request.account,
                amount=request.amount,
                expires_on=request.expires_on,
                metadata=metadata,
            )
        case RedeemRequest():
            return RedeemPoints(
                id=request.id,
                request=digest,
                occurred_on=request.occurred_on,
                account=request.account,
                amount=request.amount,
                metadata=metadata,
            )
        case TransferRequest():
            return TransferPoints(
                id=request.id,
                request=digest,
                occurred_on=request.occurred_on,
                source=request.account,
                destination=request.to,
                amount=request.amount,
                metadata=metadata,
            )
        case ReverseRequest():
            return ReversePoints(
                id=request.id,
                request=digest,
                occurred_on=request.occurred_on,
                reverses=request.reverses,
                amount=request.amount,
                partial=request.partial,
                metadata=metadata,
            )
