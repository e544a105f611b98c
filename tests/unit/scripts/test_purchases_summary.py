"""The comparison of the audited ledgers with the second count names each total that differs."""

from dataclasses import replace

import pytest

from protocol.audit.figures import RollForward
from protocol.audit.findings import Verdict
from protocol.audit.matching import PairReport
from protocol.audit.report import LogReport, Report
from protocol.identifiers import Asset
from scripts.alliance.brands import AURORA, BLUEBIRD, CEDAR, Brand
from scripts.alliance.report import audit_summary
from scripts.purchases.__main__ import Summary, compare, lines_of, parse_arguments
from scripts.purchases.recount import Recount
from scripts.purchases.replay import Replayed
from tests.support.reports import direction_report, log_report, pair_report

EXPECTED = Recount(
    baskets=10,
    lines=100,
    earning_baskets=9,
    households=3,
    points=5_000,
    sent_to_aurora=1_200,
    credited_by_aurora=750,
    sent_to_bluebird=1_000,
    credited_by_bluebird=1_000,
    conversions=3,
    left=(100, 700, 2_000),
)
REPLAYED = Replayed(transactions=9, transaction_seconds=0.5, conversions=3, conversion_seconds=1.0)


def log(brand: Brand, **flows: int) -> LogReport:
    names = RollForward.__struct_fields__[1:]
    rolled = RollForward(points=Asset(brand.points), **{name: str(flows.get(name, 0)) for name in names})
    return log_report(brand.ledger, rolled)


def report(issued: int = 5_000, completed: int = 2) -> Report:
    logs = (
        log(AURORA, converted_in=750),
        log(BLUEBIRD, converted_in=1_000),
        log(CEDAR, issued=issued, converted_out=2_200, closing=2_800),
    )
    pairs = tuple(pair(CEDAR, brand, count) for brand, count in ((AURORA, completed), (BLUEBIRD, 1)))
    return Report(verdict=Verdict.HELD, logs=logs, pairs=pairs, unmatched=())


def pair(source: Brand, destination: Brand, completed: int) -> PairReport:
    there = direction_report(source.ledger, destination.ledger, completed=completed, returned=0, value=0)
    return pair_report(source.ledger, destination.ledger, [there])


def test_equal_totals_leave_nothing_to_say() -> None:
    assert list(compare(report(), REPLAYED, EXPECTED, balances=EXPECTED.left)) == []


def test_each_total_that_differs_is_named() -> None:
    changed = replace(EXPECTED, credited_by_aurora=751, earning_baskets=8)
    said = "\n".join(compare(report(issued=4_999, completed=1), REPLAYED, changed, balances=(100, 701, 1_999)))
    assert "transactions: the ledgers say 9, the data 8" in said
    assert "conversions: the ledgers say 2, the data 3" in said
    assert "points issued by Cedar: the ledgers say 4,999, the data 5,000" in said
    assert "points converted into Aurora: the ledgers say 750, the data 751" in said
    assert "balances" in said
    assert said.count("\n") == 4


def test_the_summary_tells_it_in_words() -> None:
    summary = Summary(
        baskets=10,
        lines=100,
        households=3,
        points=5_000,
        transactions=9,
        transactions_per_second=18,
        conversions=3,
        conversions_per_second=3,
        audit=audit_summary(report()),
        differences=(),
        seconds=1.0,
    )
    assert summary.is_good
    text = "\n".join(lines_of(summary))
    assert "5,000 points in 9 transactions" in text
    assert "every total equals a second count" in text


@pytest.mark.parametrize("limit", ["many", "0", "-1"])
def test_a_wrong_command_line_is_status_2(limit: str) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(["--limit", limit])
    assert ended.value.code == 2
