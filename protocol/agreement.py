"""The rate agreement: one document signed by both parties and entered in both ledgers (specs/agreement.md)."""

from itertools import pairwise
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from protocol.encoding import Codec, digest_of
from protocol.errors import AgreementInvalid, KeyInvalid, SignatureInvalid
from protocol.fields import AssetField, DigestField, LedgerField, NetworkField, TextField, TimeField, days_later
from protocol.identifiers import Digest, Ledger, program_of
from protocol.keys import PublicKey, Role, Signer, decode_signature, encode_signature
from protocol.limits import AGREEMENT_PROMOTIONS_MAX, ENTRY_BYTES_MAX
from protocol.points import Amount, Natural, Step, multiplies

_SIGNATURE_DOMAIN: Final = b"tallystick/agreement-signature/v1\n"

KeyText = Annotated[str, Meta(min_length=44, max_length=44)]
SignatureText = Annotated[str, Meta(min_length=88, max_length=88)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a document: all fields always present, none unknown."""


class RoleKey(_Part, frozen=True, kw_only=True):
    """A public Ed25519 key in base64 and what it may sign."""

    role: Role
    key: KeyText


class Party(_Part, frozen=True, kw_only=True):
    """One of the two ledgers: its name, its points and its keys, one a role."""

    ledger: LedgerField
    points: AssetField
    keys: tuple[RoleKey, ...]

    def key(self, role: Role) -> PublicKey:
        """Return the party's key for `role`, or raise `KeyInvalid`."""
        return key_of(self.keys, role)


class Fee(_Part, frozen=True, kw_only=True):
    """Source points that the member pays to the source brand beside the conversion."""

    points_per_conversion: Natural
    points_per_step: Natural


class Promotion(_Part, frozen=True, kw_only=True):
    """Another step for a time; `budget_points` bounds what it gives in destination points."""

    name: TextField
    starts_at: TimeField
    ends_at: TimeField
    step: Step
    price: Natural
    budget_points: Amount | None


class MemberLimits(_Part, frozen=True, kw_only=True):
    """What one member may send (source points) and receive (destination points); null is no limit."""

    out_points_per_day: Amount | None
    out_points_per_year: Amount | None
    in_points_per_day: Amount | None
    in_points_per_year: Amount | None


class InFlightLimits(_Part, frozen=True, kw_only=True):
    """How many undecided conversions, and of what settlement value in millionths, may be open at once."""

    conversions: Amount | None
    value: Amount | None


class ConvertedExpiry(_Part, frozen=True, kw_only=True):
    """When converted points expire: `days` after they were credited, or never when null."""

    days: Annotated[int, Meta(ge=1, le=36_525)] | None


class Direction(_Part, frozen=True, kw_only=True):
    """The terms of converting from `source` to `destination`; `price` is in millionths of the currency a step."""

    source: LedgerField
    destination: LedgerField
    step: Step
    price: Natural
    steps_min: Amount
    steps_max: Amount
    fee: Fee
    member_limits: MemberLimits
    in_flight: InFlightLimits
    cap: Amount | None
    expiry: ConvertedExpiry
    promotions: Annotated[tuple[Promotion, ...], Meta(max_length=AGREEMENT_PROMOTIONS_MAX)]

    def fee_points(self, steps: int) -> int:
        """Return the fee of a conversion of `steps` steps, in source points."""
        return self.fee.points_per_conversion + steps * self.fee.points_per_step

    def expires_on(self, credited_on: str) -> str | None:
        """Return the last day on which points credited on `credited_on` can be spent, or None."""
        if self.expiry.days is None:
            return None
        return days_later(credited_on, days=self.expiry.days)


class WindowCalendar(_Part, frozen=True, kw_only=True):
    """Settlement windows in UTC: `hours` long from `starts_at`; payment is due `due_days` after the close."""

    starts_at: TimeField
    hours: Annotated[int, Meta(ge=1, le=8_784)]
    due_days: Annotated[int, Meta(ge=0, le=366)]
    minor_unit: Amount


class Transport(_Part, frozen=True, kw_only=True):
    """How envelopes travel: `https` (both dial), `answers` (one only dials out), `files`; and how often."""

    kind: Annotated[str, Meta(pattern=r"^(?:https|answers|files)\Z")]
    cycle_seconds: Annotated[int, Meta(ge=0, le=2_678_400)]


class Agreement(_Part, frozen=True, kw_only=True):
    """The terms between two parties, in the order of their ledgers' names, for both directions."""

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    network: NetworkField
    number: Amount
    supersedes: DigestField | None
    parties: tuple[Party, Party]
    currency: AssetField
    directions: tuple[Direction, Direction]
    valid_from: TimeField
    valid_until: TimeField | None
    quote_life_seconds: Annotated[int, Meta(ge=1, le=86_400)]
    notice_days: Annotated[int, Meta(ge=0, le=366)]
    windows: WindowCalendar
    transport: Transport

    def party(self, ledger: Ledger) -> Party:
        """Return the party that is `ledger`, or raise `AgreementInvalid`."""
        for party in self.parties:
            if party.ledger == ledger:
                return party
        raise AgreementInvalid(f"{ledger} is not a party of this agreement")

    def other(self, ledger: Ledger) -> Party:
        """Return the party that is not `ledger`, or raise `AgreementInvalid`."""
        first, second = self.parties
        return second if self.party(ledger) is first else first

    def direction(self, source: Ledger) -> Direction:
        """Return the terms of conversions out of `source`, or raise `AgreementInvalid`."""
        for direction in self.directions:
            if direction.source == source:
                return direction
        raise AgreementInvalid(f"{source} is not a party of this agreement")


class AgreementSignature(_Part, frozen=True, kw_only=True):
    """One party's signature, by its approval key, over the agreement's canonical bytes."""

    ledger: LedgerField
    signature: SignatureText


class SignedAgreement(_Part, frozen=True, kw_only=True):
    """An agreement and its signatures, in the order of the parties: one for a proposal, two when it binds."""

    agreement: Agreement
    signatures: Annotated[tuple[AgreementSignature, ...], Meta(min_length=1, max_length=2)]


_AGREEMENTS: Final = Codec(msgspec.json.Decoder(Agreement), error=AgreementInvalid, bytes_max=ENTRY_BYTES_MAX)
_SIGNED: Final = Codec(msgspec.json.Decoder(SignedAgreement), error=AgreementInvalid, bytes_max=ENTRY_BYTES_MAX)


def key_of(keys: tuple[RoleKey, ...], role: Role) -> PublicKey:
    """Return the key that `keys` holds for `role`, or raise `KeyInvalid`."""
    for item in keys:
        if item.role == role:
            return PublicKey.parse(item.key)
    raise KeyInvalid(f"no key of the role {role}")


def check_keys(keys: tuple[RoleKey, ...]) -> None:
    """Raise `KeyInvalid` unless `keys` holds one valid key of its own for each role, in the roles' order."""
    if [item.role for item in keys] != list(Role):
        raise KeyInvalid(f"keys must be one for each of {', '.join(Role)}, in this order")
    if len({item.key for item in keys}) != len(keys):
        raise KeyInvalid("each role needs a key of its own")
    for item in keys:
        PublicKey.parse(item.key)


def _check_times(agreement: Agreement) -> None:
    promotions = [promotion for direction in agreement.directions for promotion in direction.promotions]
    spans = [(agreement.valid_from, agreement.valid_until)] if agreement.valid_until else []
    spans += [(promotion.starts_at, promotion.ends_at) for promotion in promotions]
    if any(start >= end for start, end in spans):
        raise AgreementInvalid("a period ends before it starts")


def check_agreement(agreement: Agreement) -> None:
    """Raise `AgreementInvalid` unless the document is consistent in itself."""
    names = [party.ledger for party in agreement.parties]
    if names != sorted(set(names)):
        raise AgreementInvalid("the parties must be two ledgers in the order of their names")
    if [(d.source, d.destination) for d in agreement.directions] != [(names[0], names[1]), (names[1], names[0])]:
        raise AgreementInvalid("the directions must be first to second, then second to first")
    first, second = agreement.parties
    if first.points == second.points and program_of(first.ledger) != program_of(second.ledger):
        raise AgreementInvalid("the points of two programs must have different codes")
    if any(direction.steps_min > direction.steps_max for direction in agreement.directions):
        raise AgreementInvalid("the minimum of steps is above the maximum")
    promotion_names = [[p.name for p in direction.promotions] for direction in agreement.directions]
    if any(left >= right for listed in promotion_names for left, right in pairwise(listed)):
        raise AgreementInvalid("promotions must have different names, in order")
    _check_times(agreement)
    for party in agreement.parties:
        try:
            check_keys(party.keys)
        except KeyInvalid as error:
            raise AgreementInvalid(str(error)) from error


def encode_agreement(agreement: Agreement) -> bytes:
    """Return the canonical bytes that both parties sign, or raise `AgreementInvalid` where no reader accepts them."""
    data = _AGREEMENTS.encode(agreement)
    _AGREEMENTS.decode(data)  # A document made here, not read, may hold what no field of it may hold.
    check_agreement(agreement)
    return data


def agreement_digest(agreement: Agreement) -> Digest:
    """Return the digest that conversions cite."""
    return digest_of("agreement", _AGREEMENTS.encode(agreement))


def sign_agreement(agreement: Agreement, *, ledger: Ledger, key: Signer) -> AgreementSignature:
    """Return the signature of the party `ledger`, or raise a `ProtocolError` if `key` is not its approval key."""
    message = _SIGNATURE_DOMAIN + encode_agreement(agreement)
    if agreement.party(ledger).key(Role.APPROVAL) != key.public:
        raise SignatureInvalid(f"the key is not the approval key of {ledger}")
    return AgreementSignature(ledger=ledger, signature=encode_signature(key.sign(message)))


def verify_agreement(signed: SignedAgreement, *, complete: bool) -> None:
    """Raise unless every signature verifies under its party's approval key, and all are there if `complete`."""
    message = _SIGNATURE_DOMAIN + encode_agreement(signed.agreement)
    signers = [item.ledger for item in signed.signatures]
    parties = [party.ledger for party in signed.agreement.parties]
    if signers != [name for name in parties if name in signers]:
        raise AgreementInvalid("signatures must be the parties', once each and in their order")
    if complete and signers != parties:
        raise SignatureInvalid("the agreement is not signed by both parties")
    for item in signed.signatures:
        key = signed.agreement.party(item.ledger).key(Role.APPROVAL)
        key.verify(signature=decode_signature(item.signature), message=message)


def encode_signed_agreement(signed: SignedAgreement) -> bytes:
    """Return the canonical bytes of the document with its signatures."""
    return _SIGNED.encode(signed)


def decode_signed_agreement(data: bytes) -> SignedAgreement:
    """Return the signed agreement in `data`, consistent but not yet verified, or raise `AgreementInvalid`."""
    signed = _SIGNED.decode(data)
    check_agreement(signed.agreement)
    return signed


def round_trip_multiplies(agreement: Agreement) -> bool:
    """Return whether converting there and back, at any steps the document allows, would make points."""
    there, back = (
        [direction.step, *(promotion.step for promotion in direction.promotions)] for direction in agreement.directions
    )
    return any(multiplies(out, home) for out in there for home in back)
