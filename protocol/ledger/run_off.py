"""The end of a partnership: what is still open, in the order in which it is wound down, and the entry that closes it.

A run-off needs no message of its own. Each side sees in its own ledger when nothing is open any more; that both see the
same is what the last statement says, which both have signed (specs/partners.md §6).
"""

from collections.abc import Iterator
from enum import StrEnum, unique
from typing import NamedTuple

import msgspec

from protocol.entry import Posting
from protocol.errors import Code, Refusal
from protocol.fields import later
from protocol.identifiers import Account, Ledger, generation_of, partner_of
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.partners import known_partner, living_partner
from protocol.ledger.postings import check_postings, ledger_record, move_structural
from protocol.ledger.run_off_commands import EndPartner
from protocol.ledger.state import (
    BALANCES,
    COUNTERS,
    EXPOSURE,
    IN,
    OUT,
    PARTNERS,
    SETTLEMENTS,
    STATEMENTS,
    WINDOWS,
    DecisionCounter,
    ExposureRecord,
    StatementRecord,
)
from protocol.ledger.terms import latest_agreements, needs_terms
from protocol.ledger.view import Need, Overlay, View, need
from protocol.ledger.windows import money_moves, needs_money, needs_window, settlement
from protocol.run_off_entries import PartnerEnded
from protocol.settlement.states import WindowState
from protocol.statement import CheckpointReference


@unique
class OpenMatter(StrEnum):
    """What keeps a partnership from being over, in the order in which it is wound down."""

    AGREEMENT = "agreement"
    CONVERSIONS = "conversions"
    WINDOW = "window"
    DISPUTES = "disputes"
    PAYMENT = "payment"


class Open(NamedTuple):
    """One matter that is open with a partner, in a sentence."""

    matter: OpenMatter
    detail: str


def needs_end_partner(view: Overlay, command: EndPartner) -> Iterator[Need]:
    """Name all that can be open with the partner."""
    partner = command.partner
    settled = view.peek(SETTLEMENTS, partner)
    agreed = settled.agreed if settled else 0
    yield from needs_window(view, partner, agreed)
    yield from needs_money(view, partner)
    yield from needs_terms(view, partner, source=None)
    yield need(STATEMENTS, (partner, agreed))
    yield need(COUNTERS, partner)
    for way in (OUT, IN):
        yield need(EXPOSURE, (partner, way))


def open_matters(view: View, partner: Ledger, *, at: str) -> Iterator[Open]:
    """Yield what is open with a partner at the time `at`, in the order in which it is wound down."""
    if known_partner(view, partner).suspended_seq is None:
        yield from _agreements(view, partner, at=at)
    last = last_statement(view, partner)
    exposures = [view.get(EXPOSURE, (partner, way)) or ExposureRecord() for way in (OUT, IN)]
    if exposures[0].conversions:
        yield Open(OpenMatter.CONVERSIONS, f"{exposures[0].conversions} orders wait for the partner's decision")
    unbilled = _unbilled(view, partner, last)
    if unbilled:
        yield Open(OpenMatter.WINDOW, f"{unbilled} conversions are in no agreed statement")
    disputed = sum(len(bill.disputed) for bill in last.signed.statement.directions) if last else 0
    if disputed:
        yield Open(OpenMatter.DISPUTES, f"{disputed} lines are in dispute")
    value = sum(exposure.open_value for exposure in exposures)
    if (value and not unbilled) or (last is not None and not _is_confirmed(view, partner)):
        yield Open(OpenMatter.PAYMENT, f"{value} millionths are not settled, paid and confirmed")


def _agreements(view: View, partner: Ledger, *, at: str) -> Iterator[Open]:
    for digest, record in latest_agreements(view, partner, at=at):
        life = record.signed.agreement.quote_life_seconds
        if record.end is None:
            yield Open(OpenMatter.AGREEMENT, f"the agreement {digest} binds and has no end")
        elif at < later(record.end, seconds=life):
            yield Open(
                OpenMatter.AGREEMENT, f"the agreement {digest} binds until {record.end}, {life} seconds of grace"
            )


