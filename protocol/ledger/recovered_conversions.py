"""Conversions of the gap: what this ledger had promised about them, standing again as it stood after the lost entry.

Limits, caps, budgets and deadlines are not judged again, for the promise was made; its amounts are. What the gap took
with it, points or a link, the program bears: it is posted to and from `adjustment` (specs/succession.md).
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.agreement import Agreement
from protocol.conversion import DESTINATION_TRANSITIONS, DestinationEvent, DestinationState, SourceEvent
from protocol.entries import Posting, transfer_postings
from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Id, partner_of
from protocol.ledger.endings import ended_at
from protocol.ledger.exposure import count_in, count_out, use_in, use_out
from protocol.ledger.holds import place
from protocol.ledger.incoming import credit_postings
from protocol.ledger.lifecycle import needs_survivor, peek_survivor, survivor_of
from protocol.ledger.limiting import needs_use
from protocol.ledger.lines import add_decided
from protocol.ledger.links import count_use, end_link
from protocol.ledger.lots import needs_clock, restart_clock, spendable_lots
from protocol.ledger.outgoing import transition
from protocol.ledger.postings import ADJUSTMENT, credit_holder, ledger_record, move_structural, structural_keys
from protocol.ledger.programs import terms_of
from protocol.ledger.promotions import named_terms
from protocol.ledger.refunds import captured_original, credited_original, refund_terms
from protocol.ledger.state import (
    ACCOUNTS,
    AGREEMENTS,
    ALIASES,
    BALANCES,
    COUNTERS,
    EXPOSURE,
    HOLDS,
    IN,
    INCOMING,
    ISSUED_LINKS,
    MEMBER_USE,
    OUT,
    OUTGOING,
    PROMOTION_USE,
    WINDOW_TOTALS,
    AccountStatus,
    DecisionCounter,
    IncomingRecord,
    LineRecord,
    OutgoingRecord,
    Piece,
)
from protocol.ledger.terms import agreement_record, check_amounts
from protocol.ledger.transactions import OWN
from protocol.ledger.view import Need, Overlay, View, need, need_book
from protocol.messages import Cancel, End, Fulfil, Prepare, Reject, Unlink, body_digest, encode_body
from protocol.program import day_of
from protocol.recovery_entries import Recovered

_STANDING: Final = {AccountStatus.OPEN, AccountStatus.FROZEN}


def needs_prepare(view: Overlay, prepare: Prepare) -> Iterator[Need]:
    """Name what an order of ours moves: the account is the one that has accepted the alias."""
    own, partner = ledger_record(view), prepare.destination
    yield need(OUTGOING, prepare.id)
    yield need(HOLDS, prepare.id)
    yield need(AGREEMENTS, prepare.agreement)
    yield need(EXPOSURE, (partner, OUT))
    yield need(BALANCES, (ADJUSTMENT, own.points))
    yield need(ALIASES, (partner, prepare.alias))
    if prepare.refund_of is not None:
        yield need(INCOMING, (prepare.network, partner, prepare.refund_of))
    elif prepare.promotion is not None:
        yield need(PROMOTION_USE, (prepare.agreement, own.ledger, prepare.promotion))
    accepted = view.peek(ALIASES, (partner, prepare.alias))
    if accepted is not None:
        yield need(ACCOUNTS, accepted.account)
        yield need_book(accepted.account)
        yield from needs_use(view, use_out(accepted.account, prepare))
        yield need(MEMBER_USE, (accepted.account, partner, OUT))


def needs_fulfil(view: Overlay, prepare: Prepare) -> Iterator[Need]:
    """Name what our credit of a PREPARE moves: the account is the one that the alias was issued for."""
    own, partner = ledger_record(view), prepare.source
    counter = view.peek(COUNTERS, partner) or DecisionCounter()
    yield need(INCOMING, (prepare.network, partner, prepare.id))
    yield need(AGREEMENTS, prepare.agreement)
    yield need(EXPOSURE, (partner, IN))
    yield need(COUNTERS, partner)
    yield need(WINDOW_TOTALS, (partner, IN, counter.window))
    yield need(ISSUED_LINKS, (partner, prepare.alias))
    if prepare.refund_of is not None:
        yield need(OUTGOING, prepare.refund_of)
    elif prepare.promotion is not None:
        yield need(PROMOTION_USE, (prepare.agreement, partner, prepare.promotion))
    name = partner_of(partner)
    points = structural_keys(own.points, f"converted_in/{name}", ADJUSTMENT)
    for key in points + structural_keys(prepare.currency, f"receivable/{name}", f"conversion_income/{name}"):
        yield need(BALANCES, key)
    link = view.peek(ISSUED_LINKS, (partner, prepare.alias))
    if link is not None:
        yield need(ACCOUNTS, link.account)
        yield from needs_survivor(view, link.account)
        account = peek_survivor(view, link.account)
        yield from needs_clock(view, account)
        yield from needs_use(view, use_in(account, prepare))
        yield need(MEMBER_USE, (account, partner, IN))


def ordering_account(view: View, prepare: Prepare) -> Account | None:
    """Return the account whose points our PREPARE moves, or None where it is not known any more."""
    accepted = view.get(ALIASES, (prepare.destination, prepare.alias))
    return _standing(view, accepted.account if accepted else None)


def credited_account(view: View, prepare: Prepare) -> Account | None:
    """Return the account that our credit of `prepare` was for, or None where it is not known any more."""
    link = view.get(ISSUED_LINKS, (prepare.source, prepare.alias))
    return _standing(view, survivor_of(view, link.account) if link else None)


def _standing(view: View, account: Account | None) -> Account | None:
    record = None if account is None else view.get(ACCOUNTS, account)
    return account if record is not None and record.status in _STANDING else None


def shortfall_of(view: View, prepare: Prepare, account: Account | None) -> int:
    """Return how many of the points of our PREPARE `account` does not have."""
    if account is None:
        return 0
    on = _day(prepare.created_at)
    return max(0, _amount(prepare) - sum(lot.remaining for lot in spendable_lots(view, account, on=on)))


def word_postings(view: View, entry: Recovered) -> tuple[Posting, ...]:
    """Return what a recovered word about a conversion posts: a shortfall, or a credit."""
    points = ledger_record(view).points
    if isinstance(entry.body, Fulfil):
        return credit_postings(answered(entry), entry.account or ADJUSTMENT, points)
    if entry.account is None or not entry.shortfall:
        return ()
    return transfer_postings(points, entry.shortfall, debit=ADJUSTMENT, credit=entry.account)


def answered(entry: Recovered) -> Prepare:
    """Return the PREPARE that a recovered decision answers, or refuse where it is not there."""
    body, prepare = entry.body, entry.prepare
    if not isinstance(body, Fulfil | Reject) or prepare is None:
        raise Refusal(Code.RECOVERY_MISMATCH, "what was credited is told by the PREPARE alone")
    if prepare.key != body.key or body_digest(encode_body(prepare)) != body.prepare:
        raise Refusal(Code.RECOVERY_MISMATCH, "the decision answers another PREPARE")
    return prepare


def _amount(prepare: Prepare) -> int:
    return prepare.source_points + prepare.fee_points


def _day(time: str) -> str:
    return time[:10]


def _agreed(view: View, entry: Recovered, prepare: Prepare) -> Agreement:
    """Return the agreement whose amounts `prepare` has, or refuse."""
    record = agreement_record(view, prepare.agreement, partner=entry.partner, network=entry.network)
    agreement = record.signed.agreement
    if prepare.refund_of is None:
        direction = agreement.direction(prepare.source)
        terms, fee_points = named_terms(direction, prepare.promotion), direction.fee_points(prepare.steps)
    else:
        terms, fee_points = refund_terms(agreement, prepare.destination, prepare.promotion), 0
    check_amounts(prepare, terms, currency=agreement.currency, fee_points=fee_points)
    return agreement


def recover_prepare(view: View, entry: Recovered, prepare: Prepare) -> None:
    """Let an order of ours wait for its decision again, its points on hold."""
    _, after = transition(view, prepare.id, SourceEvent.ORDER)
    agreement = _agreed(view, entry, prepare)
    if entry.account is not None:
        _hold(view, entry, prepare, entry.account)
    move_structural(view, entry.postings)
    if prepare.refund_of is not None:
        key = (prepare.network, prepare.destination, prepare.refund_of)
        original = credited_original(view, *key)
        steps = original.refunded_steps + prepare.steps
        view.put(INCOMING, key, msgspec.structs.replace(original, refunded_steps=steps))
    account = entry.account or ADJUSTMENT
    count_out(view, prepare, agreement.direction(prepare.source), account)
    outgoing = OutgoingRecord(
        state=after,
        network=prepare.network,
        destination=prepare.destination,
        account=account,
        agreement=prepare.agreement,
        promotion=prepare.promotion,
        refund_of=prepare.refund_of,
        steps=prepare.steps,
        source_points=prepare.source_points,
        destination_points=prepare.destination_points,
        fee_points=prepare.fee_points,
        value=prepare.value,
        currency=prepare.currency,
        accept_by=prepare.accept_by,
        held_at=prepare.created_at,
        held_seq=entry.seq,
        prepare=entry.digest,
        cancel_requested=False,
        concluded_seq=None,
        reason=None,
    )
    view.put(OUTGOING, prepare.id, outgoing)


def _hold(view: View, entry: Recovered, prepare: Prepare, account: Account) -> None:
    if entry.shortfall:
        piece = Piece(
            seq=entry.seq, part=0, origin=OWN, earned_on=entry.occurred_on, expires_on=None, amount=entry.shortfall
        )
        credit_holder(view, account, (piece,))
    place(
        view,
        prepare.id,
        account=account,
        amount=_amount(prepare),
        on=_day(prepare.created_at),
        seq=entry.seq,
        expires_at=None,
        conversion=True,
        even_frozen=True,
    )
    restart_clock(view, account, on=day_of(terms_of(view), prepare.created_at))


def recover_unlink(view: View, entry: Recovered, unlink: Unlink) -> None:
    """Let a link of ours be at its end again; one that was made in the gap is not known any more."""
    known = (
        view.get(ALIASES, (entry.partner, unlink.alias))
        if unlink.issuer == entry.partner
        else view.get(ISSUED_LINKS, (entry.partner, unlink.alias))
    )
    if known is not None:
        end_link(view, entry.partner, unlink.issuer, unlink.alias, seq=entry.seq)


def recover_cancel(view: View, entry: Recovered, cancel: Cancel) -> None:
    """Note our wish again; the decision that it crossed may have come before it now.

    Of a conversion whose PREPARE has never arrived, nothing stands again but the refusal at the partner.
    """
    record = view.get(OUTGOING, cancel.id)
    if record is None:
        return
    stated = (cancel.network, cancel.destination, cancel.prepare, cancel.accept_by)
    if stated != (record.network, record.destination, record.prepare, record.accept_by):
        raise Refusal(Code.RECOVERY_MISMATCH, f"{entry.id} is about another conversion")
    view.put(OUTGOING, cancel.id, msgspec.structs.replace(record, cancel_requested=True))


def _undecided(view: View, entry: Recovered, word: Fulfil | Reject, event: DestinationEvent) -> IncomingRecord:
    record = view.get(INCOMING, (word.network, word.source, word.id))
    after = DESTINATION_TRANSITIONS[record.state if record else DestinationState.NONE, event]
    if isinstance(after, Code):
        raise Refusal(after, f"the conversion {word.id} has been decided")
    return IncomingRecord(state=after, prepare=word.prepare, decided_seq=entry.seq)


def recover_fulfil(view: View, entry: Recovered, fulfil: Fulfil) -> None:
    """Let our credit stand again, under the number and in the window that it was promised."""
    decided, prepare = _undecided(view, entry, fulfil, DestinationEvent.ACCEPT), answered(entry)
    if (fulfil.destination_points, fulfil.value) != (prepare.destination_points, prepare.value):
        raise Refusal(Code.RECOVERY_MISMATCH, "the decision states other amounts than its PREPARE")
    agreement = _agreed(view, entry, prepare)
    counter = view.get(COUNTERS, fulfil.source) or DecisionCounter()
    if (fulfil.window, fulfil.dec_seq) != (counter.window, counter.dec_seq + 1):
        raise Refusal(Code.RECOVERY_MISMATCH, f"the next decision is number {counter.dec_seq + 1}")
    view.put(COUNTERS, fulfil.source, DecisionCounter(window=fulfil.window, dec_seq=fulfil.dec_seq))
    if prepare.refund_of is not None:
        original = captured_original(view, prepare.network, prepare.source, prepare.refund_of)
        steps = original.refunded_steps + prepare.steps
        view.put(OUTGOING, prepare.refund_of, msgspec.structs.replace(original, refunded_steps=steps))
    link = view.get(ISSUED_LINKS, (prepare.source, prepare.alias))
    if link is not None and prepare.refund_of is None:
        count_use(view, (prepare.source, prepare.alias), link, prepare.destination_points)
    if entry.account is not None:
        _credit(view, entry, fulfil, entry.account)
    move_structural(view, entry.postings)
    direction = agreement.direction(prepare.source)
    count_in(view, prepare, direction, entry.account or ADJUSTMENT, at=fulfil.decided_at)
    credited = msgspec.structs.replace(
        decided,
        account=entry.account,
        agreement=prepare.agreement,
        promotion=prepare.promotion,
        refund_of=prepare.refund_of,
        steps=prepare.steps,
    )
    view.put(INCOMING, (fulfil.network, fulfil.source, fulfil.id), credited)
    add_decided(view, fulfil.source, fulfil.dec_seq, _line(entry, fulfil, prepare))


def _credit(view: View, entry: Recovered, fulfil: Fulfil, account: Account) -> None:
    piece = Piece(
        seq=entry.seq,
        part=0,
        origin=partner_of(fulfil.source),
        earned_on=_day(fulfil.decided_at),
        expires_on=fulfil.expires_on,
        amount=fulfil.destination_points,
    )
    restart_clock(view, account, on=day_of(terms_of(view), fulfil.decided_at))
    credit_holder(view, account, (piece,))


def _line(entry: Recovered, fulfil: Fulfil, prepare: Prepare) -> LineRecord:
    return LineRecord(
        conversion=Id(fulfil.id),
        window=fulfil.window,
        agreement=prepare.agreement,
        currency=prepare.currency,
        source_points=prepare.source_points,
        destination_points=prepare.destination_points,
        fee_points=prepare.fee_points,
        value=prepare.value,
        fulfil=entry.digest,
    )


def recover_reject(view: View, entry: Recovered, reject: Reject) -> None:
    """Let our refusal stand again, for ever."""
    if entry.prepare is not None:
        answered(entry)
    if (reject.reason == Code.CANCELLED) != (reject.cancel is not None):
        raise Refusal(Code.RECOVERY_MISMATCH, "a conversion is cancelled by a CANCEL, and by nothing else")
    event = DestinationEvent.CANCEL if reject.cancel else DestinationEvent.REFUSE
    decided = _undecided(view, entry, reject, event)
    view.put(INCOMING, (reject.network, reject.source, reject.id), decided)


def recover_end(view: View, entry: Recovered, end: End) -> None:
    """Let our notice count again."""
    record = agreement_record(view, end.agreement, partner=entry.partner, network=entry.network)
    view.put(AGREEMENTS, end.agreement, ended_at(record, end.ends_at))
