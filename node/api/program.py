"""`/v1/program`: the program's terms, as they stand in the log."""

from http import HTTPStatus
from typing import Annotated, Final, Literal

from pydantic import Field
from starlette.responses import Response

from node.api.fields import AmountField, Body, IdText, LedgerText, ReasonText, TimeText
from node.api.routes import COMMANDS, READS, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.answers import OtherAnswer, encode_answer
from node.services.program.program import ProgramRequest, ProgramView
from protocol.errors import Code
from protocol.identifiers import Id
from protocol.limits import INTEGER_MAX
from protocol.program import LIMITS_MAX, OFFSETS_MAX, SCREENS_MAX, read_terms

ROUTER: Final = router("program", "/v1/program")

_Natural = Annotated[int, Field(ge=0, le=INTEGER_MAX)]
_Hours = Annotated[int, Field(ge=0, le=8_784)]


class OffsetBody(Body):
    """An offset of the time zone, as a node shows it; the node that is asked makes its own."""

    starts_at: TimeText
    seconds: Annotated[int, Field(ge=-64_800, le=64_800)]


class ExpiryBody(Body):
    """When points expire: never, `months` after they were earned, or `months` after the last activity."""

    kind: Literal["never", "fixed", "rolling"] = "never"
    months: Annotated[int, Field(ge=0, le=1_200)] = 0
    round_to: Literal["none", "month", "quarter", "year"] = "none"


class LimitBody(Body):
    """At most `most` points, or times, of an activity; `scope` says who shares it."""

    activity: Literal["earn", "redeem", "transfer_out", "transfer_in", "convert_out", "convert_in"]
    scope: Literal["account", "kind", "partner", "program"]
    per: Literal["transaction", "day", "year"]
    measure: Literal["points", "count"]
    most: _Natural
    partner: LedgerText | None = None


_Limits = Annotated[list[LimitBody], Field(max_length=LIMITS_MAX, default_factory=list)]


class KindBody(Body):
    """What accounts of a kind may do, and limits of each of them."""

    kind: Literal["member", "employee", "supplier"]
    may_earn: bool = True
    may_redeem: bool = True
    may_convert: bool = True
    may_transfer: bool = True
    limits: _Limits


class TransfersBody(Body):
    """What a transfer between members costs, and what it waits for."""

    minimum: AmountField = 1
    fee_per_transfer: _Natural = 0
    fee_per_mille: Annotated[int, Field(ge=0, le=1_000)] = 0
    accept_within_hours: Annotated[int, Field(ge=1, le=8_784)] = 72
    cooling_off_hours: _Hours = 0
    review_above: AmountField | None = None


class LinksBody(Body):
    """How soon after a link was made `large_from` points, or more, can be converted over it."""

    cooling_off_hours: _Hours = 0
    large_from: AmountField = 1


class ScreenBody(Body):
    """More than `most` in `window_minutes` puts an order up for review."""

    name: Literal["velocity", "device", "address"]
    activity: Literal["transfer", "conversion", "any"] = "any"
    window_minutes: Annotated[int, Field(ge=1, le=43_200)]
    most: AmountField


class ProgramTermsBody(Body):
    """The whole terms; what is left out is as in a program that never set any."""

    v: Annotated[int, Field(ge=1, le=1)] = 1
    time_zone: Annotated[str, Field(pattern="^[A-Za-z0-9_+/-]{1,64}$", examples=["Europe/Berlin"])] = "UTC"
    offsets: Annotated[list[OffsetBody], Field(max_length=OFFSETS_MAX, default_factory=list)]
    expiry: ExpiryBody = ExpiryBody()
    pending_days: Annotated[int, Field(ge=0, le=3_660)] = 0
    four_eyes: bool = False
    kinds: Annotated[list[KindBody], Field(max_length=3, default_factory=list)]
    limits: _Limits
    transfers: TransfersBody = TransfersBody()
    links: LinksBody = LinksBody()
    screens: Annotated[list[ScreenBody], Field(max_length=SCREENS_MAX, default_factory=list)]


class ProgramBody(Body):
    """Let the program have `terms` from here on; `reason` is a word, never about a person."""

    id: IdText
    terms: ProgramTermsBody
    reason: ReasonText

    def request(self) -> ProgramRequest:
        """Return what is asked."""
        terms = read_terms(encode_answer(self.terms.model_dump()))
        return ProgramRequest(id=Id(self.id), terms=terms, reason=self.reason)


@ROUTER.get("", dependencies=[requires(Scope.PROGRAM_READ)], responses=answers(ProgramView, *READS))
def show_program(node: NodeDependency) -> Response:
    """Show the terms in force, and the program's calendar day."""
    return answered(node.program.show())


@ROUTER.put(
    "",
    dependencies=[requires(Scope.PROGRAM_WRITE)],
    responses=answers(
        OtherAnswer,
        *COMMANDS,
        Code.APPROVAL_MISSING,
        Code.PROGRAM_INVALID,
        Code.PROGRAM_UNCHANGED,
    ),
)
async def set_program(body: ProgramBody, node: NodeDependency) -> Response:
    """Set the program's terms: all of them, from this entry on."""
    return answered(await node.program.set(body.request()).wait(), HTTPStatus.OK)
