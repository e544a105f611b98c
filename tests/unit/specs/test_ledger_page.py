"""The rules and accounts in `specs/ledger.md` name every code that the ledger raises, and every account it moves."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from protocol import points
from protocol.entries import AnyEntry
from protocol.errors import Code
from protocol.identifiers import HOLDER_KINDS, Account
from protocol.ledger import rules
from protocol.ledger.postings import is_holder
from protocol.ledger.state import BALANCES
from protocol.settlement.states import TRANSITIONS
from tests.support.history import history
from tests.support.pages import Table, page, table, tables

KINDS = [str(kind.__struct_config__.tag) for kind in get_args(AnyEntry)]
NOT_AN_ENTRYS = {"cancelled"}
"""A reason that stands in an entry, not a rule."""
NOT_THE_LEDGERS = {"entry_too_large", "conversion_modified"}
"""Refusals that come before there is an entry."""


def codes(listing: Table) -> list[str]:
    return [found for row in listing for found in re.findall(r"`([a-z_]+)`", row["code"])]


def raised() -> Iterator[str]:
    for path in (*sorted(Path(rules.__file__).parent.glob("*.py")), Path(points.__file__)):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Code":
                yield Code[node.attr].value


def test_every_code_that_the_rules_name_is_listed_and_no_other() -> None:
    listed = {found for listing in tables("ledger").values() for each in listing for found in _codes_in(each)}
    transitions = {"conversion_exists", "conversion_decided", "conversion_unknown"}
    transitions |= {after.value for after in TRANSITIONS.values() if isinstance(after, Code)}
    assert listed == set(raised()) - NOT_AN_ENTRYS | NOT_THE_LEDGERS | transitions


def _codes_in(listing: Table) -> list[str]:
    return codes(listing) if listing and "code" in listing[0] else []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_rules(kind: str) -> None:
    assert codes(table("ledger", kind))


def test_kinds_stand_in_the_order_of_the_code() -> None:
    headings = re.findall(r"^### ([a-z_]+)$", page("ledger"), re.MULTILINE)
    assert headings == KINDS


def test_every_account_that_moves_is_listed() -> None:
    listed = {
        found.partition("/")[0]
        for row in table("ledger", "1. Accounts")
        for found in re.findall(r"`([^`]+)`", row["account"])
    }
    moved = {
        account.partition("/")[0]
        for ledger in (history().source, history().destination)
        for (account, _), _ in ledger.state.rows(BALANCES)
    }
    assert moved < listed
    assert {name for name in listed if is_holder(Account(f"{name}/x"))} == set(HOLDER_KINDS)
