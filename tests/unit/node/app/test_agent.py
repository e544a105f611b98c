"""The agent and a node's keyring over it: what travels, what is remembered, what happens while the agent is away."""

import socket
import stat
import threading
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.app.agent import Agent, AgentBusy, AgentSocketInvalid, open_agent
from node.app.agent_client import AgentKeyring
from node.app.agent_wire import (
    FRAME_BYTES_MAX,
    LENGTH_BYTES,
    AgentWireInvalid,
    Answer,
    AskKeys,
    AskSignature,
    DoneAnswer,
    KeysAnswer,
    RefusedAnswer,
    SayCommitted,
    SignatureAnswer,
    decode_answer,
    decode_request,
    encode_frame,
    receive_frame,
)
from node.app.genesis import own_keys
from node.app.system import NextKeyElsewhere, SeedKeyring
from node.ports import SignerRefused, SignerUnavailable
from node.workers.keep_state import StateFileInvalid, read_state, write_state
from protocol.checkpoint import Checkpoint, sign_checkpoint
from protocol.keys import Role
from protocol.merkle import Hash
from tests.support.agents import NEXT, keyring_of, serving
from tests.support.documents import AURORA, BLUEBIRD, Side

ROOT: Final = Hash(b"\x01" * 32)
OTHER_ROOT: Final = Hash(b"\x02" * 32)


def note_of(size: int, *, side: Side = AURORA, root: Hash = ROOT) -> bytes:
    return sign_checkpoint(Checkpoint(origin=AURORA.ledger, size=size, root=root), key=side.signing_keys[Role.LOG])


def ask(size: int, *, root: Hash = ROOT) -> AskSignature:
    return AskSignature(role=Role.LOG, message=note_of(size, root=root).partition(b"\n\n")[0] + b"\n")


def say(size: int, *, side: Side = AURORA, root: Hash = ROOT) -> SayCommitted:
    return SayCommitted(note=note_of(size, side=side, root=root).decode())


def open_and_close(directory: Path, path: Path) -> None:
    with open_agent(directory, path, keyring=keyring_of(), ledger=AURORA.ledger):
        pass


class TestAgent:
    def test_what_is_signed_verifies_and_what_is_refused_says_why(self, tmp_path: Path) -> None:
        agent = Agent(keyring_of(), ledger=AURORA.ledger, state=tmp_path / "agent.json")
        answer = agent.answer(ask(5))
        assert isinstance(answer, SignatureAnswer)
        AURORA.signing_keys[Role.LOG].public.verify(signature=answer.signature, message=ask(5).message)
        refused = agent.answer(AskSignature(role=Role.APPROVAL, message=ask(5).message))
        assert isinstance(refused, RefusedAnswer)
        assert refused.code == "signer_refused"

    def test_nothing_goes_back_behind_what_is_durable_also_after_a_restart(self, tmp_path: Path) -> None:
        state = tmp_path / "agent.json"
        agent = Agent(keyring_of(), ledger=AURORA.ledger, state=state)
        agent.keep()
        assert not state.exists()
        assert isinstance(agent.answer(say(5)), DoneAnswer)
        for each in (agent, None):
            agent = each or Agent(keyring_of(), ledger=AURORA.ledger, state=state)
            assert isinstance(agent.answer(ask(4)), RefusedAnswer)
            assert isinstance(agent.answer(ask(5, root=OTHER_ROOT)), RefusedAnswer)
            assert isinstance(agent.answer(say(4)), RefusedAnswer)
            assert isinstance(agent.answer(say(5, root=OTHER_ROOT)), RefusedAnswer)
            assert isinstance(agent.answer(ask(6)), SignatureAnswer)
            agent.keep()
            agent.keep()

    def test_only_what_the_own_log_key_signed_can_be_durable(self, tmp_path: Path) -> None:
        agent = Agent(keyring_of(), ledger=AURORA.ledger, state=tmp_path / "agent.json")
        for note in (note_of(5, side=BLUEBIRD).decode(), "", "no note"):
            assert isinstance(agent.answer(SayCommitted(note=note)), RefusedAnswer)
        answer = agent.answer(AskKeys())
        assert isinstance(answer, KeysAnswer)
        assert (answer.committed, answer.keys) == (None, own_keys(keyring_of()))


