"""The entry kinds of settlement, and the bodies that they make (specs/entries.md, specs/settlement.md).

What a partner's body said is repeated by the entry that takes it in, so that the body can be written again.
"""

from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from protocol.entry import Entry, Postings, PostingsOrNone
from protocol.fields import AssetField, DigestField, LedgerField, NetworkField, TextField, TimeField
from protocol.identifiers import Ledger
from protocol.messages import Close, Dispute, EntryReference, PaymentAdvice, Receipt, StatementSigned
from protocol.points import Amount
from protocol.statement import LINES_MAX, DisputedLine, Line, SignedStatement, Totals, TotalText

ENTERED_LINES_MAX: Final = 48
"""Whole lines in one entry, beside those in dispute, so that the longest fit."""

_DisputedLines = Annotated[tuple[DisputedLine, ...], Meta(min_length=1, max_length=LINES_MAX)]


class _OfWindow(Entry, frozen=True, kw_only=True):
    network: NetworkField
    partner: LedgerField
    window: Amount


class WindowClosed(_OfWindow, frozen=True, kw_only=True, tag="window_closed"):
    """No further conversion from the partner gets this window's number; the next window opens."""

    opened_at: TimeField
    totals: Totals
    agreement: DigestField
    early: bool


class WindowCloseReceived(_OfWindow, frozen=True, kw_only=True, tag="window_close_received"):
    """The partner has credited these conversions of ours in this window, and no others."""

    close: DigestField
    totals: Totals
    agreement: DigestField
    closed_at: TimeField
    early: bool
    partner_entry: EntryReference


class LinesDisputed(_OfWindow, frozen=True, kw_only=True, tag="lines_disputed"):
    """We do not agree to bill these lines in this window; those in `entered` are the partner's word alone."""

    source: LedgerField
    lines: _DisputedLines
    entered: Annotated[tuple[Line, ...], Meta(max_length=ENTERED_LINES_MAX)]
    postings: PostingsOrNone


class DisputeReceived(_OfWindow, frozen=True, kw_only=True, tag="dispute_received"):
    """The partner does not agree to bill these lines in this window."""

    dispute: DigestField
    source: LedgerField
    lines: _DisputedLines
    partner_entry: EntryReference


class StatementProposed(_OfWindow, frozen=True, kw_only=True, tag="statement_proposed"):
    """The first party's statement of the window, with its signature."""

    signed: SignedStatement


class StatementAgreed(_OfWindow, frozen=True, kw_only=True, tag="statement_agreed"):
    """The statement of the window that both parties signed: what conversions owed is now due.

    `answered` is the partner's `statement`: to the second party the proposal, to the first the acceptance.
    """

    answered: DigestField
    signed: SignedStatement
    partner_entry: EntryReference
    postings: PostingsOrNone


class PaymentMade(_OfWindow, frozen=True, kw_only=True, tag="payment_made"):
    """At the payer: what the statement says is on its way."""

    statement: DigestField
    currency: AssetField
    minor_units: TotalText
    reference: TextField
    postings: Postings


class PaymentReceived(_OfWindow, frozen=True, kw_only=True, tag="payment_received"):
    """At the payee: the payer says that the money is on its way."""

    payment: DigestField
    statement: DigestField
    currency: AssetField
    minor_units: TotalText
    reference: TextField
    paid_at: TimeField
    partner_entry: EntryReference


class PaymentReturned(_OfWindow, frozen=True, kw_only=True, tag="payment_returned"):
    """At the payer: the money of a payment came back."""

    payment: DigestField
    postings: Postings


class PaymentConfirmed(_OfWindow, frozen=True, kw_only=True, tag="payment_confirmed"):
    """At the payee: the money of a payment has arrived."""

    payment: DigestField
    statement: DigestField
    postings: Postings


class ReceiptReceived(_OfWindow, frozen=True, kw_only=True, tag="receipt_received"):
    """At the payer: the payee says that the money has arrived."""

    receipt: DigestField
    statement: DigestField
    payment: DigestField
    received_at: TimeField
    partner_entry: EntryReference


WindowEntry: TypeAlias = (
    WindowClosed | WindowCloseReceived | LinesDisputed | DisputeReceived | StatementProposed | StatementAgreed
    | PaymentMade | PaymentReceived | PaymentReturned | PaymentConfirmed | ReceiptReceived
)  # fmt: skip


def payment_of_entry(entry: PaymentMade, reference: EntryReference, *, ledger: Ledger) -> PaymentAdvice:
    """Return the `payment` that the payer's entry makes."""
    return PaymentAdvice(
        network=entry.network,
        sender=ledger,
        receiver=entry.partner,
        window=entry.window,
        statement=entry.statement,
        currency=entry.currency,
        minor_units=entry.minor_units,
        reference=entry.reference,
        paid_at=entry.time,
        entry=reference,
    )


