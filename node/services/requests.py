"""What can be asked of a node: one frozen record a request, and the digest by which a repeat is recognised.

Ids are the client's; texts are checked where they come in. Everything here enters the request's digest, so nothing
here is drawn or read off a clock.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

import msgspec

from node.services.request_digest import RequestDigests, fields_of, plain_message
from protocol.agreement import InFlightLimits, MemberLimits, Promotion
from protocol.encoding import JsonValue
from protocol.identifiers import Account, Alias, Digest, Id, Ledger

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

NO_MEMBER_LIMITS: Final = MemberLimits(
    out_points_per_day=None, out_points_per_year=None, in_points_per_day=None, in_points_per_year=None
)
NO_IN_FLIGHT_LIMITS: Final = InFlightLimits(conversions=None, value=None)

LATER: Final = frozenset({"until", "conversions_max", "points_max"})
"""Fields of requests that were made without them before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAccountRequest:
    """Open a holder's account."""

    id: Id
    account: Account
    occurred_on: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseAccountRequest:
    """Close an empty account."""

    id: Id
    account: Account
    occurred_on: str | None = None


class IssueRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Give a holder new points; `metadata` is a packed JSON object (`node.services.metadata`)."""

    id: Id
    account: Account
    amount: int
    expires_on: str | None = None
    occurred_on: str | None = None
    metadata: str | None = None


class RedeemRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Use up a holder's points."""

    id: Id
    account: Account
    amount: int
    occurred_on: str | None = None
    metadata: str | None = None


class TransferRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Move points between two holders."""

    id: Id
    account: Account
    to: Account
    amount: int
    occurred_on: str | None = None
    metadata: str | None = None


class ReverseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Undo an issue, a redemption or a capture: all that was not undone yet when `amount` is None.

    Of an issue whose points are not there any more, `partial` takes as many as there are.
    """

    id: Id
    reverses: Id
    amount: int | None = None
    partial: bool = False
    occurred_on: str | None = None
    metadata: str | None = None


TransactionRequest: TypeAlias = IssueRequest | RedeemRequest | TransferRequest | ReverseRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceHoldRequest:
    """Set points aside, until `expires_at` if that is given."""

    id: Id
    account: Account
    amount: int
    expires_at: str | None = None
    occurred_on: str | None = None
    metadata: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureHoldRequest:
    """Redeem held points: all that remain when `amount` is None; `final` releases the rest."""

    id: Id
    hold: Id
    amount: int | None = None
    final: bool = True
    occurred_on: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseHoldRequest:
    """Give back what remains of a hold."""

    id: Id
    hold: Id
    occurred_on: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueLinkRequest:
    """Let one partner know an account of ours by a random alias, until then, so often, and for so many points."""

    id: Id
    account: Account
    partner: Ledger
    until: str | None = None
    conversions_max: int | None = None
    points_max: int | None = None
    occurred_on: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptLinkRequest:
    """Connect an account of ours with the account that a partner's signed link, in canonical JSON, stands for."""

    id: Id
    account: Account
    document: str
    occurred_on: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedeemCodeRequest:
    """Connect an account of ours with the one whose owner consented at the partner; `code` is its one-time code."""

    id: Id
    account: Account
    partner: Ledger
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeLinkRequest:
    """End a link of an account, at whichever end it is here."""

    account: Account
    partner: Ledger
    alias: Alias
    direction: Literal["issued", "accepted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseRequest:
    """Forget the person behind an account; with `forfeit`, what points it has are given up."""

    id: Id
    account: Account
    forfeit: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteRequest:
    """Ask what a conversion of `amount` points would give; with an account, whether it could be ordered now."""

    account: Account | None
    partner: Ledger
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """Convert as many whole steps of `amount` as fit; the partner decides within `accept_within_seconds`.

    `agreement` is that of an open quote; `refund_of` a partner's conversion that goes back.
    """

    id: Id
    account: Account
    partner: Ledger
    amount: int
    accept_within_seconds: int
    agreement: Digest | None = None
    refund_of: Id | None = None
    occurred_on: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequest:
    """Ask the partner to refuse a conversion that it has not credited."""

    conversion: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class ForceReleaseRequest:
    """Give a member the points of an undecided conversion back at the program's own risk, for a reason in one word."""

    id: Id
    conversion: Id
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRequest:
    """End an agreement at `ends_at`, which gives the partner the notice that it asks for."""

    agreement: Digest
    ends_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerRequest:
    """Know a ledger by its keys: what of an invitation decides whether it was accepted before."""

    network: str
    ledger: Ledger
    points: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionTerms:
    """The terms of converting out of `source`: every `step_source` points give `step_destination`, at a `price`."""

    source: Ledger
    step_source: int
    step_destination: int
    price: int
    steps_min: int
    steps_max: int
    fee_per_conversion: int
    fee_per_step: int
    expiry_days: int | None
    member_limits: MemberLimits = NO_MEMBER_LIMITS
    in_flight: InFlightLimits = NO_IN_FLIGHT_LIMITS
    cap: int | None = None
    promotions: tuple[Promotion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalRequest:
    """Propose an agreement to `partner`; times that are None are the node's to choose.

    `forced` allows terms by which converting there and back makes points.
    """

    partner: Ledger
    currency: str
    directions: Sequence[DirectionTerms]
    valid_from: str | None
    valid_until: str | None
    quote_life_seconds: int
    notice_days: int
    windows_start_at: str | None
    window_hours: int
    due_days: int
    minor_unit: int
    transport: Literal["https", "answers", "files"]
    cycle_seconds: int
    forced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeRequest:
    """Leave lines, named by their conversions, out of a window's bill; "out" are conversions of this ledger.

    `enters` allows lines that the partner alone has shown, which this ledger enters so.
    """

    id: Id
    partner: Ledger
    window: int
    direction: Literal["out", "in"]
    lines: tuple[Id, ...]
    reason: str
    enters: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRequest:
    """Say that the money of a statement is on its way; the payee finds it by `reference`."""

    id: Id
    statement: Digest
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnRequest:
    """Note that the money of a statement, which this ledger has sent, came back."""

    id: Id
    statement: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationRequest:
    """Confirm that the money of a statement has arrived."""

    id: Id
    statement: Digest


def digest_request(digests: RequestDigests, request: "DataclassInstance | msgspec.Struct") -> Digest:
    """Return the keyed digest of all that `request` says.

    A field that requests have got later counts where it says something: one of before is recognised as the same.
    """
    names, kind = fields_of(type(request)), type(request).__name__
    message = None if not LATER.isdisjoint(names) else plain_message(request, kind=kind)
    if message is not None:
        return digests.digest_bytes(message)
    document = msgspec.structs.asdict(request) if isinstance(request, msgspec.Struct) else asdict(request)
    said = {name: value for name, value in document.items() if value is not None or name not in LATER}
    return digests.digest(kind, cast("dict[str, JsonValue]", said))