class TestWire:
    @pytest.mark.parametrize("request_", [AskKeys(), ask(5), say(5)])
    def test_requests_travel(self, request_: AskKeys | AskSignature | SayCommitted) -> None:
        assert decode_request(encode_frame(request_)[LENGTH_BYTES:]) == request_

    @pytest.mark.parametrize(
        "answer",
        [
            KeysAnswer(ledger=AURORA.ledger, keys=AURORA.keys, log_keys=(), next_log_key=None, committed=None),
            SignatureAnswer(signature=bytes(64)),
            DoneAnswer(),
            RefusedAnswer(code="signer_refused", detail="why"),
        ],
    )
    def test_answers_travel(self, answer: Answer) -> None:
        assert decode_answer(encode_frame(answer)[LENGTH_BYTES:]) == answer

    @given(st.binary(max_size=200))
    def test_any_bytes_are_a_frame_or_refused(self, data: bytes) -> None:
        for decode in (decode_request, decode_answer):
            with pytest.raises(AgentWireInvalid):
                decode(data)

    def test_a_frame_has_bounds_and_an_end(self) -> None:
        with pytest.raises(AgentWireInvalid):
            encode_frame(AskSignature(role=Role.LOG, message=bytes(FRAME_BYTES_MAX)))
        for data in (b"\0", b"\0\0\0\5{}", (FRAME_BYTES_MAX + 1).to_bytes(LENGTH_BYTES)):
            one, other = socket.socketpair()
            with one, other:
                one.sendall(data)
                one.close()
                with pytest.raises(AgentWireInvalid):
                    receive_frame(other)


