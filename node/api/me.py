"""`/v1/me`: what a member's own app shows; the token says whose it is, and nothing else reaches another's account."""

from http import HTTPStatus
from typing import Annotated, Final, Literal, TypeAlias

from fastapi import Path, Query, Request
from starlette.responses import Response

from node.api.auth import caller_of
from node.api.conversions import ORDER_CODES, ConversionPath
from node.api.entries import RECEIPT_TYPE, SeqPath
from node.api.fields import AmountField, Body, Cursor, DigestText, IdText, LedgerText, Limit
from node.api.openapi import ANSWERED
from node.api.quotes import QUOTE_CODES
from node.api.routes import (
    COMMANDS,
    JSON,
    PAGE_HEADERS,
    READS,
    NodeDependency,
    answered,
    answers,
    answers_bytes,
    requires,
    router,
)
from node.api.screened import UNDER_REVIEW, ordered
from node.services.access.credentials import Scope
from node.services.answers import ConversionAnswer, encode_answer
from node.services.members.member_day import (
    BalanceView,
    Held,
    MemberConversion,
    MemberConversions,
    MemberHistory,
    MemberQuote,
)
from node.services.members.member_statement import MemberStatement, statement_csv, statement_page
from node.services.members.texts import Speech, locale_of
from node.services.node import Node
from node.services.program.screening import ClientData
from node.services.refusals import NodeCode
from node.services.requests import OrderRequest, QuoteRequest
from protocol.errors import Code
from protocol.identifiers import Account, Digest, Id, Ledger

ROUTER: Final = router("me", "/v1/me")
ACCEPT_WITHIN_SECONDS: Final = 3_600
CSV: Final = "text/csv"
HTML: Final = "text/html"
_AGENT_CHARACTERS: Final = 256
_OWN: Final = [requires(Scope.ME)]
_SHOWN: Final = (*READS, Code.ACCOUNT_UNKNOWN)

