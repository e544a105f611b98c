"""`specs/failures.md` has every case once, and each test that it names exists and runs."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.architecture.sources import ROOT, python_files, tree_of
from tests.support.pages import page, table

CASES = 29
NOT_YET: tuple[int, ...] = ()
"""Cases whose tests are still to come."""

BOUNDED = (17, 19, 20, 21, 23, 24)
_CASE = re.compile(r"^### (\d+)\. (.+)$")
_TEST = re.compile(r"^- \[`(tests/[a-z0-9_/]+\.py)::([A-Za-z0-9_:]+)`\]\(\.\./\1\)$")
_NUMBERED = re.compile(r"test_case_(\d+)_")
_SKIPS = {"skip", "xfail"}


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
    found = defined(file)
    assert name in found, f"{file} has no {name}"
    function, around = found[name]
    definitions: list[ast.FunctionDef | ast.ClassDef] = [function, *around]
    assert not any(map(is_skipped, definitions)), f"{file}::{name} never runs"
    assert not skips_at_once(function), f"{file}::{name} never runs"
    assert not skips_at_once(tree_of(ROOT / file)), f"{file} never runs"


@cache
def defined(file: str) -> dict[str, tuple[ast.FunctionDef, tuple[ast.ClassDef, ...]]]:
    """Return the tests of a file by the names that pytest gives them, with the classes that they are in."""
    return dict(found_in(tree_of(ROOT / file), ()))


def found_in(
    node: ast.Module | ast.ClassDef, around: tuple[ast.ClassDef, ...]
) -> Iterator[tuple[str, tuple[ast.FunctionDef, tuple[ast.ClassDef, ...]]]]:
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name.startswith("test"):
            yield "::".join([*(one.name for one in around), each.name]), (each, around)
        elif isinstance(each, ast.ClassDef) and each.name.startswith("Test"):
            yield from found_in(each, (*around, each))


def is_skipped(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Return whether a decorator keeps a test from ever being run, or from failing."""
    marks = [each.func if isinstance(each, ast.Call) else each for each in node.decorator_list]
    return any(isinstance(mark, ast.Attribute) and mark.attr in _SKIPS for mark in marks)


def skips_at_once(node: ast.FunctionDef | ast.Module) -> bool:
    """Return whether a body skips whatever the circumstances, or a module marks all its tests so."""
    for statement in node.body:
        value = statement.value if isinstance(statement, ast.Expr | ast.Assign) else None
        for each in ast.walk(value) if value is not None else ():
            if isinstance(each, ast.Attribute) and each.attr in _SKIPS and ast.unparse(each).startswith("pytest."):
                return True
    return False


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
