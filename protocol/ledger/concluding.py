"""Conversions concluded at their source: on the destination's signed word, or by force at the program's own risk."""

from collections.abc import Iterator

import msgspec

from protocol.conversion import SourceEvent, SourceState
from protocol.entries import ConversionCaptured, ConversionForced, ConversionReleased, Posting
from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Asset, Digest, Id, Ledger, partner_of
from protocol.ledger import limiting
from protocol.ledger.approvals import check_force_approved, needs_approval
from protocol.ledger.commands import ConcludeFulfil, ConcludeReject, ForceRelease
from protocol.ledger.exposure import give_back, needs_return
from protocol.ledger.holds import consume, free
from protocol.ledger.limiting import needs_reservation
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.outgoing import known
from protocol.ledger.postings import (
    ADJUSTMENT,
    check_postings,
    is_holder,
    ledger_record,
    move_structural,
    structural_keys,
)
from protocol.ledger.refunds import needs_undo, undo_refund
from protocol.ledger.state import ACCOUNTS, BALANCES, HOLDS, OUTGOING, HoldRecord, OutgoingRecord
from protocol.ledger.terms import money_postings
from protocol.ledger.view import Need, Overlay, View, need, need_book
from protocol.messages import Fulfil, Reject, body_digest, encode_body

FEES = Account("fees")


def needs_conclude(view: Overlay, command: ConcludeFulfil | ConcludeReject) -> Iterator[Need]:
    """Name the conversion; once it is known, all that its end moves, in whatever state it is."""
    body = command.fulfil if isinstance(command, ConcludeFulfil) else command.reject
    return _needs(view, body.id)


def needs_force(view: Overlay, command: ForceRelease) -> Iterator[Need]:
    """Name the conversion; once it is known, all that its end moves."""
    yield needs_approval(command.id)
    yield from _needs(view, command.conversion)


def _needs(view: Overlay, conversion: Id) -> Iterator[Need]:
    yield need(OUTGOING, conversion)
    yield need(HOLDS, conversion)
    record = view.peek(OUTGOING, conversion)
    if record is None:
        return
    if is_holder(record.account):
        yield need(ACCOUNTS, record.account)
        yield need_book(record.account)
    own, partner = ledger_record(view), partner_of(record.destination)
    yield from needs_return(record, own.ledger)
    yield from needs_reservation(view, conversion)
    yield from needs_undo(record)
    money = [f"{kind}/{partner}" for kind in ("payable", "conversion_cost", "contingent", "loss")]
    points = structural_keys(own.points, f"converted_out/{partner}", FEES, ADJUSTMENT)
    for key in points + structural_keys(record.currency, *money):
        yield need(BALANCES, key)


def _answered(view: View, body: Fulfil | Reject, event: SourceEvent) -> OutgoingRecord:
    record, _ = known(view, body.id, event)
    if (body.network, body.destination) != (record.network, record.destination):
        raise Refusal(Code.CONVERSION_UNKNOWN, f"{body.destination} was not asked for {body.id}")
    if body.prepare != record.prepare:
        raise Refusal(Code.DECISION_MISMATCH, "the decision is about another PREPARE")
    return record


def decide_fulfil(view: View, command: ConcludeFulfil, moment: Moment) -> ConversionCaptured:
    """Propose to capture what the destination credited."""
    fulfil = command.fulfil
    record = _answered(view, fulfil, SourceEvent.FULFIL)
    if (fulfil.destination_points, fulfil.value) != (record.destination_points, record.value):
        raise Refusal(Code.DECISION_MISMATCH, "the FULFIL states other amounts than the PREPARE")
    return ConversionCaptured(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        conversion=fulfil.id,
        prepare=fulfil.prepare,
        fulfil=command.digest,
        decided_at=fulfil.decided_at,
        window=fulfil.window,
        dec_seq=fulfil.dec_seq,
        expires_on=fulfil.expires_on,
        partner_entry=fulfil.entry,
        postings=capture_postings(record, ledger_record(view).points),
    )


def fulfil_received(entry: ConversionCaptured, record: OutgoingRecord, *, ledger: Ledger) -> Fulfil:
    """Return the FULFIL on which `entry` of `ledger` captures: the entry and its conversion repeat all of it."""
    return Fulfil(
        network=record.network,
        source=ledger,
        destination=record.destination,
        id=entry.conversion,
        prepare=entry.prepare,
        decided_at=entry.decided_at,
        window=entry.window,
        dec_seq=entry.dec_seq,
        destination_points=record.destination_points,
        value=record.value,
        expires_on=entry.expires_on,
        entry=entry.partner_entry,
    )


def reject_received(entry: ConversionReleased, record: OutgoingRecord, *, ledger: Ledger) -> Reject:
    """Return the REJECT on which `entry` of `ledger` releases: the entry and its conversion repeat all of it."""
    return Reject(
        network=record.network,
        source=ledger,
        destination=record.destination,
        id=entry.conversion,
        prepare=entry.prepare,
        cancel=entry.cancel,
        reason=entry.reason,
        decided_at=entry.decided_at,
        entry=entry.partner_entry,
    )


def capture_postings(record: OutgoingRecord, points: Asset) -> tuple[Posting, ...]:
    """Return what a FULFIL posts: points out of the account, the fee, and the value owed to the partner.

    Where the points were given back by force, what may be owed becomes what is owed, and nothing else moves.
    """
    partner = partner_of(record.destination)
    if record.state is SourceState.FORCED:
        return _money(record, debit=f"contingent/{partner}", credit=f"payable/{partner}")
    postings = [
        Posting(record.account, points, -(record.source_points + record.fee_points)),
        Posting(Account(f"converted_out/{partner}"), points, record.source_points),
    ]
    if record.fee_points:
        postings.append(Posting(FEES, points, record.fee_points))
    return (*postings, *_money(record, debit=f"conversion_cost/{partner}", credit=f"payable/{partner}"))


