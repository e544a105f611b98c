"""`/v1/me/links`: a member's own links with partners' programmes."""

from http import HTTPStatus
from typing import Final, Literal

from fastapi import Request
from starlette.responses import Response

from node.api.auth import caller_of
from node.api.fields import Body, IdText, LedgerText
from node.api.link_fields import (
    ASKED,
    ENDED,
    REDEEMED,
    AliasText,
    ChallengeText,
    CodeText,
    DirectionField,
    LimitsBody,
    StateText,
    TypedText,
    UrlText,
)
from node.api.routes import COMMANDS, READS, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.answers import LinkAnswer, OtherAnswer
from node.services.members.consents import ConsentRequest, ConsentView, RedirectRequest, TypedCodeView
from node.services.members.linking import BeginLinkRequest, LinkBegun
from node.services.members.links import LinkList
from node.services.refusals import NodeCode
from node.services.requests import RedeemCodeRequest, RevokeLinkRequest
from protocol.errors import Code
from protocol.identifiers import Alias, Id, Ledger

ROUTER: Final = router("me", "/v1/me/links")
_OWN: Final = [requires(Scope.ME)]


class MyCodeBody(LimitsBody):
    """The member consents to a link; the code is to be typed at the partner."""

    partner: LedgerText


class MyConsentBody(MyCodeBody):
    """The member consents to what the partner's address asked for; the fields are those of its query."""

    redirect_url: UrlText
    state: StateText
    code_challenge: ChallengeText
    code_challenge_method: Literal["S256"] = "S256"


class MyLinkBody(Body):
    """Consent at the partner, and come back to `redirect_url`."""

    id: IdText
    partner: LedgerText
    redirect_url: UrlText


class MyCompletionBody(Body):
    """What the member came back with."""

    state: StateText
    code: CodeText


class MyTypedBody(Body):
    """A code that the member has read at the partner."""

    id: IdText
    partner: LedgerText
    code: TypedText


class MyRevocationBody(Body):
    """End a link."""

    partner: LedgerText
    alias: AliasText
    direction: DirectionField


@ROUTER.get("", dependencies=_OWN, responses=answers(LinkList, *READS))
def list_my_links(request: Request, node: NodeDependency) -> Response:
    """List the member's links, those that have ended too."""
    return answered(node.links.of_account(caller_of(request).own()))


@ROUTER.post(
    "/consents",
    dependencies=_OWN,
    responses=answers(ConsentView, *ASKED, Code.ACCOUNT_CLOSED, NodeCode.REDIRECT_UNREGISTERED),
)
def consent_to_my_link(request: Request, body: MyConsentBody, node: NodeDependency) -> Response:
    """Consent to a link, and learn where the browser goes back to with the code."""
    wanted = RedirectRequest(
        account=caller_of(request).own(),
        partner=Ledger(body.partner),
        limits=body.limits(),
        redirect_url=body.redirect_url,
        state=body.state,
        challenge=body.code_challenge,
    )
    return answered(node.consents.consent(wanted).result())


@ROUTER.post("/codes", dependencies=_OWN, responses=answers(TypedCodeView, *ASKED, Code.ACCOUNT_CLOSED))
def make_my_code(request: Request, body: MyCodeBody, node: NodeDependency) -> Response:
    """Consent to a link, and get the code to type at the partner."""
    wanted = ConsentRequest(account=caller_of(request).own(), partner=Ledger(body.partner), limits=body.limits())
    return answered(node.consents.code(wanted).result())


@ROUTER.post("/requests", dependencies=_OWN, responses=answers(LinkBegun, *ASKED, NodeCode.REDIRECT_UNREGISTERED))
def begin_my_link(request: Request, body: MyLinkBody, node: NodeDependency) -> Response:
    """Begin a link: the answer says where the browser goes to consent."""
    wanted = BeginLinkRequest(
        id=Id(body.id),
        account=caller_of(request).own(),
        partner=Ledger(body.partner),
        redirect_url=body.redirect_url,
    )
    return answered(node.linking.begin(wanted).result())


@ROUTER.post(
    "/completions",
    status_code=HTTPStatus.CREATED,
    dependencies=_OWN,
    responses=answers(LinkAnswer, *REDEEMED, NodeCode.LINK_REQUEST_UNKNOWN, status=HTTPStatus.CREATED),
)
def complete_my_link(request: Request, body: MyCompletionBody, node: NodeDependency) -> Response:
    """Get the link for the code with which the member came back."""
    account = caller_of(request).own()
    answer = node.linking.complete(state=body.state, code=body.code, account=account)
    return answered(answer, HTTPStatus.CREATED)


@ROUTER.post(
    "/typed",
    status_code=HTTPStatus.CREATED,
    dependencies=_OWN,
    responses=answers(LinkAnswer, *REDEEMED, status=HTTPStatus.CREATED),
)
def redeem_my_code(request: Request, body: MyTypedBody, node: NodeDependency) -> Response:
    """Get the link for the code that the member has typed."""
    wanted = RedeemCodeRequest(
        id=Id(body.id), account=caller_of(request).own(), partner=Ledger(body.partner), code=body.code
    )
    return answered(node.linking.redeem(wanted), HTTPStatus.CREATED)


@ROUTER.post(
    "/revocations",
    status_code=HTTPStatus.CREATED,
    dependencies=_OWN,
    responses=answers(OtherAnswer, *COMMANDS, *ENDED, status=HTTPStatus.CREATED),
)
def revoke_my_link(request: Request, body: MyRevocationBody, node: NodeDependency) -> Response:
    """End a link from now on; the partner is told."""
    wanted = RevokeLinkRequest(
        account=caller_of(request).own(),
        partner=Ledger(body.partner),
        alias=Alias(body.alias),
        direction=body.direction,
    )
    return answered(node.links.revoke(wanted).result(), HTTPStatus.CREATED)
