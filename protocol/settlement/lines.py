"""The lines of a window: what each credited conversion adds to the bill, and what all of them sum to."""

from collections.abc import Iterable
from typing import Final

from protocol.errors import StatementInvalid
from protocol.identifiers import Digest
from protocol.merkle import leaf_hash, root_of
from protocol.messages import Fulfil, Prepare, body_digest, encode_body
from protocol.statement import Line, Totals

_MISSING_NAMED_MAX: Final = 8


def line_of(prepare: Prepare, fulfil: Fulfil) -> Line:
    """Return the line that a PREPARE and its FULFIL make, or raise `StatementInvalid` if one does not answer the other.

    The caller has verified who signed them; nothing else is needed to know what is owed.
    """
    stated = (fulfil.key, fulfil.prepare, fulfil.destination_points, fulfil.value)
    asked = (prepare.key, body_digest(encode_body(prepare)), prepare.destination_points, prepare.value)
    if stated != asked:
        raise StatementInvalid("the FULFIL does not answer this PREPARE")
    return Line(
        source=prepare.source,
        destination=prepare.destination,
        id=prepare.id,
        window=fulfil.window,
        dec_seq=fulfil.dec_seq,
        agreement=prepare.agreement,
        currency=prepare.currency,
        source_points=prepare.source_points,
        destination_points=prepare.destination_points,
        fee_points=prepare.fee_points,
        value=prepare.value,
        fulfil=body_digest(encode_body(fulfil)),
    )


def totals_of(lines: Iterable[Line], *, first_dec_seq: int) -> Totals:
    """Return the totals of one direction's lines of one window, given in any order.

    Raises `StatementInvalid` unless their numbers run from `first_dec_seq` without a gap.
    """
    ordered = sorted(lines, key=lambda line: line.dec_seq)
    _check_numbers([line.dec_seq for line in ordered], first_dec_seq)
    return Totals(
        first_dec_seq=first_dec_seq,
        last_dec_seq=first_dec_seq + len(ordered) - 1,
        count=len(ordered),
        source_points=str(sum(line.source_points for line in ordered)),
        destination_points=str(sum(line.destination_points for line in ordered)),
        fee_points=str(sum(line.fee_points for line in ordered)),
        value=str(sum(line.value for line in ordered)),
        root=Digest(root_of(leaf_hash(bytes.fromhex(line.fulfil)) for line in ordered).hex()),
    )


def _check_numbers(found: list[int], first: int) -> None:
    if found == list(range(first, first + len(found))):
        return
    known = set(found)
    if len(known) != len(found) or found[0] < first:
        raise StatementInvalid(f"a decision's number is there twice, or below {first}")
    missing: list[int] = []
    number = first
    while len(missing) < _MISSING_NAMED_MAX and number < found[-1]:
        if number not in known:
            missing.append(number)
        number += 1
    raise StatementInvalid(f"the decisions numbered {', '.join(map(str, missing))} are missing")
