"""A node that answers on a socket, and bytes as they go over the wire to it; shared by the tests of a module."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from node.app.directory import create_node_directory
from node.app.open import OpenedNode, open_node
from node.app.serve import NodeServer
from node.client import read_token
from node.services.access.credentials import CallerRole
from tests.support.documents import uuid

SECONDS_MAX: Final = 60
ANN: Final = f"member/{uuid('ann')}"
_CHANGES: Final = re.compile(rb"(?m)^(date|x-request-id): .*\r\n")


@dataclass(frozen=True, slots=True)
class Served:
    """A node that answers on a socket, and its backend's token."""

    opened: OpenedNode
    port: int
    token: str

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS_MAX)

    def head(self, *lines: str, path: str = "/v1/transactions", token: str | None = None) -> bytes:
        first = (f"POST {path} HTTP/1.1", "Host: node", f"Authorization: Bearer {token or self.token}")
        return "\r\n".join((*first, "Content-Type: application/json", *lines, "", "")).encode()

    def post(self, body: bytes, *lines: str, path: str = "/v1/transactions", token: str | None = None) -> bytes:
        return self.head(f"Content-Length: {len(body)}", *lines, path=path, token=token) + body

    def asked(self, *pieces: bytes, answers: int = 1) -> list[bytes]:
        """Return what is answered to a request that is sent in pieces, or to several at once."""
        with self.connect() as connection, connection.makefile("rb") as answer:
            for piece in pieces:
                connection.sendall(piece)
            return [read_answer(answer.readline, answer.read) for _ in range(answers)]


def read_answer(readline: object, read: object) -> bytes:
    """Return an answer, without what differs from one to the next."""
    assert callable(readline)
    assert callable(read)
    lines = [readline()]
    while lines[-1] not in {b"\r\n", b""}:
        lines.append(readline())
    length = next(int(line.split()[1]) for line in lines if line.startswith(b"content-length"))
    return _CHANGES.sub(b"\\1\r\n", b"".join(lines)) + bytes(read(length))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory: Path = tmp_path_factory.mktemp("node") / "aurora"
    created = create_node_directory(
        directory, ledger="aurora.example/main.1", points="AUR", points_name="Miles", url="http://127.0.0.1:8420"
    )
    with open_node(directory, settings={"port": 0}) as opened:
        server, ready = NodeServer(opened), threading.Event()
        thread = threading.Thread(target=server.run, args=(lambda _url: ready.set(),), daemon=True)
        thread.start()
        assert ready.wait(SECONDS_MAX)
        found = Served(opened, server.port, read_token(created.tokens[CallerRole.BACKEND]))
        account = json.dumps({"id": uuid("ann"), "kind": "member"}).encode()
        assert found.asked(found.post(account, path="/v1/accounts"))[0].startswith(b"HTTP/1.1 201")
        yield found
        server.stop()
        thread.join(SECONDS_MAX)


def issue(name: str, **changes: object) -> bytes:
    return json.dumps({"id": uuid(f"wire {name}"), "type": "issue", "account": ANN, "amount": 3, **changes}).encode()
