"""`/v1/quotes`: what a conversion would give."""

from typing import Final

from starlette.responses import Response

from node.api.fields import AmountField, Body, HolderText, LedgerText
from node.api.routes import LIMITS, LINKS, READS, WRITING, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.conversions.quotes import QuoteView
from node.services.requests import QuoteRequest
from protocol.errors import Code
from protocol.identifiers import Account, Ledger

ROUTER: Final = router("quotes", "/v1/quotes")


CONVERTING: Final = (
    Code.ACCOUNT_CLOSED,
    Code.ACCOUNT_UNKNOWN,
    Code.AGREEMENT_LAPSED,
    Code.AGREEMENT_NOT_YET,
    Code.AGREEMENT_UNKNOWN,
    Code.AMOUNT_INVALID,
    Code.BALANCE_OVERFLOW,
    *LIMITS,
    Code.INSUFFICIENT_POINTS,
    Code.LESS_THAN_A_STEP,
    *LINKS,
    Code.PARTNER_UNKNOWN,
    Code.STEPS_ABOVE_MAXIMUM,
    Code.STEPS_BELOW_MINIMUM,
)
"""What a conversion may be refused with, quoted or ordered."""

QUOTE_CODES: Final = (*READS, *WRITING, *CONVERTING, Code.ACCOUNT_FROZEN)
"""What a quote may be refused with."""


class QuoteBody(Body):
    """Ask for the terms of converting up to `amount` points; with `account`, whether it could be done now."""

    account: HolderText | None = None
    partner: LedgerText
    amount: AmountField


@ROUTER.post(
    "",
    dependencies=[requires(Scope.CONVERSIONS_READ)],
    responses=answers(QuoteView, *QUOTE_CODES),
)
def quote(body: QuoteBody, node: NodeDependency) -> Response:
    """Quote a conversion: whole steps only, and what does not fill one stays."""
    account = None if body.account is None else Account(body.account)
    request = QuoteRequest(account=account, partner=Ledger(body.partner), amount=body.amount)
    return answered(node.quotes.quote(request))
