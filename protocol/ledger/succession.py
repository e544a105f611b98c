"""A ledger that goes on as a successor: what its genesis must say, and the gate that is shut while partners give back.

Until every partner has given back what it holds of the words that were lost, or an operator goes on without it, nothing
moves but what partners say and have said (specs/succession.md).
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from protocol import entries
from protocol import recovery_entries as kinds
from protocol import window_entries as windows
from protocol.encoding import ZERO_DIGEST
from protocol.entries import AnyEntry, Genesis
from protocol.errors import Code, Refusal
from protocol.identifiers import Digest, Ledger, first_of, generation_of, successor_of
from protocol.ledger import commands
from protocol.ledger.commands import (
    AnyCommand,
    BeginRecovery,
    EndRecovery,
    OverrideStart,
    TakeSuccession,
    WaiveRecovery,
)
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.names import recovery_id
from protocol.ledger.partners import known_partner
from protocol.ledger.postings import ledger_record
from protocol.ledger.state import HEAD, IDS, LEDGER, ONLY, PARTNERS, Head, LedgerRecord, PartnerRecord
from protocol.ledger.view import Need, Overlay, View, need
from protocol.member_entries import LinkRevoked
from protocol.messages import Predecessor, body_digest, encode_body
from protocol.recovery_entries import (
    PartnerSucceeded,
    RecoveryBegun,
    RecoveryEnded,
    RecoveryWaived,
    StartOverridden,
    succession_received,
)

_ENTERED: Final = (
    Genesis, kinds.RecoveryBegun, kinds.RecoveryWaived, kinds.Recovered, kinds.RecoveryEnded, kinds.PartnerSucceeded,
    kinds.StartOverridden, entries.AgreementEntered, entries.ConversionCaptured, entries.ConversionReleased,
    windows.WindowCloseReceived, windows.DisputeReceived, windows.PaymentReceived, windows.ReceiptReceived,
)  # fmt: skip
"""What a successor enters while it waits: what it recovers, and what partners have said that is final by itself."""

_DECIDED: Final = (
    commands.CreateLedger, commands.BeginRecovery, commands.WaiveRecovery, commands.Recover, commands.EndRecovery,
    commands.TakeSuccession, commands.OverrideStart, commands.EnterAgreement, commands.ConcludeFulfil,
    commands.ConcludeReject, commands.TakeEnd, commands.TakeUnlink, commands.ReceiveClose, commands.ReceiveDispute,
    commands.ReceivePayment, commands.ReceiveReceipt,
)  # fmt: skip


def place_of(view: View, entry: AnyEntry) -> tuple[int, Digest]:
    """Return the sequence number and the leaf before it that `entry` must have.

    A successor's genesis comes after all that anybody has seen of the log before, and begins a chain of its own.
    """
    head = view.get(HEAD, ONLY) or Head()
    if type(entry) is Genesis and head.size and entry.predecessor is not None:
        return entry.predecessor.first_seq + entry.predecessor.size, ZERO_DIGEST
    return head.size, head.leaf


def check_gate(record: LedgerRecord, entry: AnyEntry) -> None:
    """Refuse what a successor does not enter while it waits for its words."""
    if isinstance(entry, _ENTERED):
        return
    if isinstance(entry, entries.AgreementEnded | LinkRevoked) and entry.notice is not None:
        return
    # To the first party an agreed statement is the partner's word; the second one would sign it.
    if isinstance(entry, windows.StatementAgreed) and record.ledger < entry.partner:
        return
    _refuse(record)


def check_command(record: LedgerRecord, command: AnyCommand) -> None:
    """Refuse a command whose entry the gate would refuse, before anything else about it is told."""
    if isinstance(command, _DECIDED):
        return
    if isinstance(command, commands.AgreeStatement) and command.signature is None:
        return
    _refuse(record)


def _refuse(record: LedgerRecord) -> None:
    raise Refusal(Code.RECOVERING, f"{record.log} waits for its words from {', '.join(record.recovering)}")


def apply_succession(view: View, own: LedgerRecord, entry: Genesis) -> None:
    """Go on as another log; all partners are to give back what they hold of the one before."""
    before = entry.predecessor
    assert before is not None, "a second genesis names the log before"
    if first_of(entry.ledger) != own.ledger or successor_of(before.ledger) != entry.ledger:
        raise Refusal(Code.SUCCESSION_INVALID, f"{entry.ledger} does not come after {before.ledger}")
    _check_restored(own, (view.get(HEAD, ONLY) or Head()).size, before)
    if (entry.points, entry.currencies, entry.keys) != (own.points, own.currencies, own.keys):
        raise Refusal(Code.SUCCESSION_INVALID, "a successor keeps points, currencies and keys")
    changed = msgspec.structs.replace(
        own, log=entry.ledger, first_seq=entry.seq, predecessor=before, recovering=own.partners
    )
    view.put(LEDGER, ONLY, changed)


def _check_restored(own: LedgerRecord, end: int, before: Predecessor) -> None:
    """Refuse a predecessor of which this ledger, with its next entry at `end`, is not what was restored."""
    if before.restored_size != end - own.first_seq:
        raise Refusal(Code.SUCCESSION_INVALID, f"{end - own.first_seq} entries were restored of {own.log}")
    if before.ledger != own.log:
        # The copy is older than the succession before this one: of the log that was lost with it, nothing is here.
        if generation_of(before.ledger) < generation_of(own.log) or before.first_seq < end:
            raise Refusal(Code.SUCCESSION_INVALID, f"what was restored goes on to {own.log}")
        return
    if before.first_seq != own.first_seq or before.restored_size > before.size:
        raise Refusal(Code.SUCCESSION_INVALID, "the log before does not reach as far as what was restored of it")
    if (before.restored_size, before.restored_root) == (before.size, before.root):
        raise Refusal(Code.SUCCESSION_INVALID, f"nothing of {own.log} was lost")


def needs_recovery(
    view: Overlay, command: BeginRecovery | WaiveRecovery | EndRecovery | TakeSuccession
) -> Iterator[Need]:
    """Name the partner, and whether its recovery has begun."""
    partner = command.succeeded.sender if isinstance(command, TakeSuccession) else command.partner
    yield need(PARTNERS, partner)
    yield need(IDS, recovery_id(ledger_record(view).log, partner))


def needs_override(_view: Overlay, command: OverrideStart) -> Iterator[Need]:
    """Name the partners."""
    for partner in command.partners:
        yield need(PARTNERS, partner)


def _predecessor(view: View) -> Predecessor:
    before = ledger_record(view).predecessor
    if before is None:
        raise Refusal(Code.SUCCESSION_INVALID, "this ledger succeeds no other")
    return before


def decide_begin(view: View, command: BeginRecovery, moment: Moment) -> RecoveryBegun:
    """Propose to ask a partner for our words."""
    return RecoveryBegun(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=known_partner(view, command.partner).network,
        partner=command.partner,
        predecessor=_predecessor(view),
        seen=command.seen,
        words=command.words,
    )


def apply_begin(view: View, entry: RecoveryBegun) -> None:
    """Wait for a partner's words; also for one that was gone when the successor began, and is back."""
    _check_partner(view, entry)
    before = _check_predecessor(view, entry)
    seen = entry.seen
    if seen is not None and (seen.size > before.size or (seen.size == before.size and seen.root != before.root)):
        raise Refusal(Code.SUCCESSION_INVALID, f"{entry.partner} has seen more of {before.ledger} than genesis names")
    own = ledger_record(view)
    if entry.partner not in own.recovering:
        view.put(LEDGER, ONLY, msgspec.structs.replace(own, recovering=(*own.recovering, entry.partner)))


