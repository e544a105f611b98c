"""`tallystick explain`: every code that a problem can have is explained, without a node, as the page explains it."""

import json

import pytest

from node.api.problems import STATUS, problem_document
from node.cli import catalogue as written
from node.cli.explain import catalogue
from scripts.catalogue.__main__ import module, rows
from tests.support.pages import page
from tests.unit.node.cli.conftest import Command


def test_the_catalogue_is_that_of_the_page() -> None:
    assert written.ROWS.splitlines() == sorted(rows(page("errors"))), "run python -m scripts.catalogue"
    assert module(page("errors")).count("\n") > len(catalogue())


def test_every_code_of_a_problem_has_a_remedy_and_its_type() -> None:
    for code in STATUS:
        explained = catalogue()[code]
        assert explained.meaning
        assert explained.to_do
        assert explained.type == problem_document(code, "")["type"]


def test_a_code_is_explained(tallystick: Command) -> None:
    for given in ("account_unknown", "urn:tallystick:problem:account_unknown", " Account_Unknown "):
        told = tallystick("explain", given)
        assert told.status == 0
        assert "open it, or correct the id" in told.out
    assert json.loads(tallystick("explain", "busy", "--json").out)["type"] == "urn:tallystick:problem:busy"


@pytest.mark.parametrize(("given", "near"), [("acount_unknown", "account_unknown"), ("zzz", "there is no code zzz")])
def test_what_is_no_code_is_told_with_what_may_be_meant(tallystick: Command, given: str, near: str) -> None:
    told = tallystick("explain", given)
    assert told.status == 1
    assert near in told.out
    as_json = tallystick("explain", given, "--json")
    assert (as_json.status, as_json.out) == (1, "")
    assert near in as_json.err


def test_all_codes_are_listed(tallystick: Command) -> None:
    assert len(json.loads(tallystick("explain", "--json").out)) == len(catalogue())
    assert "account_unknown" in tallystick("explain").out
