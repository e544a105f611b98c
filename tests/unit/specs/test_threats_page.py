"""`specs/threats.md`: everybody who could lie has a section, and each test that a row names exists and runs."""

import re

import pytest

from tests.support.named_tests import check_runs
from tests.support.pages import page, table

LIARS = (
    "A brand",
    "Its operator",
    "Its database administrator",
    "A partner",
    "A member",
    "A network attacker",
    "A thief of a key",
)
NOBODY = "What nobody finds out"
_LINK = re.compile(r"\[`([A-Za-z0-9_:]+)`\]\(\.\./(tests/[a-z0-9_/]+\.py)\)")
ROWS = [(liar, row) for liar in LIARS for row in table("threats", liar)]
NAMED = sorted({(match[2], match[1]) for _, row in ROWS for match in _LINK.finditer(row["tests"])})


def test_everybody_who_could_lie_has_a_section() -> None:
    headings = tuple(line.removeprefix("## ") for line in page("threats").splitlines() if line.startswith("## "))
    assert headings == (*LIARS, NOBODY)


@pytest.mark.parametrize("liar", LIARS)
def test_every_row_of_a_section_is_whole_and_names_its_tests(liar: str) -> None:
    rows = table("threats", liar)
    assert len(rows) >= 5
    for row in rows:
        assert all(row.values()), row
        assert _LINK.sub("", row["tests"]).replace("<br>", "") == "", row["tests"]


def test_no_lie_stands_twice() -> None:
    for liar in LIARS:
        lies = [next(iter(row.values())) for row in table("threats", liar)]
        assert len(lies) == len(set(lies))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_named_test_exists_and_is_not_skipped(file: str, name: str) -> None:
    check_runs(file, name)


def test_what_nobody_finds_out_is_said_with_its_reason_and_its_bound() -> None:
    rows = table("threats", NOBODY)
    assert len(rows) >= 8
    assert all(set(row) == {"what", "why", "what bounds it"} and all(row.values()) for row in rows)
    said = page("threats")
    assert "a consistent older copy" in said
    assert "| silence |" in said
