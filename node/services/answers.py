"""What the services answer: typed, encoded once, and for a command a pure function of its entry.

Field order is the order of the JSON; `Document` is a signed paper as JSON, for a person to carry and a program to read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import msgspec

Document: TypeAlias = Mapping[str, object]
PostingRow: TypeAlias = tuple[str, str, int]
"""Account, asset and signed amount."""

_ENCODER: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What the caller is told about a written entry; `id` is the one by which the request can be repeated."""

    id: str
    kind: str
    seq: int
    leaf: str
    time: str
    occurred_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GenesisAnswer(Written):
    """The ledger began."""

    kind: Literal["genesis"] = "genesis"
    ledger: str
    points: str
    points_name: str
    currencies: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAnswer(Written):
    """An account was opened or closed."""

    kind: Literal["account_opened", "account_closed"]
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedAnswer(Written):
    """Points were given to a holder; `metadata` is the salted digest of the erasable metadata.

    `expiry` says where their last day comes from: with `rolling` it follows the account's activity. They can be spent
    from `spendable_on` on, or at once.
    """

    kind: Literal["points_issued"] = "points_issued"
    postings: tuple[PostingRow, ...]
    expiry: Literal["never", "fixed", "rolling", "named"]
    expires_on: str | None
    spendable_on: str | None
    metadata: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedAnswer(Written):
    """Points of a holder were used up, or moved to another holder."""

    kind: Literal["points_redeemed", "points_transferred"]
    postings: tuple[PostingRow, ...]
    metadata: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversedAnswer(Written):
    """An issue or a redemption was undone; less was moved than `asked` where the points were not there."""

    kind: Literal["points_reversed"] = "points_reversed"
    reverses: str
    asked: int
    postings: tuple[PostingRow, ...]
    metadata: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiredLotRow:
    """Points that were lost after their last day."""

    expires_on: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiredAnswer(Written):
    """Points of a holder were lost, since their last day had passed."""

    kind: Literal["points_expired"] = "points_expired"
    account: str
    lots: tuple[ExpiredLotRow, ...]
    postings: tuple[PostingRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldAnswer(Written):
    """Points were set aside."""

    kind: Literal["hold_placed"] = "hold_placed"
    account: str
    amount: int
    expires_at: str | None
    metadata: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureAnswer(Written):
    """Held points were redeemed; `final` released what remained."""

    kind: Literal["hold_captured"] = "hold_captured"
    hold: str
    postings: tuple[PostingRow, ...]
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseAnswer(Written):
    """What remained of a hold is available again; `expired` when its time had passed."""

    kind: Literal["hold_released"] = "hold_released"
    hold: str
    expired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerAnswer(Written):
    """A partner is known by its keys; `fingerprint` is what operators read aloud."""

    kind: Literal["partner_added"] = "partner_added"
    network: str
    ledger: str
    points: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerAcceptedAnswer(PartnerAnswer):
    """A partner is known; `reply` is this node's own invitation, to be sent back."""

    reply: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementAnswer(Written):
    """An agreement binds; `agreement` is the document with both signatures."""

    kind: Literal["agreement_entered"] = "agreement_entered"
    partner: str
    digest: str
    agreement: Document
    forced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkAnswer(Written):
    """An account is linked with a partner; `limits` are null where there are none."""

    kind: Literal["link_issued", "link_accepted"]
    account: str
    partner: str
    alias: str
    limits: Document | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkIssuedAnswer(LinkAnswer):
    """An account is linked; `document` is the signed link that its member carries to the partner."""

    document: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionAnswer(Written):
    """Points are on hold for the partner to credit; `value` is in millionths of `currency`."""

    kind: Literal["conversion_held"] = "conversion_held"
    state: Literal["pending"] = "pending"
    partner: str
    account: str
    agreement: str
    promotion: str | None
    refund_of: str | None
    steps: int
    source_points: int
    destination_points: int
    fee_points: int
    value: int
    currency: str
    accept_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAnswer(Written):
    """The partner is asked to refuse a conversion unless it has credited it."""

    kind: Literal["conversion_cancel_requested"] = "conversion_cancel_requested"
    conversion: str
    partner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedAnswer(Written):
    """The partner credited a conversion, so the held points are gone."""

    kind: Literal["conversion_captured"] = "conversion_captured"
    conversion: str
    decided_at: str
    expires_on: str | None
    postings: tuple[PostingRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnedAnswer(Written):
    """The partner refused a conversion, so the held points are the member's again."""

    kind: Literal["conversion_released"] = "conversion_released"
    conversion: str
    reason: str
    decided_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForcedAnswer(Written):
    """An operator gave the held points back without the partner's word; `postings` are what may be owed."""

    kind: Literal["conversion_forced"] = "conversion_forced"
    conversion: str
    reason: str
    postings: tuple[PostingRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedAnswer(Written):
    """An agreement ends at `ends_at`, by notice of the party `by`."""

    kind: Literal["agreement_ended"] = "agreement_ended"
    partner: str
    agreement: str
    by: str
    given_at: str
    ends_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditedAnswer(Written):
    """Points came in from a partner."""

    kind: Literal["conversion_credited"] = "conversion_credited"
    conversion: str
    partner: str
    agreement: str
    promotion: str | None
    refund_of: str | None
    steps: int
    destination_points: int
    value: int
    currency: str
    expires_on: str | None
    postings: tuple[PostingRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedAnswer(Written):
    """A partner's conversion was refused for ever."""

    kind: Literal["conversion_refused"] = "conversion_refused"
    conversion: str
    partner: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherAnswer(Written):
    """Anything else that a ledger records; `fields` are the entry's own, as they stand in it."""

    fields: Document


EntryAnswer: TypeAlias = (
    GenesisAnswer
    | AccountAnswer
    | IssuedAnswer
    | MovedAnswer
    | ReversedAnswer
    | ExpiredAnswer
    | HoldAnswer
    | CaptureAnswer
    | ReleaseAnswer
    | PartnerAnswer
    | AgreementAnswer
    | LinkAnswer
    | ConversionAnswer
    | CancelAnswer
    | CapturedAnswer
    | ReturnedAnswer
    | ForcedAnswer
    | EndedAnswer
    | CreditedAnswer
    | RefusedAnswer
    | OtherAnswer
)


def encode_answer(answer: object) -> bytes:
    """Return the JSON of an answer: the same bytes for the same value, always."""
    return _ENCODER.encode(answer)
