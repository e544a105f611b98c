"""Points as integers and rates as steps: nothing is ever rounded (specs/agreement.md).

A step says "every 400 AUR gives 250 BLU". A conversion is a whole number of steps; what does not fill a step stays
with the member.
"""

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from protocol.errors import Code, Refusal
from protocol.limits import INTEGER_MAX

Amount = Annotated[int, msgspec.Meta(ge=1, le=INTEGER_MAX)]
"""A positive number of points, or of millionths of a currency unit."""

Natural = Annotated[int, msgspec.Meta(ge=0, le=INTEGER_MAX)]
Signed = Annotated[int, msgspec.Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)]

MILLIONTHS: Final = 1_000_000


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rate: every `source` points give `destination` points."""

    source: Amount
    destination: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How many whole steps an amount fills: `used + stays` is the amount asked for."""

    steps: int
    used: int
    stays: int
    gives: int


def check_amount(amount: int) -> None:
    """Raise `amount_invalid` unless `amount` is a positive integer within 2^53 - 1."""
    if not 1 <= amount <= INTEGER_MAX:
        raise Refusal(Code.AMOUNT_INVALID, f"an amount is a whole number from 1 to {INTEGER_MAX}, not {amount}")


def split_into_steps(amount: int, step: Step) -> Split:
    """Return the whole steps in `amount` source points, what they give and what stays with the member."""
    check_amount(amount)
    steps = amount // step.source
    if steps == 0:
        raise Refusal(Code.LESS_THAN_A_STEP, f"{amount} is less than one step of {step.source} points")
    used = steps * step.source
    gives = steps * step.destination
    if gives > INTEGER_MAX:
        raise Refusal(Code.BALANCE_OVERFLOW, "the conversion gives more points than a balance can hold")
    return Split(steps=steps, used=used, stays=amount - used, gives=gives)


def multiplies(there: Step, back: Step) -> bool:
    """Return whether points converted `there` and `back` again would grow, in exact integers."""
    return there.destination * back.destination > there.source * back.source
