"""The settlement statement: one document that both parties compute, each from its own ledger, and sign.

Sums are decimal strings, since a window's totals may pass 2^53; money is in millionths of the currency unit. A
balance is signed: above zero the first party owes the second. Nothing is rounded: whole minor units are paid and the
rest is carried, exactly, into the next statement (specs/settlement.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from protocol.agreement import SignatureText
from protocol.encoding import Codec, digest_of
from protocol.errors import KeyInvalid, SignatureInvalid, StatementInvalid
from protocol.fields import AssetField, DigestField, LedgerField, NetworkField, TimeField, UuidField
from protocol.identifiers import Digest, Ledger, partner_of
from protocol.keys import PublicKey, Signer, decode_signature, encode_signature
from protocol.limits import BODY_BYTES_MAX
from protocol.merkle import EMPTY_ROOT
from protocol.points import Amount, Natural, Signed

LINES_MAX: Final = 96
"""Disputed lines, and adjusted lines, of one direction: so that a signed statement always fits into a message."""

STATEMENT_AGREEMENTS_MAX: Final = 32
STATEMENT_BYTES_MAX: Final = BODY_BYTES_MAX - 3_584
"""What an entry that repeats the message with both signatures has room for beside its own fields and postings."""

_SIGNATURE_DOMAIN: Final = b"tallystick/statement-signature/v1\n"
_EMPTY_ROOT: Final = Digest(EMPTY_ROOT.hex())

TotalText = Annotated[str, Meta(pattern=r"^(?:0|[1-9][0-9]{0,31})\Z")]
"""A sum of naturals in decimal, of at most 32 digits."""

BalanceText = Annotated[str, Meta(pattern=r"^(?:0|-?[1-9][0-9]{0,31})\Z")]
"""A signed sum in decimal, of at most 32 digits."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a document: all fields always present, none unknown."""


class DisputeReason(StrEnum):
    """Why a line is left out for now."""

    MISSING = "missing"
    TERMS = "terms"
    NOT_CREDITED = "not_credited"
    REJECTED = "rejected"
    LATE = "late"
    OTHER = "other"


class AdjustmentReason(StrEnum):
    """How a disputed line ended, or that one billed before is taken back."""

    UPHELD = "upheld"
    REDUCED = "reduced"
    WAIVED = "waived"
    TAKEN_BACK = "taken_back"


class DisputedLine(_Part, frozen=True, kw_only=True):
    """A conversion whose value is not billed while it is in dispute; `window` is the one that decided it."""

    window: Amount
    dec_seq: Amount
    id: UuidField
    value: Natural
    reason: DisputeReason

    @property
    def place(self) -> tuple[int, int]:
        """Return where the decider put the conversion: window and decision number."""
        return self.window, self.dec_seq


class AdjustedLine(_Part, frozen=True, kw_only=True):
    """What a line of an earlier window adds to this one; below zero the source gets it back."""

    window: Amount
    dec_seq: Amount
    id: UuidField
    value: Signed
    reason: AdjustmentReason

    @property
    def place(self) -> tuple[int, int]:
        """Return where the decider put the conversion: window and decision number."""
        return self.window, self.dec_seq


class Line(_Part, frozen=True, kw_only=True):
    """A credited conversion as the bill sees it: both sides have it from the same two bodies.

    `fulfil` is the digest of the decider's FULFIL, which cites the PREPARE: it commits to everything else here.
    """

    source: LedgerField
    destination: LedgerField
    id: UuidField
    window: Amount
    dec_seq: Amount
    agreement: DigestField
    currency: AssetField
    source_points: Amount
    destination_points: Amount
    fee_points: Natural
    value: Natural
    fulfil: DigestField


class CheckpointReference(_Part, frozen=True, kw_only=True):
    """A log's size and root."""

    origin: LedgerField
    size: Amount
    root: DigestField


class Totals(_Part, frozen=True, kw_only=True):
    """All conversions of one direction in one window: counted, summed and committed to.

    `root` is that of the RFC 6962 tree over the FULFIL bodies' digests (32 bytes each, as leaf data) in the order of
    `dec_seq`. A window without conversions has `last_dec_seq` one below `first_dec_seq`.
    """

    first_dec_seq: Amount
    last_dec_seq: Natural
    count: Natural
    source_points: TotalText
    destination_points: TotalText
    fee_points: TotalText
    value: TotalText
    root: DigestField


