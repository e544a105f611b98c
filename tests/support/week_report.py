"""The report of a week's audit, every figure counted a second time from the entries, and looked at in a browser."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from node.services.audits.audit_page import page
from protocol.audit.papers import Papers
from scripts.alliance.brands import Brand
from tests.support import recount
from tests.support.audit_pages import Page, find_browser, number, overflow_on_paper, pages_of, printed, screenshot
from tests.support.recount import Entry
from tests.support.week_books import Settled

A4: tuple[int, int] = (595, 842)
"""Points, 72 to the inch."""


def check_the_report(
    papers: Papers, entries: Mapping[Brand, Sequence[Entry]], pairs: Iterable[Settled], directory: Path
) -> None:
    """Hold the page against both ledgers' entries, and open and print it."""
    path = directory / "report.html"
    path.write_text(page(papers), encoding="utf-8")
    shown, pairs = Page(path.read_text(encoding="utf-8")), list(pairs)
    assert shown.loads == []
    assert shown.sections.get("exceptions") is None
    tables = iter(shown.sections["programmes"])
    for brand, entered in entries.items():
        balances = recount.balances_of(entered)
        _check_programme(brand, balances, next(tables).rows, next(tables).rows)
    _check_conversions(shown, pairs)
    _check_open_items(shown, pairs)
    _check_adjustments(shown, entries, pairs)
    # The week has shown the rest by then: a machine without a browser leaves out the look alone.
    if find_browser() or os.environ.get("CI") == "true":
        _look(path)


def _check_programme(brand: Brand, balances: recount.Balances, rolled: list[list[str]], trial: list[list[str]]) -> None:
    holders = sum(amount for (name, _), amount in balances.items() if name.startswith(recount.HOLDERS))
    flows = {row[0]: number(row[1]) for row in rolled}
    assert flows["= Closing"] == flows["Holders' balances"] == holders
    assert flows["+ Issued"] == -balances["issuance", brand.points]
    stated = {
        (row[0], row[1]): number(row[3] or "0") - number(row[2] or "0") for row in trial if "All lines" not in row[0]
    }
    assert stated.pop(("member/*", brand.points)) == holders
    assert stated == {key: amount for key, amount in recount.without_holders(balances).items() if amount}


def _check_conversions(shown: Page, pairs: list[Settled]) -> None:
    stated = {
        (row[0], row[1]): (number(row[2]), number(row[5]), number(row[8])) for row in shown.table("conversions").rows
    }
    counted = {}
    for settled in pairs:
        for source in settled.pair:
            lines = settled.lines_of(source)
            points = sum(line.source_points for line in lines)
            counted[source.ledger, settled.partner(source).ledger] = (len(lines), points, settled.value(source))
    assert stated == counted
    for row in shown.table("net_positions").rows:
        assert number(row[7]) == number(row[6])
        assert number(row[8]) == 0


def _check_open_items(shown: Page, pairs: list[Settled]) -> None:
    stated = Counter((row[0], row[2], number(row[6])) for row in shown.table("open_items").rows)
    counted: Counter[tuple[str, str, int]] = Counter()
    for settled in pairs:
        last = settled.statements[-1]
        for sign, (own, partner) in zip((-1, 1), (settled.parties, settled.parties[::-1]), strict=True):
            if last.carry != "0":
                counted[own, partner, sign * int(last.carry)] += 1
            for bill in last.directions:
                for line in bill.disputed:
                    counted[own, partner, -line.value if bill.source == own else line.value] += 1
    assert stated == counted


def _check_adjustments(shown: Page, entries: Mapping[Brand, Sequence[Entry]], pairs: list[Settled]) -> None:
    stated = Counter(
        (row[0], number(row[8])) for row in shown.table("register_adjustments").rows if row[7] != "returned"
    )
    counted: Counter[tuple[str, int]] = Counter()
    for settled in pairs:
        for party in settled.parties:
            for statement in settled.statements:
                for bill in statement.directions:
                    counted.update((party, line.value) for line in bill.adjustments)
    assert stated == counted
    returned = [row for row in shown.table("register_adjustments").rows if row[7] == "returned"]
    made = [entry for entered in entries.values() for entry in recount.of_kind(entered, "payment_returned")]
    assert len(returned) == len(made) == 1


def _look(path: Path) -> None:
    """Open the page and print it on A4: it is not empty, and no table is cut off."""
    picture = screenshot(path, height=6_000)
    assert picture.inked > picture.height / 4
    sizes = pages_of(printed(path))
    assert 8 <= len(sizes) <= 40
    assert {(round(width), round(height)) for width, height in sizes} == {A4}
    assert overflow_on_paper(path) == 0
