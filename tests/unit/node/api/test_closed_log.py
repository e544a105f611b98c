"""A log that its operator has closed: auditors read it, partners by their signature, and nobody else."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from node.services.access.api_keys import KeyRequest
from node.services.access.credentials import CallerRole
from node.services.logs.log_access import CHARACTERS_MAX, VALID_SECONDS
from protocol.fields import format_time
from protocol.keys import Role, encode_base64
from protocol.note import format_note, sign_note
from protocol.witness import monitor_path
from tests.support.api import Api, api_of, meet
from tests.support.documents import AURORA, BLUEBIRD, COPPER, NETWORK, Side

CLOSED = ("/checkpoint", "/tile/0/000.p/1", f"/witness/v1/{monitor_path(BLUEBIRD.ledger)}")
EARLIER = ("/past/1/checkpoint", "/past/1/tile/0/000.p/1")


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with api_of(tmp_path_factory.mktemp("closed") / "node", settings={"public_log": "credential"}) as api:
        meet(api)
        api.clock.advance(2)
        yield api


def pass_of(
    api: Api,
    *,
    side: Side = BLUEBIRD,
    role: Role = Role.CHANNEL,
    seconds: float = 0,
    change: Callable[[list[str]], list[str]] = lambda lines: lines,
) -> str:
    """Return what BLUEBIRD would show AURORA, with whatever a test changes about it."""
    time = format_time(api.clock.now() + timedelta(seconds=seconds))
    lines = change(["tallystick/log-pass/v1", NETWORK, side.ledger, AURORA.ledger, time])
    note = sign_note("\n".join(lines) + "\n", name=side.ledger, key=side.signing_keys[role])
    return f"Tallystick {encode_base64(format_note(note))}"


def asked(api: Api, path: str, credential: str | None) -> int:
    headers = {} if credential is None else {"authorization": credential}
    return api.call("GET", path, headers=headers, role=None).status_code


@pytest.mark.parametrize("path", [*CLOSED, *EARLIER])
def test_strangers_and_programmes_learn_nothing(closed: Api, path: str) -> None:
    refused = closed.call("GET", path, role=None)
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
    assert refused.headers["cache-control"] == "no-store"
    assert closed.get(path, role=CallerRole.BACKEND).status_code == 403


@pytest.mark.parametrize("path", CLOSED[:2])
def test_auditors_and_partners_read_it_and_no_cache_shares_it(closed: Api, path: str) -> None:
    for role in (CallerRole.AUDITOR, CallerRole.ADMINISTRATOR):
        found = closed.get(path, role=role)
        assert found.status_code == 200
        assert found.headers["cache-control"].startswith("private, ")
    assert asked(closed, path, pass_of(closed)) == 200
    assert asked(closed, path, pass_of(closed).replace("Tallystick", "tallystick")) == 200


def test_a_partners_own_systems_read_it_with_a_key_of_theirs(closed: Api) -> None:
    request = KeyRequest(role=CallerRole.PARTNER, name="their monitor", partner=BLUEBIRD.ledger)
    token = closed.node.credentials.make(request, by=None).result().token
    assert asked(closed, CLOSED[0], f"Bearer {token}") == 200
    assert asked(closed, "/v1/entries", f"Bearer {token}") == 403


@pytest.mark.parametrize("path", [CLOSED[2], *EARLIER])
def test_whoever_may_read_it_is_told_what_is_not_there(closed: Api, path: str) -> None:
    assert closed.get(path, role=CallerRole.AUDITOR).status_code == 404
    assert asked(closed, path, pass_of(closed)) == 404


def test_the_name_and_the_key_are_no_secret(closed: Api) -> None:
    assert asked(closed, "/ledger.json", None) == 200


def test_a_witness_is_asked_without_any_credential(closed: Api) -> None:
    found = closed.call("POST", "/witness/v1/add-checkpoint", content=b"nothing", role=None)
    assert found.status_code == 400


def other(place: int, text: str) -> Callable[[list[str]], list[str]]:
    return lambda lines: [text if at == place else line for at, line in enumerate(lines)]


WRONG: dict[str, Callable[[Api], str]] = {
    "nothing": lambda _: "Tallystick",
    "no base64": lambda _: "Tallystick ?",
    "no note": lambda _: f"Tallystick {encode_base64(b'nothing')}",
    "too long": lambda _: f"Tallystick {'A' * (CHARACTERS_MAX + 4)}",
    "another key of the partner": lambda api: pass_of(api, role=Role.LOG),
    "no partner": lambda api: pass_of(api, side=COPPER),
    "another reader's name": lambda api: pass_of(api, change=other(2, COPPER.ledger)),
    "no ledger": lambda api: pass_of(api, change=other(2, "bluebird")),
    "another log": lambda api: pass_of(api, change=other(3, COPPER.ledger)),
    "another network": lambda api: pass_of(api, change=other(1, "0" * 32)),
    "another purpose": lambda api: pass_of(api, change=other(0, "tallystick/log-pass/v2")),
    "no time": lambda api: pass_of(api, change=other(4, "now")),
    "too few lines": lambda api: pass_of(api, change=lambda lines: lines[:-1]),
    "too many lines": lambda api: pass_of(api, change=lambda lines: [*lines, "more"]),
    "too old": lambda api: pass_of(api, seconds=-VALID_SECONDS - 1),
    "from the future": lambda api: pass_of(api, seconds=VALID_SECONDS + 1),
    "another scheme": lambda api: pass_of(api).replace("Tallystick", "Bearer"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_pass_of_a_partner_is_refused(closed: Api, what: str) -> None:
    assert asked(closed, "/checkpoint", WRONG[what](closed)) == 401


@pytest.mark.parametrize("seconds", [-VALID_SECONDS, 0, VALID_SECONDS])
def test_a_pass_holds_for_a_while(closed: Api, seconds: int) -> None:
    assert asked(closed, "/checkpoint", pass_of(closed, seconds=seconds)) == 200


def test_an_open_log_asks_nobody(tmp_path: Path) -> None:
    with api_of(tmp_path / "node") as api:
        meet(api)
        assert asked(api, "/checkpoint", None) == 200
        assert asked(api, "/checkpoint", "Tallystick nonsense") == 200
