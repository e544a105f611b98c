"""A node's keyring whose private keys are in an agent's process; the node has the socket and nothing else.

An agent that is gone is called again at each request. Nothing waits for it longer than a moment: what needs a signature
is refused with `signer_unavailable` meanwhile, and can be repeated.
"""

import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeVar

import structlog

from node.app.agent_wire import (
    AgentWireInvalid,
    Answer,
    AskKeys,
    AskSignature,
    DoneAnswer,
    KeysAnswer,
    RefusedAnswer,
    Request,
    SayCommitted,
    SignatureAnswer,
    decode_answer,
    encode_frame,
    receive_frame,
)
from node.app.system import NextKeyElsewhere
from node.ports import SignerRefused, SignerUnavailable
from protocol.agreement import check_keys, key_of
from protocol.errors import ProtocolError
from protocol.identifiers import Digest
from protocol.keys import PublicKey, Role

ANSWER_SECONDS: Final = 5.0
START_SECONDS: Final = 10.0
"""How long a node that starts waits for its agent to be there."""

_PAUSE_SECONDS: Final = 0.05
_TRIES: Final = 2
_LOG: Final = structlog.get_logger()
_A = TypeVar("_A", KeysAnswer, SignatureAnswer, DoneAnswer)


class AgentSigner:
    """Signs with the key of one role by asking the agent."""

    __slots__ = ("_keyring", "_number", "_role", "public")

    public: PublicKey

    def __init__(self, keyring: "AgentKeyring", role: Role, public: PublicKey, *, number: int = 0) -> None:
        self._keyring, self._role, self._number, self.public = keyring, role, number, public

    def sign(self, message: bytes) -> bytes:
        """Return the signature of `message` once it verifies; raise `SignerUnavailable` or `SignerRefused`."""
        answer = self._keyring.ask(AskSignature(role=self._role, message=message, number=self._number), SignatureAnswer)
        try:
            self.public.verify(signature=answer.signature, message=message)
        except ProtocolError as error:
            raise SignerRefused(f"the agent's signature does not verify: {error}") from error
        return answer.signature


class AgentKeyring:
    """The keys that an agent holds; any thread may use it."""

    def __init__(self, path: Path, *, start_seconds: float | None = None) -> None:
        """Wait for the agent at `path` and learn its public keys, or raise `SignerUnavailable` or `SignerRefused`."""
        self._path = path
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._known: KeysAnswer | None = None
        self._unsaid: bytes | None = None
        self._known = known = self._first(START_SECONDS if start_seconds is None else start_seconds)
        try:
            check_keys(known.keys)
            later = tuple(map(PublicKey.parse, known.log_keys))
        except ProtocolError as error:
            self.close()
            raise SignerRefused(f"the agent's keys are not those of a ledger: {error}") from error
        self._signers = {role: AgentSigner(self, role, key_of(known.keys, role)) for role in Role}
        self._later = tuple(AgentSigner(self, Role.LOG, key, number=number) for number, key in enumerate(later, 1))

    def key(self, role: Role) -> AgentSigner:
        """Return who signs with the key of `role`."""
        return self._signers[role]

    def log_keys(self) -> Sequence[AgentSigner]:
        """Return who signs with each key that the agent held for the log when this process began."""
        return (self._signers[Role.LOG], *self._later)

    @property
    def next_log_key(self) -> Digest:
        """Return the digest of the log key that will follow, or raise `NextKeyElsewhere`."""
        assert self._known is not None, "an agent is known once it has answered"
        if self._known.next_log_key is None:
            raise NextKeyElsewhere("the log key that will follow is not among the agent's keys")
        return Digest(self._known.next_log_key)

    def last_committed(self) -> bytes | None:
        """Return the note that the agent knew as durable when this process first spoke with it."""
        assert self._known is not None, "an agent is known once it has answered"
        return None if self._known.committed is None else self._known.committed.encode()

    def committed(self, note: bytes) -> None:
        """Tell the agent; what it cannot be told now it is told before it signs again."""
        self._unsaid = note
        try:
            with self._lock:
                self._say_committed()
        except (SignerUnavailable, SignerRefused) as error:  # Also where another agent has come.
            _LOG.warning("agent_not_told", reason=str(error))

    def ask(self, request: Request, kind: type[_A]) -> _A:
        """Return the agent's answer, or raise `SignerUnavailable` or `SignerRefused`."""
        with self._lock:
            self._say_committed()
            return self._ask(request, kind)

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            self._hang_up()

    def _first(self, start_seconds: float) -> KeysAnswer:
        end = time.monotonic() + start_seconds
        while True:
            try:
                return self._ask(AskKeys(), KeysAnswer)
            except SignerUnavailable:
                if time.monotonic() >= end:
                    raise
                time.sleep(_PAUSE_SECONDS)

    def _say_committed(self) -> None:
        if self._unsaid is not None:
            try:
                self._ask(SayCommitted(note=self._unsaid.decode()), DoneAnswer)
            except SignerRefused as error:
                # It will not sign what follows this checkpoint either, and then says so to whoever wants that.
                _LOG.error("agent_knows_more", reason=str(error))
            self._unsaid = None

    def _ask(self, request: Request, kind: type[_A]) -> _A:
        answer = self._exchange(request)
        if isinstance(answer, RefusedAnswer):
            raise SignerRefused(f"the agent refuses: {answer.detail}")
        if not isinstance(answer, kind):
            self._hang_up()
            raise SignerUnavailable(f"the agent at {self._path} answers something else than was asked")
        return answer

    def _exchange(self, request: Request) -> Answer:
        """Return the answer to `request`; a connection that has ended is opened again, once."""
        for last in range(_TRIES):
            try:
                return self._call(request)
            except (OSError, AgentWireInvalid) as error:
                self._hang_up()
                if last == _TRIES - 1:
                    raise SignerUnavailable(f"the agent at {self._path} does not answer: {error}") from error
        raise AssertionError("the last try returns or raises")

    def _call(self, request: Request) -> Answer:
        if self._connection is None:
            self._connection = self._connect()
        return _exchange_on(self._connection, request)

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(str(self._path))
            self._check_same(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_same(self, connection: socket.socket) -> None:
        """Raise `SignerRefused` where another agent has come in the place of the first."""
        if self._known is None:
            return
        answer = _exchange_on(connection, AskKeys())
        if not isinstance(answer, KeysAnswer):
            raise AgentWireInvalid("the agent does not name its keys")
        before = self._known
        held = answer.log_keys[: len(before.log_keys)]
        if (answer.ledger, answer.keys, held) != (before.ledger, before.keys, before.log_keys):
            raise SignerRefused(f"the agent at {self._path} holds other keys than before")

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _exchange_on(connection: socket.socket, request: Request) -> Answer:
    connection.sendall(encode_frame(request))
    data = receive_frame(connection)
    if data is None:
        raise AgentWireInvalid("the agent hung up")
    return decode_answer(data)