def force_postings(record: OutgoingRecord) -> tuple[Posting, ...]:
    """Return what a forced release posts: a loss, and the value that may be owed."""
    partner = partner_of(record.destination)
    return _money(record, debit=f"loss/{partner}", credit=f"contingent/{partner}")


def release_postings(record: OutgoingRecord) -> tuple[Posting, ...]:
    """Return what a REJECT posts: nothing, but it takes back what a forced release has posted."""
    partner = partner_of(record.destination)
    if record.state is not SourceState.FORCED:
        return ()
    return _money(record, debit=f"contingent/{partner}", credit=f"loss/{partner}")


def _money(record: OutgoingRecord, *, debit: str, credit: str) -> tuple[Posting, ...]:
    return money_postings(record.currency, record.value, debit=debit, credit=credit)


def _check_answer(
    entry: ConversionCaptured | ConversionReleased, record: OutgoingRecord, cited: Digest, answer: Digest
) -> None:
    if entry.prepare != record.prepare:
        raise Refusal(Code.DECISION_MISMATCH, "the decision is about another PREPARE")
    if not entry.request == cited == answer:
        raise Refusal(Code.DECISION_MISMATCH, "the entry does not cite the body that it repeats")


def _hold(view: View, conversion: Id) -> HoldRecord:
    hold = view.get(HOLDS, conversion)
    assert hold is not None, "a held conversion has its hold"
    return hold


def _conclude(view: View, conversion: Id, before: OutgoingRecord, changed: OutgoingRecord) -> None:
    """Leave `before` for `changed`: once the points are no longer on hold, the account is free of the conversion."""
    view.put(OUTGOING, conversion, changed)
    give_back(view, before, source=ledger_record(view).ledger, after=changed.state)
    if before.state is SourceState.HELD and changed.state is not SourceState.CAPTURED:
        limiting.give_back(view, conversion)
    if changed.state in {SourceState.RELEASED, SourceState.FORCED_CLEARED}:
        undo_refund(view, before)
    if before.state is not SourceState.HELD or not is_holder(changed.account):
        return
    account = view.get(ACCOUNTS, changed.account)
    assert account is not None, "a conversion's account exists"
    view.put(ACCOUNTS, changed.account, msgspec.structs.replace(account, conversions=account.conversions - 1))


def apply_captured(view: View, entry: ConversionCaptured) -> None:
    """Take the held points for good; the fee is earned and the value is owed. Points given back by force stay so."""
    conversion = Id(entry.conversion)
    record, after = known(view, conversion, SourceEvent.FULFIL)
    own = ledger_record(view)
    answer = body_digest(encode_body(fulfil_received(entry, record, ledger=own.ledger)))
    _check_answer(entry, record, entry.fulfil, answer)
    check_postings(entry.postings, capture_postings(record, own.points))
    if record.state is SourceState.HELD and is_holder(record.account):
        consume(view, conversion, _hold(view, conversion), record.source_points + record.fee_points)
    move_structural(view, entry.postings)
    _conclude(view, conversion, record, msgspec.structs.replace(record, state=after, concluded_seq=entry.seq))


def decide_reject(view: View, command: ConcludeReject, moment: Moment) -> ConversionReleased:
    """Propose to release what the destination refused."""
    reject = command.reject
    record = _answered(view, reject, SourceEvent.REJECT)
    return ConversionReleased(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        conversion=reject.id,
        prepare=reject.prepare,
        reject=command.digest,
        cancel=reject.cancel,
        reason=reject.reason,
        decided_at=reject.decided_at,
        partner_entry=reject.entry,
        postings=release_postings(record),
    )


def apply_released(view: View, entry: ConversionReleased) -> None:
    """Give the held points back to the member; after force, take back the loss that was booked for them."""
    conversion = Id(entry.conversion)
    record, after = known(view, conversion, SourceEvent.REJECT)
    answer = body_digest(encode_body(reject_received(entry, record, ledger=ledger_record(view).ledger)))
    _check_answer(entry, record, entry.reject, answer)
    check_postings(entry.postings, release_postings(record))
    if record.state is SourceState.HELD and is_holder(record.account):
        free(view, conversion, _hold(view, conversion), entry)
    move_structural(view, entry.postings)
    changed = msgspec.structs.replace(record, state=after, concluded_seq=entry.seq, reason=entry.reason)
    _conclude(view, conversion, record, changed)


def decide_force(view: View, command: ForceRelease, moment: Moment) -> ConversionForced:
    """Propose to give the points back without the destination's word."""
    record, _ = known(view, command.conversion, SourceEvent.FORCE)
    return ConversionForced(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        conversion=command.conversion,
        reason=command.reason,
        postings=force_postings(record),
    )


def apply_forced(view: View, entry: ConversionForced) -> None:
    """Give the held points back and book what may be owed: the PREPARE still binds this ledger."""
    conversion = Id(entry.conversion)
    record, after = known(view, conversion, SourceEvent.FORCE)
    check_postings(entry.postings, force_postings(record))
    check_force_approved(view, entry)
    if is_holder(record.account):
        free(view, conversion, _hold(view, conversion), entry)
    move_structural(view, entry.postings)
    _conclude(view, conversion, record, msgspec.structs.replace(record, state=after, reason=entry.reason))
