"""Every route × every role; and tokens that are none."""

import pytest
from fastapi.routing import APIRoute

from node.api.app import routes_of
from node.api.auth import Requires
from node.services.credentials import SCOPES, CallerRole, Scope
from tests.support.api import Api
from tests.support.documents import uuid

VALUES = {
    "kind": "member",
    "account_id": uuid("ann"),
    "transaction_id": uuid("none"),
    "hold_id": uuid("none"),
    "conversion_id": uuid("none"),
    "digest": "0" * 64,
    "seq": "0",
    "level": "0",
    "place": "000",
    "page": "0",
    "generation": "1",
    "origin": "0" * 64,
}


def places() -> list[tuple[str, str, Scope | None]]:
    found = []
    for route in routes_of():
        scopes = [each.dependency.scope for each in route.dependencies if isinstance(each.dependency, Requires)]
        assert len(scopes) <= 1
        path = route.path.replace(":path", "").format(**VALUES)
        found += [(method, path, scopes[0] if scopes else None) for method in sorted(route.methods or ())]
    return found


PLACES = places()


def test_every_route_is_in_the_matrix() -> None:
    assert len(PLACES) == len(routes_of())
    assert all(isinstance(route, APIRoute) for route in routes_of())
    assert {scope for _, _, scope in PLACES if scope} == set(Scope)


@pytest.mark.parametrize("role", [*CallerRole, None])
@pytest.mark.parametrize(("method", "path", "scope"), PLACES)
def test_who_may_do_what(api: Api, *, method: str, path: str, scope: Scope | None, role: CallerRole | None) -> None:
    response = api.call(method, path, role=role)
    if scope is None:
        assert response.status_code not in {401, 403}
    elif role is None:
        assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"
    elif scope in SCOPES[role]:
        assert response.status_code not in {401, 403}
    else:
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Basic {token}",
        "{token}",
        "Bearer {token}x",
        "Bearer {token} ",
        "Bearer  {token}",
        "Bearer {other_role}",
        "Bearer {other_id}",
        "Bearer {other_secret}",
        "Bearer ts_root_00000000_" + "a" * 43,
        "Bearer ts_operator_00000000_" + "é" * 43,
    ],
)
def test_what_is_no_known_token_is_refused(api: Api, header: str) -> None:
    token = api.token()
    changed = {
        "token": token,
        "other_role": token.replace("ts_operator", "ts_backend"),
        "other_id": token[:12] + ("0" if token[12] != "0" else "1") + token[13:],
        "other_secret": token[:-1] + ("A" if token[-1] != "A" else "B"),
    }
    value = header.format(**changed).encode("latin-1")
    request = api.client.get("/v1/accounts", headers=[(b"authorization", value)])
    response = api.runner.run(request)
    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")


def test_the_scheme_is_not_case_sensitive(api: Api) -> None:
    headers = {"authorization": f"bearer {api.token()}"}
    assert api.call("GET", "/v1/accounts", headers=headers, role=None).status_code == 200


def test_a_revoked_token_is_refused_at_once(api: Api) -> None:
    token = api.node.credentials.issue(CallerRole.AUDITOR, name="test").result()
    headers = {"authorization": f"Bearer {token}"}
    assert api.call("GET", "/v1/entries", headers=headers, role=None).status_code == 200
    api.node.credentials.revoke(token.split("_")[2]).result()
    assert api.call("GET", "/v1/entries", headers=headers, role=None).status_code == 401


def test_no_token_is_in_the_store(api: Api) -> None:
    secrets = [api.token(role).split("_")[3] for role in CallerRole]
    everything = str(api.rows())
    assert not any(secret in everything for secret in secrets)
