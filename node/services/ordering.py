"""The works of orders: one conversion, or many in one commit."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

from node.engine.work import Answer, Desk, Weighed
from node.services.context import Context
from node.services.points import ItemRefused
from node.services.requests import OrderRequest
from node.services.screening import NO_CLIENT, Asked, ClientData, ScreenedWork
from protocol.errors import Refusal
from protocol.fields import TIME_MAX, later
from protocol.identifiers import Digest
from protocol.ledger.commands import OrderConversion
from protocol.ledger.view import Need, Overlay
from protocol.program_entries import ConversionOrder

AnsweredOrder: TypeAlias = Answer | Refusal
"""What becomes of one order of a batch."""


class PlacedOrder(NamedTuple):
    """An order as it comes in, and what its sender tells of the client behind it."""

    request: OrderRequest
    client: ClientData = NO_CLIENT


class OrderWork(ScreenedWork):
    """An order, screened in the commit that makes it; its deadline counts from the moment at which it is written."""

    def __init__(self, context: Context, request: OrderRequest, *, digest: Digest, client: ClientData) -> None:
        order = ConversionOrder(destination=request.partner, amount=request.amount, agreement=request.agreement)
        asked = Asked(
            id=request.id, account=request.account, activity="conversion", request=digest, order=order, client=client
        )
        super().__init__(context.reader, context.randomness, asked)
        self._request = request
        self._digest = digest

    def run(self, desk: Desk) -> list[Answer]:
        """Hold the points; what goes back to where it came from is not screened."""
        return super().run(desk) if self._request.refund_of is None else [desk.execute(self.command(desk))]

    def points(self, _desk: Desk) -> int:
        """Return the amount: what the steps take of it, and the fee, is settled once the order goes on."""
        return self._request.amount

    def command(self, desk: Desk | None) -> OrderConversion:
        """Return the order; what it reads does not depend on its deadline."""
        request = self._request
        accept_by = TIME_MAX if desk is None else later(desk.time, seconds=request.accept_within_seconds)
        return OrderConversion(
            id=request.id,
            request=self._digest,
            occurred_on=request.occurred_on,
            account=request.account,
            destination=request.partner,
            amount=request.amount,
            accept_by=accept_by,
            agreement=request.agreement,
            refund_of=request.refund_of,
        )


class OrderBatchWork(Weighed):
    """Many orders in one commit, each by itself, or with `atomic` all or none."""

    def __init__(self, orders: Sequence[OrderWork], *, atomic: bool) -> None:
        self._orders = orders
        self._atomic = atomic

    @property
    def items(self) -> int:
        """Return how many entries the orders may write."""
        return len(self._orders)

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Yield what every order reads."""
        for order in self._orders:
            yield from order.needs(view)

    def run(self, desk: Desk) -> list[AnsweredOrder]:
        """Return an answer or a refusal for each order, in order; each sees what those before it have done."""
        return [self._run(desk, index, order) for index, order in enumerate(self._orders)]

    def _run(self, desk: Desk, index: int, order: OrderWork) -> AnsweredOrder:
        # An order that is refused has written nothing: a screened work stages rows beside an entry alone.
        try:
            (answer,) = order.run(desk)
        except Refusal as refusal:
            if self._atomic:
                raise ItemRefused(index, refusal) from refusal
            return refusal
        return answer
