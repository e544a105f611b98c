"""No token, secret or personal data in a log line, in an entry, or in any row but those that can be erased."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog

from node.services.access.credentials import CallerRole
from node.store.columns import CLASS, METADATA, TableClass
from node.store.schema_members import erasable_tables
from node.telemetry import configure_logging
from tests.support.api import ANN, BOB, Api, Json, api_of, open_accounts, request_id
from tests.support.documents import uuid
from tests.support.issuers import claims_at, signed, with_issuer
from tests.unit.node.api.test_approvals import APPROVALS, Person

PERSON: Json = {
    "external_ref": "crm-4711-lovelace",
    "display_name": "Ada Lovelace",
    "email": "ada.lovelace@example.org",
    "locale": "en",
}
NOTE = "Ada rang on Tuesday about her points"
AGENT = "AdaBrowser/1.0 (her very own)"
WORDS = (PERSON["external_ref"], PERSON["display_name"], PERSON["email"], NOTE, AGENT)
LOGGED_LEVEL = "debug"


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Lend the lines that are logged inside, at the level that says most."""
    lines, before, shown, root = io.StringIO(), structlog.get_config(), sys.stderr, logging.getLogger()
    handlers, level = root.handlers[:], root.level
    sys.stderr = lines
    try:
        configure_logging(level=LOGGED_LEVEL, form="json")
        yield lines
    finally:
        sys.stderr = shown
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(level)


class Life:
    """A brand's node through which a member's data and several tokens have passed, and all that it wrote."""

    def __init__(self, api: Api, lines: io.StringIO) -> None:
        self._api = api
        self._lines = lines
        self.tokens = [api.token(role) for role in api.created.tokens]

    def live(self) -> None:
        """Let requests of every kind come: done, refused, and not understood."""
        api = self._api
        agent, manager = Person(api, CallerRole.SUPPORT), Person(api, CallerRole.MANAGER)
        member = signed(claims_at(api.clock.now().timestamp(), sub=PERSON["external_ref"]))
        self.tokens += [agent.token, manager.token, member]
        assert api.call("PUT", f"/v1/accounts/{BOB}/personal", body=PERSON).is_success
        action = {"type": "adjustment", "entry": request_id("given"), "account": BOB, "amount": 9, "reason": "goodwill"}
        said = agent.post(APPROVALS, {"id": request_id("gift"), "action": action, "metadata": {"note": NOTE}})
        assert said.status_code == 201, said.text
        assert manager.approve("gift").status_code == 201
        self._ask(member)
        self._mistake()

    def _ask(self, token: str) -> None:
        headers = {"authorization": f"Bearer {token}", "user-agent": AGENT}
        for path in ("/v1/me", "/v1/me/history", "/v1/me/appeals", f"/v1/accounts/{ANN}"):
            self._api.call("GET", path, headers=headers, role=None)
        for broken in (f"{token}x", token.replace(".", "_"), f"ts_backend_00000000_{'s' * 43}"):
            self._api.call("GET", "/v1/me", headers={"authorization": f"Bearer {broken}"}, role=None)
        self._api.call("GET", "/v1/accounts", headers={"authorization": f"Basic {token}"}, role=None)

    def _mistake(self) -> None:
        misplaced = {"id": uuid("x"), "kind": PERSON["email"], **PERSON}
        assert self._api.post("/v1/accounts", misplaced).status_code == 422
        assert self._api.call("GET", f"/v1/accounts/{PERSON['email']}").status_code == 404
        content = json.dumps(PERSON).encode()[:-1]
        headers = {"content-type": "application/json"}
        assert self._api.call("POST", "/v1/accounts", content=content, headers=headers).status_code == 400

    @property
    def lines(self) -> str:
        """Return what was logged."""
        return self._lines.getvalue()

    @property
    def secrets(self) -> list[str]:
        """Return what of the tokens nobody may learn."""
        return [token.rpartition("_")[2] if token.startswith("ts_") else token.split(".")[2] for token in self.tokens]

    def rows(self, *, erasable: bool) -> str:
        """Return all rows of the tables that can be erased, or of all others."""
        named = {table.name for table in erasable_tables()} | {"metadata_rows"}
        return str([rows for name, rows in self._api.rows().items() if (name in named) is erasable])


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    directory = tmp_path_factory.mktemp("secrets")
    with logged() as lines, api_of(directory / "aurora", settings=with_issuer(directory)) as api:
        open_accounts(api)
        found = Life(api, lines)
        found.live()
        yield found


def test_there_is_something_to_be_found(life: Life) -> None:
    assert len(life.lines.splitlines()) > 10
    kept = life.rows(erasable=True)
    assert all(str(word) in kept for word in (PERSON["email"], NOTE))


def test_no_secret_is_logged_or_stored(life: Life) -> None:
    everywhere = life.lines + life.rows(erasable=False) + life.rows(erasable=True)
    assert len(life.secrets) == len(set(life.secrets)) >= 6
    assert [secret for secret in life.secrets if secret in everywhere] == []


def test_no_personal_data_is_logged(life: Life) -> None:
    assert [word for word in WORDS if str(word) in life.lines] == []
    assert "lovelace" not in life.lines.lower()
    assert uuid("ann") not in life.lines
    assert uuid("bob") not in life.lines


def test_no_personal_data_is_in_an_entry_or_in_a_row_that_stays(life: Life) -> None:
    stays = life.rows(erasable=False)
    assert [word for word in WORDS if str(word) in stays] == []
    assert "lovelace" not in stays.lower()
    assert {table.info[CLASS] for table in erasable_tables()} == {TableClass.OPERATIONAL}
    assert len(erasable_tables()) < len(METADATA.tables)
