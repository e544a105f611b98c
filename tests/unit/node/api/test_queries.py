"""What a query may hold: the resource's own parameters, each once. What is misspelt is not passed over."""

import re

import pytest

from node.api.app import routes_of
from node.api.auth import Requires
from node.services.access.callers import CallersService
from node.services.access.credentials import SCOPES, Caller, CallerRole
from protocol.identifiers import Account
from tests.support.api import ANN, Api, request_id

ROUTES = [
    (method, each.path, gate.dependency.scope)
    for each in routes_of()
    if each.path.startswith("/v1/")
    for method in sorted(each.methods or ())
    for gate in each.dependencies
    if isinstance(gate.dependency, Requires)
]


def test_each_resource_asks_for_a_credential() -> None:
    paths = {
        (method, each.path) for each in routes_of() if each.path.startswith("/v1/") for method in each.methods or ()
    }
    assert sorted(paths) == sorted((method, path) for method, path, _ in ROUTES)


def test_no_resource_takes_a_parameter_that_it_does_not_know(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    before = api.rows()
    for method, path, scope in ROUTES:
        role = next(each for each in CallerRole if scope in SCOPES[each])
        caller = Caller("known", role, account=Account(ANN) if role is CallerRole.MEMBER else None, per_minute=10_000)
        monkeypatch.setattr(CallersService, "recognise", lambda *_args, _caller=caller, **_named: _caller)
        headers = {"authorization": "Bearer whose", "content-type": "application/json"}
        asked = f"{re.sub('{.*?}', 'x', path)}?surely_unknown=1"
        response = api.call(method, asked, content=b"{}", headers=headers, role=None)
        answer = response.json()
        assert (response.status_code, answer["code"]) == (422, "request_invalid"), asked
        assert answer["errors"][0]["field"] == "surely_unknown", asked
    assert api.rows() == before


def test_who_misspells_a_parameter_is_told_which_there_are(api: Api) -> None:
    for asked in ("/v1/windows?cursor=3", "/v1/windows?cursor=3&limit=2", "/v1/windows?After=3"):
        problem = api.get(asked).json()
        name = asked.partition("?")[2].partition("=")[0]
        reason = "no such parameter; those here are after, limit, partner"
        assert problem["errors"] == [{"field": name, "reason": reason}]
        assert problem["detail"] == f"{name}: {reason}"
    (error,) = api.get(f"/v1/accounts/{ANN}?x=").json()["errors"]
    assert error == {"field": "x", "reason": "no such parameter; the resource has none"}


def test_a_parameter_that_stands_twice_is_not_chosen_from(api: Api) -> None:
    problem = api.get("/v1/accounts?limit=1&limit=2").json()
    assert (problem["code"], problem["errors"]) == (
        "request_invalid",
        [{"field": "limit", "reason": "stands more than once"}],
    )


def test_a_misspelt_wait_does_not_go_the_quick_way(api: Api) -> None:
    assert api.get(f"/v1/conversions/{request_id('none')}?wait_s=1").status_code == 422
    body = {"id": request_id("twice"), "type": "issue", "account": ANN, "amount": 5}
    before = api.rows()
    assert api.post("/v1/transactions?dry_run=true", body).status_code == 422
    assert api.rows() == before


@pytest.mark.parametrize("text", ["%ed%a0%80", "%ff", "CRM-%c3"])
def test_what_is_no_text_is_not_looked_for(api: Api, text: str) -> None:
    problem = api.get(f"/v1/accounts?external_ref={text}").json()
    assert (problem["code"], problem["detail"]) == ("request_invalid", "the query is not UTF-8")


def test_names_that_nobody_reads_are_told_shortly(api: Api) -> None:
    errors = api.get("/v1/accounts?" + "&".join(f"{'long' * 100}{each}=1" for each in range(40))).json()["errors"]
    assert len(errors) == 16
    assert {len(each["field"]) for each in errors} == {64}


@pytest.mark.parametrize("path", ["/checkpoint", "/ledger.json", "/livez"])
def test_what_anybody_may_fetch_bears_others_words(api: Api, path: str) -> None:
    assert api.call("GET", f"{path}?utm_source=mail", role=None).status_code == 200
