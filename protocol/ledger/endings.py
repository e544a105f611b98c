"""Agreements ended with notice, by either party: both ledgers enter it, and the earlier of two ends counts."""

from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.entries import AgreementEnded
from protocol.errors import Code, Refusal
from protocol.fields import later
from protocol.identifiers import Ledger
from protocol.ledger.commands import EndAgreement, TakeEnd
from protocol.ledger.moment import Moment, check_time, occurred
from protocol.ledger.partners import living_partner
from protocol.ledger.postings import ledger_record
from protocol.ledger.state import AGREEMENTS, PARTNERS, AgreementRecord
from protocol.ledger.terms import agreement_record
from protocol.ledger.view import Need, Overlay, View, need
from protocol.limits import CLOCK_SKEW_SECONDS_MAX
from protocol.messages import End, body_digest, encode_body

_DAY_SECONDS: Final = 86_400


def needs_end(view: Overlay, command: EndAgreement | TakeEnd) -> Iterator[Need]:
    """Name the agreement and its other party."""
    if isinstance(command, TakeEnd):
        yield need(AGREEMENTS, command.end.agreement)
        yield need(PARTNERS, command.end.sender)
        return
    yield need(AGREEMENTS, command.agreement)
    record = view.peek(AGREEMENTS, command.agreement)
    if record is not None:
        yield need(PARTNERS, record.partner)


def decide_end(view: View, command: EndAgreement, moment: Moment) -> AgreementEnded:
    """Propose to give notice."""
    check_time(command.ends_at)
    record = view.get(AGREEMENTS, command.agreement)
    if record is None:
        raise Refusal(Code.AGREEMENT_UNKNOWN, f"there is no agreement {command.agreement}")
    return AgreementEnded(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=record.signed.agreement.network,
        agreement=command.agreement,
        partner=record.partner,
        by=ledger_record(view).ledger,
        given_at=moment.time,
        ends_at=command.ends_at,
        notice=None,
        partner_entry=None,
    )


def decide_take_end(_view: View, command: TakeEnd, moment: Moment) -> AgreementEnded:
    """Propose to enter a partner's notice."""
    end = command.end
    return AgreementEnded(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=end.network,
        agreement=end.agreement,
        partner=end.sender,
        by=end.sender,
        given_at=end.given_at,
        ends_at=end.ends_at,
        notice=command.digest,
        partner_entry=end.entry,
    )


def apply_ended(view: View, entry: AgreementEnded) -> None:
    """Let the agreement end, as long after the notice as it asks for."""
    record = agreement_record(view, entry.agreement, partner=entry.partner, network=entry.network)
    living_partner(view, entry.partner)
    if entry.by == ledger_record(view).ledger:
        _check_own(entry)
    else:
        _check_partners(view, entry)
    notice_days = record.signed.agreement.notice_days
    if entry.ends_at < later(entry.given_at, seconds=notice_days * _DAY_SECONDS):
        raise Refusal(Code.NOTICE_TOO_SHORT, f"the agreement asks for {notice_days} days of notice")
    view.put(AGREEMENTS, entry.agreement, ended_at(record, entry.ends_at))


def _check_own(entry: AgreementEnded) -> None:
    if entry.notice is not None or entry.partner_entry is not None or entry.given_at != entry.time:
        raise Refusal(Code.DECISION_MISMATCH, "a notice of our own is given now and cites no message")


def _check_partners(view: View, entry: AgreementEnded) -> None:
    if entry.given_at > later(entry.time, seconds=CLOCK_SKEW_SECONDS_MAX):
        raise Refusal(Code.CLOCK, "the notice was given in the future")
    end = end_received(entry, ledger=ledger_record(view).ledger)
    if end is None or not entry.request == entry.notice == body_digest(encode_body(end)):
        raise Refusal(Code.DECISION_MISMATCH, "the entry does not cite the notice that it repeats")


def end_received(entry: AgreementEnded, *, ledger: Ledger) -> End | None:
    """Return the END that `entry` of `ledger` repeats, or None where it repeats none."""
    if entry.partner_entry is None or entry.by != entry.partner:
        return None
    return End(
        network=entry.network,
        sender=entry.by,
        receiver=ledger,
        agreement=entry.agreement,
        given_at=entry.given_at,
        ends_at=entry.ends_at,
        entry=entry.partner_entry,
    )


def ended_at(record: AgreementRecord, ends_at: str) -> AgreementRecord:
    """Return the agreement ended at `ends_at`, or as before if it ends earlier."""
    return msgspec.structs.replace(record, ends_at=min(ends_at, record.ends_at or ends_at))
