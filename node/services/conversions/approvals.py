"""Four eyes: one person proposes, another approves, and the approving commit carries it out (specs/access.md §5)."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Final, TypeAlias, cast

import msgspec

from node.engine.work import Answer, CommandWork, Desk, Work
from node.services.answers import Document, EntryAnswer
from node.services.context import Context
from node.services.conversions.agreements import AgreementsService
from node.services.conversions.conversions import ConversionsService
from node.services.metadata import metadata_row
from node.services.pending import Pending
from node.services.program.program import ProgramService
from node.services.refusals import NodeCode, NodeRefusal
from node.services.render import document_of
from node.services.requests import ForceReleaseRequest, ProposalRequest
from protocol.agreement import agreement_digest
from protocol.approval_entries import (
    APPROVE_WITHIN_SECONDS_MAX,
    Action,
    ActionProposed,
    Adjustment,
    AgreementSigning,
    ConversionForcing,
    TermsSetting,
)
from protocol.encoding import JsonValue
from protocol.errors import Code, Refusal
from protocol.fields import later
from protocol.identifiers import Digest, Id
from protocol.ledger import rules
from protocol.ledger.approval_commands import AdjustPoints, ApproveAction, ProposeAction, RefuseAction
from protocol.ledger.approval_state import ActionRecord, ActionState
from protocol.ledger.expiry import last_day
from protocol.ledger.names import agreement_id
from protocol.ledger.program_commands import SetProgram
from protocol.ledger.view import Need, Overlay

APPROVE_WITHIN_HOURS: Final = 72
APPROVE_WITHIN_HOURS_MAX: Final = APPROVE_WITHIN_SECONDS_MAX // 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementKept:
    """Sign a proposal that is kept, a partner's or our own."""

    digest: Digest
    forced: bool


