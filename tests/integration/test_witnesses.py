"""Real witnesses: what was cosigned outlives a kill, and answers that wait for witnesses leave when they may."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import msgspec
import pytest

from node.app.directory import Created, create_node_directory
from node.app.key_files import public_key
from node.app.open import open_node
from node.app.serve import NodeServer
from node.services.access.credentials import CallerRole
from protocol.keys import Role
from protocol.note import KeyType, Verifier, format_vkey, parse_note, signers_of
from protocol.witness import monitor_path, parse_size, take_cosignatures
from tests.support.crashing_node import poll
from tests.support.documents import AURORA, BLUEBIRD, introduction, invitation_bytes, uuid
from tests.support.logs import TestLog

pytestmark = pytest.mark.integration

PROGRAM: Final = """
import sys
from pathlib import Path
from node.app.serve import serve
serve(Path(sys.argv[1]), settings={"port": 0}, on_ready=lambda url: print(url, flush=True))
"""
SECONDS_MAX: Final = 60
ATTEMPTS_MAX: Final = 12
LOG: Final = TestLog(BLUEBIRD.ledger, BLUEBIRD.signing_keys[Role.LOG])


def create(directory: Path, brand: str) -> Created:
    return create_node_directory(
        directory / brand,
        ledger=f"{brand}.example/main.1",
        points=brand[:3].upper(),
        points_name=f"{brand.title()} points",
        url="http://127.0.0.1:9",
    )


def cosigner_of(created: Created) -> Verifier:
    return Verifier(created.config.ledger, public_key(created.directory, Role.WITNESS), KeyType.COSIGNATURE)


def know_bluebird(created: Created) -> None:
    with open_node(created.directory) as opened:
        fingerprint = introduction(BLUEBIRD).fingerprint()
        opened.node.partners.accept(invitation_bytes(BLUEBIRD), fingerprint=fingerprint).result()


@contextmanager
def process_of(created: Created) -> "Iterator[tuple[subprocess.Popen[str], httpx.Client]]":
    command = [sys.executable, "-c", PROGRAM, str(created.directory)]
    with (
        (created.directory.parent / "log").open("a") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            with httpx.Client(base_url=process.stdout.readline().strip(), timeout=SECONDS_MAX) as client:
                yield process, client
        finally:
            process.kill()


def test_what_was_cosigned_is_kept_through_a_kill(tmp_path: Path) -> None:
    created = create(tmp_path, "aurora")
    know_bluebird(created)
    size = 0
    for step in range(1, 6):
        with process_of(created) as (process, client):
            # Bluebird is not there, so this node's own log waits for it; as a witness it answers all the same.
            told = client.post("/witness/v1/add-checkpoint", content=LOG.request(size + 1, 40))
            assert (told.status_code, parse_size(told.content)) == (409, size)
            cosigned = client.post("/witness/v1/add-checkpoint", content=LOG.request(size, size + step))
            process.kill()
            process.wait(SECONDS_MAX)
        assert cosigned.status_code == 200, cosigned.text
        size += step
        take_cosignatures(cosigned.content, text=LOG.note(size).text, witnesses=[cosigner_of(created)])
    with process_of(created) as (_, client):
        shown = parse_note(client.get(f"/witness/v1/{monitor_path(LOG.origin)}").content)
        assert shown.text == LOG.note(size).text
        assert signers_of(shown, [LOG.verifier, cosigner_of(created)]) == (LOG.verifier, cosigner_of(created))
        assert client.post("/witness/v1/add-checkpoint", content=LOG.request(0, 3)).status_code == 409


@contextmanager
def served(created: Created, **settings: object) -> Iterator[str]:
    """Serve a node from a thread, and lend its URL."""
    with open_node(created.directory, settings={"port": 0, **settings}) as opened:
        server, ready = NodeServer(opened), threading.Event()
        thread = threading.Thread(target=server.run, args=(lambda _: ready.set(),))
        thread.start()
        try:
            assert ready.wait(SECONDS_MAX)
            yield server.url
        finally:
            server.stop()
            thread.join(SECONDS_MAX)


@pytest.mark.slow
def test_an_answer_waits_for_a_witness_that_is_down(tmp_path: Path) -> None:
    aurora, witness = create(tmp_path, "aurora"), create(tmp_path, "copper")
    with open_node(aurora.directory) as opened:
        invitation = opened.node.partners.invitation(None)
    with open_node(witness.directory) as opened:
        opened.node.partners.accept(msgspec.json.encode(invitation, order="sorted"), fingerprint=None).result()
    headers = {"authorization": f"Bearer {aurora.tokens[CallerRole.BACKEND].read_text().strip()}"}
    body = {"id": uuid("ann"), "kind": "member"}
    with served(witness) as witness_url:
        port = int(witness_url.rpartition(":")[2])
        lines = [f"{format_vkey(cosigner_of(witness))} {witness_url}/witness/v1"]
        with served(aurora, witnesses=lines, ack_after_witness=1, start_answers="none") as url:
            first = httpx.post(f"{url}/v1/accounts", json=body, headers=headers, timeout=SECONDS_MAX)
            assert first.status_code == 201, first.text
            kept = httpx.get(f"{witness_url}/witness/v1/{monitor_path(AURORA.ledger)}", timeout=SECONDS_MAX)
            assert int(kept.text.split("\n")[1]) == 2
    with served(aurora, witnesses=lines, ack_after_witness=1, start_answers="none") as url:
        body = {"id": uuid("bob"), "kind": "member"}
        waited = httpx.post(f"{url}/v1/accounts", json=body, headers=headers, timeout=SECONDS_MAX)
        assert (waited.status_code, waited.json()["code"]) == (503, "unwitnessed")
        assert waited.headers["retry-after"]
        again = httpx.post(
            f"{url}/v1/accounts", json={"id": "no id", "kind": "member"}, headers=headers, timeout=SECONDS_MAX
        )
        assert again.status_code == 422
        with served(witness, port=port):
            answered = waited
            for _ in range(ATTEMPTS_MAX):
                answered = httpx.post(f"{url}/v1/accounts", json=body, headers=headers, timeout=SECONDS_MAX)
                if answered.status_code != 503:
                    break
            assert answered.status_code == 201
            assert answered.json()["id"] == uuid("bob")
    with served(aurora, witnesses=lines) as url:
        body = {"id": uuid("cat"), "kind": "member"}
        refused = httpx.post(f"{url}/v1/accounts", json=body, headers=headers, timeout=SECONDS_MAX)
        assert (refused.status_code, refused.json()["code"]) == (503, "start_unanswered")
        with served(witness, port=port):
            poll(lambda: httpx.get(f"{url}/readyz", timeout=SECONDS_MAX).is_success or None, "the witness's answer")
            done = httpx.post(f"{url}/v1/accounts", json=body, headers=headers, timeout=SECONDS_MAX)
            assert done.status_code == 201, done.text
