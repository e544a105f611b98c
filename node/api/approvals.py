"""`/v1/approvals`: what one person proposes and another approves."""

from abc import ABC, abstractmethod
from http import HTTPStatus
from typing import Annotated, Final, Literal, TypeAlias

from fastapi import Path, Request
from pydantic import Field
from starlette.responses import Response

from node.api.agreements import ProposeBody
from node.api.auth import caller_of
from node.api.fields import Body, Cursor, DayText, DigestText, HolderText, IdText, Limit, MetadataField, ReasonText
from node.api.program import ProgramTermsBody
from node.api.routes import COMMANDS, READS, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.answers import OtherAnswer, encode_answer
from node.services.conversions.approvals import (
    APPROVE_WITHIN_HOURS,
    APPROVE_WITHIN_HOURS_MAX,
    AgreementKept,
    ApprovalPage,
    ApprovalView,
    ApproveRequest,
    Proposed,
    ProposeRequest,
    RefuseRequest,
)
from node.services.metadata import pack_metadata
from node.services.refusals import NodeCode
from protocol.approval_entries import Adjustment, ConversionForcing, TermsSetting
from protocol.errors import Code
from protocol.identifiers import Account, Digest, Id
from protocol.ledger.approval_state import ActionState
from protocol.limits import INTEGER_MAX
from protocol.program import read_terms

ROUTER: Final = router("approvals", "/v1/approvals")
_READ: Final = [requires(Scope.APPROVALS_READ)]
_WRITE: Final = [requires(Scope.APPROVALS_WRITE)]
_DECIDE: Final = [requires(Scope.APPROVALS_DECIDE)]

ProposalPath: TypeAlias = Annotated[IdText, Path()]


class _Action(Body, ABC):
    """What is proposed: the id of the entry by which it will be done, where that is free, and who may propose it."""

    @property
    def entry_id(self) -> Id | None:
        """Return the id that the entry will have, or None where it has an id by nature."""
        return None

    @property
    @abstractmethod
    def scope(self) -> Scope:
        """Return what whoever proposes this must be allowed."""

    @abstractmethod
    def action(self) -> Proposed:
        """Return what is proposed."""


class _Named(_Action):
    entry: IdText

    @property
    def entry_id(self) -> Id | None:
        """Return the id that the entry will have."""
        return Id(self.entry)


class AdjustmentBody(_Named):
    """Give `account` points at the program's cost, or with a negative `amount` take some; `appeal` is then decided.

    Points that are given last until `expires_on`: if it is left out, as long as the program's rule says of today's.
    """

    type: Literal["adjustment"]
    account: HolderText
    amount: Annotated[int, Field(ge=-INTEGER_MAX, le=INTEGER_MAX, examples=[500])]
    expires_on: DayText | None = None
    reason: ReasonText
    appeal: IdText | None = None

    @property
    def scope(self) -> Scope:
        """Return what whoever proposes this must be allowed."""
        return Scope.APPROVALS_WRITE

    def action(self) -> Proposed:
        """Return what is proposed."""
        return Adjustment(
            account=Account(self.account),
            amount=self.amount,
            expires_on=self.expires_on,
            reason=self.reason,
            appeal=None if self.appeal is None else Id(self.appeal),
        )


class ForcedReleaseBody(_Named):
    """Give the points of an undecided conversion back without the partner's word."""

    type: Literal["forced_release"]
    conversion: IdText
    reason: ReasonText

    @property
    def scope(self) -> Scope:
        """Return what whoever proposes this must be allowed."""
        return Scope.CONVERSIONS_FORCE

    def action(self) -> Proposed:
        """Return what is proposed."""
        return ConversionForcing(conversion=Id(self.conversion), reason=self.reason)


class TermsSettingBody(_Named):
    """Let the program have these terms."""

    type: Literal["program"]
    terms: ProgramTermsBody
    reason: ReasonText

    @property
    def scope(self) -> Scope:
        """Return what whoever proposes this must be allowed."""
        return Scope.PROGRAM_WRITE

    def action(self) -> Proposed:
        """Return what is proposed."""
        return TermsSetting(terms=read_terms(encode_answer(self.terms.model_dump())), reason=self.reason)


class AgreementKeptBody(_Action):
    """Sign a proposal that a partner has sent, by its `digest`."""

    type: Literal["agreement"]
    digest: DigestText
    force: bool = False

    @property
    def scope(self) -> Scope:
        """Return what whoever proposes this must be allowed."""
        return Scope.AGREEMENTS_WRITE

    def action(self) -> Proposed:
        """Return what is proposed."""
        return AgreementKept(digest=Digest(self.digest), forced=self.force)


class AgreementTermsBody(_Action):
    """Sign these terms and send them to the partner."""

    type: Literal["agreement_terms"]
    offer: ProposeBody

    @property
    def scope(self) -> Scope:
        """Return what whoever proposes this must be allowed."""
        return Scope.AGREEMENTS_WRITE

    def action(self) -> Proposed:
        """Return what is proposed."""
        return self.offer.request()


