"""`/v1/windows`: settlement windows with partners."""

from http import HTTPStatus
from typing import Annotated, Final, Literal, TypeAlias

from fastapi import Query
from pydantic import Field, StringConstraints
from starlette.responses import Response

from node.api.fields import EXAMPLE_LEDGER, WHOLE, Body, IdText, LedgerText, Limit, WindowField
from node.api.routes import COMMANDS, READS, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.answers import OtherAnswer
from node.services.requests import DisputeRequest
from node.services.settlement.settlement import LISTED_MAX
from node.services.settlement.settlement_views import DifferenceList, WindowLineList, WindowList
from protocol.errors import Code
from protocol.identifiers import LEDGER_PATTERN, Id, Ledger
from protocol.limits import NAME_CHARACTERS_MAX
from protocol.statement import LINES_MAX

ROUTER: Final = router("settlement", "/v1/windows")
REFUSALS: Final = (
    Code.AGREEMENT_UNKNOWN,
    Code.BALANCE_OVERFLOW,
    Code.LINE_UNKNOWN,
    Code.PARTNER_MISMATCH,
    Code.PARTNER_UNKNOWN,
    Code.STATEMENT_INVALID,
    Code.STATEMENT_MISMATCH,
    Code.WINDOW_AGREED,
    Code.WINDOW_CLOSED,
    Code.WINDOW_CONFIRMED,
    Code.WINDOW_MISMATCH,
    Code.WINDOW_NOT_AGREED,
    Code.WINDOW_NOT_PAID,
    Code.WINDOW_NOT_RECONCILED,
    Code.WINDOW_OPEN,
    Code.WINDOW_PAID,
)
"""What any act of settlement may be refused with."""

WindowCursor: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=f"^[1-9][0-9]{{0,14}}/{LEDGER_PATTERN}$", max_length=NAME_CHARACTERS_MAX + 16),
    Field(description="The last window seen: its number, and the partner.", examples=[f"7/{EXAMPLE_LEDGER}"]),
]

_READ: Final = [requires(Scope.SETTLEMENT_READ)]
_WRITE: Final = [requires(Scope.SETTLEMENT_WRITE)]


class CloseBody(Body):
    """The window that is open for conversions from a partner, by its number: a repeat closes no other one."""

    partner: LedgerText
    window: WindowField


class DisputeBody(Body):
    """Lines of a window that is not agreed, named by their conversions: `out` are ours, `in` the partner's.

    With `enter`, lines of ours that the partner alone has shown, with its signed word, are entered so.
    """

    id: IdText
    partner: LedgerText
    window: WindowField
    direction: Literal["out", "in"]
    lines: Annotated[tuple[IdText, ...], Field(min_length=1, max_length=LINES_MAX, strict=False)]
    reason: Literal["missing", "terms", "not_credited", "rejected", "late", "other"]
    enter: bool = False


@ROUTER.get("", dependencies=_READ, responses=answers(WindowList, *READS))
def list_windows(
    node: NodeDependency,
    partner: Annotated[LedgerText | None, Query()] = None,
    after: Annotated[WindowCursor | None, Query()] = None,
    limit: Annotated[Limit, Query()] = LISTED_MAX,
) -> Response:
    """List settlement windows with their sums, latest first."""
    ledger = None if partner is None else Ledger(partner)
    return answered(node.settlement.windows(ledger, after=_place(after), limit=limit))


def _place(cursor: str | None) -> tuple[int, Ledger] | None:
    if cursor is None:
        return None
    window, _, ledger = cursor.partition("/")
    return int(window), Ledger(ledger)


@ROUTER.get("/lines", dependencies=_READ, responses=answers(WindowLineList, *READS, Code.PARTNER_UNKNOWN))
def list_lines(
    *,
    node: NodeDependency,
    partner: Annotated[LedgerText, Query()],
    window: Annotated[WindowField, WHOLE, Query()],
    direction: Annotated[Literal["out", "in"], Query(description="`out` are conversions to the partner.")],
    after: Annotated[WindowField | None, WHOLE, Query(description="The number of the last line seen.")] = None,
    limit: Annotated[Limit, Query()] = LISTED_MAX,
) -> Response:
    """List what this ledger has credited and captured in a window, in the order of the decisions."""
    return answered(node.settlement.lines(Ledger(partner), window, direction, after=after or 0, limit=limit))


@ROUTER.get("/differences", dependencies=_READ, responses=answers(DifferenceList, *READS, Code.PARTNER_UNKNOWN))
def list_differences(
    node: NodeDependency,
    partner: Annotated[LedgerText, Query()],
    window: Annotated[WindowField, WHOLE, Query()],
) -> Response:
    """List the lines of a window that the two sides have otherwise, or that one of them lacks, and what to do."""
    return answered(node.settlement.differences(Ledger(partner), window))


@ROUTER.post(
    "/close",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(OtherAnswer, *COMMANDS, *REFUSALS, status=HTTPStatus.CREATED),
)
def close_window(body: CloseBody, node: NodeDependency) -> Response:
    """Close a window now, before its time; the partner answers with its own close."""
    return answered(node.settlement.close(Ledger(body.partner), body.window).result(), HTTPStatus.CREATED)


@ROUTER.post(
    "/disputes",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(
        OtherAnswer,
        *COMMANDS,
        *REFUSALS,
        Code.CONVERSION_EXISTS,
        Code.DECISION_MISMATCH,
        Code.LINE_DISPUTED,
        Code.LINES_TOO_MANY,
        status=HTTPStatus.CREATED,
    ),
)
def dispute_lines(body: DisputeBody, node: NodeDependency) -> Response:
    """Leave lines out of a window's bill; the next statements list them until their dispute ends."""
    request = DisputeRequest(
        id=Id(body.id),
        partner=Ledger(body.partner),
        window=body.window,
        direction=body.direction,
        lines=tuple(map(Id, body.lines)),
        reason=body.reason,
        enters=body.enter,
    )
    return answered(node.settlement.dispute(request).result(), HTTPStatus.CREATED)
