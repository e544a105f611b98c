"""Conversions at their destination, the only decider: credit, or refuse for ever."""

from collections.abc import Iterator

import msgspec

from protocol.conversion import DESTINATION_TRANSITIONS, DestinationEvent, DestinationState
from protocol.entries import ConversionCredited, ConversionRefused, Posting, transfer_postings
from protocol.errors import Code, Refusal
from protocol.fields import later
from protocol.identifiers import Account, Asset, Id, Ledger, partner_of
from protocol.ledger.commands import DecideCancel, DecidePrepare
from protocol.ledger.exposure import reserve_in, use_in
from protocol.ledger.lifecycle import needs_survivor, peek_survivor, survivor_of
from protocol.ledger.limiting import needs_use
from protocol.ledger.links import issued_link, use_issued
from protocol.ledger.lots import needs_clock, restart_clock
from protocol.ledger.moment import Moment, check_recent, occurred
from protocol.ledger.partners import active_partner, known_partner
from protocol.ledger.postings import (
    check_postings,
    credit_holder,
    ledger_record,
    move_structural,
    structural_keys,
)
from protocol.ledger.refunds import apply_refund_in
from protocol.ledger.state import (
    ACCOUNTS,
    AGREEMENTS,
    BALANCES,
    COUNTERS,
    EXPOSURE,
    IN,
    INCOMING,
    ISSUED_LINKS,
    MEMBER_USE,
    OUTGOING,
    PARTNERS,
    PROMOTION_USE,
    DecisionCounter,
    IncomingRecord,
    Piece,
)
from protocol.ledger.terms import agreement_record, check_deadline, check_in_force, check_terms, money_postings
from protocol.ledger.view import Need, Overlay, View, need
from protocol.limits import CLOCK_SKEW_SECONDS_MAX
from protocol.messages import Prepare, body_digest, encode_body


def needs_decide(view: Overlay, command: DecidePrepare | DecideCancel) -> Iterator[Need]:
    """Name the conversion and the partner; to credit, also the agreement, link, account, balances and counter."""
    body = command.prepare if isinstance(command, DecidePrepare) else command.cancel
    yield need(INCOMING, (body.network, body.source, body.id))
    yield need(PARTNERS, body.source)
    if isinstance(command, DecideCancel):
        return
    prepare = command.prepare
    yield need(AGREEMENTS, prepare.agreement)
    yield need(EXPOSURE, (prepare.source, IN))
    if prepare.refund_of is not None:
        yield need(OUTGOING, prepare.refund_of)
    elif prepare.promotion is not None:
        yield need(PROMOTION_USE, (prepare.agreement, prepare.source, prepare.promotion))
    yield need(ISSUED_LINKS, (prepare.source, prepare.alias))
    yield need(COUNTERS, prepare.source)
    partner = partner_of(prepare.source)
    points = structural_keys(ledger_record(view).points, f"converted_in/{partner}")
    money = structural_keys(prepare.currency, f"receivable/{partner}", f"conversion_income/{partner}")
    for key in points + money:
        yield need(BALANCES, key)
    link = view.peek(ISSUED_LINKS, (prepare.source, prepare.alias))
    if link is not None:
        yield need(ACCOUNTS, link.account)
        yield from needs_survivor(view, link.account)
        account = peek_survivor(view, link.account)
        yield from needs_clock(view, account)
        yield from needs_use(view, use_in(account, prepare))
        yield need(MEMBER_USE, (account, prepare.source, IN))


def decide_prepare(view: View, command: DecidePrepare, moment: Moment) -> ConversionCredited:
    """Propose to credit the member whom the alias names."""
    prepare = command.prepare
    record = agreement_record(view, prepare.agreement, partner=prepare.source, network=prepare.network)
    direction = record.signed.agreement.direction(prepare.source)
    counter = view.get(COUNTERS, prepare.source) or DecisionCounter()
    occurred_on = occurred(command, moment)
    return ConversionCredited(
        id=command.id,
        request=command.request,
        occurred_on=occurred_on,
        network=prepare.network,
        conversion=prepare.id,
        agreement=prepare.agreement,
        promotion=prepare.promotion,
        refund_of=prepare.refund_of,
        steps=prepare.steps,
        source_points=prepare.source_points,
        destination_points=prepare.destination_points,
        fee_points=prepare.fee_points,
        value=prepare.value,
        currency=prepare.currency,
        alias=prepare.alias,
        accept_by=prepare.accept_by,
        source=prepare.source,
        prepare=command.digest,
        created_at=prepare.created_at,
        source_entry=prepare.entry,
        window=counter.window,
        dec_seq=counter.dec_seq + 1,
        expires_on=direction.expires_on(occurred_on),
        postings=credit_postings(prepare, _holder(view, command), ledger_record(view).points),
    )


def prepare_received(entry: ConversionCredited, *, ledger: Ledger) -> Prepare:
    """Return the PREPARE that `entry` of `ledger` credits: the entry repeats all of it."""
    return Prepare(
        network=entry.network,
        source=entry.source,
        destination=ledger,
        id=entry.conversion,
        agreement=entry.agreement,
        promotion=entry.promotion,
        refund_of=entry.refund_of,
        steps=entry.steps,
        source_points=entry.source_points,
        destination_points=entry.destination_points,
        fee_points=entry.fee_points,
        value=entry.value,
        currency=entry.currency,
        alias=entry.alias,
        created_at=entry.created_at,
        accept_by=entry.accept_by,
        entry=entry.source_entry,
    )


def _holder(view: View, command: DecidePrepare) -> Account:
    return survivor_of(view, issued_link(view, command.prepare.source, command.prepare.alias).account)


