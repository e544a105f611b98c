"""The works of orders: one conversion, or many in one commit."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from node.engine.asking import Asking
from node.engine.work import Answer, Desk
from node.services.batches import EachOrAll
from node.services.context import Context
from node.services.program.screening import NO_CLIENT, Asked, ClientData, ScreenedWork
from node.services.requests import OrderRequest
from protocol.fields import TIME_MAX, later
from protocol.identifiers import Digest
from protocol.ledger.commands import OrderConversion
from protocol.ledger.view import Need, Overlay
from protocol.program_entries import ConversionOrder


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


class OrderBatchWork(EachOrAll[OrderWork]):
    """Many orders in one commit, each by itself, or with `atomic` all or none."""

    def __init__(self, orders: Sequence[OrderWork], *, atomic: bool) -> None:
        super().__init__(orders, atomic=atomic)
        self._asking = Asking(orders, lambda view, order: order.needs(view))

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Yield what every order reads."""
        return self._asking.needs(view)

    def do(self, desk: Desk, item: OrderWork) -> Answer:
        """Place an order; one that is refused has written nothing, as screened works do."""
        (answer,) = item.run(desk)
        return answer
