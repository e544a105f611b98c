"""Partners and agreements: who may convert with whom, on what terms."""

from collections.abc import Iterator

import msgspec

from protocol.agreement import (
    Agreement,
    agreement_digest,
    check_keys,
    round_trip_multiplies,
    verify_agreement,
)
from protocol.entries import AgreementEntered, PartnerAdded
from protocol.errors import AgreementInvalid, Code, KeyInvalid, ProtocolError, Refusal
from protocol.identifiers import Ledger, partner_of
from protocol.ledger.approvals import check_agreement_approved, needs_approval
from protocol.ledger.commands import AddPartner, EnterAgreement
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.postings import ledger_record
from protocol.ledger.state import (
    AGREEMENTS,
    CURRENT,
    LEDGER,
    ONLY,
    PARTNERS,
    AgreementRecord,
    CurrentAgreement,
    PartnerRecord,
)
from protocol.ledger.terms import latest_agreements, needs_terms
from protocol.ledger.view import Need, Overlay, View, need


def needs_partner(_view: Overlay, command: AddPartner) -> Iterator[Need]:
    """Name the partner."""
    yield need(PARTNERS, command.ledger)


def decide_partner(_view: View, command: AddPartner, moment: Moment) -> PartnerAdded:
    """Propose to know another ledger."""
    return PartnerAdded(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=command.network,
        ledger=command.ledger,
        points=command.points,
        keys=command.keys,
    )


def apply_partner(view: View, entry: PartnerAdded) -> None:
    """Know another ledger by its keys."""
    own = ledger_record(view)
    if partner_of(entry.ledger) == partner_of(own.ledger):
        raise Refusal(Code.PARTNER_MISMATCH, "a ledger is not its own partner")
    if view.get(PARTNERS, entry.ledger) is not None:
        raise Refusal(Code.PARTNER_EXISTS, f"the partner {entry.ledger} is known already")
    try:
        check_keys(entry.keys)
    except KeyInvalid as error:
        raise Refusal(Code.KEYS_INVALID, str(error)) from error
    record = PartnerRecord(
        network=entry.network, points=entry.points, keys=entry.keys, added_seq=entry.seq, log=entry.ledger
    )
    view.put(PARTNERS, entry.ledger, record)
    view.put(LEDGER, ONLY, msgspec.structs.replace(own, partners=(*own.partners, entry.ledger)))


def known_partner(view: View, ledger: Ledger) -> PartnerRecord:
    """Return the partner, or refuse."""
    record = view.get(PARTNERS, ledger)
    if record is None:
        raise Refusal(Code.PARTNER_UNKNOWN, f"there is no partner {ledger}")
    return record


def living_partner(view: View, ledger: Ledger) -> PartnerRecord:
    """Return a partner that has not ended to be one, or refuse."""
    record = known_partner(view, ledger)
    if record.ended_seq is not None:
        raise Refusal(Code.PARTNER_ENDED, f"{ledger} is a partner no more since entry {record.ended_seq}")
    return record


def active_partner(view: View, ledger: Ledger) -> PartnerRecord:
    """Return a partner with which something new may begin, or refuse."""
    record = living_partner(view, ledger)
    if record.suspended_seq is not None:
        raise Refusal(Code.PARTNER_SUSPENDED, f"{ledger} is suspended since entry {record.suspended_seq}")
    return record


def needs_agreement(view: Overlay, command: EnterAgreement) -> Iterator[Need]:
    """Name the agreement, the partner and the agreement that it replaces."""
    agreement = command.signed.agreement
    try:
        partner = agreement.other(ledger_record(view).ledger).ledger
        digest = agreement_digest(agreement)
    except AgreementInvalid:
        return  # The rules refuse such a document before they read a row.
    yield need(PARTNERS, partner)
    yield need(AGREEMENTS, digest)
    yield needs_approval(command.id)
    yield from needs_terms(view, partner, source=None)


def decide_agreement(_view: View, command: EnterAgreement, moment: Moment) -> AgreementEntered:
    """Propose that an agreement binds."""
    return AgreementEntered(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        signed=command.signed,
        forced=command.forced,
    )


def apply_agreement(view: View, entry: AgreementEntered) -> None:
    """Let an agreement bind that both parties signed and that follows the one before it."""
    agreement = entry.signed.agreement
    try:
        verify_agreement(entry.signed, complete=True)
        partner = agreement.other(ledger_record(view).ledger).ledger
    except ProtocolError as error:
        raise Refusal(Code.AGREEMENT_INVALID, str(error)) from error
    _check_parties(view, agreement, partner)
    # What a successor's partner gives back was entered when it had not ended yet.
    lapsed = agreement.valid_until is not None and agreement.valid_until <= entry.time
    if lapsed and not ledger_record(view).recovering:
        raise Refusal(Code.AGREEMENT_LAPSED, f"the agreement ended at {agreement.valid_until}")
    if round_trip_multiplies(agreement) and not entry.forced:
        raise Refusal(Code.AGREEMENT_LOOP, "converting there and back would make points")
    check_agreement_approved(view, entry)
    _follow(view, entry, agreement, partner)


def _check_parties(view: View, agreement: Agreement, partner: Ledger) -> None:
    own = ledger_record(view)
    # What a successor's partner gives back was entered before it was suspended.
    known = (known_partner if own.recovering else active_partner)(view, partner)
    ours, theirs = agreement.party(own.ledger), agreement.party(partner)
    if agreement.network != known.network:
        raise Refusal(Code.PARTNER_MISMATCH, "the agreement is of another network")
    if (ours.keys, ours.points) != (own.keys, own.points) or (theirs.keys, theirs.points) != (
        known.keys,
        known.points,
    ):
        raise Refusal(Code.PARTNER_MISMATCH, "the agreement names other keys or points than the ledgers have")
    if agreement.currency not in own.currencies:
        raise Refusal(Code.ASSETS_INVALID, f"this ledger does not settle in {agreement.currency}")


def _follow(view: View, entry: AgreementEntered, agreement: Agreement, partner: Ledger) -> None:
    digest = agreement_digest(agreement)
    if view.get(AGREEMENTS, digest) is not None:
        raise Refusal(Code.AGREEMENT_EXISTS, "this agreement has been entered already")
    current = view.get(CURRENT, partner)
    expected = (current.digest, current.number + 1) if current else (None, 1)
    if (agreement.supersedes, agreement.number) != expected:
        raise Refusal(
            Code.AGREEMENT_EXISTS, f"the next agreement has number {expected[1]} and supersedes {expected[0]}"
        )
    # Agreements are signed ahead: the one before binds until this one begins.
    end = max(entry.time, agreement.valid_from)
    for earlier, before in latest_agreements(view, partner, at=entry.time):
        if before.signed.agreement.currency != agreement.currency:
            raise Refusal(Code.ASSETS_INVALID, "a statement has one currency: what follows keeps it")
        if before.superseded_at is None or before.superseded_at > end:
            view.put(AGREEMENTS, earlier, msgspec.structs.replace(before, superseded_at=end))
    record = AgreementRecord(
        partner=partner,
        signed=entry.signed,
        entered_at=entry.time,
        entered_seq=entry.seq,
        superseded_at=None,
    )
    view.put(AGREEMENTS, digest, record)
    view.put(CURRENT, partner, CurrentAgreement(digest=digest, number=agreement.number))
