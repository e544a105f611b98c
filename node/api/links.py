"""`/v1/links`: a member's account here joined with its account at a partner."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Query
from starlette.responses import Response

from node.api.fields import Body, DayText, DocumentField, HolderText, IdText, LedgerText, encode_document
from node.api.routes import COMMANDS, READS, NodeDependency, answered, answers, requires, router
from node.services.answers import LinkAnswer, LinkIssuedAnswer
from node.services.credentials import Scope
from node.services.links import LinkList
from node.services.requests import AcceptLinkRequest, IssueLinkRequest
from protocol.errors import Code
from protocol.identifiers import Account, Id, Ledger

ROUTER: Final = router("links", "/v1/links")
_GUARD: Final = [requires(Scope.LINKS)]
_REASONS: Final = (
    *COMMANDS,
    Code.ACCOUNT_UNKNOWN,
    Code.ACCOUNT_CLOSED,
    Code.PARTNER_UNKNOWN,
    Code.LINK_EXISTS,
)


class IssueLinkBody(Body):
    """Give an account an alias that only `partner` is told."""

    id: IdText
    account: HolderText
    partner: LedgerText
    occurred_on: DayText | None = None


class AcceptLinkBody(Body):
    """Join an account with what the signed link `document` of a partner stands for."""

    id: IdText
    account: HolderText
    document: DocumentField
    occurred_on: DayText | None = None


@ROUTER.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=_GUARD,
    responses=answers(LinkIssuedAnswer, *_REASONS, status=HTTPStatus.CREATED),
)
def issue_link(body: IssueLinkBody, node: NodeDependency) -> Response:
    """Let one partner know an account by a random alias."""
    request = IssueLinkRequest(
        id=Id(body.id),
        account=Account(body.account),
        partner=Ledger(body.partner),
        occurred_on=body.occurred_on,
    )
    return answered(node.links.issue(request).result(), HTTPStatus.CREATED)


@ROUTER.post(
    "/accept",
    status_code=HTTPStatus.CREATED,
    dependencies=_GUARD,
    responses=answers(
        LinkAnswer,
        *_REASONS,
        Code.PARTNER_MISMATCH,
        "encoding_invalid",
        "link_invalid",
        "signature_invalid",
        status=HTTPStatus.CREATED,
    ),
)
def accept_link(body: AcceptLinkBody, node: NodeDependency) -> Response:
    """Join an account with its owner's account at a partner."""
    request = AcceptLinkRequest(
        id=Id(body.id),
        account=Account(body.account),
        document=encode_document(body.document).decode(),
        occurred_on=body.occurred_on,
    )
    return answered(node.links.accept(request).result(), HTTPStatus.CREATED)


@ROUTER.get("", dependencies=_GUARD, responses=answers(LinkList, *READS))
def list_links(account: Annotated[HolderText, Query()], node: NodeDependency) -> Response:
    """List the links of an account."""
    return answered(node.links.of_account(Account(account)))
