"""The sandbox partner's script: what it answers, by the number of steps of the conversion (specs/sandbox.md)."""

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from protocol.errors import Code

ENDINGS: Final = 100
"""The last two digits of a conversion's steps choose the row."""

LATE_SECONDS: Final = 10.0
SPOILED_PARCELS: Final = 3
REPEATS: Final = 3


@unique
class Act(StrEnum):
    """What the sandbox does about a conversion."""

    REJECT = "reject"
    SILENT = "silent"
    LATE = "late"
    REPEAT = "repeat"
    FORGE = "forge"
    ALTER = "alter"
    OTHER_PREPARE = "other_prepare"
    OTHER_AMOUNT = "other_amount"
    TWO_DECISIONS = "two_decisions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the script; `code` is the reason of a REJECT."""

    ending: int
    act: Act
    code: Code | None = None
    does: str
    leads_to: str


_REASONS: Final = (
    (Code.ACCOUNT_CLOSED, "the member's account here is closed"),
    (Code.LINK_UNKNOWN, "no account here is linked by the alias"),
    (Code.EXPIRED, "it came too late, as to a partner whose clock is an hour fast"),
    (Code.CLOCK, "it comes from the future, as to a partner whose clock is an hour slow"),
    (Code.AGREEMENT_UNKNOWN, "the agreement was never entered here"),
    (Code.AGREEMENT_NOT_YET, "the agreement does not bind yet"),
    (Code.AGREEMENT_LAPSED, "the agreement has lapsed"),
    (Code.STEPS_BELOW_MINIMUM, "fewer steps than the agreement allows"),
    (Code.STEPS_ABOVE_MAXIMUM, "more steps than the agreement allows"),
    (Code.AMOUNT_MISMATCH, "the amounts are not those of the steps"),
    (Code.FEE_MISMATCH, "the fee is not the agreement's"),
    (Code.CAP_REACHED, "the cap in money is reached"),
    (Code.IN_FLIGHT_LIMIT, "too many conversions are undecided"),
    (Code.MEMBER_LIMIT, "the member has reached a limit"),
    (Code.PROMOTION_UNKNOWN, "the agreement has no such promotion"),
    (Code.PROMOTION_OVER, "the promotion is over, or its budget used up"),
    (Code.REFUND_UNKNOWN, "there is no conversion that could be refunded"),
    (Code.REFUND_MISMATCH, "the refund is not on the terms of the original"),
    (Code.REFUND_EXCEEDED, "more is refunded than was converted"),
    (Code.BALANCE_OVERFLOW, "a balance would pass the largest number"),
    (Code.PARTNER_SUSPENDED, "you are suspended there"),
    (Code.LINK_REVOKED, "the link has been ended"),
    (Code.LINK_EXPIRED, "the link held until a moment that has passed"),
    (Code.LINK_EXHAUSTED, "the link has been used as often, or for as much, as it may be"),
)

_TRICKS: Final = (
    Row(
        ending=51,
        act=Act.SILENT,
        does="never decides",
        leads_to="pending; after a cancellation returned, `cancelled`",
    ),
    Row(
        ending=52,
        act=Act.LATE,
        does=f"decides after {LATE_SECONDS:.0f} seconds",
        leads_to="pending, then completed",
    ),
    Row(
        ending=53,
        act=Act.REPEAT,
        does=f"sends its FULFIL {REPEATS} times more",
        leads_to="completed, once",
    ),
    Row(
        ending=54,
        act=Act.FORGE,
        does=f"signs the first {SPOILED_PARCELS} envelopes of its FULFIL with a stranger's key",
        leads_to="`signature_invalid` in your log; then completed",
    ),
    Row(
        ending=55,
        act=Act.ALTER,
        does=f"changes its FULFIL after signing, in the first {SPOILED_PARCELS} envelopes",
        leads_to="`envelope_invalid` in your log; then completed",
    ),
    Row(
        ending=56,
        act=Act.OTHER_PREPARE,
        does="first sends a FULFIL that names the digest of another PREPARE",
        leads_to="`decision_mismatch` in your log; then completed",
    ),
    Row(
        ending=57,
        act=Act.OTHER_AMOUNT,
        does="first sends a FULFIL of one point more",
        leads_to="`decision_mismatch` in your log; then completed",
    ),
    Row(
        ending=58,
        act=Act.TWO_DECISIONS,
        does="sends a FULFIL and then a REJECT",
        leads_to="completed; the second word is refused and kept as evidence",
    ),
)

SCRIPT: Final = (
    *(
        Row(ending=ending, act=Act.REJECT, code=code, does=f"refuses: {why}", leads_to=f"returned, `{code}`")
        for ending, (code, why) in enumerate(_REASONS, 1)
    ),
    *_TRICKS,
)
"""Every row; a conversion whose steps end otherwise is decided by the ledger's rules, and completes."""

_BY_ENDING: Final = {row.ending: row for row in SCRIPT}


def row_for(steps: int) -> Row | None:
    """Return the row of the script for a conversion of `steps` steps, or None where the rules decide."""
    return _BY_ENDING.get(steps % ENDINGS)
