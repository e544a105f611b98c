"""What a hostile partner says about windows that no honest node would: its own words, with something changed."""

from random import Random
from typing import Final

import msgspec

from protocol.fields import later
from protocol.identifiers import Digest
from protocol.messages import (
    Body,
    Close,
    Dispute,
    End,
    Lines,
    PaymentAdvice,
    Receipt,
    StatementSigned,
    decode_body,
)
from protocol.statement import Statement
from scripts.simulation.place import Place

_KINDS: Final = ("close", "dispute", "end", "lines", "payment", "receipt", "statement")
_DAY_SECONDS: Final = 86_400
_OTHER: Final = Digest("f" * 64)


def window_lie(random: Random, place: Place) -> Body | None:
    """Return something that a place has said about a window or an agreement, with something changed; None where it
    has said nothing yet.
    """
    said = [each.body for each in place.disk.state.sent if each.kind in _KINDS]
    if not said:
        return None
    body = decode_body(random.choice(said))
    changes = _changes(body)
    return msgspec.structs.replace(body, **random.choice(changes))


def _changes(body: Body) -> list[dict[str, object]]:
    """Return ways to change a body: each is some of its fields, with other content."""
    match body:
        case Close():
            totals = body.totals
            return [
                {"window": body.window + 1},
                {"early": not body.early},
                {"closed_at": later(body.closed_at, seconds=-_DAY_SECONDS)},
                {"totals": msgspec.structs.replace(totals, value=str(int(totals.value) + 1))},
                {"totals": msgspec.structs.replace(totals, last_dec_seq=totals.last_dec_seq + 1)},
            ]
        case StatementSigned():
            signed = body.signed
            return [
                {"window": body.window + 1},
                {"signed": msgspec.structs.replace(signed, signatures=signed.signatures[:1])},
                {"signed": msgspec.structs.replace(signed, statement=_dearer(signed.statement))},
            ]
        case PaymentAdvice():
            return [{"minor_units": "1"}, {"statement": _OTHER}, {"reference": "another"}]
        case Receipt():
            return [
                {"payment": _OTHER},
                {"window": body.window + 1},
                {"received_at": later(body.received_at, seconds=1)},
            ]
        case End():
            return [{"ends_at": body.given_at}, {"agreement": _OTHER}]
        case Dispute() | Lines():
            lines = tuple(msgspec.structs.replace(line, value=line.value + 1) for line in body.lines)
            return [{"window": body.window + 1}, {"lines": lines}, {"lines": body.lines[:1] * 2}]
        case _:
            raise AssertionError(f"nobody lies with {body!r}")


def _dearer(statement: Statement) -> Statement:
    return msgspec.structs.replace(statement, net=str(int(statement.net) + 1))