def decide_waive(view: View, command: WaiveRecovery, moment: Moment) -> RecoveryWaived:
    """Propose to go on without a partner's words."""
    return RecoveryWaived(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=known_partner(view, command.partner).network,
        partner=command.partner,
        predecessor=_predecessor(view),
        reason=command.reason,
    )


def apply_waive(view: View, entry: RecoveryWaived) -> None:
    """Go on without what the partner has not given back."""
    _check_partner(view, entry)
    _check_predecessor(view, entry)
    _end(view, entry.partner)


def decide_end(view: View, command: EndRecovery, moment: Moment) -> RecoveryEnded:
    """Propose that a partner has given back all it holds."""
    return RecoveryEnded(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=known_partner(view, command.partner).network,
        partner=command.partner,
        log=ledger_record(view).log,
        words=command.words,
    )


def apply_end(view: View, entry: RecoveryEnded) -> None:
    """Note that the partner has given back all it holds."""
    _check_partner(view, entry)
    own = ledger_record(view)
    if entry.log != own.log or view.get(IDS, recovery_id(own.log, entry.partner)) is None:
        raise Refusal(Code.RECOVERY_MISMATCH, f"no recovery from {entry.partner} has begun in this log")
    _end(view, entry.partner)


def _end(view: View, partner: Ledger) -> None:
    own = ledger_record(view)
    check_recovering(own, partner)
    left = tuple(each for each in own.recovering if each != partner)
    view.put(LEDGER, ONLY, msgspec.structs.replace(own, recovering=left))


