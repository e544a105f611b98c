"""Short functions, short files, named arguments, and calls that have one right form."""

import ast
from typing import Final

from tests.architecture.sources import place, python_files, tree_of

FUNCTION_LINES_MAX: Final = 50
FILE_LINES_MAX: Final = 400
POSITIONAL_ARGUMENTS_MAX: Final = 4
PLAIN: Final = {"dict", "list", "object", "str", "tuple"}
SHOWN_IN: Final = "kinds.py"

FUNCTIONS: Final = [
    (path, function)
    for path in python_files()
    for function in ast.walk(tree_of(path))
    if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
]


def test_functions_are_short() -> None:
    lengths = [(path, one, (one.end_lineno or one.lineno) - one.lineno + 1) for path, one in FUNCTIONS]
    too_long = [f"{place(path, one.lineno)} {one.name}: {n}" for path, one, n in lengths if n > FUNCTION_LINES_MAX]
    assert too_long == []


def test_files_are_short() -> None:
    lengths = [(path, len(path.read_text(encoding="utf-8").splitlines())) for path in python_files()]
    assert [f"{place(path, 1)} {n}" for path, n in lengths if n > FILE_LINES_MAX] == []


def test_more_than_four_arguments_are_named() -> None:
    crowded = [
        f"{place(path, one.lineno)} {one.name}" for path, one in FUNCTIONS if positional(one) > POSITIONAL_ARGUMENTS_MAX
    ]
    assert crowded == []


def positional(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    names = [argument.arg for argument in function.args.posonlyargs + function.args.args]
    return len([name for name in names if name not in ("self", "cls")])


def test_msgspec_meets_a_new_type_on_one_thread() -> None:
    """What `msgspec` is given to make of data is a type of Python's own, or one that `known` has shown to it (0064)."""
    asked = [
        (path, call, kind)
        for path in python_files("node")
        if path.name != SHOWN_IN
        for call in ast.walk(tree_of(path))
        if isinstance(call, ast.Call)
        for kind in kinds_of(call)
    ]
    assert len(asked) > 10
    assert [place(path, call.lineno) for path, call, kind in asked if not is_known(kind)] == []


def kinds_of(call: ast.Call) -> list[ast.expr]:
    if ast.unparse(call.func) not in {"msgspec.convert", "msgspec.json.decode"}:
        return []
    return call.args[1:2] + [each.value for each in call.keywords if each.arg == "type"]


def is_known(kind: ast.expr) -> bool:
    if isinstance(kind, ast.Call):
        return ast.unparse(kind.func) == "known"
    return {each.id for each in ast.walk(kind) if isinstance(each, ast.Name)} <= {
        "dict",
        "list",
        "tuple",
        "object",
        "str",
    }
