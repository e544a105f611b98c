"""The tables in `specs/errors.md` list every code, once, with what it means and what to do."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages
from typing import TypeAlias

import node
from node.services.refusals import NodeCode
from protocol.errors import Code, CouldNotCheck, ProtocolError, TallystickError
from tests.support.pages import Table, code, table

Coded: TypeAlias = ProtocolError | CouldNotCheck
FORMATS = table("errors", "1. Formats")
REFUSALS = table("errors", "2. Refusals")
CHECKS = table("errors", "3. Could not check")
OWN = table("errors", "4. The node's own")
MACHINE = table("errors", "5. The command line's own")


def codes(listing: Table) -> list[str]:
    return [code(row["code"]) for row in listing]


def classes(root: type[Coded]) -> Iterator[type[Coded]]:
    yield root
    for below in root.__subclasses__():
        if below.__module__ == root.__module__:
            yield from classes(below)


def test_every_error_of_a_format_is_listed() -> None:
    assert codes(FORMATS) == [error.code for error in classes(ProtocolError)]


def test_every_refusal_is_listed() -> None:
    assert codes(REFUSALS) == [code.value for code in Code]
    assert codes(REFUSALS) == sorted(codes(REFUSALS))


def test_what_could_not_be_checked_is_listed() -> None:
    assert codes(CHECKS) == [error.code for error in classes(CouldNotCheck)]


def test_every_code_of_a_node_is_listed() -> None:
    assert codes(OWN) == sorted(code.value for code in NodeCode)


def test_every_code_that_the_command_line_says_of_its_machine_is_listed() -> None:
    for module in walk_packages(node.__path__, "node."):
        if ".migrations." not in module.name:  # They run inside of alembic alone.
            import_module(module.name)
    elsewhere = {*codes(FORMATS), *codes(REFUSALS), *codes(CHECKS), *codes(OWN)}
    own = {error.code for error in below(TallystickError)} - elsewhere - {TallystickError.code}
    assert codes(MACHINE) == sorted(own | {"system_error"})


def below(root: type[TallystickError]) -> Iterator[type[TallystickError]]:
    for each in root.__subclasses__():
        if each.__module__.startswith("node."):
            yield each
        yield from below(each)


def test_every_code_has_a_meaning_and_a_remedy() -> None:
    for row in (*FORMATS, *REFUSALS, *CHECKS, *OWN, *MACHINE):
        assert row["meaning"]
        assert row["what to do"]