def _unbilled(view: View, partner: Ledger, last: StatementRecord | None) -> int:
    """Return how many decisions, both ways, come after those of the last agreed statement."""
    decided = {
        partner: (view.get(COUNTERS, partner) or DecisionCounter()).dec_seq,
        ledger_record(view).ledger: settlement(view, partner).summed,
    }
    billed = {bill.source: bill.totals.last_dec_seq for bill in last.signed.statement.directions} if last else {}
    return sum(number - billed.get(source, 0) for source, number in decided.items())


def last_statement(view: View, partner: Ledger) -> StatementRecord | None:
    """Return the last statement that both parties signed, or None where there is none."""
    return view.get(STATEMENTS, (partner, settlement(view, partner).agreed))


def _is_confirmed(view: View, partner: Ledger) -> bool:
    window = view.get(WINDOWS, (partner, settlement(view, partner).agreed))
    return window is not None and window.state is WindowState.CONFIRMED


def decide_end_partner(view: View, command: EndPartner, moment: Moment) -> PartnerEnded:
    """Propose that the partnership is over."""
    last = last_statement(view, command.partner)
    return PartnerEnded(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=known_partner(view, command.partner).network,
        partner=command.partner,
        reason=command.reason,
        statement=last.digest if last else None,
        checkpoint=command.checkpoint,
        partner_checkpoint=command.partner_checkpoint,
        postings=carry_postings(view, command.partner, last),
    )


def carry_postings(view: View, partner: Ledger, last: StatementRecord | None) -> tuple[Posting, ...]:
    """Return what writes off the rest that is less than a minor unit, which nobody can pay.

    What this ledger was to pay has cost it less; what it was to get, it has earned less.
    """
    if last is None:
        return ()
    currency, name = last.signed.statement.currency, partner_of(partner)
    due = Account(f"due/{name}")
    record = view.get(BALANCES, (due, currency))
    rest = record.amount if record else 0
    other = Account(f"{'conversion_cost' if rest > 0 else 'conversion_income'}/{name}")
    return money_moves(currency, rest, debit=due, credit=other)


def apply_partner_ended(view: View, entry: PartnerEnded) -> None:
    """Be partners no more: nothing is open, and from here on everything new is refused."""
    record = living_partner(view, entry.partner)
    if record.network != entry.network:
        raise Refusal(Code.PARTNER_MISMATCH, "the end is of another network")
    still = next(open_matters(view, entry.partner, at=entry.time), None)
    if still is not None:
        raise Refusal(Code.PARTNER_BUSY, f"{still.matter}: {still.detail}")
    last = last_statement(view, entry.partner)
    if entry.statement != (last.digest if last else None):
        raise Refusal(Code.STATEMENT_MISMATCH, "another statement was the last")
    _check_roots(view, entry, last)
    check_postings(entry.postings, carry_postings(view, entry.partner, last))
    move_structural(view, entry.postings)
    view.put(PARTNERS, entry.partner, msgspec.structs.replace(record, ended_seq=entry.seq))


def _check_roots(view: View, entry: PartnerEnded, last: StatementRecord | None) -> None:
    """Refuse roots of other logs, ahead of this log, or before those of the last statement."""
    own, partner = ledger_record(view), known_partner(view, entry.partner)
    ours, theirs = entry.checkpoint, entry.partner_checkpoint
    if ours.origin != own.log or own.first_seq + ours.size > entry.seq:
        raise Refusal(Code.STATEMENT_MISMATCH, "the checkpoint is not one of this log as it was")
    if theirs is not None and (
        partner_of(theirs.origin) != partner_of(partner.log)
        or generation_of(theirs.origin) > generation_of(partner.log)
    ):
        raise Refusal(Code.STATEMENT_MISMATCH, f"a log {theirs.origin} of the partner is not known")
    for stated in last.signed.statement.checkpoints if last else ():
        found = ours if partner_of(stated.origin) == partner_of(own.log) else theirs
        if found is None or _place(found) < _place(stated):
            raise Refusal(Code.STATEMENT_MISMATCH, f"the last statement states a later checkpoint of {stated.origin}")


def _place(checkpoint: CheckpointReference) -> tuple[int, int]:
    return generation_of(checkpoint.origin), checkpoint.size