Proposed: TypeAlias = Adjustment | ConversionForcing | TermsSetting | AgreementKept | ProposalRequest
"""What can be asked for: an act as it will stand in the log, or an agreement by its digest or its terms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeRequest:
    """Propose `action`, whose entry will have the id `entry`; `by` is the credential of the person who does.

    An agreement's entry has an id of its own. `metadata` is a packed JSON object that says more
    (`node.services.metadata`): it is kept erasably.
    """

    id: Id
    entry: Id | None
    action: Proposed
    by: str
    within_hours: int = APPROVE_WITHIN_HOURS
    metadata: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveRequest:
    """Approve a proposal: `by` is the credential of another person than the one who proposed."""

    id: Id
    proposal: Id
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseRequest:
    """Let a proposal not be done, for a reason in one word."""

    id: Id
    proposal: Id
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalView:
    """What was proposed, by whom, and how far it has come; `expired` proposals can no longer be approved."""

    proposal: str
    entry: str
    state: str
    action: Document
    proposed_by: str
    proposed_at: str
    proposed_seq: int
    expires_at: str
    expired: bool
    decided_by: str | None
    decided_seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalPage:
    """Proposals, the latest first; `next` is the cursor of those before."""

    approvals: tuple[ApprovalView, ...]
    next: int | None


class ApprovalsService:
    """Proposes, approves, refuses and lists acts that two people answer for."""

    def __init__(
        self,
        context: Context,
        *,
        agreements: AgreementsService,
        conversions: ConversionsService,
        program: ProgramService,
    ) -> None:
        self._context = context
        self._agreements = agreements
        self._conversions = conversions
        self._program = program

    def propose(self, request: ProposeRequest) -> Pending[EntryAnswer]:
        """Let another person decide whether `request.action` is done."""
        action = self._action(request.action)
        if isinstance(action, AgreementSigning):
            entry = agreement_id(agreement_digest(action.agreement))
        elif request.entry is None:
            raise NodeRefusal(NodeCode.REQUEST_INVALID, "the entry that is proposed needs an id")
        else:
            entry = request.entry
        kept = metadata_row(request.metadata, self._context.randomness)
        command = ProposeAction(
            id=request.id,
            request=self._digest("ProposeRequest", _fields_of(request)),
            entry=entry,
            action=action,
            by=request.by,
            expires_at=later(self._context.now, seconds=request.within_hours * 3_600),
            metadata=None if kept is None else kept.digest,
        )
        return self._context.execute(command, [kept] if kept else [])

    def approve(self, request: ApproveRequest) -> Pending[EntryAnswer]:
        """Approve a proposal and do what it says, in one commit: both or neither."""
        entry = self._proposed(request.proposal)
        approve = ApproveAction(
            id=request.id,
            request=self._digest("ApproveRequest", asdict(request)),
            proposal=request.proposal,
            entry=entry.entry,
            by=request.by,
        )
        found = self._context.reader.action_of(request.proposal)
        if found is None or found[1].state is not ActionState.PROPOSED:
            # A repeat, or one too many: the rules say which.
            return self._context.execute(approve)
        future = self._context.writer.submit(_ApproveWork(approve, self._carried_out(entry)))
        future.add_done_callback(lambda _: self._agreements.wake())
        return Pending(future, self._context.render_first)

    def refuse(self, request: RefuseRequest) -> Pending[EntryAnswer]:
        """Let what was proposed not be done."""
        command = RefuseAction(
            id=request.id,
            request=self._digest("RefuseRequest", asdict(request)),
            proposal=request.proposal,
            entry=self._proposed(request.proposal).entry,
            by=request.by,
            reason=request.reason,
        )
        return self._context.execute(command)

    def show(self, proposal: Id) -> ApprovalView:
        """Return one proposal, or raise `action_unknown`."""
        found = self._context.reader.action_of(proposal)
        if found is None:
            raise _unknown(proposal)
        return self._view(*found)

    def page(self, *, state: ActionState | None, before: int | None, limit: int) -> ApprovalPage:
        """Return proposals, the latest first."""
        rows = self._context.reader.actions(state=state, before=before, limit=limit + 1)
        following = rows[limit - 1][1].proposed_seq if len(rows) > limit else None
        return ApprovalPage(approvals=tuple(self._view(*row) for row in rows[:limit]), next=following)

    def _action(self, asked: Proposed) -> Action:
        match asked:
            case AgreementKept():
                return AgreementSigning(agreement=self._agreements.kept(asked.digest), forced=asked.forced)
            case ProposalRequest():
                return AgreementSigning(agreement=self._agreements.draft(asked), forced=asked.forced)
            case Adjustment(expires_on=None) if asked.amount > 0:
                return msgspec.structs.replace(asked, expires_on=self._last_day())
            case TermsSetting():
                # Whoever approves sees the terms as they will be, with the offsets of their zone.
                return TermsSetting(terms=self._program.completed(asked.terms), reason=asked.reason)
            case _:
                return asked

    def _last_day(self) -> str | None:
        """Return the last day of points that are given today, as the program's rule has it; None for ever."""
        rule = self._program.terms.expiry
        if rule.kind == "never":
            return None
        return last_day(self._program.today, months=rule.months, round_to=rule.round_to)

    def _proposed(self, proposal: Id) -> ActionProposed:
        seq = self._context.reader.entry_seq_of_id(proposal)
        sealed = None if seq is None else self._context.entry(seq)
        if sealed is None or not isinstance(sealed.entry, ActionProposed):
            raise _unknown(proposal)
        return sealed.entry

    def _carried_out(self, entry: ActionProposed) -> Work[object]:
        """Return the work that does what a proposal says."""
        request = self._digest("CarriedOut", {"proposal": entry.id})
        match entry.action:
            case Adjustment():
                return CommandWork([AdjustPoints(id=entry.entry, request=request)])
            case ConversionForcing() as action:
                return CommandWork(
                    self._conversions.forcing(
                        ForceReleaseRequest(id=entry.entry, conversion=action.conversion, reason=action.reason),
                        request=request,
                    )
                )
            case TermsSetting() as action:
                return CommandWork(
                    [SetProgram(id=entry.entry, request=request, terms=action.terms, reason=action.reason)]
                )
            case AgreementSigning() as action:
                return self._agreements.signing(action.agreement, forced=action.forced)

    def _digest(self, kind: str, fields: Mapping[str, object]) -> Digest:
        return self._context.digests.digest(kind, cast("Mapping[str, JsonValue]", fields))

    def _view(self, entry: Id, record: ActionRecord) -> ApprovalView:
        proposed = record.state is ActionState.PROPOSED
        return ApprovalView(
            proposal=record.proposal,
            entry=entry,
            state=record.state.value,
            action=document_of(record.action),
            proposed_by=record.proposed_by,
            proposed_at=record.proposed_at,
            proposed_seq=record.proposed_seq,
            expires_at=record.expires_at,
            expired=proposed and not record.is_open(self._context.now),
            decided_by=record.decided_by,
            decided_seq=record.decided_seq,
        )


class _ApproveWork:
    """Approves, and does what was approved: neither without the other."""

    def __init__(self, approve: ApproveAction, carried_out: Work[object]) -> None:
        self._approve = approve
        self._carried_out = carried_out

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Yield what both read."""
        yield from rules.needs(view, self._approve)
        yield from self._carried_out.needs(view)

    def run(self, desk: Desk) -> list[Answer]:
        """Return the approval."""
        answer = desk.execute(self._approve)
        self._carried_out.run(desk)
        return [answer]


def _fields_of(request: ProposeRequest) -> Mapping[str, object]:
    """Return what was asked, as it was asked: an agreement's terms without the times that the node fills in."""
    return {
        "id": request.id,
        "entry": request.entry,
        "as": type(request.action).__name__,
        "action": msgspec.to_builtins(request.action),
        "by": request.by,
        "within_hours": request.within_hours,
        "metadata": request.metadata,
    }


def _unknown(proposal: Id) -> Refusal:
    return Refusal(Code.ACTION_UNKNOWN, f"there is no proposal {proposal}")