def check_recovering(own: LedgerRecord, partner: Ledger) -> None:
    """Refuse unless this ledger waits for its words from `partner`."""
    if partner not in own.recovering:
        raise Refusal(Code.RECOVERY_MISMATCH, f"{own.log} does not wait for words from {partner}")


def _check_partner(
    view: View, entry: RecoveryBegun | RecoveryWaived | RecoveryEnded | PartnerSucceeded
) -> PartnerRecord:
    partner = known_partner(view, entry.partner)
    if partner.network != entry.network:
        raise Refusal(Code.PARTNER_MISMATCH, "the recovery is of another network")
    return partner


def _check_predecessor(view: View, entry: RecoveryBegun | RecoveryWaived) -> Predecessor:
    before = _predecessor(view)
    if entry.predecessor != before:
        raise Refusal(Code.SUCCESSION_INVALID, "genesis names another log before this one")
    return before


def decide_take(_view: View, command: TakeSuccession, moment: Moment) -> PartnerSucceeded:
    """Propose to know a partner's ledger by its next log."""
    succeeded = command.succeeded
    return PartnerSucceeded(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=succeeded.network,
        partner=succeeded.sender,
        log=succeeded.log,
        predecessor=succeeded.predecessor,
        succession=command.digest,
        partner_entry=succeeded.entry,
    )


def apply_take(view: View, entry: PartnerSucceeded) -> None:
    """Know the partner's ledger by its next log, which begins after all that was seen of the one before."""
    partner = _check_partner(view, entry)
    answer = succession_received(entry, ledger=ledger_record(view).ledger)
    if not entry.request == entry.succession == body_digest(encode_body(answer)):
        raise Refusal(Code.DECISION_MISMATCH, "the entry does not cite the body that it repeats")
    before = entry.predecessor
    if first_of(entry.log) != entry.partner or successor_of(before.ledger) != entry.log:
        raise Refusal(Code.SUCCESSION_INVALID, f"{entry.log} does not come after {before.ledger}")
    if generation_of(entry.log) <= generation_of(partner.log):
        raise Refusal(Code.SUCCESSION_INVALID, f"{entry.partner} has gone on to {partner.log} before")
    first_seq = before.first_seq + before.size
    known = before.ledger != partner.log or before.first_seq == partner.log_first_seq
    if not known or before.first_seq < partner.log_first_seq or entry.partner_entry.seq <= first_seq:
        raise Refusal(Code.SUCCESSION_INVALID, "the logs of the partner overlap")
    view.put(PARTNERS, entry.partner, msgspec.structs.replace(partner, log=entry.log, log_first_seq=first_seq))


def decide_override(_view: View, command: OverrideStart, moment: Moment) -> StartOverridden:
    """Propose to note what an operator did not wait for."""
    return StartOverridden(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        partners=command.partners,
        witnesses=command.witnesses,
        reason=command.reason,
    )


def apply_override(view: View, entry: StartOverridden) -> None:
    """Note what an operator did not wait for: nothing moves."""
    for partner in entry.partners:
        known_partner(view, partner)