class TestSocket:
    def test_only_its_owner_can_open_the_socket_and_it_is_gone_at_the_end(self, tmp_path: Path) -> None:
        with serving(tmp_path) as path:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert path.is_socket()
        assert not path.exists()

    def test_the_keys_have_one_agent(self, tmp_path: Path) -> None:
        with serving(tmp_path), pytest.raises(AgentBusy, match="holds the keys"):
            open_and_close(tmp_path, tmp_path / "other.sock")

    def test_the_socket_has_one_agent_and_what_a_killed_one_left_is_removed(self, tmp_path: Path) -> None:
        other = tmp_path / "other"
        (other / "keys").mkdir(parents=True)
        with serving(tmp_path) as path, pytest.raises(AgentBusy, match="something listens"):
            open_and_close(other, path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as killed:
            killed.bind(str(path))
        with serving(tmp_path) as path, closing(AgentKeyring(path)) as keyring:
            assert keyring.key(Role.LOG).public == AURORA.signing_keys[Role.LOG].public

    def test_an_agent_that_cannot_keep_what_is_durable_signs_on_and_keeps_it_later(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failed, kept, full = threading.Event(), threading.Event(), threading.Event()
        full.set()

        def write(path: Path, note: bytes) -> None:
            if full.is_set():
                failed.set()
                raise StateFileInvalid("no space left on device")
            write_state(path, note)
            kept.set()

        monkeypatch.setattr("node.app.agent.KEEP_SECONDS", 0.01)
        monkeypatch.setattr("node.app.agent.write_state", write)
        with serving(tmp_path) as path, closing(AgentKeyring(path)) as keyring:
            keyring.committed(note_of(5))
            assert failed.wait(20)
            assert keyring.key(Role.LOG).sign(ask(6).message)
            full.clear()
            assert kept.wait(20)
        assert read_state(tmp_path / "keys" / "agent.json") == note_of(5)

    def test_nothing_else_is_removed(self, tmp_path: Path) -> None:
        (tmp_path / "keys").mkdir()
        precious = tmp_path / "thesis.txt"
        precious.write_text("precious")
        for path in (precious, tmp_path / "nowhere" / "agent.sock", tmp_path / ("x" * 120)):
            with pytest.raises(AgentSocketInvalid):
                open_and_close(tmp_path, path)
        assert precious.read_text() == "precious"

    def test_who_sends_something_else_is_hung_up_on(self, tmp_path: Path) -> None:
        with serving(tmp_path) as path, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(str(path))
            client.sendall(b"\0\0\0\x02{}")
            assert client.recv(1) == b""
            with closing(AgentKeyring(path)) as keyring:
                assert keyring.key(Role.LOG).sign(ask(1).message)


class TestKeyring:
    def test_it_signs_with_every_key_and_holds_none(self, tmp_path: Path) -> None:
        with serving(tmp_path) as path, closing(AgentKeyring(path)) as keyring:
            assert own_keys(keyring) == AURORA.keys
            assert keyring.next_log_key == NEXT.digest
            assert keyring.key(Role.LOG).sign(ask(5).message)
            with pytest.raises(SignerRefused, match="approval key does not sign"):
                keyring.key(Role.APPROVAL).sign(ask(5).message)

    def test_an_agent_that_lacks_the_next_key_says_so(self, tmp_path: Path) -> None:
        without = SeedKeyring(AURORA.signing_keys, next_log_key=None)
        with (
            serving(tmp_path, without) as path,
            closing(AgentKeyring(path)) as keyring,
            pytest.raises(NextKeyElsewhere),
        ):
            keyring.next_log_key  # noqa: B018 - reading it is what is refused

    def test_an_agent_that_is_away_is_called_again_and_learns_what_it_missed(self, tmp_path: Path) -> None:
        with serving(tmp_path) as path:
            keyring = AgentKeyring(path)
            assert keyring.last_committed() is None
        with closing(keyring):
            with pytest.raises(SignerUnavailable):
                keyring.key(Role.LOG).sign(ask(5).message)
            keyring.committed(note_of(7))
            with serving(tmp_path):
                with pytest.raises(SignerRefused, match="goes back behind"):
                    keyring.key(Role.LOG).sign(ask(6).message)
                assert keyring.key(Role.LOG).sign(ask(8).message)
        with serving(tmp_path), closing(AgentKeyring(path)) as again:
            assert again.last_committed() == note_of(7)

    def test_an_agent_that_knows_more_signs_everything_else(self, tmp_path: Path) -> None:
        with serving(tmp_path) as path, closing(AgentKeyring(path)) as keyring:
            keyring.committed(note_of(7))
            keyring.committed(note_of(5))
            with pytest.raises(SignerRefused, match="goes back behind"):
                keyring.key(Role.LOG).sign(ask(6).message)
            assert keyring.key(Role.LOG).sign(ask(8).message)

    def test_another_agent_in_its_place_is_not_spoken_with(self, tmp_path: Path) -> None:
        with serving(tmp_path) as path:
            keyring = AgentKeyring(path)
        with serving(tmp_path, keyring_of(BLUEBIRD)), closing(keyring):
            with pytest.raises(SignerRefused, match="other keys than before"):
                keyring.key(Role.LOG).sign(ask(5).message)
            keyring.committed(note_of(5))

    def test_nobody_there_is_said_after_a_while(self, tmp_path: Path) -> None:
        with pytest.raises(SignerUnavailable, match="does not answer"):
            AgentKeyring(tmp_path / "agent.sock", start_seconds=0.1)

    def test_an_agent_that_comes_late_is_waited_for(self, tmp_path: Path) -> None:
        found: list[AgentKeyring] = []
        waiting = threading.Thread(target=lambda: found.append(AgentKeyring(tmp_path / "agent.sock")))
        waiting.start()
        with serving(tmp_path):
            waiting.join(20)
            with closing(found[0]) as keyring:
                assert own_keys(keyring) == AURORA.keys


class Impostor:
    """Answers every request on a socket with what it is given."""

    def __init__(self, path: Path, answers: list[Answer | None]) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen()
        self._answers = answers
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while self._answers:
            connection, _ = self._socket.accept()
            with connection:
                while self._answers and receive_frame(connection) is not None:
                    answer = self._answers.pop(0)
                    if answer is None:
                        break
                    connection.sendall(encode_frame(answer))

    def close(self) -> None:
        self._thread.join(20)
        self._socket.close()


KEYS: Final = KeysAnswer(ledger=AURORA.ledger, keys=AURORA.keys, log_keys=(), next_log_key=None, committed=None)


class TestImpostors:
    def test_a_signature_that_does_not_verify_is_not_used(self, tmp_path: Path) -> None:
        path = tmp_path / "agent.sock"
        with (
            closing(Impostor(path, [KEYS, SignatureAnswer(signature=bytes(64))])),
            closing(AgentKeyring(path)) as keyring,
            pytest.raises(SignerRefused, match="does not verify"),
        ):
            keyring.key(Role.LOG).sign(b"message")

    def test_an_answer_of_another_kind_counts_as_none(self, tmp_path: Path) -> None:
        path = tmp_path / "agent.sock"
        impostor = Impostor(path, [KEYS, DoneAnswer()])
        unavailable = pytest.raises(SignerUnavailable, match="something else")
        with closing(impostor), closing(AgentKeyring(path)) as keyring, unavailable:
            keyring.key(Role.LOG).sign(b"message")

    def test_who_does_not_name_its_keys_again_is_not_asked(self, tmp_path: Path) -> None:
        path = tmp_path / "agent.sock"
        answers: list[Answer | None] = [KEYS, None, DoneAnswer()]
        unavailable = pytest.raises(SignerUnavailable)
        with closing(Impostor(path, answers)), closing(AgentKeyring(path)) as keyring, unavailable:
            keyring.key(Role.LOG).sign(b"message")

    def test_keys_that_are_no_ledgers_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "agent.sock"
        bad = KeysAnswer(ledger=AURORA.ledger, keys=AURORA.keys[:3], log_keys=(), next_log_key=None, committed=None)
        with closing(Impostor(path, [bad])), pytest.raises(SignerRefused, match="not those of a ledger"):
            AgentKeyring(path)
