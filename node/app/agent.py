"""`tallystick agent`: the process that alone holds a node's private keys, and signs over a Unix socket.

Whoever may open the socket may have signed what this ledger signs, and nothing else; the keys never leave. One thread
serves each connection; what is signed and what is taken note of goes through one lock.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog

from node.app.agent_rules import SigningRules, check_follows
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
    decode_request,
    encode_frame,
    receive_frame,
)
from node.app.files import alone
from node.app.genesis import own_keys
from node.app.key_files import KEYS
from node.ports import Keyring, SignerRefused
from node.services.logs.own_log import open_of
from node.workers.keep_state import StateFileInvalid, read_state, write_state
from protocol.checkpoint import Checkpoint
from protocol.errors import ProtocolError, TallystickError
from protocol.identifiers import Ledger, first_of
from protocol.keys import Role, Signer

STATE_NAME: Final = "agent.json"
LOCK_NAME: Final = "agent.lock"
CONNECTIONS_MAX: Final = 64
IDLE_SECONDS: Final = 3_600.0
KEEP_SECONDS: Final = 1.0
"""How old what the agent has on disk may be at most."""

_PRIVATE: Final = 0o177
_LOG: Final = structlog.get_logger()


class AgentBusy(TallystickError):
    """Another agent holds these keys, or something else listens where this one is to."""

    code = "agent_busy"


class AgentSocketInvalid(TallystickError):
    """The agent cannot listen where it is told to."""

    code = "agent_socket_invalid"


class Agent:
    """Answers requests with a keyring; thread-safe."""

    def __init__(self, keyring: Keyring, *, ledger: Ledger, state: Path) -> None:
        """Go on from what `state` says was durable, or raise `StateFileInvalid` or a `ProtocolError`."""
        self._keyring = keyring
        self._ledger = first_of(ledger)
        self._rules = SigningRules(ledger, {role: keyring.key(role).public for role in Role})
        self._state = state
        self._lock = threading.Lock()
        self._note = self._kept = read_state(state)
        self._floor = None if self._note is None else self._open(self._note)

    def answer(self, request: Request) -> Answer:
        """Return what is to be answered: a refusal has a code and says why."""
        try:
            with self._lock:
                match request:
                    case AskKeys():
                        return self._keys()
                    case AskSignature(role=role, message=message, number=number):
                        self._rules.check(role, message, floor=self._floor)
                        return SignatureAnswer(signature=self._signer(role, number).sign(message))
                    case SayCommitted(note=note):
                        self._take(note.encode())
                        return DoneAnswer()
        except (SignerRefused, ProtocolError) as error:
            _LOG.warning("refused", reason=str(error))
            return RefusedAnswer(code=SignerRefused.code, detail=str(error))

    def keep(self) -> None:
        """Write what was said to be durable to the disk, unless it is there."""
        with self._lock:
            note = self._note
        if note is not None and note != self._kept:
            write_state(self._state, note)
            self._kept = note

    def _keys(self) -> KeysAnswer:
        try:
            after: str | None = self._keyring.next_log_key
        except TallystickError:
            after = None
        committed = None if self._note is None else self._note.decode()
        return KeysAnswer(
            ledger=self._ledger,
            keys=own_keys(self._keyring),
            log_keys=tuple(each.public.text for each in self._keyring.log_keys()[1:]),
            next_log_key=after,
            committed=committed,
        )

    def _signer(self, role: Role, number: int) -> Signer:
        """Return who signs with the key of `role`, of the log's with that of `number`."""
        if role is not Role.LOG:
            return self._keyring.key(role)
        keys = self._keyring.log_keys()
        if number >= len(keys):
            raise SignerRefused(f"of the log's keys {len(keys)} are held here")
        return keys[number]

    def _take(self, note: bytes) -> None:
        checkpoint = self._open(note)
        check_follows(checkpoint, self._floor)
        self._floor, self._note = checkpoint, note

    def _open(self, note: bytes) -> Checkpoint:
        return open_of(note, ledger=self._ledger, key=self._keyring.key(Role.LOG).public)


class AgentServer:
    """An agent that listens. `run` returns after `stop`, which any thread may call."""

    def __init__(self, agent: Agent, listening: socket.socket) -> None:
        self._agent = agent
        self._socket = listening
        self._stopping = threading.Event()
        self._door = threading.Lock()
        self._connections: set[socket.socket] = set()

    def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Answer until `stop`."""
        threading.Thread(target=self._accept, name="accept", daemon=True).start()
        on_ready()
        while not self._stopping.wait(KEEP_SECONDS):
            self._keep()
        # Closing alone would leave the other threads waiting.
        with self._door:
            for each in (self._socket, *self._connections):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        self._agent.keep()

    def stop(self) -> None:
        """Take no more requests."""
        self._stopping.set()

    def _keep(self) -> None:
        """Keep what is durable, or try again in a second: an agent that ends would forget more, and sign nothing."""
        try:
            self._agent.keep()
        except StateFileInvalid as error:
            _LOG.error("state_not_kept", reason=str(error))

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self._door:
                taken = len(self._connections) < CONNECTIONS_MAX and not self._stopping.is_set()
                if taken:
                    self._connections.add(connection)
            if taken:
                threading.Thread(target=self._serve, args=(connection,), name="serve", daemon=True).start()
            else:
                connection.close()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(IDLE_SECONDS)
        try:
            with connection, suppress(OSError):
                while (data := receive_frame(connection)) is not None and not self._stopping.is_set():
                    connection.sendall(encode_frame(self._agent.answer(decode_request(data))))
        except AgentWireInvalid as error:
            _LOG.warning("hung_up", reason=str(error))
        finally:
            with self._door:
                self._connections.discard(connection)


@contextmanager
def open_agent(directory: Path, path: Path, *, keyring: Keyring, ledger: Ledger) -> Iterator[AgentServer]:
    """Lend an agent that holds the keys of `directory` for `ledger` and listens at `path`; `run` has it answer.

    Raises `AgentBusy` where another agent has the keys or the socket, and `AgentSocketInvalid`.
    """
    busy = AgentBusy(f"another agent holds the keys in {directory / KEYS}")
    with alone(directory / KEYS / LOCK_NAME, busy):
        agent = Agent(keyring, ledger=ledger, state=directory / KEYS / STATE_NAME)
        with _listening(path) as listening:
            yield AgentServer(agent, listening)


def serve_agent(
    directory: Path, path: Path, *, keyring: Keyring, ledger: Ledger, on_ready: Callable[[], None] = lambda: None
) -> None:
    """Sign for `ledger` until SIGTERM or SIGINT; raises as `open_agent` does."""
    with open_agent(directory, path, keyring=keyring, ledger=ledger) as server:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: server.stop())
        server.run(on_ready)


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with listening:
        try:
            _remove_stale(path)
            # The socket is there with its mode from its first moment on.
            mask = os.umask(_PRIVATE)
            try:
                listening.bind(str(path))
            finally:
                os.umask(mask)
            listening.listen(CONNECTIONS_MAX)
        except OSError as error:
            raise AgentSocketInvalid(f"cannot listen on {path}: {error.strerror or error}") from error
        try:
            yield listening
        finally:
            path.unlink(missing_ok=True)


def _remove_stale(path: Path) -> None:
    """Remove the socket of an agent that was killed; nothing else is ever removed."""
    if not path.exists():
        return
    if not path.is_socket():
        raise AgentSocketInvalid(f"{path} is something else than a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise AgentBusy(f"something listens on {path}")
