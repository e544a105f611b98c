"""Refunds: a conversion back at the original's own step and price, bounded by what it moved; both sides check it.

The source of a refund was the destination of the original and checks its incoming record; the destination of the
refund was the original's source and checks its outgoing record. Points go back to the account they came from.
"""

from collections.abc import Iterator

import msgspec

from protocol.agreement import Agreement
from protocol.conversion import DestinationState, SourceState
from protocol.entries import ConversionCredited, ConversionHeld
from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Id, Ledger, Network
from protocol.ledger.promotions import Terms, named_terms
from protocol.ledger.state import INCOMING, OUTGOING, PARTNERS, IncomingRecord, OutgoingRecord
from protocol.ledger.terms import check_amounts, needs_agreement
from protocol.ledger.view import Need, Overlay, View, need
from protocol.points import Step


def needs_refund(view: Overlay, partner: Ledger, conversion: Id) -> Iterator[Need]:
    """Name, at the source of a refund, the original that `partner` sent, and its agreement."""
    record = view.peek(PARTNERS, partner)
    if record is None:
        return
    yield need(INCOMING, (record.network, partner, conversion))
    original = view.peek(INCOMING, (record.network, partner, conversion))
    if original is not None and original.agreement is not None:
        yield from needs_agreement(view, original.agreement, source=None)


def refund_terms(agreement: Agreement, original_source: Ledger, promotion: str | None) -> Terms:
    """Return the terms on which a conversion out of `original_source` goes back: its own, with the roles reversed."""
    terms = named_terms(agreement.direction(original_source), promotion)
    step = Step(source=terms.step.destination, destination=terms.step.source)
    return Terms(step=step, price=terms.price, promotion=promotion)


def credited_original(view: View, network: Network, partner: Ledger, conversion: Id) -> IncomingRecord:
    """Return the conversion from `partner` that was credited here and can be refunded, or refuse."""
    record = view.get(INCOMING, (network, partner, conversion))
    if record is None or record.state is not DestinationState.CREDITED or record.refund_of is not None:
        raise Refusal(Code.REFUND_UNKNOWN, f"no conversion {conversion} from {partner} was credited here")
    return record


def captured_original(view: View, network: Network, partner: Ledger, conversion: Id) -> OutgoingRecord:
    """Return the conversion to `partner` that was captured here and can be refunded, or refuse."""
    record = view.get(OUTGOING, conversion)
    known = record is not None and (record.network, record.destination) == (network, partner)
    if record is None or not known or record.state is not SourceState.CAPTURED or record.refund_of is not None:
        raise Refusal(Code.REFUND_UNKNOWN, f"no conversion {conversion} to {partner} was completed here")
    return record


def apply_refund_out(view: View, entry: ConversionHeld, agreement: Agreement, *, original_id: Id) -> None:
    """Reserve what a refund that is ordered here takes of its original."""
    key = (entry.network, entry.destination, original_id)
    original = credited_original(view, *key)
    _check(entry, original, entry.account, agreement=agreement)
    view.put(INCOMING, key, msgspec.structs.replace(original, refunded_steps=original.refunded_steps + entry.steps))


def apply_refund_in(
    view: View, entry: ConversionCredited, agreement: Agreement, account: Account, *, original_id: Id
) -> None:
    """Take what a refund that is credited here, to `account`, moves back of its original."""
    original = captured_original(view, entry.network, entry.source, original_id)
    _check(entry, original, account, agreement=agreement)
    changed = msgspec.structs.replace(original, refunded_steps=original.refunded_steps + entry.steps)
    view.put(OUTGOING, original_id, changed)


def needs_undo(record: OutgoingRecord) -> Iterator[Need]:
    """Name the original of which a refund that was ordered here has reserved its part."""
    if record.refund_of is not None:
        yield need(INCOMING, (record.network, record.destination, record.refund_of))


def undo_refund(view: View, record: OutgoingRecord) -> None:
    """Give back what a refund that was ordered here and refused there had reserved."""
    if record.refund_of is None:
        return
    key = (record.network, record.destination, record.refund_of)
    original = credited_original(view, *key)
    view.put(INCOMING, key, msgspec.structs.replace(original, refunded_steps=original.refunded_steps - record.steps))


def _check(
    entry: ConversionHeld | ConversionCredited,
    original: IncomingRecord | OutgoingRecord,
    account: Account,
    *,
    agreement: Agreement,
) -> None:
    if (entry.agreement, entry.promotion, account) != (original.agreement, original.promotion, original.account):
        raise Refusal(Code.REFUND_MISMATCH, "a refund is on its original's terms, between its original's accounts")
    left = original.steps - original.refunded_steps
    if entry.steps > left:
        raise Refusal(Code.REFUND_EXCEEDED, f"{left} steps of the original can still be refunded")
    source = entry.destination if isinstance(entry, ConversionHeld) else agreement.other(entry.source).ledger
    terms = refund_terms(agreement, source, entry.promotion)
    check_amounts(entry, terms, currency=agreement.currency, fee_points=0)
