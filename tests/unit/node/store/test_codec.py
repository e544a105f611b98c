"""Every record of the ledger has a row that leads back to it, and a row that is none is refused."""

from collections.abc import Iterator, Sequence
from typing import cast

import msgspec
import pytest

from node.store import schema
from node.store.codec import codec_of
from node.store.columns import METADATA, TableClass
from node.store.dump import class_of, columns_of, expected_row, key_columns_of, tables_of
from node.store.errors import StoreCorrupt
from protocol.approval_entries import AgreementSigning, ConversionForcing, TermsSetting
from protocol.conversion import DestinationState, SourceState
from protocol.identifiers import Account, Id
from protocol.ledger import state
from protocol.ledger.appeal_records import AppealRecord, AppealState
from protocol.ledger.approval_state import ActionRecord, ActionState
from protocol.ledger.import_state import ImportRecord
from protocol.ledger.lot_state import ReversibleRecord
from protocol.ledger.program_state import LIMIT_USE, PROGRAM_TABLES, REVIEWS, LimitUse, ReviewRecord, ReviewState
from protocol.ledger.state import TABLES, AccountRecord, AccountStatus, BalanceRecord, IdRecord, Lot, Table
from protocol.program_entries import ConversionOrder
from tests.support.documents import (
    ALIAS,
    AURORA,
    BLUEBIRD,
    CONVERSION,
    NETWORK,
    NOW,
    SOON,
    TODAY,
    USD,
    digest,
    signed_agreement,
    uuid,
)
from tests.support.governing import TERMS
from tests.support.history import history
from tests.unit.node.store.recorder import ANN

PIECE = state.Piece(seq=4, part=1, origin="own", earned_on=TODAY, expires_on=None, amount=2**53 - 1)
OUTGOING = state.OutgoingRecord(
    state=SourceState.RELEASED,
    network=NETWORK,
    destination=BLUEBIRD.ledger,
    account=ANN,
    agreement=digest("agreement"),
    promotion="spring",
    refund_of=CONVERSION,
    steps=3,
    source_points=1_200,
    destination_points=750,
    fee_points=0,
    value=2**53 - 1,
    currency=USD,
    accept_by=SOON,
    held_at=NOW,
    held_seq=9,
    prepare=digest("prepare"),
    cancel_requested=True,
    concluded_seq=12,
    reason="cancelled",
)
SETTLED: tuple[Table[object, object], ...] = (  # type: ignore[assignment]
    state.SETTLEMENTS, state.LINES, state.WINDOW_TOTALS, state.WINDOWS, state.STATEMENTS,
)  # fmt: skip


def settled_rows() -> Iterator[tuple[Table[object, object], object, object]]:
    """Yield all rows of settlement that two ledgers have in the end, and rows whose numbers are the largest."""
    for ledger in (history().source, history().destination):
        for family in SETTLED:
            for key, record in ledger.state.rows(family):
                yield family, key, record
    totals = state.WindowTotals(first_dec_seq=1, last_dec_seq=2**53 - 1, count=2**53 - 1, value=10**30)
    yield SETTLED[2], (BLUEBIRD.ledger, state.IN, 2**53 - 1), totals
    yield SETTLED[3], (BLUEBIRD.ledger, 2**53 - 1), state.WindowRecord()


def governed_rows() -> Iterator[tuple[Table[object, object], object, object]]:
    """Yield all rows of a program's terms that a ledger has in the end, and rows whose numbers are the largest."""
    for family in cast("tuple[Table[object, object], ...]", PROGRAM_TABLES):
        for key, record in history().source.state.rows(family):
            yield family, key, record
    most = LimitUse(day=TODAY, day_points=2**60, day_count=1, year="2026", year_points=10**30, year_count=2**53 - 1)
    yield cast("Table[object, object]", LIMIT_USE), (BLUEBIRD.ledger, "convert_out"), most
    order = ConversionOrder(destination=BLUEBIRD.ledger, amount=400, agreement=None)
    waiting = ReviewRecord(
        state=ReviewState.OPEN,
        account=ANN,
        screen="velocity",
        digest=digest("screen"),
        points=400,
        order=order,
        opened_at=NOW,
        opened_seq=9,
    )
    yield cast("Table[object, object]", REVIEWS), CONVERSION, waiting


def proposed_rows() -> Iterator[tuple[Table[object, object], object, object]]:
    """Yield acts of every kind that two people answer for."""
    family = cast("Table[object, object]", state.ACTIONS)
    yield from ((family, key, record) for key, record in history().source.state.rows(state.ACTIONS))
    actions = (
        AgreementSigning(agreement=signed_agreement().agreement, forced=True),
        ConversionForcing(conversion=CONVERSION, reason="partner_gone"),
        TermsSetting(terms=TERMS, reason="order"),
    )
    for action in actions:
        record = ActionRecord(
            action=action,
            state=ActionState.PROPOSED,
            proposal=CONVERSION,
            proposed_by="0a1b2c3d",
            proposed_at=NOW,
            proposed_seq=9,
            expires_at=SOON,
        )
        yield family, CONVERSION, record


