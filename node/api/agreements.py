"""`/v1/agreements`: the terms with each partner, signed by both."""

from http import HTTPStatus
from typing import Annotated, Final, Literal

from fastapi import Path
from pydantic import Field, model_validator
from starlette.responses import Response

from node.api.fields import (
    AmountField,
    AssetText,
    Body,
    DigestText,
    DocumentField,
    LedgerText,
    PromotionText,
    TimeText,
    encode_document,
)
from node.api.routes import COMMANDS, READS, WRITES, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.answers import AgreementAnswer, EndedAnswer
from node.services.conversions.agreements import AgreementList, AgreementView, ProposalList, ProposalView
from node.services.conversions.rate_checks import RateReport
from node.services.refusals import NodeCode
from node.services.requests import DirectionTerms, EndRequest, ProposalRequest
from protocol.agreement import InFlightLimits, MemberLimits, Promotion
from protocol.errors import Code
from protocol.identifiers import Digest, Ledger
from protocol.limits import AGREEMENT_PROMOTIONS_MAX, INTEGER_MAX
from protocol.points import Step

ROUTER: Final = router("agreements", "/v1/agreements")
_READ: Final = [requires(Scope.PARTNERS_READ)]
_WRITE: Final = [requires(Scope.AGREEMENTS_WRITE)]
_PAPER: Final = ("agreement_invalid", "encoding_invalid", "key_invalid", "signature_invalid")

_Natural = Annotated[int, Field(ge=0, le=INTEGER_MAX)]


class StepBody(Body):
    """Every `source` points give `destination` points; only whole steps are converted."""

    source: AmountField
    destination: AmountField


class FeeBody(Body):
    """Source points that the member pays beside those converted."""

    points_per_conversion: _Natural = 0
    points_per_step: _Natural = 0


class MemberLimitsBody(Body):
    """What one member may send and receive in a day and in a year (UTC); null is no limit."""

    out_points_per_day: AmountField | None = None
    out_points_per_year: AmountField | None = None
    in_points_per_day: AmountField | None = None
    in_points_per_year: AmountField | None = None


class InFlightBody(Body):
    """How many conversions, and of what value in millionths, may be undecided at once; null is no limit."""

    conversions: AmountField | None = None
    value: AmountField | None = None


class PromotionBody(Body):
    """Another step from `starts_at` until `ends_at`, until it has given `budget_points`."""

    name: PromotionText
    starts_at: TimeText
    ends_at: TimeText
    step: StepBody
    price: _Natural
    budget_points: AmountField | None = None


class DirectionBody(Body):
    """The terms of converting out of the ledger `source`; `price` is in millionths of the currency, a step."""

    source: LedgerText
    step: StepBody
    price: _Natural
    steps_min: AmountField = 1
    steps_max: AmountField = 1_000_000
    fee: FeeBody = FeeBody()
    expiry_days: Annotated[int, Field(ge=1, le=36_525)] | None = None
    member_limits: MemberLimitsBody = MemberLimitsBody()
    in_flight: InFlightBody = InFlightBody()
    cap: AmountField | None = None
    promotions: Annotated[list[PromotionBody], Field(max_length=AGREEMENT_PROMOTIONS_MAX, default_factory=list)]


class WindowsBody(Body):
    """Settlement windows: `hours` long from `starts_at`; payment is due `due_days` after each closes."""

    starts_at: TimeText | None = None
    hours: Annotated[int, Field(ge=1, le=8_784)] = 168
    due_days: Annotated[int, Field(ge=0, le=366)] = 14
    minor_unit: AmountField = 10_000


class TransportBody(Body):
    """How envelopes travel, and how often."""

    kind: Literal["https", "answers", "files"] = "https"
    cycle_seconds: Annotated[int, Field(ge=0, le=2_678_400)] = 0


class TermsBody(Body):
    """What the two operators have agreed; the node adds network, parties, keys and number."""

    currency: AssetText
    directions: Annotated[list[DirectionBody], Field(min_length=2, max_length=2)]
    valid_from: TimeText | None = None
    valid_until: TimeText | None = None
    quote_life_seconds: Annotated[int, Field(ge=1, le=86_400)] = 900
    notice_days: Annotated[int, Field(ge=0, le=366)] = 30
    windows: WindowsBody = WindowsBody()
    transport: TransportBody = TransportBody()


class ProposeBody(Body):
    """Propose `terms` to `partner`; `force` allows terms by which points grow there and back."""

    partner: LedgerText
    terms: TermsBody
    force: bool = False

    def request(self) -> ProposalRequest:
        """Return what is asked."""
        terms = self.terms
        return ProposalRequest(
            partner=Ledger(self.partner),
            currency=terms.currency,
            directions=tuple(map(_direction, terms.directions)),
            valid_from=terms.valid_from,
            valid_until=terms.valid_until,
            quote_life_seconds=terms.quote_life_seconds,
            notice_days=terms.notice_days,
            windows_start_at=terms.windows.starts_at,
            window_hours=terms.windows.hours,
            due_days=terms.windows.due_days,
            minor_unit=terms.windows.minor_unit,
            transport=terms.transport.kind,
            cycle_seconds=terms.transport.cycle_seconds,
            forced=self.force,
        )


