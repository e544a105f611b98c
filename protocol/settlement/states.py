"""The state table of a settlement window, the same at both parties (specs/settlement.md)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from protocol.errors import Code


class WindowState(StrEnum):
    """Where a window stands."""

    OPEN = "open"
    CLOSING = "closing"
    RECONCILED = "reconciled"
    MISMATCH = "mismatch"
    AGREED = "agreed"
    PAID = "paid"
    CONFIRMED = "confirmed"


class WindowEvent(StrEnum):
    """What can happen to a window.

    `close` and `close_early` are a decider's signed close of its direction, ours or the partner's. `match` and
    `differ` compare both closes and statements; they come again after each dispute. `agree` is the second signature.
    """

    CLOSE = "close"
    CLOSE_EARLY = "close_early"
    MATCH = "match"
    DIFFER = "differ"
    DISPUTE = "dispute"
    AGREE = "agree"
    NOTHING_DUE = "nothing_due"
    PAY = "pay"
    RETURN = "return"
    CONFIRM = "confirm"


_S = WindowState
_E = WindowEvent
_F = Code

TRANSITIONS: Final[Mapping[tuple[WindowState, WindowEvent], WindowState | Code]] = {
    (_S.OPEN, _E.CLOSE): _S.CLOSING,
    (_S.OPEN, _E.CLOSE_EARLY): _S.CLOSING,
    (_S.OPEN, _E.MATCH): _F.WINDOW_OPEN,
    (_S.OPEN, _E.DIFFER): _F.WINDOW_OPEN,
    (_S.OPEN, _E.DISPUTE): _S.OPEN,
    (_S.OPEN, _E.AGREE): _F.WINDOW_OPEN,
    (_S.OPEN, _E.NOTHING_DUE): _F.WINDOW_OPEN,
    (_S.OPEN, _E.PAY): _F.WINDOW_OPEN,
    (_S.OPEN, _E.RETURN): _F.WINDOW_OPEN,
    (_S.OPEN, _E.CONFIRM): _F.WINDOW_OPEN,
    (_S.CLOSING, _E.CLOSE): _S.CLOSING,
    (_S.CLOSING, _E.CLOSE_EARLY): _S.CLOSING,
    (_S.CLOSING, _E.MATCH): _S.RECONCILED,
    (_S.CLOSING, _E.DIFFER): _S.MISMATCH,
    (_S.CLOSING, _E.DISPUTE): _S.CLOSING,
    (_S.CLOSING, _E.AGREE): _F.WINDOW_NOT_RECONCILED,
    (_S.CLOSING, _E.NOTHING_DUE): _F.WINDOW_NOT_AGREED,
    (_S.CLOSING, _E.PAY): _F.WINDOW_NOT_AGREED,
    (_S.CLOSING, _E.RETURN): _F.WINDOW_NOT_PAID,
    (_S.CLOSING, _E.CONFIRM): _F.WINDOW_NOT_PAID,
    (_S.RECONCILED, _E.CLOSE): _F.WINDOW_CLOSED,
    (_S.RECONCILED, _E.CLOSE_EARLY): _F.WINDOW_CLOSED,
    (_S.RECONCILED, _E.MATCH): _S.RECONCILED,
    (_S.RECONCILED, _E.DIFFER): _S.MISMATCH,
    (_S.RECONCILED, _E.DISPUTE): _S.RECONCILED,
    (_S.RECONCILED, _E.AGREE): _S.AGREED,
    (_S.RECONCILED, _E.NOTHING_DUE): _F.WINDOW_NOT_AGREED,
    (_S.RECONCILED, _E.PAY): _F.WINDOW_NOT_AGREED,
    (_S.RECONCILED, _E.RETURN): _F.WINDOW_NOT_PAID,
    (_S.RECONCILED, _E.CONFIRM): _F.WINDOW_NOT_PAID,
    (_S.MISMATCH, _E.CLOSE): _F.WINDOW_CLOSED,
    (_S.MISMATCH, _E.CLOSE_EARLY): _F.WINDOW_CLOSED,
    (_S.MISMATCH, _E.MATCH): _S.RECONCILED,
    (_S.MISMATCH, _E.DIFFER): _S.MISMATCH,
    (_S.MISMATCH, _E.DISPUTE): _S.MISMATCH,
    (_S.MISMATCH, _E.AGREE): _F.WINDOW_MISMATCH,
    (_S.MISMATCH, _E.NOTHING_DUE): _F.WINDOW_NOT_AGREED,
    (_S.MISMATCH, _E.PAY): _F.WINDOW_NOT_AGREED,
    (_S.MISMATCH, _E.RETURN): _F.WINDOW_NOT_PAID,
    (_S.MISMATCH, _E.CONFIRM): _F.WINDOW_NOT_PAID,
    (_S.AGREED, _E.CLOSE): _F.WINDOW_CLOSED,
    (_S.AGREED, _E.CLOSE_EARLY): _F.WINDOW_CLOSED,
    (_S.AGREED, _E.MATCH): _F.WINDOW_AGREED,
    (_S.AGREED, _E.DIFFER): _F.WINDOW_AGREED,
    (_S.AGREED, _E.DISPUTE): _F.WINDOW_AGREED,
    (_S.AGREED, _E.AGREE): _F.WINDOW_AGREED,
    (_S.AGREED, _E.NOTHING_DUE): _S.CONFIRMED,
    (_S.AGREED, _E.PAY): _S.PAID,
    (_S.AGREED, _E.RETURN): _F.WINDOW_NOT_PAID,
    (_S.AGREED, _E.CONFIRM): _F.WINDOW_NOT_PAID,
    (_S.PAID, _E.CLOSE): _F.WINDOW_CLOSED,
    (_S.PAID, _E.CLOSE_EARLY): _F.WINDOW_CLOSED,
    (_S.PAID, _E.MATCH): _F.WINDOW_AGREED,
    (_S.PAID, _E.DIFFER): _F.WINDOW_AGREED,
    (_S.PAID, _E.DISPUTE): _F.WINDOW_AGREED,
    (_S.PAID, _E.AGREE): _F.WINDOW_AGREED,
    (_S.PAID, _E.NOTHING_DUE): _F.WINDOW_PAID,
    (_S.PAID, _E.PAY): _F.WINDOW_PAID,
    (_S.PAID, _E.RETURN): _S.AGREED,
    (_S.PAID, _E.CONFIRM): _S.CONFIRMED,
    (_S.CONFIRMED, _E.CLOSE): _F.WINDOW_CONFIRMED,
    (_S.CONFIRMED, _E.CLOSE_EARLY): _F.WINDOW_CONFIRMED,
    (_S.CONFIRMED, _E.MATCH): _F.WINDOW_CONFIRMED,
    (_S.CONFIRMED, _E.DIFFER): _F.WINDOW_CONFIRMED,
    (_S.CONFIRMED, _E.DISPUTE): _F.WINDOW_CONFIRMED,
    (_S.CONFIRMED, _E.AGREE): _F.WINDOW_CONFIRMED,
    (_S.CONFIRMED, _E.NOTHING_DUE): _F.WINDOW_CONFIRMED,
    (_S.CONFIRMED, _E.PAY): _F.WINDOW_CONFIRMED,
    (_S.CONFIRMED, _E.RETURN): _F.WINDOW_CONFIRMED,
    (_S.CONFIRMED, _E.CONFIRM): _F.WINDOW_CONFIRMED,
}
"""The window's state after an event, or why the event cannot happen; `confirmed` is the end."""
