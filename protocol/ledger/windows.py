"""Settlement windows with a partner: their rows, their states, and the comparison of both sides' totals."""

from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.entries import AnyEntry
from protocol.entry import Posting
from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Asset, Digest, Ledger, partner_of
from protocol.ledger.partners import living_partner
from protocol.ledger.postings import ledger_record, structural_keys
from protocol.ledger.state import (
    AGREEMENTS,
    BALANCES,
    CURRENT,
    IN,
    OUT,
    PARTNERS,
    SETTLEMENTS,
    WINDOW_TOTALS,
    WINDOWS,
    AgreementRecord,
    PartnerRecord,
    SettlementRecord,
    Way,
    WindowRecord,
    WindowTotals,
)
from protocol.ledger.view import Need, Overlay, View, need
from protocol.limits import INTEGER_MAX, POSTINGS_MAX
from protocol.merkle import CompactRange, Hash
from protocol.settlement.states import TRANSITIONS, WindowEvent, WindowState
from protocol.statement import Totals
from protocol.window_entries import WindowEntry

MONEY: Final = ("payable", "receivable", "due", "paid", "conversion_cost", "conversion_income")
"""The accounts that settlement with a partner moves."""

_MOVES_MAX: Final = POSTINGS_MAX // 8
"""Pairs of postings for one of an entry's four moves, so that all fit."""


def needs_window(view: Overlay, partner: Ledger, window: int) -> Iterator[Need]:
    """Name the partner, the window and how far settlement has come, with the latest agreement."""
    yield need(PARTNERS, partner)
    yield need(SETTLEMENTS, partner)
    yield need(WINDOWS, (partner, window))
    yield need(CURRENT, partner)
    current = view.peek(CURRENT, partner)
    if current is not None:
        yield need(AGREEMENTS, current.digest)


def needs_money(view: Overlay, partner: Ledger) -> Iterator[Need]:
    """Name the partner's money accounts in the currency of the latest agreement."""
    current = view.peek(CURRENT, partner)
    record = view.peek(AGREEMENTS, current.digest) if current else None
    if record is not None:
        names = (f"{account}/{partner_of(partner)}" for account in MONEY)
        for key in structural_keys(record.signed.agreement.currency, *names):
            yield need(BALANCES, key)


def money_moves(currency: Asset, amount: int, *, debit: Account, credit: Account) -> tuple[Posting, ...]:
    """Return the postings of `amount` millionths, which may be more than one can state; below zero, turned round."""
    if abs(amount) > INTEGER_MAX * _MOVES_MAX:
        raise Refusal(Code.BALANCE_OVERFLOW, "the amount is larger than an entry can state")
    moves: list[Posting] = []
    while amount:
        part = max(-INTEGER_MAX, min(INTEGER_MAX, amount))
        moves += (Posting(debit, currency, -part), Posting(credit, currency, part))
        amount -= part
    return tuple(moves)


def settlement(view: View, partner: Ledger) -> SettlementRecord:
    """Return how far settlement with `partner` has come."""
    return view.get(SETTLEMENTS, partner) or SettlementRecord()


def window_record(view: View, partner: Ledger, window: int) -> WindowRecord:
    """Return the window's row; one that nobody has opened or closed is open."""
    return view.get(WINDOWS, (partner, window)) or WindowRecord()


def check_partner(view: View, entry: WindowEntry) -> PartnerRecord:
    """Return the partner that an entry names, or refuse one that is unknown, ended or of another network."""
    partner = living_partner(view, entry.partner)
    if partner.network != entry.network:
        raise Refusal(Code.PARTNER_MISMATCH, "the window is of another network")
    return partner


def check_cited(entry: AnyEntry, cited: Digest, answer: Digest) -> None:
    """Refuse an entry that does not cite the received body which it repeats."""
    if not entry.request == cited == answer:
        raise Refusal(Code.DECISION_MISMATCH, "the entry does not cite the body that it repeats")


def after(record: WindowRecord, event: WindowEvent) -> WindowState:
    """Return the window's state after `event`, or refuse the event."""
    found = TRANSITIONS[record.state, event]
    if isinstance(found, Code):
        raise Refusal(found, f"the window is {record.state}")
    return found


def current_agreement(view: View, partner: Ledger) -> tuple[Digest, AgreementRecord]:
    """Return the latest agreement that was entered with `partner`, begun or not, or refuse."""
    current = view.get(CURRENT, partner)
    if current is None:
        raise Refusal(Code.AGREEMENT_UNKNOWN, f"there is no agreement with {partner}")
    record = view.get(AGREEMENTS, current.digest)
    assert record is not None, "an agreement that was entered exists"
    return current.digest, record


def currency_of(view: View, partner: Ledger) -> Asset:
    """Return the currency in which all lines with `partner` are valued, or refuse while there is no agreement."""
    return current_agreement(view, partner)[1].signed.agreement.currency


def first_party(view: View, partner: Ledger) -> bool:
    """Return whether this ledger comes first, and so proposes the statements."""
    return ledger_record(view).ledger < partner


def way_of(view: View, source: Ledger, partner: Ledger) -> Way:
    """Return which way conversions out of `source` go between this ledger and `partner`, or refuse a stranger's."""
    own = ledger_record(view).ledger
    if source not in {own, partner}:
        raise Refusal(Code.PARTNER_MISMATCH, f"{source} is neither this ledger nor the partner")
    return OUT if source == own else IN


def open_window(view: View, partner: Ledger, window: int, *, at: str, first_dec_seq: int) -> None:
    """Open a window for the conversions from `partner` that are decided from now on."""
    record = window_record(view, partner, window)
    view.put(WINDOWS, (partner, window), msgspec.structs.replace(record, opened_at=at))
    totals = WindowTotals(first_dec_seq=first_dec_seq, last_dec_seq=first_dec_seq - 1)
    view.put(WINDOW_TOTALS, (partner, IN, window), totals)


def stated(totals: WindowTotals) -> Totals:
    """Return running totals as a close states them."""
    hashes = [Hash(bytes.fromhex(node)) for node in totals.tree]
    root = CompactRange(size=totals.count, hashes=hashes).root()
    return Totals(
        first_dec_seq=totals.first_dec_seq,
        last_dec_seq=totals.last_dec_seq,
        count=totals.count,
        source_points=str(totals.source_points),
        destination_points=str(totals.destination_points),
        fee_points=str(totals.fee_points),
        value=str(totals.value),
        root=Digest(root.hex()),
    )


def own_totals(view: View, partner: Ledger, window: int) -> Totals:
    """Return the totals of the conversions from `partner` in a window that has been opened."""
    totals = view.get(WINDOW_TOTALS, (partner, IN, window))
    assert totals is not None, "an opened window has its totals"
    return stated(totals)


def compare(view: View, partner: Ledger, window: int) -> None:
    """Reconcile a window that both sides have closed, or mark it as a mismatch: by our lines and the partner's close.

    The partner compares our close with its own lines; that both sides bill the same is what two signatures say.
    """
    record = view.get(WINDOWS, (partner, window))
    if record is None or record.closed is None or record.received is None:
        return
    totals = view.get(WINDOW_TOTALS, (partner, OUT, window))
    # A window without lines of ours has no row; that it begins where the one before ended was checked with its close.
    same = stated(totals) == record.received.totals if totals else not record.received.totals.count
    # What the partner has credited in this window beyond its own close cannot be true beside that.
    same = same and not record.waiting
    state = after(record, WindowEvent.MATCH if same else WindowEvent.DIFFER)
    view.put(WINDOWS, (partner, window), msgspec.structs.replace(record, state=state))
