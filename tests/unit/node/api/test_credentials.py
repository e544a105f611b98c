"""Every route × every credential; and tokens that are none."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Final

import pytest
from fastapi.routing import APIRoute

from node.api.app import routes_of
from node.api.auth import Requires
from node.services.access import api_keys
from node.services.access.api_keys import KeyRequest
from node.services.access.credentials import OPERATORS, SCOPES, CallerRole, Scope
from node.services.access.tokens import issue_credential
from protocol.fields import format_time, later
from tests.support.api import ANN, BOB, Api, api_of, meet, open_accounts
from tests.support.documents import BLUEBIRD, uuid
from tests.support.issuers import claims_at, issuer_of, signed, with_issuer
from tests.support.keyrings import SeededRandomness

VALUES: Final = {
    "kind": "member",
    "account_id": uuid("ann"),
    "credential_id": "00000000",
    "digest": "0" * 64,
    "file": "0" * 64,
    "generation": "1",
    "level": "0",
    "month": "2026-01",
    "origin": "0" * 64,
    "page": "0",
    "place": "000",
    "seq": "0",
}
"""What stands in a path that names something; ids that are not here are those of nothing."""

STREAMED: Final = {"/v1/me/events": "?seconds=0"}
"""What is answered for as long as the caller listens, and how to listen no longer than at once."""

UNKNOWN: Final = ("none", "wrong programme", "expired", "revoked", "rotated away", "another issuer's member")


class _Values(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return uuid("none")


@dataclass(frozen=True)
class Place:
    """A route as it is called: `scope` is what it asks of its caller, None where it asks nothing."""

    method: str
    path: str
    scope: Scope | None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def places() -> list[Place]:
    found = []
    for route in routes_of():
        scopes = [each.dependency.scope for each in route.dependencies if isinstance(each.dependency, Requires)]
        assert len(scopes) <= 1
        path = route.path.replace(":path", "").format_map(_Values(VALUES)) + STREAMED.get(route.path, "")
        found += [Place(method, path, scopes[0] if scopes else None) for method in sorted(route.methods or ())]
    return found


PLACES: Final = places()


@pytest.fixture(scope="module")
def brand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    directory = tmp_path_factory.mktemp("matrix")
    settings = {**with_issuer(directory), "rates": ("stranger 1000000",)}
    with api_of(directory / "aurora", settings=settings) as api:
        open_accounts(api)
        meet(api)
        yield api


@pytest.fixture(scope="module")
def tokens(brand: Api) -> dict[str, str]:
    """Return a token of every role, and of everything that a caller can show in vain."""
    held = {role.value: key_of(brand, role) for role in CallerRole if role is not CallerRole.MEMBER}
    held["member"] = signed(claims_at(brand.clock.now().timestamp(), sub=ANN))
    return {**held, **useless(brand)}


def key_of(api: Api, role: CallerRole, *, expires_at: str | None = None) -> str:
    partner = BLUEBIRD.ledger if role is CallerRole.PARTNER else None
    request = KeyRequest(role=role, name="test", partner=partner, expires_at=expires_at)
    return api.node.credentials.make(request, by=None).result().token


def useless(api: Api) -> dict[str, str]:
    keys, admin = api.node.credentials, CallerRole.ADMINISTRATOR
    at = api.clock.now().timestamp()
    elsewhere = issue_credential(admin, name="theirs", now=now(api), randomness=SeededRandomness("another node")).token
    expired = key_of(api, admin, expires_at=later(now(api), seconds=1))
    revoked, rotated = key_of(api, admin), key_of(api, admin)
    keys.revoke(id_of(revoked)).result()
    keys.rotate(id_of(rotated), overlap_hours=0, by=id_of(revoked)).result()
    stranger = signed(claims_at(at, sub=ANN), issuer_of("stranger"))
    api.clock.advance(2)
    found = ("", elsewhere, expired, revoked, rotated, stranger)
    return dict(zip(UNKNOWN, found, strict=True))


def now(api: Api) -> str:
    return format_time(api.clock.now())


def id_of(token: str) -> str:
    return token.split("_")[2]


def test_every_route_is_in_the_matrix() -> None:
    assert len(PLACES) == len(routes_of())
    assert all(isinstance(route, APIRoute) for route in routes_of())
    asked = {place.scope for place in PLACES if place.scope}
    assert asked | {Scope.LOG_HASHES} == set(Scope), "the log's hashes are asked for only while the log is closed"
    assert {route.path for route in routes_of()} >= set(STREAMED)


def test_each_operator_may_what_the_one_before_may() -> None:
    for lesser, greater in pairwise(OPERATORS):
        assert SCOPES[lesser] < SCOPES[greater]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_who_may_do_what(brand: Api, tokens: dict[str, str], place: Place) -> None:
    for name, token in tokens.items():
        headers = {"authorization": f"Bearer {token}"} if token else {}
        response = brand.call(place.method, place.path, headers=headers, role=None)
        if place.scope is None:
            assert response.status_code not in {401, 403}, name
        elif name in UNKNOWN:
            assert (response.status_code, response.json()["code"]) == (401, "unauthorized"), name
            assert response.headers["www-authenticate"] == "Bearer"
        elif place.scope in SCOPES[CallerRole(name)]:
            assert response.status_code not in {401, 403, 429}, name
        else:
            assert (response.status_code, response.json()["code"]) == (403, "forbidden"), name


@pytest.mark.parametrize("place", [place for place in PLACES if place.scope is Scope.ME], ids=str)
def test_a_member_reads_nothing_of_another(brand: Api, place: Place) -> None:
    token = signed(claims_at(brand.clock.now().timestamp(), sub=BOB))
    response = brand.call(place.method, place.path, headers={"authorization": f"Bearer {token}"}, role=None)
    assert uuid("ann") not in response.text


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
        "Bearer {member_role}",
        "Bearer {other_id}",
        "Bearer {other_secret}",
        "Bearer ts_root_00000000_" + "a" * 43,
        "Bearer ts_administrator_00000000_" + "é" * 43,
    ],
)
def test_what_is_no_known_token_is_refused(api: Api, header: str) -> None:
    token = api.token()
    _, role, name, _ = token.split("_", 3)
    changed = {
        "token": token,
        "other_role": token.replace(role, "backend"),
        "member_role": token.replace(role, "member"),
        "other_id": token.replace(name, name[:-1] + ("0" if name[-1] != "0" else "1")),
        "other_secret": token[:-1] + ("A" if token[-1] != "A" else "B"),
    }
    value = header.format(**changed).encode("latin-1")
    request = api.client.get("/v1/accounts", headers=[(b"authorization", value)])
    response = api.runner.run(request)
    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")


def test_the_scheme_is_not_case_sensitive(api: Api) -> None:
    headers = {"authorization": f"bearer {api.token()}"}
    assert api.call("GET", "/v1/accounts", headers=headers, role=None).status_code == 200


def test_a_token_from_when_there_was_one_kind_of_operator_holds(api: Api) -> None:
    headers = {"authorization": f"Bearer {api.token().replace('ts_administrator_', 'ts_operator_')}"}
    assert api.call("GET", "/v1/accounts", headers=headers, role=None).status_code == 200


def test_a_revoked_token_is_refused_at_once(api: Api) -> None:
    token = api.node.credentials.issue(CallerRole.AUDITOR, name="test").result()
    headers = {"authorization": f"Bearer {token}"}
    for _ in range(3):
        assert api.call("GET", "/v1/entries", headers=headers, role=None).status_code == 200
    api.node.credentials.revoke(token.split("_")[2]).result()
    assert api.call("GET", "/v1/entries", headers=headers, role=None).status_code == 401


def test_a_token_that_is_remembered_ends_when_it_is_to_end(api: Api) -> None:
    end = format_time(api.clock.now() + timedelta(seconds=2))
    made = api.node.credentials.make(KeyRequest(role=CallerRole.AUDITOR, name="test", expires_at=end), by=None).result()
    headers = {"authorization": f"Bearer {made.token}"}
    for _ in range(3):
        assert api.call("GET", "/v1/entries", headers=headers, role=None).status_code == 200
    api.clock.advance(3)
    assert api.call("GET", "/v1/entries", headers=headers, role=None).status_code == 401


def test_tokens_that_are_remembered_have_a_bound(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "REMEMBERED_MAX", 1)
    for role in (CallerRole.ADMINISTRATOR, CallerRole.BACKEND, CallerRole.ADMINISTRATOR):
        for _ in range(3):
            assert api.call("GET", "/v1/accounts", role=role).status_code == 200
        assert len(api.node.credentials._callers) <= 1


def test_no_token_is_in_the_store(api: Api) -> None:
    secrets = [api.token(role).split("_", 3)[3] for role in api.created.tokens]
    everything = str(api.rows())
    assert not any(secret in everything for secret in secrets)
