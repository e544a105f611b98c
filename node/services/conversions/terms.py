"""From the terms that an operator states to the whole document that both sides sign."""

from node.services.requests import DirectionTerms, ProposalRequest
from protocol.agreement import (
    Agreement,
    ConvertedExpiry,
    Direction,
    Fee,
    Party,
    Transport,
    WindowCalendar,
)
from protocol.errors import AgreementInvalid
from protocol.identifiers import Asset, Digest, Ledger
from protocol.ledger.state import AgreementRecord, LedgerRecord, PartnerRecord
from protocol.points import Step


def make_agreement(
    request: ProposalRequest,
    *,
    own: LedgerRecord,
    partner: PartnerRecord,
    current: tuple[Digest, AgreementRecord] | None,
    now: str,
) -> Agreement:
    """Return the next agreement with a partner on the stated terms, or raise `AgreementInvalid`."""
    ours = Party(ledger=own.ledger, points=own.points, keys=own.keys)
    theirs = Party(ledger=request.partner, points=partner.points, keys=partner.keys)
    first, second = sorted([ours, theirs], key=lambda party: party.ledger)
    valid_from = request.valid_from or now
    return Agreement(
        network=partner.network,
        number=current[1].signed.agreement.number + 1 if current else 1,
        supersedes=current[0] if current else None,
        parties=(first, second),
        currency=Asset(request.currency),
        directions=(_direction(request, first.ledger, second.ledger), _direction(request, second.ledger, first.ledger)),
        valid_from=valid_from,
        valid_until=request.valid_until,
        quote_life_seconds=request.quote_life_seconds,
        notice_days=request.notice_days,
        windows=WindowCalendar(
            starts_at=request.windows_start_at or f"{valid_from[:10]}T00:00:00.000000Z",
            hours=request.window_hours,
            due_days=request.due_days,
            minor_unit=request.minor_unit,
        ),
        transport=Transport(kind=request.transport, cycle_seconds=request.cycle_seconds),
    )


def _direction(request: ProposalRequest, source: Ledger, destination: Ledger) -> Direction:
    found = [terms for terms in request.directions if terms.source == source]
    if len(found) != 1 or len(request.directions) != 2:  # noqa: PLR2004 - there and back
        raise AgreementInvalid(f"the terms need two directions, one of them out of {source}")
    return _spell_out(found[0], destination)


def _spell_out(terms: DirectionTerms, destination: Ledger) -> Direction:
    """Return a direction as the document states it; promotions are in the order of their names."""
    return Direction(
        source=terms.source,
        destination=destination,
        step=Step(source=terms.step_source, destination=terms.step_destination),
        price=terms.price,
        steps_min=terms.steps_min,
        steps_max=terms.steps_max,
        fee=Fee(points_per_conversion=terms.fee_per_conversion, points_per_step=terms.fee_per_step),
        member_limits=terms.member_limits,
        in_flight=terms.in_flight,
        cap=terms.cap,
        expiry=ConvertedExpiry(days=terms.expiry_days),
        promotions=tuple(sorted(terms.promotions, key=lambda promotion: promotion.name)),
    )
