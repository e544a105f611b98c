"""Conversions at their source: hold the points and ask the destination, or wish that it refuses."""

from collections.abc import Iterator

import msgspec

from protocol.agreement import Agreement
from protocol.conversion import SOURCE_TRANSITIONS, SourceEvent, SourceState
from protocol.entries import ConversionCancelRequested, ConversionHeld, Sealed, prepare_of
from protocol.errors import Code, Refusal
from protocol.identifiers import Digest, Id, Network
from protocol.ledger.commands import CancelConversion, OrderConversion
from protocol.ledger.exposure import needs_out, reserve_out
from protocol.ledger.holds import place
from protocol.ledger.limiting import Use, needs_use
from protocol.ledger.links import accepted_link, check_accepted
from protocol.ledger.lots import restart_clock
from protocol.ledger.moment import Moment, check_time, occurred
from protocol.ledger.partners import active_partner
from protocol.ledger.postings import ledger_record, open_account
from protocol.ledger.promotions import Offer, best_offer
from protocol.ledger.refunds import apply_refund_out, credited_original, needs_refund, refund_terms
from protocol.ledger.state import ACCEPTED_LINKS, ACCOUNTS, HOLDS, OUTGOING, PARTNERS, OutgoingRecord
from protocol.ledger.terms import (
    agreement_for_order,
    agreement_record,
    check_deadline,
    check_in_force,
    check_terms,
    needs_agreement,
    needs_terms,
)
from protocol.ledger.view import Need, Overlay, View, need, need_book
from protocol.messages import body_digest, encode_body
from protocol.points import split_into_steps
from protocol.program import CONVERT_OUT


def needs_order(view: Overlay, command: OrderConversion) -> Iterator[Need]:
    """Name the account, its lots and link, the partner, the agreement that counts, and what the order reserves."""
    yield need(ACCOUNTS, command.account)
    yield need_book(command.account)
    yield need(PARTNERS, command.destination)
    yield need(ACCEPTED_LINKS, (command.account, command.destination))
    yield need(OUTGOING, command.id)
    yield need(HOLDS, command.id)
    yield from needs_out(command.account, command.destination)
    own = ledger_record(view).ledger
    if command.refund_of is None:
        use = Use(activity=CONVERT_OUT, account=command.account, points=command.amount, partner=command.destination)
        yield from needs_use(view, use)
    if command.refund_of is not None:
        yield from needs_refund(view, command.destination, command.refund_of)
    elif command.agreement is not None:
        yield from needs_agreement(view, command.agreement, source=own)
    else:
        yield from needs_terms(view, command.destination, source=own)


def decide_order(view: View, command: OrderConversion, moment: Moment) -> ConversionHeld:
    """Propose to hold as many whole steps of the amount as fit, on the terms that are best for the member."""
    check_time(command.accept_by)
    partner = active_partner(view, command.destination)
    digest, agreement, offer = _offer(view, command, partner.network, at=moment.time)
    direction, split = agreement.direction(ledger_record(view).ledger), offer.split
    open_account(view, command.account)
    return ConversionHeld(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=partner.network,
        conversion=command.id,
        agreement=digest,
        promotion=offer.terms.promotion,
        refund_of=command.refund_of,
        steps=split.steps,
        source_points=split.used,
        destination_points=split.gives,
        fee_points=direction.fee_points(split.steps) if command.refund_of is None else 0,
        value=split.steps * offer.terms.price,
        currency=agreement.currency,
        alias=accepted_link(view, command.account, command.destination).alias,
        accept_by=command.accept_by,
        destination=command.destination,
        account=command.account,
    )


def _offer(view: View, command: OrderConversion, network: Network, *, at: str) -> tuple[Digest, Agreement, Offer]:
    """Return the agreement that an order is made on, and what it makes of the amount."""
    own, partner = ledger_record(view).ledger, command.destination
    if command.refund_of is not None:
        original = credited_original(view, network, partner, command.refund_of)
        assert original.agreement is not None, "a credited conversion has its agreement"
        record = agreement_record(view, original.agreement, partner=partner, network=network)
        terms = refund_terms(record.signed.agreement, partner, original.promotion)
        offer = Offer(terms=terms, split=split_into_steps(command.amount, terms.step))
        return original.agreement, record.signed.agreement, offer
    if command.agreement is not None:
        digest = command.agreement
        record = agreement_record(view, digest, partner=partner, network=network)
    else:
        digest, record = agreement_for_order(view, partner, at=at)
        check_in_force(record, at=at, grace=False)
    agreement = record.signed.agreement
    life_seconds = 0 if command.agreement is None else agreement.quote_life_seconds
    direction = agreement.direction(own)
    offer = best_offer(view, digest, direction, amount=command.amount, at=at, life_seconds=life_seconds)
    return digest, agreement, offer