SAMPLES: list[tuple[Table[object, object], object, object]] = [
    (cast("Table[object, object]", family), key, record)
    for family, key, record in (
        (state.HEAD, "only", state.Head(size=3, leaf=digest("leaf"), time=NOW)),
        (
            state.LEDGER,
            "only",
            state.LedgerRecord(ledger=AURORA.ledger, points=USD, currencies=(), keys=AURORA.keys, log=AURORA.ledger),
        ),
        (
            state.LEDGER,
            "only",
            state.LedgerRecord(
                ledger=AURORA.ledger, points=AURORA.points, currencies=(USD,), keys=AURORA.keys, log=AURORA.ledger
            ),
        ),
        (state.IDS, Id("genesis/aurora.example/main.1"), IdRecord(seq=0, request=None)),
        (state.IDS, CONVERSION, IdRecord(seq=2**53 - 1, request=digest("request"))),
        (
            state.ACCOUNTS,
            ANN,
            AccountRecord(status=AccountStatus.CLOSED, posted=2**53 - 1, held=1, conversions=2, opened_seq=3),
        ),
        (state.BALANCES, (Account("issuance"), AURORA.points), BalanceRecord(amount=-(10**40))),
        (state.BALANCES, (Account("payable/bluebird.example/main"), USD), BalanceRecord(amount=0)),
        (state.LOTS, (ANN, 4, 1), Lot(seq=4, part=1, origin="own", earned_on=TODAY, expires_on=None, remaining=1)),
        (
            state.LOTS,
            (ANN, 6, 0),
            Lot(
                seq=6,
                part=0,
                origin="own",
                earned_on=TODAY,
                expires_on=None,
                remaining=2,
                clock="24-month",
                spendable_on=TODAY,
            ),
        ),
        (state.REVERSIBLE, 4, ReversibleRecord(kind="issue", account=ANN, amount=9, remaining=0)),
        (
            state.REVERSIBLE,
            5,
            ReversibleRecord(kind="redemption", account=ANN, amount=2**53 - 1, remaining=2**53 - 1, pieces=(PIECE,)),
        ),
        (state.LOTS, (ANN, 5, 0), Lot(seq=5, part=0, origin="x", earned_on=TODAY, expires_on=TODAY, remaining=9)),
        (
            state.HOLDS,
            CONVERSION,
            state.HoldRecord(
                account=ANN,
                amount=9,
                remaining=9,
                expires_at=SOON,
                conversion=False,
                placed_seq=7,
                pieces=(PIECE, PIECE),
            ),
        ),
        (
            state.HOLDS,
            CONVERSION,
            state.HoldRecord(
                account=ANN, amount=9, remaining=0, expires_at=None, conversion=True, placed_seq=7, pieces=()
            ),
        ),
        (
            state.PARTNERS,
            BLUEBIRD.ledger,
            state.PartnerRecord(
                network=NETWORK, points=BLUEBIRD.points, keys=BLUEBIRD.keys, added_seq=1, log=BLUEBIRD.ledger
            ),
        ),
        (
            state.AGREEMENTS,
            digest("agreement"),
            state.AgreementRecord(
                partner=BLUEBIRD.ledger,
                signed=signed_agreement(),
                entered_at=NOW,
                entered_seq=2,
                superseded_at=SOON,
                ends_at=SOON,
            ),
        ),
        (state.CURRENT, BLUEBIRD.ledger, state.CurrentAgreement(digest=digest("agreement"), number=4)),
        (state.ISSUED_LINKS, (BLUEBIRD.ledger, ALIAS), state.IssuedLink(account=ANN, issued_seq=5)),
        (
            state.ACCEPTED_LINKS,
            (ANN, BLUEBIRD.ledger),
            state.AcceptedLink(alias=ALIAS, accepted_seq=6, accepted_at=NOW),
        ),
        (state.ALIASES, (BLUEBIRD.ledger, ALIAS), state.AliasRecord(account=ANN)),
        (state.OUTGOING, CONVERSION, OUTGOING),
        (
            state.OUTGOING,
            CONVERSION,
            msgspec.structs.replace(
                OUTGOING, state=SourceState.HELD, cancel_requested=False, concluded_seq=None, reason=None
            ),
        ),
        (
            state.INCOMING,
            (NETWORK, BLUEBIRD.ledger, CONVERSION),
            state.IncomingRecord(state=DestinationState.REFUSED, prepare=digest("prepare"), decided_seq=3),
        ),
        (
            state.INCOMING,
            (NETWORK, BLUEBIRD.ledger, CONVERSION),
            state.IncomingRecord(
                state=DestinationState.CREDITED,
                prepare=digest("prepare"),
                decided_seq=3,
                account=ANN,
                agreement=digest("agreement"),
                promotion="spring",
                refund_of=CONVERSION,
                steps=9,
                refunded_steps=8,
            ),
        ),
        (
            state.EXPOSURE,
            (BLUEBIRD.ledger, state.OUT),
            state.ExposureRecord(conversions=1, value=2**60, open_value=2**70),
        ),
        (
            state.PROMOTION_USE,
            (digest("agreement"), BLUEBIRD.ledger, "spring"),
            state.PromotionUse(points=2**70),
        ),
        (
            state.MEMBER_USE,
            (ANN, BLUEBIRD.ledger, state.IN),
            state.MemberUse(day=TODAY, day_points=1, year="2026", year_points=2**53 - 1),
        ),
        (state.COUNTERS, BLUEBIRD.ledger, state.DecisionCounter(window=2, dec_seq=3)),
        *settled_rows(),
        (
            state.IMPORTS,
            digest("file"),
            ImportRecord(rows=2**53 - 1, points=2**53 - 1, day=TODAY, begun_seq=3, rows_done=1, points_done=0),
        ),
        *governed_rows(),
        *proposed_rows(),
        (
            state.APPEALS,
            CONVERSION,
            AppealRecord(
                account=ANN,
                state=AppealState.UPHELD,
                reason="points_missing",
                about=CONVERSION,
                deadline=TODAY,
                opened_at=NOW,
                opened_seq=4,
                entries=(4, 2**53 - 1),
                decided_seq=2**53 - 1,
                adjustment=uuid("adjustment"),
            ),
        ),
        (
            state.APPEALS,
            CONVERSION,
            AppealRecord(
                account=ANN,
                state=AppealState.OPEN,
                reason="other",
                about=None,
                deadline=TODAY,
                opened_at=NOW,
                opened_seq=4,
                entries=(4,),
            ),
        ),
    )
]


