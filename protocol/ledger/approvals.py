"""Four eyes: what one person proposes, another approves, and the ledger does once (specs/access.md §5).

An adjustment always needs two people; agreements, forced releases and the program's terms do while the terms say so.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.agreement import agreement_digest, check_agreement
from protocol.approval_entries import (
    APPROVE_WITHIN_SECONDS_MAX,
    ActionApproved,
    ActionProposed,
    ActionRefused,
    Adjustment,
    AgreementSigning,
    ConversionForcing,
    TermsSetting,
)
from protocol.entries import AgreementEntered, ConversionForced
from protocol.errors import AgreementInvalid, Code, IdentifierInvalid, Refusal
from protocol.fields import later
from protocol.identifiers import Id, parse_id
from protocol.ledger.approval_commands import ApproveAction, ProposeAction, RefuseAction
from protocol.ledger.approval_state import ACTIONS, ActionRecord, ActionState
from protocol.ledger.moment import Moment, check_time, occurred
from protocol.ledger.names import agreement_id
from protocol.ledger.postings import ledger_record
from protocol.ledger.program_state import PROGRAM
from protocol.ledger.state import IDS, ONLY
from protocol.ledger.view import Need, Overlay, View, need
from protocol.program_entries import ProgramSet


def needs_propose(_view: Overlay, command: ProposeAction) -> Iterator[Need]:
    """Name the entry that is proposed, by its id."""
    yield need(ACTIONS, command.entry)
    yield need(IDS, command.entry)


def decide_propose(_view: View, command: ProposeAction, moment: Moment) -> ActionProposed:
    """Propose an act that a second person is to approve."""
    check_time(command.expires_at)
    return ActionProposed(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        entry=command.entry,
        action=command.action,
        by=command.by,
        expires_at=command.expires_at,
        metadata=command.metadata,
    )


def apply_proposed(view: View, entry: ActionProposed) -> None:
    """Take note of a proposal, unless its act was done, was approved, or waits for a second person already."""
    _check_named(entry)
    if isinstance(entry.action, Adjustment) and not entry.action.amount:
        raise Refusal(Code.AMOUNT_INVALID, "an adjustment gives points or takes some")
    if not entry.time < entry.expires_at <= later(entry.time, seconds=APPROVE_WITHIN_SECONDS_MAX):
        raise Refusal(Code.DATE_INVALID, f"a proposal ends within {APPROVE_WITHIN_SECONDS_MAX} seconds")
    _check_untaken(view, entry.entry)
    before = view.get(ACTIONS, entry.entry)
    if before is not None and (before.state is ActionState.APPROVED or before.is_open(entry.time)):
        raise Refusal(Code.ACTION_EXISTS, f"{entry.entry} is proposed already, by entry {before.proposed_seq}")
    record = ActionRecord(
        action=entry.action,
        state=ActionState.PROPOSED,
        proposal=entry.id,
        proposed_by=entry.by,
        proposed_at=entry.time,
        proposed_seq=entry.seq,
        expires_at=entry.expires_at,
    )
    view.put(ACTIONS, entry.entry, record)


def _check_named(entry: ActionProposed) -> None:
    """Refuse a proposal of an entry that could never have the id that it names."""
    if isinstance(entry.action, AgreementSigning):
        try:
            check_agreement(entry.action.agreement)
            expected = agreement_id(agreement_digest(entry.action.agreement))
        except AgreementInvalid as error:
            raise Refusal(Code.AGREEMENT_INVALID, str(error)) from error
        if entry.entry != expected:
            raise Refusal(Code.ID_INVALID, f"the id of the proposed entry is {expected}")
        return
    try:
        parse_id(entry.entry)
    except IdentifierInvalid as error:
        raise Refusal(Code.ID_INVALID, str(error)) from error
    if entry.entry == entry.id:
        raise Refusal(Code.ID_INVALID, "a proposal and the entry that it proposes have ids of their own")


def _check_untaken(view: View, entry: Id) -> None:
    if view.get(IDS, entry) is not None:
        raise Refusal(Code.ID_REUSED, f"the id {entry} is taken: what it was for is done")


def needs_decision(_view: Overlay, command: ApproveAction | RefuseAction) -> Iterator[Need]:
    """Name the act."""
    yield need(ACTIONS, command.entry)
    yield need(IDS, command.entry)


def decide_approve(_view: View, command: ApproveAction, moment: Moment) -> ActionApproved:
    """Propose that an act is wanted by a second person."""
    return ActionApproved(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        proposal=command.proposal,
        entry=command.entry,
        by=command.by,
    )


def apply_approved(view: View, entry: ActionApproved) -> None:
    """Let an act be done that another person than this one has proposed, while the proposal stands."""
    record = _undecided(view, entry)
    if entry.by == record.proposed_by:
        raise Refusal(Code.FOUR_EYES, "whoever proposed this cannot approve it: another person must")
    _check_untaken(view, entry.entry)
    _decide(view, entry, record, ActionState.APPROVED)


def decide_refuse(_view: View, command: RefuseAction, moment: Moment) -> ActionRefused:
    """Propose that an act is not done."""
    return ActionRefused(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        proposal=command.proposal,
        entry=command.entry,
        by=command.by,
        reason=command.reason,
    )


def apply_refused(view: View, entry: ActionRefused) -> None:
    """Let an act not be done; whoever proposed it may refuse it, too."""
    _decide(view, entry, _undecided(view, entry), ActionState.REFUSED)


def _undecided(view: View, entry: ActionApproved | ActionRefused) -> ActionRecord:
    record = view.get(ACTIONS, entry.entry)
    if record is None or record.proposal != entry.proposal:
        raise Refusal(Code.ACTION_UNKNOWN, f"nothing stands under the proposal {entry.proposal}")
    if record.state is not ActionState.PROPOSED:
        raise Refusal(Code.ACTION_DECIDED, f"this was decided by entry {record.decided_seq}")
    if not record.is_open(entry.time):
        raise Refusal(Code.ACTION_EXPIRED, f"the proposal ended at {record.expires_at}: propose it again")
    return record


def _decide(view: View, entry: ActionApproved | ActionRefused, record: ActionRecord, state: ActionState) -> None:
    decided = msgspec.structs.replace(record, state=state, decided_by=entry.by, decided_seq=entry.seq)
    view.put(ACTIONS, entry.entry, decided)


# --- What is done once it is approved.


def needs_approval(entry: Id) -> Need:
    """Name the row that says whether two people want the entry with the id `entry`."""
    return need(ACTIONS, entry)


def check_agreement_approved(view: View, entry: AgreementEntered) -> None:
    """Refuse an agreement that two people were to want and did not.

    What a successor's partner gives back was approved before, perhaps by entries that the store has lost.
    """
    if not ledger_record(view).recovering:
        _check(view, entry.id, AgreementSigning(agreement=entry.signed.agreement, forced=entry.forced))


def check_force_approved(view: View, entry: ConversionForced) -> None:
    """Refuse a forced release that two people were to want and did not."""
    _check(view, entry.id, ConversionForcing(conversion=entry.conversion, reason=entry.reason))


def check_terms_approved(view: View, entry: ProgramSet) -> None:
    """Refuse terms that two people were to want and did not: the terms before them say so."""
    _check(view, entry.id, TermsSetting(terms=entry.terms, reason=entry.reason))


def _check(view: View, entry: Id, action: AgreementSigning | ConversionForcing | TermsSetting) -> None:
    program = view.get(PROGRAM, ONLY)
    record = view.get(ACTIONS, entry)
    if (program is not None and program.terms.four_eyes) or record is not None:
        done(view, entry, approved(view, entry, action))


def approved(view: View, entry: Id, action: msgspec.Struct) -> ActionRecord:
    """Return the act whose entry has the id `entry`, or refuse unless two people want exactly `action`."""
    record = view.get(ACTIONS, entry)
    if record is None or record.state is not ActionState.APPROVED or record.action != action:
        raise Refusal(Code.APPROVAL_MISSING, "two people must want this: one proposes it, another approves")
    return record


def done(view: View, entry: Id, record: ActionRecord) -> None:
    """Note that an approved act is done: never again."""
    view.put(ACTIONS, entry, msgspec.structs.replace(record, state=ActionState.DONE))


NEEDS: Final = {ProposeAction: needs_propose, ApproveAction: needs_decision, RefuseAction: needs_decision}
DECIDE: Final = {ProposeAction: decide_propose, ApproveAction: decide_approve, RefuseAction: decide_refuse}
APPLY: Final = {ActionProposed: apply_proposed, ActionApproved: apply_approved, ActionRefused: apply_refused}
