"""Short functions, short files, named arguments: what keeps a file readable in one sitting."""

import ast
from typing import Final

from tests.architecture.sources import place, python_files, tree_of

FUNCTION_LINES_MAX: Final = 50
FILE_LINES_MAX: Final = 400
POSITIONAL_ARGUMENTS_MAX: Final = 4

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