class AcceptAgreementBody(Body):
    """Accept a `proposal` given as its document, or one that was received, by its `digest`."""

    proposal: DocumentField | None = None
    digest: DigestText | None = None
    force: bool = False

    @model_validator(mode="after")
    def one_of_both(self) -> "AcceptAgreementBody":
        """Refuse none and both."""
        if (self.proposal is None) == (self.digest is None):
            raise ValueError("either a proposal or a digest is expected")
        return self


class CheckBody(Body):
    """Check all agreements that still count, with a `proposal` given as its document or kept under its `digest`.

    With `at`, what holds at that time; without, everything that they ever promise, since points can wait.
    """

    proposal: DocumentField | None = None
    digest: DigestText | None = None
    at: TimeText | None = None


class EndBody(Body):
    """Give the partner notice that an agreement ends."""

    ends_at: TimeText


@ROUTER.get("", dependencies=_READ, responses=answers(AgreementList, *READS))
def list_agreements(node: NodeDependency) -> Response:
    """List the agreements that were entered, newest first."""
    return answered(node.agreements.all())


@ROUTER.get("/proposals", dependencies=_READ, responses=answers(ProposalList, *READS))
def list_proposals(node: NodeDependency) -> Response:
    """List the proposals, sent and received, that are not entered."""
    return answered(node.agreements.proposals())


@ROUTER.get("/{digest}", dependencies=_READ, responses=answers(AgreementView, *READS, Code.AGREEMENT_UNKNOWN))
def show_agreement(digest: Annotated[DigestText, Path()], node: NodeDependency) -> Response:
    """Show one agreement with both signatures."""
    return answered(node.agreements.show(Digest(digest)))


@ROUTER.post(
    "/proposals",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(
        ProposalView,
        *WRITES,
        NodeCode.PROPOSALS_FULL,
        Code.AGREEMENT_EXISTS,
        Code.AGREEMENT_LOOP,
        Code.AMOUNT_INVALID,
        Code.APPROVAL_MISSING,
        Code.ASSETS_INVALID,
        Code.PARTNER_UNKNOWN,
        *_PAPER,
        status=HTTPStatus.CREATED,
    ),
)
def propose(body: ProposeBody, node: NodeDependency) -> Response:
    """Sign an agreement on these terms and send it to the partner."""
    return answered(node.agreements.propose(body.request()).result(), HTTPStatus.CREATED)


@ROUTER.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(
        AgreementAnswer,
        *WRITES,
        NodeCode.PROPOSALS_CROSS,
        NodeCode.PROPOSAL_UNKNOWN,
        Code.AGREEMENT_EXISTS,
        Code.AGREEMENT_LAPSED,
        Code.AGREEMENT_LOOP,
        Code.APPROVAL_MISSING,
        Code.NOTICE_TOO_SHORT,
        Code.ASSETS_INVALID,
        Code.ENTRY_TOO_LARGE,
        Code.ID_REUSED,
        Code.PARTNER_MISMATCH,
        Code.PARTNER_UNKNOWN,
        *_PAPER,
        status=HTTPStatus.CREATED,
    ),
)
def accept_agreement(body: AcceptAgreementBody, node: NodeDependency) -> Response:
    """Sign a partner's proposal: it binds here from now on, and there once the partner has it."""
    document = None if body.proposal is None else encode_document(body.proposal)
    digest = None if body.digest is None else Digest(body.digest)
    return answered(node.agreements.accept(document, digest, forced=body.force).result(), HTTPStatus.CREATED)


@ROUTER.post("/check", dependencies=_READ, responses=answers(RateReport, *WRITES, NodeCode.PROPOSAL_UNKNOWN, *_PAPER))
def check_agreements(body: CheckBody, node: NodeDependency) -> Response:
    """Find loops that multiply points and indirect ways that beat a direct rate, in exact fractions."""
    document = None if body.proposal is None else encode_document(body.proposal)
    digest = None if body.digest is None else Digest(body.digest)
    return answered(node.agreements.check(document, digest, at=body.at))


@ROUTER.post(
    "/{digest}/end",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(EndedAnswer, *COMMANDS, Code.AGREEMENT_UNKNOWN, Code.NOTICE_TOO_SHORT, status=HTTPStatus.CREATED),
)
def end_agreement(digest: Annotated[DigestText, Path()], body: EndBody, node: NodeDependency) -> Response:
    """Give notice: no conversion is ordered on the agreement from `ends_at` on."""
    request = EndRequest(agreement=Digest(digest), ends_at=body.ends_at)
    return answered(node.agreements.end(request).result(), HTTPStatus.CREATED)


def _direction(body: DirectionBody) -> DirectionTerms:
    return DirectionTerms(
        source=Ledger(body.source),
        step_source=body.step.source,
        step_destination=body.step.destination,
        price=body.price,
        steps_min=body.steps_min,
        steps_max=body.steps_max,
        fee_per_conversion=body.fee.points_per_conversion,
        fee_per_step=body.fee.points_per_step,
        expiry_days=body.expiry_days,
        member_limits=MemberLimits(**body.member_limits.model_dump()),
        in_flight=InFlightLimits(**body.in_flight.model_dump()),
        cap=body.cap,
        promotions=tuple(map(_promotion, body.promotions)),
    )


def _promotion(body: PromotionBody) -> Promotion:
    return Promotion(
        name=body.name,
        starts_at=body.starts_at,
        ends_at=body.ends_at,
        step=Step(source=body.step.source, destination=body.step.destination),
        price=body.price,
        budget_points=body.budget_points,
    )