@pytest.mark.parametrize(("family", "key", "record"), SAMPLES, ids=lambda each: getattr(each, "name", None))
def test_a_record_leads_to_its_row_and_back(family: Table[object, object], key: object, record: object) -> None:
    row = codec_of(family).encode(key, record)
    assert {type(value) for value in row} <= {str, int, bool, bytes, type(None)}
    assert codec_of(family).decode(row) == (key, record)
    # SQLite has no truth values of its own.
    assert codec_of(family).decode([int(value) if isinstance(value, bool) else value for value in row]) == (key, record)
    assert expected_row(family, key, record) == dict(zip(columns_of(family.name), row, strict=True))


def test_every_kind_of_record_has_a_sample() -> None:
    assert {family.name for family, _, _ in SAMPLES} == {family.name for family in TABLES}


@pytest.mark.parametrize("family", TABLES, ids=lambda family: family.name)
def test_columns_are_the_key_and_the_fields_of_the_record(family: Table[object, object]) -> None:
    assert class_of(family.name) is TableClass.DERIVED
    assert isinstance(family.record, type)
    assert issubclass(family.record, msgspec.Struct)
    fields = ["document" if field == "signed" else field for field in family.record.__struct_fields__]
    keys = list(key_columns_of(family))
    assert list(columns_of(family.name)) == keys + [field for field in fields if field not in keys]


def test_derived_tables_are_those_of_the_state_and_the_history() -> None:
    assert set(tables_of(TableClass.DERIVED)) == {family.name for family in TABLES} | {"history"}
    assert sum(len(tables_of(kind)) for kind in TableClass) == len(METADATA.tables)
    assert class_of("entries") is TableClass.LOG


def test_a_closed_lot_has_no_row() -> None:
    lot = Lot(seq=1, part=0, origin="own", earned_on=TODAY, expires_on=None, remaining=0)
    assert expected_row(state.LOTS, (ANN, 1, 0), lot) is None


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("ids", (CONVERSION, "1", None)),
        ("ids", (CONVERSION, None, None)),
        ("ids", (CONVERSION, 1, "text")),
        ("ids", (CONVERSION, 1)),
        ("accounts", (ANN, "open", 1.5, 0, 0, 0)),
        ("accounts", (ANN, "ajar", 1, 0, 0, 0)),
        ("balances", ("issuance", "AUR", "01")),
        ("balances", ("issuance", "AUR", "1e3")),
        ("balances", ("issuance", "AUR", 5)),
        ("holds", (CONVERSION, ANN, 1, 1, None, 2, 1, "[]")),
        ("holds", (CONVERSION, ANN, 1, 1, None, 1, 1, "[")),
        ("holds", (CONVERSION, ANN, 1, 1, None, 1, 1, "[{}]")),
        ("holds", (CONVERSION, ANN, 1, 1, None, 1, 1, None)),
        ("agreements", (digest("x"), BLUEBIRD.ledger, b"{}", NOW, 1, None, None)),
        ("agreements", (digest("x"), BLUEBIRD.ledger, "text", NOW, 1, None, None)),
        ("outgoing_conversions", (CONVERSION,)),
    ],
)
def test_a_row_that_is_no_record_is_corrupt(name: str, row: Sequence[object]) -> None:
    (family,) = (each for each in TABLES if each.name == name)
    with pytest.raises(StoreCorrupt):
        codec_of(family).decode(row)


def test_names_of_tables_are_those_that_the_state_uses() -> None:
    assert {codec_of(family).table for family in TABLES} <= set(schema.ENTRIES.metadata.tables.values())
