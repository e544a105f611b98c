"""The page and the CSV files of an audit: well formed, loading nothing, and every figure counted a second time."""

import csv
from collections import Counter, defaultdict
from functools import cache
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest

from node.services.audits.audit_csv import csv_of
from node.services.audits.audit_page import ROWS_MAX, page
from node.services.audits.audit_papers import Drawn, Wanted, paper_files, papers_of
from node.services.audits.audit_plot import plot, ticks
from node.services.audits.audit_tables import Code, Long, Moment, Money, PaperTable, tables_of
from node.services.audits.auditing import Audited, Auditing
from protocol.audit.papers import DayTotal, Papers
from protocol.audit.verify import verify_file
from protocol.identifiers import Ledger
from tests.support.audit_pages import Page, number, overflow_on_paper, pages_of, printed, screenshot
from tests.support.audits import Alliance, MemorySource, busy_alliance, verifier_of
from tests.support.documents import AURORA, BLUEBIRD
from tests.support.ledger import open_holder
from tests.support.settled_logs import settled_alliance
from tests.support.successions import all_files, succession


def audited(made: Alliance) -> Audited:
    return Auditing().audit([MemorySource(half.files(), half.name) for half in made.halves])


@cache
def papers() -> tuple[Papers, dict[Ledger, Drawn]]:
    found, drawn = papers_of(audited(settled_alliance()), Wanted(sample=3))
    return found, dict(drawn)


@cache
def shown() -> Page:
    return Page(page(papers()[0]))


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    assert shown().loads == []
    assert shown().tags.isdisjoint({"script", "iframe", "img", "link", "object", "form"})
    assert "url(" not in page(papers()[0])


def test_exceptions_come_first_and_every_section_has_its_heading() -> None:
    headings = [heading for heading in shown().headings if heading[0].isdigit()]
    assert headings == [
        "1. Exceptions",
        "2. Programmes",
        "3. Conversions and net positions",
        "4. Unsettled items",
        "5. Registers",
        "6. Cut-off",
        "7. Random sample",
        "8. How to check this again",
    ]
    assert "None. Every entry was hashed and judged" in shown().text


def test_the_roll_forward_and_the_trial_balance_are_those_of_the_entries() -> None:
    made = settled_alliance()
    tables = iter(shown().sections["programmes"])
    for half in made.halves:
        sums: defaultdict[tuple[str, str], int] = defaultdict(int)
        for sealed in half.ledger.sealed:
            for posting in getattr(sealed.entry, "postings", ()):
                account = posting.account
                line = "member/*" if account.startswith("member/") else account
                sums[line, posting.asset] += posting.amount
        rolled, trial = next(tables), next(tables)
        flows = {row[0]: number(row[1]) for row in rolled.rows}
        points = half.ledger.side.points
        came = -sum(amount for (line, asset), amount in sums.items() if asset == points and line == "issuance")
        assert flows["+ Issued"] == came
        assert flows["= Closing"] == flows["Holders' balances"] == sums["member/*", points]
        balances = {(row[0], row[1]): number(row[3] or "0") - number(row[2] or "0") for row in trial.rows}
        stated = {key: amount for key, amount in balances.items() if not key[0].startswith("All lines")}
        assert stated == {key: amount for key, amount in sums.items() if amount}
        for row in trial.rows:
            if row[0].startswith("All lines"):
                assert row[2] == row[3]


def test_a_root_stands_beside_the_figures_it_ties() -> None:
    for programme in papers()[0].programmes:
        assert f"had {programme.size:,} entries under the root \n{programme.root}" in shown().text


def test_every_csv_file_is_the_table_of_the_page() -> None:
    found, drawn = papers()
    files = dict(paper_files(found, drawn))
    for table in tables_of(found):
        lines = list(csv.reader(StringIO(files[f"{table.name}.csv"].decode())))
        assert lines[0] == list(table.columns)
        assert len(lines) == len(table.rows) + 1
        assert {len(line) for line in lines} == {len(table.columns)}
    assert {name.partition("/")[0] for name in files if not name.endswith(".csv")} == {"sample"}


def test_the_receipts_of_the_sample_verify_without_any_server() -> None:
    found, drawn = papers()
    receipts = {name: data for name, data in paper_files(found, drawn) if name.startswith("sample/")}
    assert len(receipts) == 6
    for data in receipts.values():
        assert verify_file(data, verifiers=[verifier_of(AURORA), verifier_of(BLUEBIRD)]).verdict.value == "held"
    proofs = {(row[0], row[1]): row[4].split() for row in shown().table("sample").rows}
    assert {len(proof) for proof in proofs.values()} <= {4, 5}


def test_the_same_input_and_seed_make_the_same_page() -> None:
    made = settled_alliance()
    first, again = (papers_of(audited(made), Wanted(seed="x"))[0] for _ in range(2))
    assert page(first) == page(again)
    other = papers_of(audited(made), Wanted(seed="y"))[0]
    assert page(first) != page(other)


