"""`specs/failures.md` has every case once, and each test that it names exists and runs."""

import ast
import re

import pytest

from tests.architecture.sources import ROOT, python_files, tree_of
from tests.support.named_tests import check_runs, is_skipped, skips_at_once
from tests.support.pages import page, table

CASES = 29
NOT_YET: tuple[int, ...] = ()
"""Cases whose tests are still to come."""

BOUNDED = (17, 19, 20, 21, 23, 24)
_CASE = re.compile(r"^### (\d+)\. (.+)$")
_TEST = re.compile(r"^- \[`(tests/[a-z0-9_/]+\.py)::([A-Za-z0-9_:]+)`\]\(\.\./\1\)$")
_NUMBERED = re.compile(r"test_case_(\d+)_")


def sections() -> dict[str, list[str]]:
    """Return the lines under each heading, without its marks."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in page("failures").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
            assert heading not in found, heading
        found.setdefault(heading, []).append(line)
    return found


def cases() -> dict[int, list[str]]:
    numbered = ((_CASE.match(lines[0]), lines) for lines in sections().values())
    return {int(match[1]): lines for match, lines in numbered if match}


def named(lines: list[str]) -> list[tuple[str, str]]:
    matches = map(_TEST.match, lines)
    return [(match[1], match[2]) for match in matches if match]


ALL_NAMED = sorted({each for lines in sections().values() for each in named(lines)})


def test_every_case_stands_once_and_in_order() -> None:
    numbers = [int(match[1]) for match in map(_CASE.match, page("failures").splitlines()) if match]
    assert numbers == list(range(1, CASES + 1))


@pytest.mark.parametrize("number", range(1, CASES + 1))
def test_every_case_has_a_test_or_is_known_to_lack_one(number: int) -> None:
    assert bool(named(cases()[number])) == (number not in NOT_YET)


def test_every_line_that_looks_like_a_test_is_one() -> None:
    for line in page("failures").splitlines():
        assert bool(_TEST.match(line)) == line.startswith("- "), line


@pytest.mark.parametrize(("file", "name"), ALL_NAMED)
def test_every_named_test_exists_and_is_not_skipped(file: str, name: str) -> None:
    check_runs(file, name)


def test_a_test_that_is_skipped_would_be_seen() -> None:
    tree = ast.parse(
        "import pytest\n"
        "@pytest.mark.skip(reason='later')\ndef test_marked(): pass\n"
        "@pytest.mark.xfail\ndef test_expected(): pass\n"
        "def test_at_once():\n    pytest.skip('later')\n"
        "@pytest.mark.skipif(False, reason='here')\ndef test_sometimes():\n    if False:\n        pytest.skip('here')\n"
    )
    functions = {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef)}
    never = {name for name, each in functions.items() if is_skipped(each) or skips_at_once(each)}
    assert never == {"test_marked", "test_expected", "test_at_once"}
    assert skips_at_once(ast.parse("pytestmark = pytest.mark.skip(reason='later')"))
    assert not skips_at_once(ast.parse("pytestmark = pytest.mark.integration"))


def test_every_test_that_is_named_after_a_case_is_listed_there() -> None:
    listed = cases()
    for path in python_files("tests"):
        file = path.relative_to(ROOT).as_posix()
        for each in ast.walk(tree_of(path)):
            match = _NUMBERED.match(each.name) if isinstance(each, ast.FunctionDef) else None
            if match and isinstance(each, ast.FunctionDef) and int(match[1]) not in NOT_YET:
                assert (file, each.name) in named(listed[int(match[1])]), each.name


def test_every_bound_is_named() -> None:
    bounds = [row["bound"] for row in table("failures", "Failures")]
    assert bounds == ["cap", "in flight", "members' limits", "terms"]
    for number, lines in cases().items():
        assert any(line.startswith("**Bound.** ") for line in lines) == (number in BOUNDED)
