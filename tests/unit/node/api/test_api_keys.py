"""API keys over HTTP: issued, listed, rotated with overlap, revoked, ended by themselves, and counted."""

import threading
from collections.abc import Iterator

import httpx
import pytest

from node.engine.work import Desk
from node.services.access.api_keys import REMEMBERED_SECONDS, CredentialsService
from node.services.refusals import NodeCode, NodeRefusal
from node.store.rows_access import Credential
from protocol.ledger.view import Need, Overlay
from tests.support.api import Api, Json, api_of, meet
from tests.support.documents import BLUEBIRD

KEYS = "/v1/credentials"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    settings = {"rates": ("stranger 40", "viewer 5")}
    with api_of(tmp_path_factory.mktemp("keys") / "aurora", settings=settings) as api:
        meet(api)
        yield api


@pytest.fixture(autouse=True)
def _rested(node: Api) -> None:
    node.clock.advance(120)


def ask(api: Api, token: object, path: str = "/v1/accounts") -> httpx.Response:
    return api.call("GET", path, headers={"authorization": f"Bearer {token}"}, role=None)


def issued(api: Api, role: str = "backend", **changes: object) -> Json:
    return api.done(KEYS, {"role": role, "name": "till 7", **changes})


def listed(api: Api, credential: object) -> list[Json]:
    rows = api.read(KEYS)["credentials"]
    assert isinstance(rows, list)
    return [row for row in rows if row["id"] == credential]


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, str(response.json()["code"])


def test_a_key_is_shown_once_and_kept_nowhere(node: Api) -> None:
    response = node.post(KEYS, {"role": "backend", "name": "till 7"})
    assert response.headers["cache-control"] == "no-store"
    made = response.json()
    assert ask(node, made["token"]).status_code == 200
    (row,) = listed(node, made["id"])
    assert (row["role"], row["name"], row["state"]) == ("backend", "till 7", "active")
    assert row["issued_by"] == node.token().split("_")[2]
    secret = str(made["token"]).split("_", 3)[3]
    assert secret not in node.get(KEYS).text
    assert secret not in str(node.rows())


def test_a_rotated_key_holds_a_little_longer(node: Api) -> None:
    old = issued(node)
    new = node.done(f"{KEYS}/{old['id']}/rotate", {"overlap_hours": 2})
    assert (new["id"], new["name"]) == (old["id"], old["name"])
    assert [ask(node, each["token"]).status_code for each in (old, new)] == [200, 200]
    assert [row["state"] for row in listed(node, old["id"])] == ["active", "active"]
    node.clock.advance(2 * 3_600)
    assert [ask(node, each["token"]).status_code for each in (old, new)] == [401, 200]
    newest = node.done(f"{KEYS}/{old['id']}/rotate", {"overlap_hours": 0})
    assert [ask(node, each["token"]).status_code for each in (new, newest)] == [401, 200]


def test_rotation_never_lets_a_key_live_longer(node: Api) -> None:
    made = issued(node, expires_at=node_time(node, hours=1))
    node.done(f"{KEYS}/{made['id']}/rotate", {"overlap_hours": 24})
    old, new = listed(node, made["id"])
    assert old["expires_at"] == new["expires_at"] == made["expires_at"]
    node.clock.advance(3_600)
    assert ask(node, made["token"]).status_code == 401


def node_time(api: Api, *, hours: int) -> str:
    at = api.clock.now().timestamp() + hours * 3_600
    return f"{api.clock.now().fromtimestamp(at, api.clock.now().tzinfo):%Y-%m-%dT%H:%M:%SZ}"


def test_a_revoked_credential_ends_with_all_its_keys(node: Api) -> None:
    old = issued(node)
    new = node.done(f"{KEYS}/{old['id']}/rotate", {})
    revoked = node.done(f"{KEYS}/{old['id']}/revoke", {})
    assert [row["state"] for row in revoked["credentials"]] == ["revoked", "revoked"]  # type: ignore[attr-defined]
    assert [ask(node, each["token"]).status_code for each in (old, new)] == [401, 401]
    assert code_of(node.post(f"{KEYS}/{old['id']}/rotate", {})) == (404, "credential_unknown")
    node.done(f"{KEYS}/{old['id']}/revoke", {})
    assert code_of(node.post(f"{KEYS}/00000000/revoke", {})) == (404, "credential_unknown")


def test_the_last_administrator_stays(node: Api) -> None:
    own = node.token().split("_")[2]
    assert code_of(node.post(f"{KEYS}/{own}/revoke", {})) == (409, "credential_last")
    other = issued(node, "administrator")
    node.done(f"{KEYS}/{other['id']}/revoke", {})
    assert code_of(node.post(f"{KEYS}/{own}/revoke", {})) == (409, "credential_last")


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "partner"},
        {"role": "member"},
        {"role": "root"},
        {"partner": BLUEBIRD.ledger},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"per_minute": 0},
        {"name": ""},
    ],
)
def test_keys_that_mean_nothing_are_not_issued(node: Api, changes: dict[str, object]) -> None:
    response = node.post(KEYS, {"role": "backend", "name": "till 7", **changes})
    assert code_of(response) == (422, "request_invalid")


