"""Suspension of a partner: nothing new begins, and what has begun ends by the rules (specs/partners.md §4).

What a partner said before stays said. So a stolen key costs what it was used for until then, and points on their way
are neither lost nor given twice.
"""

from collections.abc import Iterator

import msgspec

from protocol.errors import Code, Refusal
from protocol.key_entries import PartnerResumed, PartnerSuspended
from protocol.ledger.commands import ResumePartner, SuspendPartner
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.partners import known_partner, living_partner
from protocol.ledger.state import PARTNERS, PartnerRecord
from protocol.ledger.view import Need, Overlay, View, need


def needs_suspension(_view: Overlay, command: SuspendPartner | ResumePartner) -> Iterator[Need]:
    """Name the partner."""
    yield need(PARTNERS, command.partner)


def decide_suspend(view: View, command: SuspendPartner, moment: Moment) -> PartnerSuspended:
    """Propose that nothing new begins with a partner."""
    return PartnerSuspended(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=known_partner(view, command.partner).network,
        partner=command.partner,
        reason=command.reason,
        epoch=command.epoch,
        next_seq=command.next_seq,
    )


def apply_suspended(view: View, entry: PartnerSuspended) -> None:
    """Begin nothing new with the partner from here on."""
    record = _of_network(view, entry)
    if record.suspended_seq is not None:
        raise Refusal(Code.PARTNER_SUSPENDED, f"{entry.partner} is suspended since entry {record.suspended_seq}")
    view.put(PARTNERS, entry.partner, msgspec.structs.replace(record, suspended_seq=entry.seq))


def decide_resume(view: View, command: ResumePartner, moment: Moment) -> PartnerResumed:
    """Propose to take a suspended partner back."""
    return PartnerResumed(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=known_partner(view, command.partner).network,
        partner=command.partner,
        reason=command.reason,
    )


def apply_resumed(view: View, entry: PartnerResumed) -> None:
    """Let new things begin with the partner again."""
    record = _of_network(view, entry)
    if record.suspended_seq is None:
        raise Refusal(Code.PARTNER_NOT_SUSPENDED, f"{entry.partner} is not suspended")
    view.put(PARTNERS, entry.partner, msgspec.structs.replace(record, suspended_seq=None))


def _of_network(view: View, entry: PartnerSuspended | PartnerResumed) -> PartnerRecord:
    record = living_partner(view, entry.partner)
    if record.network != entry.network:
        raise Refusal(Code.PARTNER_MISMATCH, "the suspension is of another network")
    return record
