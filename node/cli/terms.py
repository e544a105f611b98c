"""Rates as an operator writes them on the command line: steps as 400:250, prices as 3.00."""

import re
from decimal import Decimal
from typing import Final

import typer

from node.cli.output import MILLIONTHS
from node.cli.request import JsonObject
from protocol.limits import INTEGER_MAX
from protocol.points import Step

_STEP: Final = re.compile(r"([1-9][0-9,]{0,20}):([1-9][0-9,]{0,20})")
_PRICE: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")


def parse_step(text: str) -> Step:
    """Return the step that `text` writes: 400:250, or 3,000:1,000."""
    match = _STEP.fullmatch(text)
    source, destination = (int(group.replace(",", "")) for group in match.groups()) if match else (0, 0)
    if not (0 < source <= INTEGER_MAX and 0 < destination <= INTEGER_MAX):
        raise typer.BadParameter(f"{text!r} is no step like 400:250")
    return Step(source=source, destination=destination)


def parse_price(text: str) -> int:
    """Return the price that `text` writes in a currency's units, in millionths: nothing is rounded."""
    if not _PRICE.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is no price like 3.00, with at most six decimals")
    return int(Decimal(text) * MILLIONTHS)


def direction_terms(source: str, step: Step, *, price: int, fee: int, days: int | None) -> JsonObject:
    """Return one direction of a proposal as the API takes it; the price is in millionths a step."""
    return {
        "source": source,
        "step": {"source": step.source, "destination": step.destination},
        "price": price,
        "fee": {"points_per_conversion": fee, "points_per_step": 0},
        "expiry_days": days,
    }
