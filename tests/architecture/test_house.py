"""What no file of the project may hold: one machine's places, an index's address, unfinished work, hidden impurity."""

import ast
import re

import pytest

from tests.architecture.sources import place, python_files, tracked_texts, tree_of

# Each pattern is written so that it does not match its own source.
FORBIDDEN = {
    "a path of one machine": r"(?<![\w.*}-])/(?:work|root|farm|Users)/",
    "an index's address": r"pypi\.org|pythonhosted\.org|registry\.npmjs|(?<!no-)index[-]url",
    "unfinished work": r"\b(?:TO[D]O|FIX[M]E)\b",
    "an ignored type without its code": r"#\s*type:\s*ignore(?!\[)",
}
IMPURE_NAMES = {"open", "print", "input", "exec", "eval", "__import__"}
IMPURE_METHODS = {"now", "today", "utcnow", "uuid1", "uuid4"}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_tracked_file_holds(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    try:
        texts = list(tracked_texts())
    except OSError as error:
        pytest.skip(f"not a git checkout: {error}")
    lines = [(path, number, line) for path, text in texts for number, line in enumerate(text.splitlines(), 1)]
    assert [f"{place(path, number)} {line.strip()}" for path, number, line in lines if pattern.search(line)] == []


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("a path of one machine", "cd /wo" + "rk/main"),
        ("an index's address", "--extra-index" + "-url https://example.org"),
        ("unfinished work", "# TO" + "DO: later"),
        ("an ignored type without its code", "x = y  # type: " + "ignore"),
    ],
)
def test_the_patterns_find_what_they_are_for(what: str, line: str) -> None:
    assert re.search(FORBIDDEN[what], line)


def test_protocol_calls_no_clock_no_randomness_no_file() -> None:
    rooms = [path for path in python_files("protocol") if path.name != "__main__.py"]
    calls = [(path, call) for path in rooms for call in ast.walk(tree_of(path)) if isinstance(call, ast.Call)]
    assert [place(path, call.lineno) for path, call in calls if is_impure(call)] == []


def is_impure(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Name):
        return call.func.id in IMPURE_NAMES
    return isinstance(call.func, ast.Attribute) and call.func.attr in IMPURE_METHODS