def test_a_partners_key_is_for_a_partner_that_is_known(node: Api) -> None:
    made = issued(node, "partner", partner=BLUEBIRD.ledger)
    assert [row["partner"] for row in listed(node, made["id"])] == [BLUEBIRD.ledger]
    body = {"role": "partner", "name": "nobody", "partner": "dahlia.example/main.1"}
    assert code_of(node.post(KEYS, body)) == (404, "partner_unknown")


def test_a_credential_has_its_own_rate(node: Api) -> None:
    slow, ordinary = issued(node, "backend", per_minute=2), issued(node, "viewer")
    assert [ask(node, slow["token"]).status_code for _ in range(3)] == [200, 200, 429]
    assert [ask(node, ordinary["token"]).status_code for _ in range(6)] == [200] * 5 + [429]
    refused = ask(node, slow["token"])
    assert code_of(refused) == (429, "rate_limited")
    assert refused.headers["retry-after"] == "30"
    assert refused.headers["ratelimit-policy"] == '"minute";q=2;w=60'
    assert refused.headers["ratelimit"] == '"minute";r=0;t=30'
    node.clock.advance(30)
    assert ask(node, slow["token"]).status_code == 200


def test_whoever_guesses_is_held_up_and_nobody_else_there(node: Api) -> None:
    known = issued(node)
    assert ask(node, known["token"]).status_code == 200
    guesses = [ask(node, f"ts_backend_00000000_{number:043d}").status_code for number in range(50)]
    assert guesses == [401] * 40 + [429] * 10
    assert ask(node, known["token"]).status_code == 200
    assert node.call("GET", "/v1/accounts", role=None).status_code == 429
    assert node.call("GET", "/livez", role=None).status_code == 200
    node.clock.advance(REMEMBERED_SECONDS + 1)
    guesses = [ask(node, f"ts_backend_00000000_{number:043d}").status_code for number in range(50)]
    assert guesses[-10:] == [429] * 10
    assert ask(node, known["token"]).status_code == 200
    node.done(f"{KEYS}/{known['id']}/revoke", {})
    assert ask(node, known["token"]).status_code == 429


def test_what_is_revoked_while_it_is_rotated_stays_revoked(node: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    made = issued(node)
    find = CredentialsService.find

    with monkeypatch.context() as patched:

        def found_then_revoked(service: CredentialsService, credential_id: str) -> list[Credential]:
            rows = find(service, credential_id)
            patched.setattr(CredentialsService, "find", find)
            service.revoke(credential_id).result()
            return rows

        patched.setattr(CredentialsService, "find", found_then_revoked)
        assert code_of(node.post(f"{KEYS}/{made['id']}/rotate", {})) == (404, "credential_unknown")
    assert [row["state"] for row in listed(node, made["id"])] == ["revoked"]


def test_what_is_revoked_while_it_is_looked_up_is_not_remembered(node: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    made = issued(node)
    find = CredentialsService.find

    with monkeypatch.context() as patched:

        def found_then_revoked(service: CredentialsService, credential_id: str) -> list[Credential]:
            rows = find(service, credential_id)
            patched.setattr(CredentialsService, "find", find)
            service.revoke(credential_id).result()
            return rows

        patched.setattr(CredentialsService, "find", found_then_revoked)
        ask(node, made["token"])
    assert ask(node, made["token"]).status_code == 401


def test_a_key_that_is_made_while_its_credential_is_revoked_ends_with_it(
    node: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = issued(node)
    find = CredentialsService.find

    with monkeypatch.context() as patched:

        def found_then_rotated(service: CredentialsService, credential_id: str) -> list[Credential]:
            rows = find(service, credential_id)
            patched.setattr(CredentialsService, "find", find)
            service.rotate(credential_id, overlap_hours=1, by="00000000").result()
            return rows

        patched.setattr(CredentialsService, "find", found_then_rotated)
        assert node.post(f"{KEYS}/{made['id']}/revoke", {}).status_code == 200
    assert [row["state"] for row in listed(node, made["id"])] == ["revoked", "revoked"]


class Waits:
    """A work that holds the writer up, so that what is asked meanwhile goes into one commit."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def needs(self, _view: Overlay) -> Iterator[Need]:
        return iter(())

    def run(self, _desk: Desk) -> None:
        assert self.over.wait(60)


@pytest.mark.parametrize("at_once", [True, False])
def test_administrators_that_revoke_each_other_leave_one(node: Api, *, at_once: bool) -> None:
    own = node.token().split("_")[2]
    others = [str(issued(node, "administrator")["id"]) for _ in range(2)]
    service, waits = node.node.credentials, Waits()
    held = service._context.writer.submit(waits)
    if not at_once:
        waits.over.set()
    asked = [service.revoke(each) for each in (*others, own)]
    waits.over.set()
    held.result()
    for each in asked[:-1]:
        each.result()
    with pytest.raises(NodeRefusal) as refused:
        asked[-1].result()
    assert refused.value.code == NodeCode.CREDENTIAL_LAST
    assert [row["state"] for row in listed(node, own)] == ["active"]