def test_the_sample_is_of_what_there_was_on_that_day() -> None:
    made = settled_alliance()
    sizes = [len(half.ledger.sealed) for half in made.halves]
    for half in made.halves:
        half.ledger.advance(days=1)
        open_holder(half.ledger, "later")
    found, _ = papers_of(audited(made), Wanted(as_of="2026-03-01", sample=100))
    assert [len(programme.sample) for programme in found.programmes] == sizes
    assert papers_of(audited(made), Wanted(as_of="2026-02-01"))[1][AURORA.ledger].rows == ()


def test_exceptions_and_what_is_to_be_looked_at_are_said() -> None:
    made = busy_alliance()
    files = made.source.files()
    files["tile/0/000.p/19"] = bytes(19 * 32)
    found, _ = papers_of(Auditing().audit([MemorySource(files, "aurora")]), Wanted())
    read = Page(page(found))
    (row,) = read.table("exceptions").rows
    assert (row[0], row[4]) == ("broken", "tile_differs")
    assert f"Conversions with {BLUEBIRD.ledger} were not matched" in read.text
    assert f"{AURORA.ledger}: nothing but its own genesis says that its key is the brand's." in read.text
    assert "but its log did not hold: see the exceptions" in read.text
    assert read.loads == []


def test_findings_that_are_only_counted_are_counted() -> None:
    made = busy_alliance()
    made.source.received = made.source.received[:1] * 110
    found, _ = papers_of(Auditing().audit([MemorySource(made.source.files())]), Wanted())
    assert "more" in Page(page(found)).table("exceptions").rows[-1][3]


def test_an_entry_that_is_another_one_when_it_is_drawn_is_an_exception() -> None:
    made = settled_alliance()
    sources = [MemorySource(dict(half.files()), half.name) for half in made.halves]
    done = Auditing().audit(sources)
    size = len(made.source.ledger.sealed)
    files = sources[0].files
    assert isinstance(files, dict)
    place = f"tile/entries/000.p/{size}"
    files[place] = files[place].replace(b"member/", b"nember/")
    found, drawn = papers_of(done, Wanted(sample=size))
    assert found.verdict.value == "broken"
    assert {finding.code for finding in found.report.logs[0].findings} == {"forked"}
    assert drawn[BLUEBIRD.ledger].rows


def test_a_ledger_of_many_logs_tells_its_story() -> None:
    half = succession().ledger
    found, _ = papers_of(Auditing().audit([MemorySource(all_files(half))]), Wanted())
    read = Page(page(found))
    assert "entries restored" in read.text
    assert read.table("register_succession").rows


def test_nothing_that_a_partner_wrote_becomes_markup_or_a_formula() -> None:
    evil = '<script>alert("1")</script>'
    time = Moment("2026-03-01T12:00:00.000000Z")
    rows = (
        (evil, "=1+1", Long("@x"), Code("-x"), time, Money(-1), None),
        ("-2", -2, Long("y"), Code("z"), time, 3, ""),
    )
    table = PaperTable(name="x", title=evil, columns=tuple("ABCDEFG"), rows=rows)
    first, second = list(csv.reader(StringIO(csv_of(table).decode())))[1:]
    assert first == [evil, "'=1+1", "'@x", "-x", "2026-03-01T12:00:00.000000Z", "-1", ""]
    assert second[:2] == ["'-2", "-2"]
    made = busy_alliance()
    evil_page = page(papers_of(Auditing().audit([MemorySource(made.source.files(), evil)]), Wanted())[0])
    assert evil not in evil_page


def test_a_table_that_is_too_long_for_paper_says_where_the_rest_is() -> None:
    made = busy_alliance()
    for number_of_it in range(ROWS_MAX):
        open_holder(made.source.ledger, f"holder {number_of_it}")
    found, _ = papers_of(audited(made), Wanted(sample=ROWS_MAX + 1))
    read = Page(page(found))
    assert len(read.table("sample").rows) == ROWS_MAX
    assert "more rows, all of them in sample.csv" in read.text


@pytest.mark.parametrize(
    ("low", "high"), [(0, 0), (5, 5), (0, 1), (0, 3), (1, 10), (97, 103), (239_330_786, 240_000_000), (-5, 5)]
)
def test_the_axis_has_round_marks_around_the_line(low: int, high: int) -> None:
    marks = ticks(low, high)
    assert marks[0] <= low
    assert marks[-1] >= high
    assert len({after - before for before, after in pairwise(marks)}) == 1
    assert 2 <= len(marks) <= 7


def test_the_plot_has_a_step_for_every_day() -> None:
    days = [DayTotal(day=f"2026-03-{number:02}", points=str(1_000 * number)) for number in range(1, 21)]
    drawn = plot(days, points="AUR")
    assert drawn.count("H") == 19
    assert "2026-03-01 to 2026-03-20: 1,000 to 20,000" in drawn
    assert plot([], points="AUR") == ""
    assert Counter(plot(days[:1], points="AUR"))["M"] == 1


def test_chromium_shows_the_page_and_prints_it_on_a4(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(page(papers()[0]), encoding="utf-8")
    picture = screenshot(path)
    assert (picture.width, picture.height) == (1_280, 2_000)
    assert picture.inked > 500
    sizes = pages_of(printed(path))
    assert len(sizes) >= 3
    assert {(round(width), round(height)) for width, height in sizes} == {(595, 842)}
    assert overflow_on_paper(path) == 0
