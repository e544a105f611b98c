"""The bodies of orders of conversions, read in one pass, as `quick_bodies` reads those of transactions.

What they mean, and what is wrong with one, is said by the models in `node/api/conversions.py`. An order that tells of
the client behind it is left to them, too.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from node.api.conversions import ACCEPT_WITHIN_SECONDS, ORDERS_MAX, WAIT_SECONDS_MAX
from node.services.conversions.ordering import PlacedOrder
from node.services.requests import OrderRequest
from protocol.fields import DateField, DigestField, HolderField, LedgerField, UuidField
from protocol.limits import ACCEPT_BY_SECONDS_MAX, INTEGER_MAX

_WAIT: Final = re.compile(rb"wait=(0|[1-9][0-9]?)")
_Amount: TypeAlias = Annotated[int, Meta(ge=1, le=INTEGER_MAX)]
_Seconds: TypeAlias = Annotated[int, Meta(ge=1, le=ACCEPT_BY_SECONDS_MAX)]


class _Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    id: UuidField
    account: HolderField
    partner: LedgerField
    amount: _Amount
    agreement: DigestField | UnsetType | None = UNSET
    refund_of: UuidField | UnsetType | None = UNSET
    accept_within_seconds: _Seconds | UnsetType = UNSET
    occurred_on: DateField | UnsetType | None = UNSET


class _Orders(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    atomic: bool
    items: Annotated[list[_Order], Meta(min_length=1, max_length=ORDERS_MAX)]


_KEYS: Final = 4
"""How many keys an order has that leaves out what it may."""

_BATCH_KEYS: Final = 2
_ONE: Final = msgspec.json.Decoder(_Order)
_MANY: Final = msgspec.json.Decoder(_Orders)


@dataclass(frozen=True, slots=True)
class OrdersAsked:
    """Orders to be placed in one commit, with `atomic` all or none."""

    orders: Sequence[PlacedOrder]
    atomic: bool


def read_order(body: bytes) -> PlacedOrder | None:
    """Return what the body of one order asks for, or None where it is not plainly right."""
    try:
        order = _ONE.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return PlacedOrder(_request(order)) if body.count(b":") == _keys(order) else None


def read_orders(body: bytes) -> OrdersAsked | None:
    """Return what the body of a batch of orders asks for, or None where it is not plainly right."""
    try:
        batch = _MANY.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    if body.count(b":") != _BATCH_KEYS + sum(map(_keys, batch.items)):
        return None
    return OrdersAsked([PlacedOrder(_request(each)) for each in batch.items], batch.atomic)


def read_wait(query: bytes) -> int | None:
    """Return how many seconds the query of a conversion's state waits, or None where that is not plain."""
    wait = _WAIT.fullmatch(query)
    seconds = int(wait[1]) if wait else 0
    return None if seconds > WAIT_SECONDS_MAX or (query and not wait) else seconds


def _keys(order: _Order) -> int:
    """Return how many keys an order has: of two that are the same, the decoder takes the last.

    No text that the types let pass holds a colon, so that each colon stands behind one key.
    """
    optional = (order.agreement, order.refund_of, order.accept_within_seconds, order.occurred_on)
    return _KEYS + sum(each is not UNSET for each in optional)


def _request(order: _Order) -> OrderRequest:
    within = order.accept_within_seconds
    return OrderRequest(
        id=order.id,
        account=order.account,
        partner=order.partner,
        amount=order.amount,
        accept_within_seconds=ACCEPT_WITHIN_SECONDS if isinstance(within, UnsetType) else within,
        agreement=None if isinstance(order.agreement, UnsetType) else order.agreement,
        refund_of=None if isinstance(order.refund_of, UnsetType) else order.refund_of,
        occurred_on=None if isinstance(order.occurred_on, UnsetType) else order.occurred_on,
    )
