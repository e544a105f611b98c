"""`/v1/links`: a member's account here joined with its account at a partner."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Query
from starlette.responses import Response

from node.api.fields import Body, DayText, DocumentField, HolderText, IdText, LedgerText, encode_document
from node.api.link_fields import ENDED, AliasText, DirectionField, LimitsBody
from node.api.routes import COMMANDS, READS, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.answers import LinkAnswer, LinkIssuedAnswer, OtherAnswer
from node.services.members.links import LinkList
from node.services.requests import AcceptLinkRequest, IssueLinkRequest, RevokeLinkRequest
from protocol.errors import Code
from protocol.identifiers import Account, Alias, Id, Ledger

ROUTER: Final = router("links", "/v1/links")
_READ: Final = [requires(Scope.LINKS_READ)]
_WRITE: Final = [requires(Scope.LINKS_WRITE)]
_REASONS: Final = (
    *COMMANDS,
    Code.ACCOUNT_UNKNOWN,
    Code.ACCOUNT_CLOSED,
    Code.ACCOUNT_FROZEN,
    Code.PARTNER_UNKNOWN,
    Code.LINK_EXISTS,
)


class IssueLinkBody(LimitsBody):
    """Give an account an alias that only `partner` is told."""

    id: IdText
    account: HolderText
    partner: LedgerText
    occurred_on: DayText | None = None


class RevokeLinkBody(Body):
    """End a link of an account."""

    account: HolderText
    partner: LedgerText
    alias: AliasText
    direction: DirectionField


class AcceptLinkBody(Body):
    """Join an account with what the signed link `document` of a partner stands for."""

    id: IdText
    account: HolderText
    document: DocumentField
    occurred_on: DayText | None = None


@ROUTER.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(LinkIssuedAnswer, *_REASONS, status=HTTPStatus.CREATED),
)
def issue_link(body: IssueLinkBody, node: NodeDependency) -> Response:
    """Let one partner know an account by a random alias."""
    request = IssueLinkRequest(
        id=Id(body.id),
        account=Account(body.account),
        partner=Ledger(body.partner),
        until=body.until,
        conversions_max=body.conversions_max,
        points_max=body.points_max,
        occurred_on=body.occurred_on,
    )
    return answered(node.links.issue(request).result(), HTTPStatus.CREATED)


@ROUTER.post(
    "/accept",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
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


@ROUTER.post(
    "/revocations",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(OtherAnswer, *COMMANDS, *ENDED, status=HTTPStatus.CREATED),
)
def revoke_link(body: RevokeLinkBody, node: NodeDependency) -> Response:
    """End a link from now on; the partner is told."""
    request = RevokeLinkRequest(
        account=Account(body.account),
        partner=Ledger(body.partner),
        alias=Alias(body.alias),
        direction=body.direction,
    )
    return answered(node.links.revoke(request).result(), HTTPStatus.CREATED)


@ROUTER.get("", dependencies=_READ, responses=answers(LinkList, *READS))
def list_links(account: Annotated[HolderText, Query()], node: NodeDependency) -> Response:
    """List the links of an account."""
    return answered(node.links.of_account(Account(account)))
