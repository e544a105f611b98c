"""Tests that pages of the specification name: whether they are there, and whether they ever run."""

import ast
from collections.abc import Iterator
from functools import cache
from typing import Final

from tests.architecture.sources import ROOT, tree_of

_SKIPS: Final = {"skip", "xfail"}


def check_runs(file: str, name: str) -> None:
    """Hold that the test `name` of `file`, as pytest names it, is there and is not skipped whatever happens."""
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