def apply_held(view: View, sealed: Sealed, entry: ConversionHeld) -> None:
    """Hold the points that the agreement's steps and fee take, for the destination to decide."""
    own = ledger_record(view)
    _, after = transition(view, entry.conversion, SourceEvent.ORDER)
    record = agreement_record(view, entry.agreement, partner=entry.destination, network=entry.network)
    active_partner(view, entry.destination)
    agreement = record.signed.agreement
    direction = agreement.direction(own.ledger)
    if entry.refund_of is not None:
        apply_refund_out(view, entry, agreement, original_id=Id(entry.refund_of))
    else:
        check_in_force(record, at=entry.time, grace=True)
        check_terms(entry, agreement, direction, created_at=entry.time)
    check_deadline(entry.accept_by, created_at=entry.time)
    check_accepted(view, entry)
    place(
        view,
        entry.id,
        account=entry.account,
        amount=entry.source_points + entry.fee_points,
        on=entry.occurred_on,
        seq=entry.seq,
        expires_at=None,
        conversion=True,
    )
    restart_clock(view, entry.account, on=entry.occurred_on)
    reserve_out(view, entry, direction)
    _note(view, sealed, entry, after)


def _note(view: View, sealed: Sealed, entry: ConversionHeld, after: SourceState) -> None:
    prepare = body_digest(encode_body(prepare_of(sealed, entry, ledger=ledger_record(view).ledger)))
    outgoing = OutgoingRecord(
        state=after,
        network=entry.network,
        destination=entry.destination,
        account=entry.account,
        agreement=entry.agreement,
        promotion=entry.promotion,
        refund_of=entry.refund_of,
        steps=entry.steps,
        source_points=entry.source_points,
        destination_points=entry.destination_points,
        fee_points=entry.fee_points,
        value=entry.value,
        currency=entry.currency,
        accept_by=entry.accept_by,
        held_at=entry.time,
        held_seq=entry.seq,
        prepare=prepare,
        cancel_requested=False,
        concluded_seq=None,
        reason=None,
    )
    view.put(OUTGOING, Id(entry.conversion), outgoing)


def transition(view: View, conversion: Id, event: SourceEvent) -> tuple[OutgoingRecord | None, SourceState]:
    """Return the conversion, if it is known, and the state that `event` leads to, or refuse."""
    record = view.get(OUTGOING, conversion)
    after = SOURCE_TRANSITIONS[record.state if record else SourceState.NONE, event]
    if isinstance(after, Code):
        raise Refusal(after, f"the conversion {conversion} is {record.state if record else 'unknown'}")
    return record, after


def known(view: View, conversion: Id, event: SourceEvent) -> tuple[OutgoingRecord, SourceState]:
    """Return a conversion that was ordered, and the state that `event` leads to, or refuse."""
    record, after = transition(view, conversion, event)
    assert record is not None, "an unknown conversion has no transition but an order"
    return record, after


def needs_cancel(_view: Overlay, command: CancelConversion) -> Iterator[Need]:
    """Name the conversion."""
    yield need(OUTGOING, command.conversion)


def decide_cancel(view: View, command: CancelConversion, moment: Moment) -> ConversionCancelRequested:
    """Propose to ask the destination to refuse."""
    record, _ = known(view, command.conversion, SourceEvent.CANCEL)
    return ConversionCancelRequested(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=record.network,
        destination=record.destination,
        conversion=command.conversion,
        prepare=record.prepare,
        accept_by=record.accept_by,
    )


def apply_cancel(view: View, entry: ConversionCancelRequested) -> None:
    """Note the wish: the points stay on hold until the destination answers."""
    record, _ = known(view, Id(entry.conversion), SourceEvent.CANCEL)
    expected = (record.network, record.destination, record.prepare, record.accept_by)
    if (entry.network, entry.destination, entry.prepare, entry.accept_by) != expected:
        raise Refusal(Code.DECISION_MISMATCH, "the wish does not name the conversion's own PREPARE")
    view.put(OUTGOING, Id(entry.conversion), msgspec.structs.replace(record, cancel_requested=True))