def credit_postings(terms: Prepare | ConversionCredited, account: Account, points: Asset) -> tuple[Posting, ...]:
    """Return what a credit posts: points into the account, and the value that the partner owes."""
    partner = partner_of(terms.source)
    credit = transfer_postings(
        points, terms.destination_points, debit=Account(f"converted_in/{partner}"), credit=account
    )
    money = money_postings(
        terms.currency, terms.value, debit=f"receivable/{partner}", credit=f"conversion_income/{partner}"
    )
    return (*credit, *money)


def _check_undecided(
    view: View, entry: ConversionCredited | ConversionRefused, event: DestinationEvent
) -> IncomingRecord:
    """Return the row of the decision, or refuse where there is one."""
    record = view.get(INCOMING, (entry.network, entry.source, Id(entry.conversion)))
    after = DESTINATION_TRANSITIONS[record.state if record else DestinationState.NONE, event]
    if isinstance(after, Code):
        raise Refusal(after, f"the conversion {entry.conversion} has been decided")
    if entry.request != entry.prepare:
        raise Refusal(Code.DECISION_MISMATCH, "the entry answers another request than its PREPARE")
    return IncomingRecord(state=after, prepare=entry.prepare, decided_seq=entry.seq)


def _check_clock(entry: ConversionCredited) -> None:
    if entry.created_at > later(entry.time, seconds=CLOCK_SKEW_SECONDS_MAX):
        raise Refusal(Code.CLOCK, "the conversion was created in the future")
    if entry.accept_by < entry.time:
        raise Refusal(Code.EXPIRED, f"the conversion had to be decided by {entry.accept_by}")
    check_deadline(entry.accept_by, created_at=entry.created_at)
    check_recent(entry)


def apply_credited(view: View, entry: ConversionCredited) -> None:
    """Credit the member on the agreement's terms and note what the partner owes."""
    own = ledger_record(view)
    decided = _check_undecided(view, entry, DestinationEvent.ACCEPT)
    if entry.prepare != body_digest(encode_body(prepare_received(entry, ledger=own.ledger))):
        raise Refusal(Code.DECISION_MISMATCH, "the entry does not cite the PREPARE that it repeats")
    _check_clock(entry)
    record = agreement_record(view, entry.agreement, partner=entry.source, network=entry.network)
    active_partner(view, entry.source)
    agreement = record.signed.agreement
    direction = agreement.direction(entry.source)
    if entry.refund_of is None:
        check_in_force(record, at=entry.time, grace=True)
        check_terms(entry, agreement, direction, created_at=entry.created_at)
    if entry.expires_on != direction.expires_on(entry.occurred_on):
        raise Refusal(Code.EXPIRY_MISMATCH, "the points' last day is not that of the agreement")
    linked = use_issued(view, entry)
    if entry.refund_of is not None:
        apply_refund_in(view, entry, agreement, linked, original_id=Id(entry.refund_of))
    account = survivor_of(view, linked)
    _count(view, entry)
    check_postings(entry.postings, credit_postings(entry, account, own.points))
    piece = Piece(
        seq=entry.seq,
        part=0,
        origin=partner_of(entry.source),
        earned_on=entry.occurred_on,
        expires_on=entry.expires_on,
        amount=entry.destination_points,
    )
    restart_clock(view, account, on=entry.occurred_on)
    credit_holder(view, account, (piece,))
    move_structural(view, entry.postings)
    reserve_in(view, entry, direction, account)
    view.put(INCOMING, (entry.network, entry.source, Id(entry.conversion)), _credited(decided, entry, account))


def _credited(decided: IncomingRecord, entry: ConversionCredited, account: Account) -> IncomingRecord:
    return msgspec.structs.replace(
        decided,
        account=account,
        agreement=entry.agreement,
        promotion=entry.promotion,
        refund_of=entry.refund_of,
        steps=entry.steps,
    )


def _count(view: View, entry: ConversionCredited) -> None:
    counter = view.get(COUNTERS, entry.source) or DecisionCounter()
    if (entry.window, entry.dec_seq) != (counter.window, counter.dec_seq + 1):
        raise Refusal(Code.DECISION_MISMATCH, f"the next decision is number {counter.dec_seq + 1}")
    view.put(COUNTERS, entry.source, DecisionCounter(window=entry.window, dec_seq=entry.dec_seq))


def refuse(command: DecidePrepare, reason: str, moment: Moment) -> ConversionRefused:
    """Propose the tombstone of a PREPARE that a rule refused."""
    prepare = command.prepare
    return ConversionRefused(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=prepare.network,
        source=prepare.source,
        conversion=prepare.id,
        prepare=command.digest,
        cancel=None,
        reason=reason,
    )


def decide_cancel(_view: View, command: DecideCancel, moment: Moment) -> ConversionRefused:
    """Propose the tombstone that a CANCEL asks for, whether its PREPARE ever arrived or not."""
    cancel = command.cancel
    return ConversionRefused(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=cancel.network,
        source=cancel.source,
        conversion=cancel.id,
        prepare=cancel.prepare,
        cancel=command.digest,
        reason=Code.CANCELLED.value,
    )


def apply_refused(view: View, entry: ConversionRefused) -> None:
    """Refuse the conversion for ever; a tombstone is never pruned."""
    partner = known_partner(view, entry.source)
    if partner.network != entry.network:
        raise Refusal(Code.PARTNER_MISMATCH, "the conversion is of another network")
    if (entry.reason == Code.CANCELLED) != (entry.cancel is not None):
        raise Refusal(Code.DECISION_MISMATCH, "a conversion is cancelled by a CANCEL, and by nothing else")
    decided = _check_undecided(view, entry, DestinationEvent.CANCEL if entry.cancel else DestinationEvent.REFUSE)
    view.put(INCOMING, (entry.network, entry.source, Id(entry.conversion)), decided)
