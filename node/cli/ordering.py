"""`tallystick conversion order`: the orders of a file, many in one commit."""

from collections.abc import Iterator, Sequence
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from node.cli.failures import HELD, REFUSED, stop
from node.cli.options import JsonOption, NodeOption, TokenOption
from node.cli.order_file import ORDERS_AT_ONCE, Order, OrderFileInvalid, read_orders
from node.cli.output import print_json, print_line, print_table
from node.client import PATIENT, NodeClient, read_token
from node.client.answers import BatchResult, BatchResults
from protocol.identifiers import Ledger

_COLUMNS: Final = ("order", "id", "status", "code", "detail")


def order(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Orders: .csv with a header, or .json with an array.")],
    *,
    atomic: Annotated[bool, typer.Option("--atomic", help="All orders or none: one that is refused ends all.")] = False,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Order the conversions of a file, up to 1,000 in a commit; each names its id, so a repeat orders nothing twice.

    Columns: id, account, partner, amount; if wanted agreement, refund_of, accept_within_seconds, occurred_on.
    """
    orders = read_orders(file)
    if atomic and len(orders) > ORDERS_AT_ONCE:
        raise OrderFileInvalid(f"all or none goes for up to {ORDERS_AT_ONCE:,} orders; {file} has {len(orders):,}")
    with NodeClient(node, token=read_token(token_file), retries=PATIENT) as client:
        results = [result for part in _ordered(client, orders, atomic=atomic) for result in part.results]
    if as_json:
        print_json(msgspec.json.encode(BatchResults(results=tuple(results))))
    else:
        _tell(orders, results)
    stop(REFUSED if any(each.problem for each in results) else HELD)


def _ordered(client: NodeClient, orders: Sequence[Order], *, atomic: bool) -> Iterator[BatchResults]:
    ledger_of = cache(lambda name: Ledger(client.partner(name).ledger))
    for first in range(0, len(orders), ORDERS_AT_ONCE):
        part = orders[first : first + ORDERS_AT_ONCE]
        yield client.convert_many([{**each, "partner": ledger_of(each["partner"])} for each in part], atomic=atomic)


def _tell(orders: Sequence[Order], results: Sequence[BatchResult]) -> None:
    placed = sum(each.status == HTTPStatus.CREATED for each in results)
    reviewed = sum(each.status == HTTPStatus.ACCEPTED for each in results)
    refused = [
        (number, str(one["id"]), result.status, result.problem.code, result.problem.detail)
        for number, (one, result) in enumerate(zip(orders, results, strict=True), start=1)
        if result.problem
    ]
    if refused:
        print_table(_COLUMNS, refused)
    print_line(f"{placed:,} ordered, {reviewed:,} under review, {len(refused):,} refused")
