"""`tallystick account personal` and `erase`, and links by consent."""

import pytest

from tests.support.documents import uuid
from tests.support.node_stand_in import NodeStandIn, answer, refuse
from tests.unit.node.cli.conftest import Command

ANN = f"member/{uuid('ann')}"
WRITTEN = {"id": "x", "kind": "k", "seq": 7, "leaf": "ab" * 32, "time": "t", "occurred_on": "2026-03-01"}
PERSON = {"account": ANN, "external_ref": "CRM-1", "display_name": "Ann", "email": None, "locale": "zh"}


def test_a_person_is_shown(tallystick: Command, node: NodeStandIn) -> None:
    node.on("GET", f"/v1/accounts/{ANN}/personal", answer(PERSON))
    finished = tallystick("account", "personal", ANN)
    assert finished.status == 0, finished.err
    assert "CRM-1" in finished.out
    assert "zh" in finished.out


def test_what_is_set_stands_beside_what_was_known(tallystick: Command, node: NodeStandIn) -> None:
    node.on("GET", f"/v1/accounts/{ANN}/personal", answer(PERSON))
    node.on("PUT", f"/v1/accounts/{ANN}/personal", answer(PERSON))
    finished = tallystick("account", "personal", ANN, "--email", "ann@example.com", "--name", "", "--json")
    assert finished.status == 0, finished.err
    assert node.body() == {
        "external_ref": "CRM-1",
        "display_name": None,
        "email": "ann@example.com",
        "locale": "zh",
    }


def test_the_first_word_about_a_person(tallystick: Command, node: NodeStandIn) -> None:
    node.on("GET", f"/v1/accounts/{ANN}/personal", refuse(404, "person_unknown"))
    node.on("PUT", f"/v1/accounts/{ANN}/personal", answer(PERSON))
    assert tallystick("account", "personal", ANN, "--ref", "CRM-1").status == 0
    assert node.body() == {"external_ref": "CRM-1"}


@pytest.mark.parametrize("found", [True, False])
def test_an_account_is_found_by_its_reference(tallystick: Command, node: NodeStandIn, *, found: bool) -> None:
    row = {"account": ANN, "status": "open", "posted": 5, "held": 0, "pending": 0, "available": 5}
    node.on("GET", "/v1/accounts", answer({"accounts": [row] if found else [], "next": None}))
    node.on("GET", f"/v1/accounts/{ANN}", answer(row))
    finished = tallystick("account", "show", "--ref", "CRM-1")
    assert finished.status == (0 if found else 1)
    assert (ANN in finished.out) is found
    assert found or "account_unknown" in finished.err


def test_an_account_is_named_in_one_way(tallystick: Command, node: NodeStandIn) -> None:
    assert tallystick("account", "show").status == 2
    assert tallystick("account", "show", ANN, "--ref", "CRM-1").status == 2


def test_a_person_is_forgotten(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", f"/v1/accounts/{ANN}/erase", answer(WRITTEN, status=201))
    finished = tallystick("account", "erase", ANN, "--forfeit", "--id", uuid("erase"))
    assert finished.status == 0, finished.err
    assert "is forgotten" in finished.out
    assert node.body() == {"id": uuid("erase"), "forfeit": True}


def test_a_code_is_made_and_typed(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", "/v1/links/codes", answer({"code": "7KQ4-M2XD", "expires_at": "soon"}))
    finished = tallystick("link", "code", ANN, "bluebird.example", "--conversions", "3")
    assert finished.status == 0, finished.err
    assert "7KQ4-M2XD" in finished.out
    assert node.body() == {"account": ANN, "partner": "bluebird.example/main.1", "conversions_max": 3}
    node.on("POST", "/v1/links/typed", answer(WRITTEN, status=201))
    finished = tallystick("link", "redeem", ANN, "bluebird.example", "7KQ4-M2XD", "--id", uuid("link"))
    assert finished.status == 0, finished.err
    assert node.body()["code"] == "7KQ4-M2XD"


def test_a_link_is_ended(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", "/v1/links/revocations", answer(WRITTEN, status=201))
    finished = tallystick("link", "revoke", ANN, "bluebird.example", "ab" * 16, "--direction", "issued")
    assert finished.status == 0, finished.err
    assert node.body()["direction"] == "issued"


def test_pages_are_shown_and_set(tallystick: Command, node: NodeStandIn) -> None:
    pages = {"partner": "bluebird.example/main.1", "consent_url": "https://b.example/link", "redirect_url": None}
    node.on("GET", "/v1/links/pages", answer(pages))
    assert "https://b.example/link" in tallystick("link", "pages", "bluebird.example").out
    node.on("POST", "/v1/links/pages", answer(pages))
    finished = tallystick("link", "pages", "bluebird.example", "--consent-url", "https://b.example/link", "--json")
    assert finished.status == 0, finished.err
    assert node.body() == {"partner": "bluebird.example/main.1", "consent_url": "https://b.example/link"}
