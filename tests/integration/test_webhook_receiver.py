"""A real receiver of webhooks that is away, answers 500 and loses answers, and a real node that is killed in between.

Everything arrives at least once, in order per account, under ids by which the receiver drops what it has seen.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from node.app.directory import Created, create_node_directory
from node.services.access.credentials import CallerRole
from tests.support.documents import uuid
from tests.support.receivers import OK, Json, Receiver, listening, take

pytestmark = pytest.mark.integration

NODE: Final = """
import sys
from pathlib import Path
from node.app.serve import serve
settings = {"port": 0, "webhooks_private": True, "start_answers": "none"}
serve(Path(sys.argv[1]), settings=settings, on_ready=lambda url: print(url, flush=True))
"""
SECONDS_MAX: Final = 120
ACCOUNTS: Final = [f"member/{uuid(name)}" for name in ("ann", "bob", "cid")]
HOOK: Final = uuid("hook")


@contextmanager
def serving(created: Created, log: Path) -> "Iterator[tuple[subprocess.Popen[str], httpx.Client]]":
    """Lend a node's process and a client of it; it is killed at the end as by a power cut."""
    command = [sys.executable, "-c", NODE, str(created.directory)]
    token = created.tokens[CallerRole.ADMINISTRATOR].read_text().strip()
    with (
        log.open("a") as output,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=output, text=True) as running,
    ):
        try:
            assert running.stdout is not None
            url = running.stdout.readline().strip()
            assert url, log.read_text()
            headers = {"authorization": f"Bearer {token}"}
            with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
                yield running, client
        finally:
            running.kill()


def post(client: httpx.Client, path: str, body: Json) -> Json:
    response = client.post(path, json=body)
    assert response.is_success, response.text
    answer: Json = response.json()
    return answer


def issue(client: httpx.Client, amounts: range) -> None:
    for amount in amounts:
        for account in ACCOUNTS:
            name = uuid(f"{account} {amount}")
            post(client, "/v1/transactions", {"id": name, "type": "issue", "account": account, "amount": amount})


class Moody:
    """Refuses every third event at first, and loses the answer to every fourth; each of them comes again."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def __call__(self, event: Json) -> int:
        """Return the status for an event."""
        name = str(event["id"])
        if name in self._seen:
            return OK
        self._seen.add(name)
        if len(self._seen) % 3 == 0:
            return 500
        return 0 if len(self._seen) % 4 == 0 else OK


def await_seen(receiver: Receiver, count: int) -> None:
    end = time.monotonic() + SECONDS_MAX
    while len(receiver.ids) < count:
        assert time.monotonic() < end, f"{len(receiver.ids)} of {count} came"
        time.sleep(0.05)


def test_everything_arrives_in_order_whatever_happens_to_either(tmp_path: Path) -> None:
    created = create_node_directory(
        tmp_path / "node",
        ledger="aurora.example/main.1",
        points="AUR",
        points_name="Aurora Miles",
        url="http://127.0.0.1:9",
    )
    receiver, log = Receiver(), tmp_path / "log"
    with listening(receiver):
        pass  # Its port is known from here on, and nobody listens there.
    with serving(created, log) as (_, client):
        for account in ACCOUNTS:
            post(client, "/v1/accounts", {"id": account.partition("/")[2], "kind": "member"})
        added = post(client, "/v1/webhooks", {"id": HOOK, "url": receiver.url, "types": ["points.issued"]})
        receiver.secret = str(added["secret"])
        issue(client, range(1, 5))
    receiver.behave = Moody()
    port = httpx.URL(receiver.url).port
    assert port is not None
    with listening(receiver, port=port):
        with serving(created, log) as (running, client):
            issue(client, range(5, 8))
            await_seen(receiver, 9)
            running.kill()
        receiver.behave = take
        with serving(created, log) as (_, client):
            issue(client, range(8, 10))
            await_seen(receiver, 9 * len(ACCOUNTS))
    for account in ACCOUNTS:
        assert receiver.of(account) == list(range(1, 10))
    assert receiver.forged == 0