class Bill(_Part, frozen=True, kw_only=True):
    """What one direction adds to the balance: `source` owes `destination` for the points it converted out.

    `totals` has every conversion of the window. `disputed` lists those of this window, whose value is taken off again,
    and those of earlier ones that are still in dispute; `adjustments` come on top.
    """

    source: LedgerField
    destination: LedgerField
    closed_at: TimeField
    totals: Totals
    disputed: Annotated[tuple[DisputedLine, ...], Meta(max_length=LINES_MAX)]
    adjustments: Annotated[tuple[AdjustedLine, ...], Meta(max_length=LINES_MAX)]

    def withheld(self, window: int) -> int:
        """Return the value, in millionths, of the lines of `window` that are in dispute."""
        return sum(line.value for line in self.disputed if line.window == window)

    def owed(self, window: int) -> int:
        """Return what `source` owes `destination` for `window`, in millionths; below zero, the other way round."""
        adjusted = sum(line.value for line in self.adjustments)
        return int(self.totals.value) - self.withheld(window) + adjusted


class Statement(_Part, frozen=True, kw_only=True):
    """The bill of one window between two ledgers: both directions, netted; the same bytes on both sides.

    `net` is the opening carry and what both directions add; `minor_units` of it are paid and `carry` stays.
    """

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    network: NetworkField
    parties: tuple[LedgerField, LedgerField]
    window: Amount
    previous: DigestField | None
    agreements: Annotated[tuple[DigestField, ...], Meta(min_length=1, max_length=STATEMENT_AGREEMENTS_MAX)]
    currency: AssetField
    minor_unit: Amount
    directions: tuple[Bill, Bill]
    opening_carry: BalanceText
    net: BalanceText
    payer: LedgerField | None
    minor_units: TotalText
    carry: BalanceText
    due_at: TimeField
    checkpoints: tuple[CheckpointReference, CheckpointReference]

    @property
    def amount(self) -> int:
        """Return what is paid, in millionths."""
        return int(self.minor_units) * self.minor_unit

    def bill(self, source: Ledger) -> Bill:
        """Return the bill of conversions out of `source`, or raise `StatementInvalid`."""
        for bill in self.directions:
            if bill.source == source:
                return bill
        raise StatementInvalid(f"{source} is not a party of this statement")


class StatementSignature(_Part, frozen=True, kw_only=True):
    """One party's signature, by its approval key, over the statement's canonical bytes."""

    ledger: LedgerField
    signature: SignatureText


