"""Transfers between members: offered by one, then accepted or declined by the other, or lapsed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from node.engine.work import Answer, Desk
from node.ports import Randomness
from node.services.answers import EntryAnswer
from node.services.context import Context, WriteWork
from node.services.metadata import metadata_row
from node.services.pending import Pending
from node.services.program.screening import NO_CLIENT, TRACE_DAYS_MAX, Asked, ClientData, ScreenedWork
from node.services.requests import digest_request
from node.store.reader import StoreReader
from node.store.rows import PutMetadata
from node.store.rows_program import DropTrace
from protocol.errors import Code, Refusal
from protocol.fields import later
from protocol.identifiers import Account, Id
from protocol.ledger.names import lapsed_id
from protocol.ledger.program_commands import AcceptTransfer, DeclineTransfer, OfferTransfer
from protocol.ledger.program_state import TRANSFERS, TransferRecord, TransferState
from protocol.ledger.programs import terms_of
from protocol.program_entries import TransferOrder

_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRequest:
    """Offer points of an account to another; `metadata` is a packed JSON object (`node.services.metadata`)."""

    id: Id
    account: Account
    to: Account
    amount: int
    occurred_on: str | None = None
    metadata: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptRequest:
    """Take an offered transfer; with `account`, only if it was offered to that one."""

    id: Id
    transfer: Id
    account: Account | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclineRequest:
    """Decline an offered transfer as its recipient, or take it back as its sender; with `account`, as that one."""

    id: Id
    transfer: Id
    by: Literal["recipient", "sender"] | None = None
    account: Account | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferView:
    """A transfer as it stands: it can be accepted from `accept_from` on and before `accept_by`."""

    id: str
    state: Literal["offered", "accepted", "declined", "cancelled", "lapsed"]
    account: str
    to: str
    amount: int
    fee: int
    offered_at: str
    accept_from: str
    accept_by: str
    seq: int
    closed_seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferPage:
    """Transfers, newest first; `next` is the cursor of the page after, if there is one."""

    transfers: tuple[TransferView, ...]
    next: int | None


class OfferWork(ScreenedWork):
    """An offer, screened in the commit that makes it."""

    def __init__(
        self,
        reader: StoreReader,
        randomness: Randomness,
        asked: Asked,
        *,
        request: OfferRequest,
        metadata: PutMetadata | None,
    ) -> None:
        super().__init__(reader, randomness, asked)
        self._request = request
        self._digest = asked.request
        self._metadata = metadata

    def command(self, desk: Desk | None) -> OfferTransfer:
        """Return the offer; its metadata is kept beside it where it is made."""
        if desk is not None and self._metadata is not None:
            desk.stage(self._metadata)
        request = self._request
        return OfferTransfer(
            id=request.id,
            request=self._digest,
            occurred_on=request.occurred_on,
            account=request.account,
            recipient=request.to,
            amount=request.amount,
            metadata=None if self._metadata is None else self._metadata.digest,
        )

    def points(self, desk: Desk) -> int:
        """Return the amount and its fee."""
        return self._request.amount + terms_of(desk.view).transfers.fee(self._request.amount)

    def too_large(self, desk: Desk) -> bool:
        """Return whether a person looks at transfers of this size."""
        above = terms_of(desk.view).transfers.review_above
        return above is not None and self._request.amount > above


class TransfersService:
    """Offers, accepts and declines transfers, and tells where they stand."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def offer(self, request: OfferRequest, client: ClientData = NO_CLIENT) -> Pending[EntryAnswer]:
        """Set points aside for their recipient to accept; a screen may put the offer up for review instead."""
        context = self._context
        asked = Asked(
            id=request.id,
            account=request.account,
            activity="transfer",
            request=digest_request(self._context.digests, request),
            order=TransferOrder(recipient=request.to, amount=request.amount),
            client=client,
            metadata=request.metadata,
        )
        metadata = metadata_row(request.metadata, context.randomness)
        work = OfferWork(context.reader, context.randomness, asked, request=request, metadata=metadata)
        return Pending(context.writer.submit(work), self._first)

    def accept(self, request: AcceptRequest) -> Pending[EntryAnswer]:
        """Let the recipient have the points; raise `transfer_unknown` for whoever is not the recipient."""
        record = self._known(request.transfer, request.account)
        if request.account not in {None, record.recipient}:
            raise _unknown(request.transfer)
        command = AcceptTransfer(
            id=request.id, request=digest_request(self._context.digests, request), transfer=request.transfer
        )
        return self._context.execute(command)

    def decline(self, request: DeclineRequest) -> Pending[EntryAnswer]:
        """Give the points back to the sender; raise `transfer_unknown` for whoever is neither side."""
        record = self._known(request.transfer, request.account)
        by = request.by or ("sender" if request.account == record.account else "recipient")
        command = DeclineTransfer(
            id=request.id, request=digest_request(self._context.digests, request), transfer=request.transfer, by=by
        )
        return self._context.execute(command)

    def show(self, transfer: Id, *, account: Account | None = None) -> TransferView:
        """Return a transfer as it stands; with `account`, only one of that account's."""
        return _view(transfer, self._known(transfer, account))

    def page(
        self, *, account: Account | None, state: TransferState | None, before: int | None, limit: int
    ) -> TransferPage:
        """Return up to `limit` transfers, newest first."""
        found = self._context.reader.transfers(account=account, state=state, before_seq=before, limit=limit + 1)
        views = tuple(_view(transfer, record) for transfer, record in found[:limit])
        return TransferPage(transfers=views, next=views[-1].seq if len(found) > limit else None)

    def lapse(self, transfer: Id) -> Pending[EntryAnswer]:
        """Give back what nobody can accept any more: the node's own act, once for each transfer."""
        return self._context.execute(DeclineTransfer(id=lapsed_id(transfer), transfer=transfer, by="time"))

    def lapsed(self, limit: int) -> list[Id]:
        """Return transfers that nobody can accept any more."""
        return self._context.reader.transfers_lapsed(self._context.now, limit)

    def forget_traces(self, limit: int) -> int:
        """Forget up to `limit` traces that no screen looks at any more, and return how many."""
        oldest = later(self._context.now, seconds=-TRACE_DAYS_MAX * _DAY_SECONDS)
        found = self._context.reader.traces_before(oldest, limit)
        if found:
            self._context.writer.submit(WriteWork([DropTrace(each) for each in found])).result()
        return len(found)

    def _known(self, transfer: Id, account: Account | None) -> TransferRecord:
        record = self._context.reader.record(TRANSFERS, transfer)
        if record is None or account not in {None, record.account, record.recipient}:
            raise _unknown(transfer)
        return record

    def _first(self, answers: Sequence[Answer]) -> EntryAnswer:
        return self._context.render_first(answers)


def _unknown(transfer: Id) -> Refusal:
    return Refusal(Code.TRANSFER_UNKNOWN, f"there is no transfer {transfer}")


def _view(transfer: Id, record: TransferRecord) -> TransferView:
    return TransferView(
        id=transfer,
        state=record.state.value,
        account=record.account,
        to=record.recipient,
        amount=record.amount,
        fee=record.fee,
        offered_at=record.offered_at,
        accept_from=record.accept_from,
        accept_by=record.accept_by,
        seq=record.offered_seq,
        closed_seq=record.closed_seq,
    )
