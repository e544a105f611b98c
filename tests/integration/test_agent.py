"""A node whose keys a real agent's process holds: killed and started again, either of the two, and nothing is lost."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from node.app.directory import Created, create_node_directory
from node.app.key_files import public_key
from node.services.access.credentials import CallerRole
from protocol.checkpoint import open_checkpoint
from protocol.keys import Role
from protocol.note import Verifier
from tests.support.documents import uuid

pytestmark = pytest.mark.integration

NODE: Final = """
import sys
from pathlib import Path
from node.app.serve import serve
serve(Path(sys.argv[1]), settings={"port": 0}, on_ready=lambda url: print(url, flush=True))
"""
SECONDS_MAX: Final = 60
WRITES: Final = 3


@contextmanager
def process(log: Path, *command: str) -> "Iterator[tuple[subprocess.Popen[str], str]]":
    """Lend a process, and the line that it says once it is ready; it is killed at the end."""
    with (
        log.open("a") as output,
        subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=output, text=True) as running,
    ):
        try:
            assert running.stdout is not None
            said = running.stdout.readline().strip()
            assert said, log.read_text()
            yield running, said
        finally:
            running.kill()


class Brand:
    """A node's directory without keys, and the vault where they are."""

    def __init__(self, root: Path) -> None:
        self.vault, self.log = root / "vault", root / "log"
        self.created: Created = create_node_directory(
            root / "node",
            ledger="aurora.example/main.1",
            points="AUR",
            points_name="Aurora Miles",
            url="http://127.0.0.1:9",
            settings={"agent": "agent.sock"},
        )
        self.vault.mkdir()
        (self.created.directory / "keys").rename(self.vault / "keys")
        self._token = self.created.tokens[CallerRole.ADMINISTRATOR].read_text().strip()
        self.written = 0

    @contextmanager
    def agent(self) -> "Iterator[subprocess.Popen[str]]":
        socket = self.created.directory / "agent.sock"
        command = ("-m", "node.cli.main", "agent", str(self.vault), "--socket", str(socket), "--ledger")
        with process(self.log, *command, self.created.config.ledger) as (running, said):
            assert said == "signing for aurora.example/main.1"
            yield running

    @contextmanager
    def node(self) -> Iterator[httpx.Client]:
        with process(self.log, "-c", NODE, str(self.created.directory)) as (_, url):
            headers = {"authorization": f"Bearer {self._token}"}
            with httpx.Client(base_url=url, timeout=SECONDS_MAX, headers=headers) as client:
                yield client

    def ask_for_account(self, client: httpx.Client) -> httpx.Response:
        name = f"account {self.written}"
        return client.post("/v1/accounts", json={"id": uuid(name), "kind": "member"})

    def write(self, client: httpx.Client) -> None:
        for _ in range(WRITES):
            response = self.ask_for_account(client)
            assert response.is_success, response.text
            self.written += 1


def test_agent_and_node_are_killed_and_started_again(tmp_path: Path) -> None:
    brand = Brand(tmp_path)
    with brand.agent() as agent:
        with brand.node() as client:
            brand.write(client)
            agent.kill()
            agent.wait(SECONDS_MAX)
            refused = brand.ask_for_account(client)
            assert (refused.status_code, refused.json()["code"]) == (503, "signer_unavailable")
            # What needs no signature is answered all the same.
            assert client.get("/v1/accounts").is_success
            with brand.agent() as second:
                brand.write(client)
                second.terminate()
                assert second.wait(SECONDS_MAX) == 0
            assert brand.ask_for_account(client).status_code == 503
        with brand.agent(), brand.node() as client:
            brand.write(client)
            verifier = Verifier(brand.created.config.ledger, public_key(brand.vault, Role.LOG))
            assert open_checkpoint(client.get("/checkpoint").content, [verifier]).size == 1 + brand.written
    assert not (brand.created.directory / "keys").exists()