class SignedStatement(_Part, frozen=True, kw_only=True):
    """A statement and its signatures, in the order of the parties: one for a proposal, two when it is agreed."""

    statement: Statement
    signatures: Annotated[tuple[StatementSignature, ...], Meta(min_length=1, max_length=2)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """How a balance is settled: whole minor units by the payer, the rest carried."""

    payer: Ledger | None
    minor_units: int
    carry: int


_STATEMENTS: Final = Codec(msgspec.json.Decoder(Statement), error=StatementInvalid, bytes_max=STATEMENT_BYTES_MAX)
_SIGNED: Final = Codec(msgspec.json.Decoder(SignedStatement), error=StatementInvalid, bytes_max=BODY_BYTES_MAX)


def payment_of(net: int, *, minor_unit: int, parties: tuple[Ledger, Ledger]) -> Payment:
    """Return who pays how many whole minor units of the balance `net`, and the rest: together they are `net` exactly.

    The payer pays no fraction of a unit, so the carry has the sign of `net` and is smaller than one unit.
    """
    units, rest = divmod(abs(net), minor_unit)
    debtor, sign = (parties[0], 1) if net > 0 else (parties[1], -1)
    return Payment(payer=debtor if units else None, minor_units=units, carry=sign * rest)


def check_statement(statement: Statement) -> None:
    """Raise `StatementInvalid` unless the document is consistent in itself, to the millionth."""
    first, second = statement.parties
    if first >= second:
        raise StatementInvalid("the parties must be two ledgers in the order of their names")
    if [(bill.source, bill.destination) for bill in statement.directions] != [(first, second), (second, first)]:
        raise StatementInvalid("the directions must be first to second, then second to first")
    if [partner_of(one.origin) for one in statement.checkpoints] != [partner_of(each) for each in statement.parties]:
        raise StatementInvalid("the checkpoints must be those of the parties' logs, in their order")
    if any(left >= right for left, right in pairwise(statement.agreements)):
        raise StatementInvalid("the agreements must be different, in order")
    if statement.due_at < max(bill.closed_at for bill in statement.directions):
        raise StatementInvalid("the payment is due before the window closed")
    for bill in statement.directions:
        check_totals(bill.totals)
        _check_lines(bill, statement.window)
    _check_balance(statement)


def check_totals(totals: Totals) -> None:
    """Raise `StatementInvalid` unless count and numbers agree, and a window without conversions sums to nothing."""
    if totals.last_dec_seq - totals.first_dec_seq + 1 != totals.count:
        raise StatementInvalid("the count is not that of the decisions' numbers")
    sums = {totals.source_points, totals.destination_points, totals.fee_points, totals.value}
    if not totals.count and (sums != {"0"} or totals.root != _EMPTY_ROOT):
        raise StatementInvalid("a direction without conversions sums to nothing")


def _check_lines(bill: Bill, window: int) -> None:
    disputed = [line.place for line in bill.disputed]
    adjusted = [line.place for line in bill.adjustments]
    if any(left >= right for places in (disputed, adjusted) for left, right in pairwise(places)):
        raise StatementInvalid("lines must be different, in the order of their decisions")
    if set(disputed) & set(adjusted):
        raise StatementInvalid("a line is both adjusted and still in dispute")
    if any(line.window > window for line in bill.disputed) or any(line.window >= window for line in bill.adjustments):
        raise StatementInvalid("a line is of a window that has not come yet")
    totals = bill.totals
    for line in bill.disputed:
        if line.dec_seq > totals.last_dec_seq or (line.window == window) != (line.dec_seq >= totals.first_dec_seq):
            raise StatementInvalid("a disputed line has a number of another window")
    if any(line.dec_seq >= totals.first_dec_seq for line in bill.adjustments):
        raise StatementInvalid("an adjusted line has a number of this window")
    if any((line.value < 0) != (line.reason is AdjustmentReason.TAKEN_BACK) for line in bill.adjustments):
        raise StatementInvalid("a line is taken back by a value below zero, and by nothing else")
    if bill.withheld(window) > int(totals.value):
        raise StatementInvalid("more is in dispute than was converted")


def _check_balance(statement: Statement) -> None:
    first, second = (bill.owed(statement.window) for bill in statement.directions)
    net = int(statement.opening_carry) + first - second
    payment = payment_of(net, minor_unit=statement.minor_unit, parties=statement.parties)
    stated = (statement.net, statement.payer, statement.minor_units, statement.carry)
    if stated != (str(net), payment.payer, str(payment.minor_units), str(payment.carry)):
        raise StatementInvalid("the balance is not that of the directions and the opening carry")


def encode_statement(statement: Statement) -> bytes:
    """Return the canonical bytes that both parties sign, or raise `StatementInvalid` where no reader accepts them."""
    data = _STATEMENTS.encode(statement)
    decode_statement(data)  # A document made here, not read, may hold what no field of it may hold.
    return data


def decode_statement(data: bytes) -> Statement:
    """Return the statement in `data`, consistent in itself, or raise `StatementInvalid`."""
    statement = _STATEMENTS.decode(data)
    check_statement(statement)
    return statement


def statement_digest(statement: Statement) -> Digest:
    """Return the digest by which payments and the next statement name this one."""
    return digest_of("statement", _STATEMENTS.encode(statement))


def sign_statement(statement: Statement, *, ledger: Ledger, key: Signer, approval: PublicKey) -> StatementSignature:
    """Return the signature of the party `ledger`, or raise a `ProtocolError` if `key` is not that of `approval`."""
    message = _SIGNATURE_DOMAIN + encode_statement(statement)
    if ledger not in statement.parties:
        raise StatementInvalid(f"{ledger} is not a party of this statement")
    if key.public != approval:
        raise SignatureInvalid(f"the key is not the approval key of {ledger}")
    return StatementSignature(ledger=ledger, signature=encode_signature(key.sign(message)))


def verify_statement(signed: SignedStatement, *, approvals: Mapping[Ledger, PublicKey], complete: bool) -> None:
    """Raise unless every signature verifies under its party's key in `approvals`, and all are there if `complete`."""
    message = _SIGNATURE_DOMAIN + encode_statement(signed.statement)
    signers = [item.ledger for item in signed.signatures]
    parties = list(signed.statement.parties)
    if not signers or signers != [name for name in parties if name in signers]:
        raise StatementInvalid("signatures must be the parties', once each and in their order")
    if complete and signers != parties:
        raise SignatureInvalid("the statement is not signed by both parties")
    for item in signed.signatures:
        key = approvals.get(item.ledger)
        if key is None:
            raise KeyInvalid(f"there is no approval key of {item.ledger}")
        key.verify(signature=decode_signature(item.signature), message=message)


def encode_signed_statement(signed: SignedStatement) -> bytes:
    """Return the canonical bytes of the statement with its signatures."""
    return _SIGNED.encode(signed)


def decode_signed_statement(data: bytes) -> SignedStatement:
    """Return the signed statement in `data`, consistent but not yet verified, or raise `StatementInvalid`."""
    signed = _SIGNED.decode(data)
    check_statement(signed.statement)
    return signed
