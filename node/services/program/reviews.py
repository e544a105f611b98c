"""Orders under review: what a screen held up, and the person who lets it go on or gives the points back."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal, cast

import msgspec

from node.engine.work import Answer, Desk
from node.services.answers import Document, EntryAnswer
from node.services.context import Context
from node.services.metadata import metadata_row, pack_metadata
from node.services.pending import Pending
from node.services.render import document_of
from node.store.rows import PutMetadata
from protocol.encoding import JsonValue
from protocol.errors import Code, Refusal
from protocol.fields import TIME_MAX, later
from protocol.identifiers import Digest, Id
from protocol.ledger import rules
from protocol.ledger.commands import AnyCommand, OrderConversion
from protocol.ledger.program_commands import CloseReview, OfferTransfer
from protocol.ledger.program_state import REVIEWS, ReviewRecord, ReviewState
from protocol.ledger.view import Need, Overlay
from protocol.program_entries import TransferOrder

ACCEPT_WITHIN_SECONDS = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRequest:
    """Decide an order under review, for a reason in one word, never about a person."""

    id: Id
    order: Id
    approved: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewView:
    """An order that a screen put up for review; `seen` is what the screen saw, unless it was erased.

    With it is the `metadata` of the order, if it has some.
    """

    id: str
    state: Literal["open", "approved", "rejected"]
    account: str
    screen: str
    points: int
    order: Document
    opened_at: str
    seq: int
    closed_seq: int | None
    seen: Document | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPage:
    """Orders that were put up for review, newest first; `next` is the cursor of the page after, if there is one."""

    reviews: tuple[ReviewView, ...]
    next: int | None


class DecideWork:
    """A decision and, where it approves, the order itself: both in one commit, or neither."""

    def __init__(
        self, close: CloseReview, record: ReviewRecord, request: Digest | None, metadata: PutMetadata | None
    ) -> None:
        self._close = close
        self._record = record
        self._request = request
        self._metadata = metadata

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Yield what the decision and the order read."""
        yield from rules.needs(view, self._close)
        if self._close.approved:
            yield from rules.needs(view, self._order(TIME_MAX))

    def run(self, desk: Desk) -> list[Answer]:
        """Decide, and carry out what was approved; a repeat carries nothing out again."""
        closed = desk.execute(self._close)
        if closed.repeated or not self._close.approved:
            return [closed]
        if self._metadata is not None:
            desk.stage(self._metadata)
        return [closed, desk.execute(self._order(later(desk.time, seconds=ACCEPT_WITHIN_SECONDS)))]

    def _order(self, accept_by: str) -> AnyCommand:
        record, order = self._record, self._record.order
        if isinstance(order, TransferOrder):
            return OfferTransfer(
                id=self._close.order_id,
                request=self._request,
                account=record.account,
                recipient=order.recipient,
                amount=order.amount,
                metadata=None if self._metadata is None else self._metadata.digest,
            )
        return OrderConversion(
            id=self._close.order_id,
            request=self._request,
            account=record.account,
            destination=order.destination,
            amount=order.amount,
            accept_by=accept_by,
            agreement=order.agreement,
        )


class ReviewsService:
    """Shows and decides orders under review."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def page(self, *, state: ReviewState | None, before: int | None, limit: int) -> ReviewPage:
        """Return up to `limit` orders, newest first."""
        found = self._context.reader.reviews(state=state, before_seq=before, limit=limit + 1)
        views = tuple(self._view(order, record) for order, record in found[:limit])
        return ReviewPage(reviews=views, next=views[-1].seq if len(found) > limit else None)

    def show(self, order: Id) -> ReviewView:
        """Return one order, or raise `review_unknown`."""
        return self._view(order, self._known(order))

    def decide(self, request: ReviewRequest) -> Pending[EntryAnswer]:
        """Let an order go on, by all its rules, or give its points back."""
        record = self._known(request.order)
        digest = self._context.digests.digest("review", cast("dict[str, JsonValue]", asdict(request)))
        close = CloseReview(
            id=request.id, request=digest, order_id=request.order, approved=request.approved, reason=request.reason
        )
        opened = self._context.entry(record.opened_seq)
        assert opened is not None, "a record names an entry that exists"
        work = DecideWork(close, record, opened.entry.request, self._metadata(record))
        return Pending(self._context.writer.submit(work), self._context.render_first)

    def _known(self, order: Id) -> ReviewRecord:
        record = self._context.reader.record(REVIEWS, order)
        if record is None:
            raise Refusal(Code.REVIEW_UNKNOWN, f"no order {order} is under review")
        return record

    def _seen(self, record: ReviewRecord) -> dict[str, object] | None:
        """Return what the screen saw, with the order's metadata if it has some, or None once it is erased."""
        kept = self._context.reader.metadata(record.digest)
        return None if kept is None else msgspec.json.decode(kept.data, type=dict[str, object])

    def _metadata(self, record: ReviewRecord) -> PutMetadata | None:
        """Return the row for what was said with the order: it goes on with it."""
        said = (self._seen(record) or {}).get("metadata")
        assert said is None or isinstance(said, dict), "what a screen keeps is what was packed"
        return metadata_row(pack_metadata(said), self._context.randomness)

    def _view(self, order: Id, record: ReviewRecord) -> ReviewView:
        return ReviewView(
            id=order,
            state=record.state.value,
            account=record.account,
            screen=record.screen,
            points=record.points,
            order=document_of(record.order),
            opened_at=record.opened_at,
            seq=record.opened_seq,
            closed_seq=record.closed_seq,
            seen=self._seen(record),
        )
