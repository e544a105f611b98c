"""`/v1/links/…`: consents to links, and links that members begin, as a programme's own systems ask for them."""

from http import HTTPStatus
from typing import Annotated, Final, Literal

from fastapi import Query
from starlette.responses import Response

from node.api.fields import Body, HolderText, IdText, LedgerText
from node.api.link_fields import (
    ASKED,
    REDEEMED,
    ChallengeText,
    CodeText,
    LimitsBody,
    StateText,
    TypedText,
    UrlText,
)
from node.api.routes import READS, WRITES, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.answers import LinkAnswer
from node.services.members.consents import (
    ConsentRequest,
    ConsentView,
    LinkPagesView,
    RedirectRequest,
    TypedCodeView,
)
from node.services.members.linking import BeginLinkRequest, LinkBegun
from node.services.refusals import NodeCode
from node.services.requests import RedeemCodeRequest
from protocol.errors import Code
from protocol.identifiers import Account, Id, Ledger

ROUTER: Final = router("links", "/v1/links")
_READ: Final = [requires(Scope.LINKS_READ)]
_WRITE: Final = [requires(Scope.LINKS_WRITE)]
_OPERATE: Final = [requires(Scope.PARTNERS_WRITE)]


class LinkPagesBody(Body):
    """Where members of a partner's programme consent, and where the partner wants ours to be sent back to."""

    partner: LedgerText
    consent_url: UrlText | None = None
    redirect_url: UrlText | None = None


class TypedCodeBody(LimitsBody):
    """A member consents to a link; the code is for it to type at the partner."""

    account: HolderText
    partner: LedgerText


class ConsentBody(TypedCodeBody):
    """A member consents to what the partner's address asked for; the fields are those of its query."""

    redirect_url: UrlText
    state: StateText
    code_challenge: ChallengeText
    code_challenge_method: Literal["S256"] = "S256"


class BeginLinkBody(Body):
    """Send a member to consent at the partner, and back to `redirect_url` afterwards."""

    id: IdText
    account: HolderText
    partner: LedgerText
    redirect_url: UrlText


class CompleteLinkBody(Body):
    """What came back with the member."""

    state: StateText
    code: CodeText


class RedeemCodeBody(Body):
    """A code that a member has read at the partner and typed here."""

    id: IdText
    account: HolderText
    partner: LedgerText
    code: TypedText


@ROUTER.post("/pages", dependencies=_OPERATE, responses=answers(LinkPagesView, *WRITES, Code.PARTNER_UNKNOWN))
def set_link_pages(body: LinkPagesBody, node: NodeDependency) -> Response:
    """Say where links with a partner are consented to."""
    pages = node.consents.set_pages(Ledger(body.partner), consent_url=body.consent_url, redirect_url=body.redirect_url)
    return answered(pages.result())


@ROUTER.get("/pages", dependencies=_READ, responses=answers(LinkPagesView, *READS, Code.PARTNER_UNKNOWN))
def show_link_pages(partner: Annotated[LedgerText, Query()], node: NodeDependency) -> Response:
    """Show where links with a partner are consented to."""
    return answered(node.consents.pages(Ledger(partner)))


@ROUTER.post(
    "/consents",
    dependencies=_WRITE,
    responses=answers(ConsentView, *ASKED, Code.ACCOUNT_CLOSED, NodeCode.REDIRECT_UNREGISTERED),
)
def consent_to_link(body: ConsentBody, node: NodeDependency) -> Response:
    """Take a member's consent, and tell where its browser goes back to with the code."""
    request = RedirectRequest(
        account=Account(body.account),
        partner=Ledger(body.partner),
        limits=body.limits(),
        redirect_url=body.redirect_url,
        state=body.state,
        challenge=body.code_challenge,
    )
    return answered(node.consents.consent(request).result())


@ROUTER.post("/codes", dependencies=_WRITE, responses=answers(TypedCodeView, *ASKED, Code.ACCOUNT_CLOSED))
def make_typed_code(body: TypedCodeBody, node: NodeDependency) -> Response:
    """Take a member's consent, and make the code that it types at the partner."""
    request = ConsentRequest(account=Account(body.account), partner=Ledger(body.partner), limits=body.limits())
    return answered(node.consents.code(request).result())


@ROUTER.post("/requests", dependencies=_WRITE, responses=answers(LinkBegun, *ASKED, NodeCode.REDIRECT_UNREGISTERED))
def begin_link(body: BeginLinkBody, node: NodeDependency) -> Response:
    """Begin a link: the answer says where the member's browser goes to consent."""
    request = BeginLinkRequest(
        id=Id(body.id),
        account=Account(body.account),
        partner=Ledger(body.partner),
        redirect_url=body.redirect_url,
    )
    return answered(node.linking.begin(request).result())


@ROUTER.post(
    "/completions",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(LinkAnswer, *REDEEMED, NodeCode.LINK_REQUEST_UNKNOWN, status=HTTPStatus.CREATED),
)
def complete_link(body: CompleteLinkBody, node: NodeDependency) -> Response:
    """Get the link for the code with which a member came back."""
    return answered(node.linking.complete(state=body.state, code=body.code, account=None), HTTPStatus.CREATED)


@ROUTER.post(
    "/typed",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(LinkAnswer, *REDEEMED, status=HTTPStatus.CREATED),
)
def redeem_typed_code(body: RedeemCodeBody, node: NodeDependency) -> Response:
    """Get the link for the code that a member has typed."""
    request = RedeemCodeRequest(
        id=Id(body.id), account=Account(body.account), partner=Ledger(body.partner), code=body.code
    )
    return answered(node.linking.redeem(request), HTTPStatus.CREATED)
