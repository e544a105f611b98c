"""Accounts, points and holds: the ledger as a programme's own systems use it."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import NamedTuple

from node.engine.work import Answer, Asking, Desk, Weighed
from node.services.answers import EntryAnswer, IssuedAnswer, MovedAnswer, Pending, ReversedAnswer
from node.services.context import Context
from node.services.metadata import metadata_row
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
from node.services.written import AnswerRow, row_of
from node.store.rows import PutMetadata
from protocol.errors import Refusal, TallystickError
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


class ItemRefused(TallystickError):
    """One item of an atomic batch was refused, so nothing of it was written. `index` counts from 0."""

    def __init__(self, index: int, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.code = refusal.code
        self.index = index
        self.detail = refusal.detail


class BatchItem(NamedTuple):
    """A command and the metadata row beside its entry."""

    command: AnyCommand
    metadata: PutMetadata | None


class BatchWork(Weighed):
    """Many commands in one commit, each by itself, or with `atomic` all or none."""

    def __init__(self, items: Sequence[BatchItem], *, atomic: bool) -> None:
        self._items = items
        self._asking = Asking([item.command for item in items])
        self._atomic = atomic

    @property
    def items(self) -> int:
        """Return how many entries this may write: what the writer's queue is bounded by."""
        return len(self._items)

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Yield what every command reads."""
        return self._asking.needs(view)

    def run(self, desk: Desk) -> list[Answer | Refusal]:
        """Return an answer or a refusal for each item, in order."""
        return [self._run(desk, index, item) for index, item in enumerate(self._items)]

    def _run(self, desk: Desk, index: int, item: BatchItem) -> Answer | Refusal:
        try:
            answer = desk.execute(item.command)
        except Refusal as refusal:
            if self._atomic:
                raise ItemRefused(index, refusal) from refusal
            return refusal
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

    def batch(self, requests: Sequence[TransactionRequest], *, atomic: bool) -> Pending[list[EntryAnswer | Refusal]]:
        """Do many transactions in one commit; with `atomic`, raise `ItemRefused` when one of them is refused."""
        return Pending(self._submit_each(requests, atomic=atomic), self._render_each)

    def write_each(self, requests: Sequence[TransactionRequest], *, atomic: bool) -> Pending[list[AnswerRow | Refusal]]:
        """Do what `batch` does; its answers are to be encoded, and nothing else."""
        return Pending(self._submit_each(requests, atomic=atomic), self._rows)

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

    def _submit_each(self, requests: Sequence[TransactionRequest], *, atomic: bool) -> "Future[list[Answer | Refusal]]":
        return self._context.writer.submit(BatchWork([self._item(each) for each in requests], atomic=atomic))

    def _render_each(self, answers: Sequence[Answer | Refusal]) -> list[EntryAnswer | Refusal]:
        return [each if isinstance(each, Refusal) else self._context.render(each.sealed) for each in answers]

    def _rows(self, answers: Sequence[Answer | Refusal]) -> list[AnswerRow | Refusal]:
        ledger = self._context.ledger
        return [each if isinstance(each, Refusal) else row_of(each.sealed, ledger=ledger) for each in answers]


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
