"""A receiver of webhooks: a real HTTP server on this machine, which a test makes slow, broken or deaf."""

import base64
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from tests.support.serving import LocalServer, QuietHandler, serving

Json: TypeAlias = dict[str, object]
Behave: TypeAlias = Callable[[Json], int]
"""Returns the status for an event: 0 takes the event in and loses the answer."""

OK: Final = 204


def take(_event: Json) -> int:
    """Take everything."""
    return OK


@dataclass(slots=True)
class Receiver:
    """What came in, in order; `taken` leaves out what was refused, `seen` also repeats of what was taken before."""

    secret: str = ""
    behave: Behave = take
    tried: list[Json] = field(default_factory=list)
    seen: list[Json] = field(default_factory=list)
    forged: int = 0
    url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def receive(self, body: bytes, headers: dict[str, str]) -> int:
        """Judge a request and return its status."""
        event: Json = json.loads(body)
        with self._lock:
            self.forged += not self._is_genuine(body, headers) or headers["webhook-id"] != event["id"]
            self.tried.append(event)
        status = self.behave(event)
        if status in (0, OK):
            with self._lock:
                self.seen.append(event)
        return status

    @property
    def ids(self) -> list[str]:
        """Return the ids of what was taken, each once, in the order in which it came first."""
        return list(dict.fromkeys(str(event["id"]) for event in self.seen))

    def of(self, account: str) -> list[int]:
        """Return the amounts that events of an account told, repeats left out."""
        once = {event["id"]: event for event in self.seen if event["account"] == account}
        found = []
        for event in once.values():
            data = event["data"]
            assert isinstance(data, dict)
            if "amount" in data:
                found.append(int(data["amount"]))
        return found

    def _is_genuine(self, body: bytes, headers: dict[str, str]) -> bool:
        """Check the signature as the standard says it, apart from the code that makes it."""
        key = base64.b64decode(self.secret.split("_", 1)[1]) if self.secret else b""
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body.decode()}".encode()
        expected = base64.b64encode(hmac.new(key, signed, "sha256").digest()).decode()
        return f"v1,{expected}" in headers["webhook-signature"].split()


class _Server(LocalServer):
    def __init__(self, receiver: Receiver, *, port: int) -> None:
        super().__init__(_Handler, port=port)
        self.receiver = receiver

    def handle_error(self, *_: object) -> None:
        """Say nothing: a node that is stopped breaks its connections."""


class _Handler(QuietHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        receiver = self.server.receiver
        status = receiver.receive(self.read_body(), {name.lower(): value for name, value in self.headers.items()})
        if not status:
            self.close_connection = True
            return
        self.answer(status, headers={"location": receiver.url} if status in (301, 302, 307) else None)


@contextmanager
def listening(receiver: Receiver, *, port: int = 0) -> Iterator[Receiver]:
    """Let `receiver` listen on a port of this machine, the same one again where it is given."""
    with serving(_Server(receiver, port=port)) as server:
        receiver.url = f"{server.url}/hook"
        yield receiver


def until(account: str, has_come: Callable[[], bool], *, seconds: float = 50.0) -> Behave:
    """Answer events of one account only when something else has come, or too late; all others at once."""

    def behave(event: Json) -> int:
        end = time.monotonic() + seconds
        while event["account"] == account and not has_come() and time.monotonic() < end:
            time.sleep(0.01)
        return OK

    return behave


def refuse(account: str | None = None, *, status: int = 500) -> Behave:
    """Refuse events of one account, or all."""
    return lambda event: status if account in (None, event["account"]) else OK
