"""`/v1/statements`: what windows come to, signed by both, and how it is paid."""

from http import HTTPStatus
from typing import Annotated, Final, Literal, TypeAlias

from fastapi import Path, Query
from pydantic import Field
from starlette.responses import Response

from node.api.fields import Body, Cursor, DigestText, IdText, LedgerText, Limit, PromotionText, WindowField
from node.api.routes import (
    COMMANDS,
    PAGE_HEADERS,
    READS,
    NodeDependency,
    Responses,
    answered,
    answers,
    requires,
    router,
)
from node.api.windows import REFUSALS
from node.services.access.credentials import Scope
from node.services.answers import OtherAnswer
from node.services.refusals import NodeCode
from node.services.requests import ConfirmationRequest, PaymentRequest, ReturnRequest
from node.services.settlement.adjusting import Adjustment
from node.services.settlement.settlement import LISTED_MAX
from node.services.settlement.settlement_views import ProposalList, StatementList, StatementView
from node.services.settlement.signing import Signing
from protocol.errors import Code
from protocol.identifiers import Digest, Id, Ledger
from protocol.limits import INTEGER_MAX
from protocol.statement import LINES_MAX, AdjustmentReason

ROUTER: Final = router("settlement", "/v1/statements")
CSV: Final = "text/csv"
HTML: Final = "text/html"
_READ: Final = [requires(Scope.SETTLEMENT_READ)]
_WRITE: Final = [requires(Scope.SETTLEMENT_WRITE)]

DigestPath: TypeAlias = Annotated[DigestText, Path()]
Format: TypeAlias = Annotated[Literal["json", "csv", "html"], Query(description="The statement, its lines, or a page.")]


class AdjustmentBody(Body):
    """How a line in dispute ends: billed whole (`upheld`), at `value` millionths (`reduced`), or not at all (`waived`).

    `taken_back` gives back `value` millionths of what an earlier statement billed, or all of it if `value` is left out.
    """

    conversion: IdText
    reason: Literal["upheld", "reduced", "waived", "taken_back"]
    value: Annotated[int, Field(ge=0, le=INTEGER_MAX)] | None = None


class SignBody(Body):
    """The statement to sign, the next one if no window is named.

    `adjustments` end disputes of earlier windows or take billed lines back. In their place the second party may name
    the `proposal` that it has read. `unchecked` signs although the partner's log cannot be read.
    """

    partner: LedgerText
    window: WindowField | None = None
    adjustments: Annotated[tuple[AdjustmentBody, ...], Field(max_length=LINES_MAX, strict=False)] = ()
    proposal: DigestText | None = None
    unchecked: bool = False


class PaymentBody(Body):
    """The money is on its way; the payee finds it by `reference`."""

    id: IdText
    reference: PromotionText


class ReturnBody(Body):
    """The money came back."""

    id: IdText


class ConfirmationBody(Body):
    """The money has arrived."""

    id: IdText


def _written(*codes: str) -> Responses:
    return answers(OtherAnswer, *COMMANDS, *REFUSALS, *codes, status=HTTPStatus.CREATED)


def _in_three_formats() -> Responses:
    found = answers(StatementView, *READS, NodeCode.NOT_FOUND)
    found[int(HTTPStatus.OK)]["content"] = {
        CSV: {"schema": {"type": "string"}},
        HTML: {"schema": {"type": "string"}},
    }
    return found


@ROUTER.get("", dependencies=_READ, responses=answers(StatementList, *READS))
def list_statements(
    node: NodeDependency,
    partner: Annotated[LedgerText | None, Query()] = None,
    after: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[Limit, Query()] = LISTED_MAX,
) -> Response:
    """List agreed statements, latest first."""
    ledger = None if partner is None else Ledger(partner)
    return answered(node.settlement.statements(ledger, after=after, limit=limit))


@ROUTER.get("/proposals", dependencies=_READ, responses=answers(ProposalList, *READS))
def list_proposed_statements(node: NodeDependency, partner: Annotated[LedgerText | None, Query()] = None) -> Response:
    """List statements that one party alone has signed, with their adjustments: ours, and partners'."""
    return answered(node.settlement.proposals(None if partner is None else Ledger(partner)))


@ROUTER.get("/{digest}", dependencies=_READ, responses=_in_three_formats())
def show_statement(digest: DigestPath, node: NodeDependency, format: Format = "json") -> Response:  # noqa: A002 - the parameter's public name
    """Show a statement, agreed or proposed, with its signatures, or its lines as CSV, or a page to print."""
    if format == "csv":
        return Response(node.settlement.statement_csv(Digest(digest)), media_type=CSV, headers=PAGE_HEADERS)
    if format == "html":
        text = node.settlement.statement_page(Digest(digest))
        return Response(text, media_type=HTML, headers=PAGE_HEADERS)
    return answered(node.settlement.statement(Digest(digest)))


@ROUTER.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=_written(
        "body_invalid",
        "checkpoint_invalid",
        "key_invalid",
        "note_invalid",
        "signature_invalid",
        NodeCode.LOG_INCONSISTENT,
        NodeCode.LOG_UNREACHABLE,
    ),
)
def sign_statement(body: SignBody, node: NodeDependency) -> Response:
    """Sign now what the node would sign by itself: propose the statement as the first party, or agree as the second.

    The second party's adjustments must be those of the proposal.
    """
    adjustments = [
        Adjustment(conversion=Id(each.conversion), reason=AdjustmentReason(each.reason), value=each.value)
        for each in body.adjustments
    ]
    proposal = None if body.proposal is None else Digest(body.proposal)
    signing = Signing(adjustments=adjustments, proposal=proposal, unchecked=body.unchecked)
    return answered(node.settlement.sign(Ledger(body.partner), body.window, signing).result(), HTTPStatus.CREATED)


@ROUTER.post(
    "/{digest}/payment",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=_written(NodeCode.NOT_FOUND, Code.PAYMENT_MISMATCH),
)
def pay_statement(digest: DigestPath, body: PaymentBody, node: NodeDependency) -> Response:
    """Tell the payee that the money is on its way."""
    request = PaymentRequest(id=Id(body.id), statement=Digest(digest), reference=body.reference)
    return answered(node.settlement.pay(request).result(), HTTPStatus.CREATED)


@ROUTER.post(
    "/{digest}/return",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=_written(NodeCode.NOT_FOUND, Code.PAYMENT_MISMATCH),
)
def return_payment(digest: DigestPath, body: ReturnBody, node: NodeDependency) -> Response:
    """Note that the money which this ledger has sent came back: it is due again, and may be paid again."""
    request = ReturnRequest(id=Id(body.id), statement=Digest(digest))
    return answered(node.settlement.send_back(request).result(), HTTPStatus.CREATED)


@ROUTER.post(
    "/{digest}/confirmation",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=_written(NodeCode.NOT_FOUND, Code.PAYMENT_MISMATCH),
)
def confirm_payment(digest: DigestPath, body: ConfirmationBody, node: NodeDependency) -> Response:
    """Tell the payer that the money has arrived."""
    request = ConfirmationRequest(id=Id(body.id), statement=Digest(digest))
    return answered(node.settlement.confirm(request).result(), HTTPStatus.CREATED)
