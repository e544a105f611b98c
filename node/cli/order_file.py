"""A file of orders: CSV with a header, or a JSON array of objects whose fields are those of `POST /v1/conversions`."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias, cast

from protocol.encoding import JsonValue
from protocol.errors import CouldNotCheck, IdentifierInvalid
from protocol.identifiers import parse_holder, parse_id

Order: TypeAlias = dict[str, JsonValue]
"""One order, as it goes to the node."""

REQUIRED: Final = ("id", "account", "partner", "amount")
NUMBERS: Final = frozenset({"amount", "accept_within_seconds"})
COLUMNS: Final = (*REQUIRED, "agreement", "refund_of", "accept_within_seconds", "occurred_on")
ORDERS_AT_ONCE: Final = 1_000
"""Orders in one request, and so in one commit."""

ORDERS_MAX: Final = 1_000_000


class OrderFileInvalid(CouldNotCheck):
    """A file cannot be read as orders; nothing was ordered."""

    code = "order_file_invalid"


def read_orders(path: Path) -> list[Order]:
    """Return the orders of a file, in its order, or raise `OrderFileInvalid`: the first that is wrong is named.

    Every order has its own id: by it the same file, given again, orders nothing twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = list(_from_json(text) if path.suffix.lower() == ".json" else _from_csv(text))
    except (OSError, UnicodeError, csv.Error) as error:
        raise OrderFileInvalid(f"{path}: {error}") from error
    if not 1 <= len(rows) <= ORDERS_MAX:
        raise OrderFileInvalid(f"{path} has {len(rows)} orders, not 1 to {ORDERS_MAX:,}")
    orders = [_checked(number, row) for number, row in enumerate(rows, start=1)]
    seen: set[object] = set()
    for number, order in enumerate(orders, start=1):
        if order["id"] in seen:
            raise OrderFileInvalid(f"order {number}: the id {order['id']} stands in the file before")
        seen.add(order["id"])
    return orders


def _from_json(text: str) -> Iterator[Mapping[str, JsonValue]]:
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OrderFileInvalid(f"not JSON: {error}") from error
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise OrderFileInvalid("an array of objects is expected, one an order")
    yield from cast("list[Mapping[str, JsonValue]]", found)


def _from_csv(text: str) -> Iterator[Mapping[str, JsonValue]]:
    reader = csv.DictReader(text.splitlines(), strict=True)
    unknown = set(reader.fieldnames or ()) - set(COLUMNS)
    if unknown or not set(REQUIRED) <= set(reader.fieldnames or ()):
        raise OrderFileInvalid(f"the header names {', '.join(REQUIRED)}, and of the rest only {', '.join(COLUMNS[4:])}")
    for number, row in enumerate(reader, start=1):
        if None in row or None in row.values():
            raise OrderFileInvalid(f"order {number}: another number of fields than the header has")
        yield {name: _number(number, name, value) if name in NUMBERS else value for name, value in row.items() if value}


def _number(order: int, name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 16):  # noqa: PLR2004 - 2^53 has 16 digits
        raise OrderFileInvalid(f"order {order}: {name} is {text!r}, not a whole number")
    return int(text)


def _checked(number: int, row: Mapping[str, JsonValue]) -> Order:
    missing = [name for name in REQUIRED if row.get(name) is None]
    if missing:
        raise OrderFileInvalid(f"order {number}: {', '.join(missing)} is missing")
    if unknown := sorted(set(row) - {*COLUMNS, "client"}):
        raise OrderFileInvalid(f"order {number}: {', '.join(unknown)} is no field of an order")
    account = str(row["account"])
    try:
        return {
            **row,
            "id": parse_id(str(row["id"])),
            "account": parse_holder(account if "/" in account else f"member/{account}"),
        }
    except IdentifierInvalid as error:
        raise OrderFileInvalid(f"order {number}: {error}") from error