LocaleQuery: TypeAlias = Annotated[
    Literal["en", "zh"] | None, Query(description="The language, if not that of `Accept-Language` or of the member.")
]
MonthPath: TypeAlias = Annotated[str, Path(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$", examples=["2026-01"])]
FormatQuery: TypeAlias = Annotated[Literal["json", "csv", "html"], Query(description="Data, a table, or a page.")]


class MyQuoteBody(Body):
    """Ask what a conversion of `amount` would give."""

    partner: LedgerText
    amount: AmountField


class MyConversionBody(Body):
    """Convert as many whole steps of `amount` as fit; `agreement`, from a quote, keeps the quote's terms."""

    id: IdText
    partner: LedgerText
    amount: AmountField
    agreement: DigestText | None = None


def own(request: Request) -> Account:
    """Return the account of the member who calls."""
    return caller_of(request).own()


def client_behind(request: Request) -> ClientData:
    """Return what the member's own request tells of the client: screens see it, and it is erased with the member."""
    agent = request.headers.get("user-agent", "")[:_AGENT_CHARACTERS]
    return ClientData(address=None if request.client is None else request.client.host, agent=agent or None)


def speech_of(request: Request, node: Node, locale: Literal["en", "zh"] | None) -> Speech:
    """Return the language to answer in: the one asked for, the browser's, or the member's."""
    wanted = locale or locale_of(request.headers.get("accept-language", ""))
    return node.members.speech(own(request), wanted)


@ROUTER.get("", dependencies=_OWN, responses=answers(BalanceView, *_SHOWN))
def show_my_balance(request: Request, node: NodeDependency) -> Response:
    """Show the member's points: what can be spent, what can later, what is set aside, what expires next."""
    return answered(node.members.balance(own(request)))


@ROUTER.get("/history", dependencies=_OWN, responses=answers(MemberHistory, *_SHOWN))
def show_my_history(
    *,
    request: Request,
    node: NodeDependency,
    before: Annotated[Cursor | None, Query()] = None,
    limit: Limit = 50,
    locale: LocaleQuery = None,
) -> Response:
    """Tell what happened, in words, newest first."""
    speech = speech_of(request, node, locale)
    return answered(node.members.history(own(request), speech, before=before, limit=limit))


@ROUTER.post("/quotes", dependencies=_OWN, responses=answers(MemberQuote, *QUOTE_CODES))
def quote_my_conversion(
    request: Request, body: MyQuoteBody, node: NodeDependency, locale: LocaleQuery = None
) -> Response:
    """Tell what a conversion would give; it is refused as the order would be."""
    wanted = QuoteRequest(account=own(request), partner=Ledger(body.partner), amount=body.amount)
    return answered(node.members.quote(wanted, speech_of(request, node, locale)))


@ROUTER.post(
    "/conversions",
    status_code=HTTPStatus.CREATED,
    dependencies=_OWN,
    responses=answers(ConversionAnswer, *COMMANDS, *ORDER_CODES, status=HTTPStatus.CREATED) | UNDER_REVIEW,
)
async def order_my_conversion(request: Request, body: MyConversionBody, node: NodeDependency) -> Response:
    """Convert points; they are set aside until the partner has decided."""
    request.state.conversion = body.id
    order = OrderRequest(
        id=Id(body.id),
        account=own(request),
        partner=Ledger(body.partner),
        amount=body.amount,
        accept_within_seconds=ACCEPT_WITHIN_SECONDS,
        agreement=None if body.agreement is None else Digest(body.agreement),
    )
    return ordered(await node.conversions.order(order, client_behind(request)).wait())


@ROUTER.get("/conversions", dependencies=_OWN, responses=answers(MemberConversions, *_SHOWN))
def list_my_conversions(
    *,
    request: Request,
    node: NodeDependency,
    before: Annotated[Cursor | None, Query()] = None,
    limit: Limit = 50,
    locale: LocaleQuery = None,
) -> Response:
    """List the member's conversions to partners, newest first, with where each stands."""
    speech = speech_of(request, node, locale)
    return answered(node.members.conversions(own(request), speech, before=before, limit=limit))


@ROUTER.get(
    "/conversions/{conversion_id}",
    dependencies=_OWN,
    responses=answers(MemberConversion, *READS, Code.CONVERSION_UNKNOWN),
)
def show_my_conversion(
    request: Request, conversion_id: ConversionPath, node: NodeDependency, locale: LocaleQuery = None
) -> Response:
    """Show where one of the member's conversions stands, in words."""
    speech = speech_of(request, node, locale)
    return answered(node.members.conversion(own(request), Id(conversion_id), speech))


@ROUTER.get(
    "/receipts/{seq}",
    dependencies=_OWN,
    responses=answers_bytes(
        RECEIPT_TYPE, *READS, NodeCode.NOT_FOUND, description="A receipt file, which verifies offline."
    ),
)
def download_my_receipt(request: Request, seq: SeqPath, node: NodeDependency) -> Response:
    """Download the receipt of one of the member's own entries."""
    headers = {"Content-Disposition": f'attachment; filename="receipt-{seq}.txt"'}
    return Response(node.members.receipt(own(request), seq), media_type=RECEIPT_TYPE, headers=headers)


@ROUTER.get(
    "/statements/{month}",
    dependencies=_OWN,
    responses={
        **answers(MemberStatement, *_SHOWN),
        200: {
            ANSWERED: MemberStatement,
            "description": "The statement, its movements as CSV, or a page to print.",
            "content": {CSV: {"schema": {"type": "string"}}, HTML: {"schema": {"type": "string"}}},
        },
    },
)
def show_my_statement(
    *,
    request: Request,
    month: MonthPath,
    node: NodeDependency,
    format: FormatQuery = "json",  # noqa: A002 - the query's own name
    locale: LocaleQuery = None,
) -> Response:
    """Show a month: opening, each movement, closing, and what expires soon."""
    speech = speech_of(request, node, locale)
    statement = node.member_statements.statement(own(request), month, speech)
    headers = {**PAGE_HEADERS, "Content-Language": speech.locale}
    if format == "csv":
        return Response(statement_csv(statement, speech), media_type=CSV, headers=headers)
    if format == "html":
        return Response(statement_page(statement, speech), media_type=HTML, headers=headers)
    return answered(statement)


@ROUTER.get("/data", dependencies=_OWN, responses=answers(Held, *_SHOWN))
def download_my_data(request: Request, node: NodeDependency) -> Response:
    """Download all that is kept about the member."""
    headers = {"Content-Disposition": 'attachment; filename="my-data.json"'}
    return Response(encode_answer(node.members.held(own(request))), media_type=JSON, headers=headers)