class ProposeActionBody(Body):
    """Propose an `action` to a second person; `id` names the proposal, the action's `entry` what it will be done by.

    `metadata` says more than the reason's one word: it may name people, and can be erased.
    """

    id: IdText
    action: Annotated[
        AdjustmentBody | ForcedReleaseBody | TermsSettingBody | AgreementKeptBody | AgreementTermsBody,
        Field(discriminator="type"),
    ]
    within_hours: Annotated[int, Field(ge=1, le=APPROVE_WITHIN_HOURS_MAX)] = APPROVE_WITHIN_HOURS
    metadata: MetadataField | None = None


class ApproveBody(Body):
    """Approve: `id` names this request."""

    id: IdText


class RefuseBody(Body):
    """Refuse, for a reason in one word; `id` names this request."""

    id: IdText
    reason: ReasonText


@ROUTER.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(
        OtherAnswer,
        *COMMANDS,
        NodeCode.PROPOSAL_UNKNOWN,
        Code.ACTION_EXISTS,
        Code.AGREEMENT_EXISTS,
        Code.AGREEMENT_INVALID,
        Code.AGREEMENT_LOOP,
        Code.AMOUNT_INVALID,
        Code.ASSETS_INVALID,
        Code.ID_INVALID,
        Code.PARTNER_UNKNOWN,
        Code.PROGRAM_INVALID,
        "encoding_invalid",
        status=HTTPStatus.CREATED,
    ),
)
def propose_action(request: Request, body: ProposeActionBody, node: NodeDependency) -> Response:
    """Propose an act that another person is to approve."""
    caller = caller_of(request)
    caller.require(body.action.scope)
    asked = ProposeRequest(
        id=Id(body.id),
        entry=body.action.entry_id,
        action=body.action.action(),
        by=caller.id,
        within_hours=body.within_hours,
        metadata=pack_metadata(body.metadata),
    )
    return answered(node.approvals.propose(asked).result(), HTTPStatus.CREATED)


@ROUTER.get("", dependencies=_READ, responses=answers(ApprovalPage, *READS))
def list_approvals(
    node: NodeDependency,
    state: ActionState | None = None,
    before: Cursor | None = None,
    limit: Limit = 100,
) -> Response:
    """List what was proposed, the latest first."""
    return answered(node.approvals.page(state=state, before=before, limit=limit))


@ROUTER.get("/{proposal}", dependencies=_READ, responses=answers(ApprovalView, *READS, Code.ACTION_UNKNOWN))
def show_approval(proposal: ProposalPath, node: NodeDependency) -> Response:
    """Show what was proposed, by whom, and how far it has come."""
    return answered(node.approvals.show(Id(proposal)))


@ROUTER.post(
    "/{proposal}/approve",
    status_code=HTTPStatus.CREATED,
    dependencies=_DECIDE,
    responses=answers(
        OtherAnswer,
        *COMMANDS,
        NodeCode.PROPOSALS_CROSS,
        NodeCode.SIGNER_REFUSED,
        NodeCode.SIGNER_UNAVAILABLE,
        Code.ACCOUNT_CLOSED,
        Code.ACCOUNT_FROZEN,
        Code.ACCOUNT_UNKNOWN,
        Code.ACTION_DECIDED,
        Code.ACTION_EXPIRED,
        Code.ACTION_UNKNOWN,
        Code.AGREEMENT_EXISTS,
        Code.AGREEMENT_INVALID,
        Code.AGREEMENT_LAPSED,
        Code.AGREEMENT_LOOP,
        Code.APPEAL_DECIDED,
        Code.APPEAL_MISMATCH,
        Code.APPEAL_UNKNOWN,
        Code.APPROVAL_MISSING,
        Code.ASSETS_INVALID,
        Code.BALANCE_OVERFLOW,
        Code.CONVERSION_DECIDED,
        Code.CONVERSION_UNKNOWN,
        Code.FOUR_EYES,
        Code.INSUFFICIENT_POINTS,
        Code.PARTNER_MISMATCH,
        Code.PARTNER_SUSPENDED,
        Code.PARTNER_UNKNOWN,
        Code.PROGRAM_INVALID,
        Code.PROGRAM_UNCHANGED,
        status=HTTPStatus.CREATED,
    ),
)
def approve_action(request: Request, proposal: ProposalPath, body: ApproveBody, node: NodeDependency) -> Response:
    """Approve what another person has proposed: it is carried out in the same commit."""
    asked = ApproveRequest(id=Id(body.id), proposal=Id(proposal), by=caller_of(request).id)
    return answered(node.approvals.approve(asked).result(), HTTPStatus.CREATED)


@ROUTER.post(
    "/{proposal}/refuse",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(
        OtherAnswer,
        *COMMANDS,
        Code.ACTION_DECIDED,
        Code.ACTION_EXPIRED,
        Code.ACTION_UNKNOWN,
        status=HTTPStatus.CREATED,
    ),
)
def refuse_action(request: Request, proposal: ProposalPath, body: RefuseBody, node: NodeDependency) -> Response:
    """Let what was proposed not be done; whoever proposed it takes it back so."""
    caller = caller_of(request)
    asked = RefuseRequest(id=Id(body.id), proposal=Id(proposal), by=caller.id, reason=body.reason)
    if node.approvals.show(asked.proposal).proposed_by != caller.id:
        caller.require(Scope.APPROVALS_DECIDE)
    return answered(node.approvals.refuse(asked).result(), HTTPStatus.CREATED)