def window_body_of(
    entry: WindowEntry, reference: EntryReference, *, ledger: Ledger
) -> Close | Dispute | StatementSigned | PaymentAdvice | Receipt | None:
    """Return the body that an entry of `ledger`, which `reference` names, obliges it to send, or None."""
    match entry:
        case WindowClosed():
            return _close_of(entry, reference, ledger)
        case LinesDisputed():
            return Dispute(
                network=entry.network,
                sender=ledger,
                receiver=entry.partner,
                window=entry.window,
                source=entry.source,
                lines=entry.lines,
                entry=reference,
            )
        case StatementProposed():
            return _statement_of(entry, reference, ledger)
        case StatementAgreed():
            # The first party proposed: the second one's signature is the answer, and nothing answers that.
            second = entry.signed.statement.parties[1]
            return _statement_of(entry, reference, ledger) if second == ledger else None
        case PaymentMade():
            return payment_of_entry(entry, reference, ledger=ledger)
        case PaymentConfirmed():
            return _receipt_of(entry, reference, ledger)
        case _:
            return None


def _close_of(entry: WindowClosed, reference: EntryReference, ledger: Ledger) -> Close:
    return Close(
        network=entry.network,
        sender=ledger,
        receiver=entry.partner,
        window=entry.window,
        totals=entry.totals,
        agreement=entry.agreement,
        closed_at=entry.time,
        early=entry.early,
        entry=reference,
    )


def _statement_of(
    entry: StatementProposed | StatementAgreed, reference: EntryReference, ledger: Ledger
) -> StatementSigned:
    return StatementSigned(
        network=entry.network,
        sender=ledger,
        receiver=entry.partner,
        window=entry.window,
        signed=entry.signed,
        entry=reference,
    )


def _receipt_of(entry: PaymentConfirmed, reference: EntryReference, ledger: Ledger) -> Receipt:
    return Receipt(
        network=entry.network,
        sender=ledger,
        receiver=entry.partner,
        window=entry.window,
        statement=entry.statement,
        payment=entry.payment,
        received_at=entry.time,
        entry=reference,
    )


def close_received(entry: WindowCloseReceived, *, ledger: Ledger) -> Close:
    """Return the `close` that `entry` of `ledger` takes in."""
    return Close(
        network=entry.network,
        sender=entry.partner,
        receiver=ledger,
        window=entry.window,
        totals=entry.totals,
        agreement=entry.agreement,
        closed_at=entry.closed_at,
        early=entry.early,
        entry=entry.partner_entry,
    )


def dispute_received(entry: DisputeReceived, *, ledger: Ledger) -> Dispute:
    """Return the `dispute` that `entry` of `ledger` takes in."""
    return Dispute(
        network=entry.network,
        sender=entry.partner,
        receiver=ledger,
        window=entry.window,
        source=entry.source,
        lines=entry.lines,
        entry=entry.partner_entry,
    )


def statement_received(entry: StatementAgreed, *, ledger: Ledger) -> StatementSigned:
    """Return the `statement` that `entry` of `ledger` takes in: to the second party, what the first one signed."""
    proposed = entry.signed.statement.parties[1] == ledger
    signatures = entry.signed.signatures[:1] if proposed else entry.signed.signatures
    return StatementSigned(
        network=entry.network,
        sender=entry.partner,
        receiver=ledger,
        window=entry.window,
        signed=SignedStatement(statement=entry.signed.statement, signatures=signatures),
        entry=entry.partner_entry,
    )


def payment_received(entry: PaymentReceived, *, ledger: Ledger) -> PaymentAdvice:
    """Return the `payment` that `entry` of `ledger` takes in."""
    return PaymentAdvice(
        network=entry.network,
        sender=entry.partner,
        receiver=ledger,
        window=entry.window,
        statement=entry.statement,
        currency=entry.currency,
        minor_units=entry.minor_units,
        reference=entry.reference,
        paid_at=entry.paid_at,
        entry=entry.partner_entry,
    )


def receipt_received(entry: ReceiptReceived, *, ledger: Ledger) -> Receipt:
    """Return the `receipt` that `entry` of `ledger` takes in."""
    return Receipt(
        network=entry.network,
        sender=entry.partner,
        receiver=ledger,
        window=entry.window,
        statement=entry.statement,
        payment=entry.payment,
        received_at=entry.received_at,
        entry=entry.partner_entry,
    )
