"""The rows of a replayed ledger as an auditor keeps them: every table of `protocol.ledger.state` by its name."""

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from protocol.identifiers import Account, Alias, Asset, Digest, Id, Ledger, Network
from protocol.ledger.appeal_records import AppealRecord
from protocol.ledger.approval_state import ActionRecord
from protocol.ledger.import_state import ImportRecord
from protocol.ledger.lot_state import ReversibleRecord
from protocol.ledger.program_state import (
    LimitUse,
    MergeRecord,
    PairRecord,
    ProgramRecord,
    ReservationRecord,
    ReviewRecord,
    TransferRecord,
)
from protocol.ledger.state import (
    LOTS,
    TABLES,
    AcceptedLink,
    AccountRecord,
    AgreementRecord,
    AliasRecord,
    BalanceRecord,
    CurrentAgreement,
    DecisionCounter,
    ExposureRecord,
    Head,
    HoldRecord,
    IdRecord,
    IncomingRecord,
    IssuedLink,
    LedgerRecord,
    LineRecord,
    Lot,
    MemberUse,
    OutgoingRecord,
    PartnerRecord,
    PromotionUse,
    SettlementRecord,
    StatementRecord,
    Way,
    WindowRecord,
    WindowTotals,
)
from protocol.ledger.view import Overlay


class KeptRows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rows of each table, a key and a record each: a field is named as its table."""

    head: list[tuple[str, Head]]
    ledger: list[tuple[str, LedgerRecord]]
    ids: list[tuple[Id, IdRecord]]
    accounts: list[tuple[Account, AccountRecord]]
    balances: list[tuple[tuple[Account, Asset], BalanceRecord]]
    lots: list[tuple[tuple[Account, int, int], Lot]]
    holds: list[tuple[Id, HoldRecord]]
    partners: list[tuple[Ledger, PartnerRecord]]
    agreements: list[tuple[Digest, AgreementRecord]]
    current_agreements: list[tuple[Ledger, CurrentAgreement]]
    issued_links: list[tuple[tuple[Ledger, Alias], IssuedLink]]
    accepted_links: list[tuple[tuple[Account, Ledger], AcceptedLink]]
    accepted_aliases: list[tuple[tuple[Ledger, Alias], AliasRecord]]
    outgoing_conversions: list[tuple[Id, OutgoingRecord]]
    incoming_conversions: list[tuple[tuple[Network, Ledger, Id], IncomingRecord]]
    exposure: list[tuple[tuple[Ledger, Way], ExposureRecord]]
    promotion_use: list[tuple[tuple[Digest, Ledger, str], PromotionUse]]
    member_use: list[tuple[tuple[Account, Ledger, Way], MemberUse]]
    decision_counters: list[tuple[Ledger, DecisionCounter]]
    settlements: list[tuple[Ledger, SettlementRecord]]
    settlement_lines: list[tuple[tuple[Ledger, Way, int], LineRecord]]
    window_totals: list[tuple[tuple[Ledger, Way, int], WindowTotals]]
    windows: list[tuple[tuple[Ledger, int], WindowRecord]]
    statements: list[tuple[tuple[Ledger, int], StatementRecord]]
    reversible: list[tuple[int, ReversibleRecord]]
    program: list[tuple[str, ProgramRecord]]
    limit_use: list[tuple[tuple[str, str], LimitUse]]
    reservations: list[tuple[Id, ReservationRecord]]
    merges: list[tuple[Account, MergeRecord]]
    transfers: list[tuple[Id, TransferRecord]]
    transfer_pairs: list[tuple[tuple[Account, Account], PairRecord]]
    reviews: list[tuple[Id, ReviewRecord]]
    actions: list[tuple[Id, ActionRecord]]
    appeals: list[tuple[Id, AppealRecord]]
    imports: list[tuple[Digest, ImportRecord]]


def rows_of(view: Overlay) -> KeptRows:
    """Return every row of a complete `view`."""
    return KeptRows(**{table.name: list(view.rows(table)) for table in TABLES})  # type: ignore[arg-type]


def view_of(kept: KeptRows) -> Overlay:
    """Return a complete view that has these rows and no others."""
    view = Overlay(complete=True)
    for table in TABLES:
        rows: Sequence[tuple[object, object]] = getattr(kept, table.name)
        for key, record in rows:
            view.load(table, key, record)
    lots: defaultdict[Account, list[Lot]] = defaultdict(list)
    for (account, _, _), lot in view.rows(LOTS):
        lots[account].append(lot)
    for account, found in lots.items():
        view.load_book(account, found)
    return view
