"""Rotation of the log's key on a real directory: prepared, entered, signed by both keys, and held by the audit."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import pytest

from node.app import key_files, rotation
from node.app.agent import open_agent
from node.app.directory import Created, create_node_directory
from node.app.key_files import (
    FRESH,
    NEXT_LOG,
    KeyFileInvalid,
    ask_passphrase,
    public_key,
    read_keyring,
    seal_keys,
    seed_path,
    stored_keys,
    unseal_keys,
)
from node.app.open import KeysMismatch, OpenedNode, open_node
from node.app.rotation import prepare_rotation
from node.app.sealed_seeds import MEMORY_BYTES_MIN, Cost, PassphraseWrong
from node.app.system import NextKeyElsewhere, SystemRandomness
from node.ports import SignerRefused
from node.services.fsck.fsck import fsck
from node.services.requests import OpenAccountRequest
from node.store.database import Database
from protocol.audit.findings import Verdict
from protocol.checkpoint import Checkpoint, open_checkpoint
from protocol.entries import decode_entry
from protocol.errors import Code, ProtocolError, Refusal, SignatureInvalid
from protocol.identifiers import Account, Ledger
from protocol.key_entries import LOG_KEYS_MAX, LogKeyRotated, SignedRotation, encode_rotation, verify_rotation
from protocol.keys import PublicKey, Role
from protocol.ledger.state import LEDGER, ONLY, LedgerRecord
from protocol.note import Verifier, parse_note
from tests.support.agents import running
from tests.support.documents import AURORA, uuid

STEPS: Final = 3
"""Of a preparation: the fresh key, the next one's number, and the fresh one in its place."""


@pytest.fixture
def created(tmp_path: Path) -> Created:
    return create_node_directory(
        tmp_path / "aurora", ledger=AURORA.ledger, points="AUR", points_name="Aurora Miles", url="http://127.0.0.1:9"
    )


def record_in(created: Created) -> LedgerRecord:
    with Database.open(f"sqlite:///{created.directory / 'ledger.sqlite'}") as database:
        record = database.reader().record(LEDGER, ONLY)
    assert record is not None
    return record


def prepare(created: Created, passphrase: Callable[[], bytes] | None = None) -> SignedRotation:
    ask = passphrase or ask_passphrase(None)
    return prepare_rotation(created.directory, record_in(created), passphrase=ask, randomness=SystemRandomness())


def rotate(opened: OpenedNode, signed: SignedRotation) -> None:
    opened.node.rotation.rotate(encode_rotation(signed)).result(20)


def open_account(opened: OpenedNode, name: str) -> None:
    request = OpenAccountRequest(id=uuid(f"open {name}"), account=Account(f"member/{uuid(name)}"))
    opened.node.points.open_account(request).result(20)


def opens(note: bytes, key: PublicKey) -> Checkpoint:
    return open_checkpoint(note, [Verifier(Ledger(AURORA.ledger), key)])


def test_the_log_is_signed_by_the_old_and_the_new_key(created: Created) -> None:
    first, second = public_key(created.directory, Role.LOG), key_files.public_in(seed_path(created.directory, NEXT_LOG))
    signed = prepare(created)
    verify_rotation(signed)
    assert prepare(created) == signed
    with open_node(created.directory) as opened:
        before = opened.node.log.newest().note
        with pytest.raises(SignatureInvalid):
            opens(before, second)
        rotate(opened, signed)
        rotate(opened, signed)
        after = opened.node.log.newest()
        assert opens(after.note, first) == opens(after.note, second)
        assert after.size == 2
        open_account(opened, "ann")
    with open_node(created.directory) as opened:
        open_account(opened, "bob")
        assert opens(opened.node.log.newest().note, second).size == 4
        entry = decode_entry(opened.node.reader.entry(1) or b"")
        assert isinstance(entry, LogKeyRotated)
        assert entry.next_log_key == key_files.public_in(seed_path(created.directory, NEXT_LOG)).digest
    with Database.open(f"sqlite:///{created.directory / 'ledger.sqlite'}") as database:
        assert fsck(database, state=None).verdict is Verdict.HELD


def test_the_log_gets_one_key_after_the_other(created: Created) -> None:
    for number in (1, 2):
        signed = prepare(created)
        with open_node(created.directory) as opened:
            rotate(opened, signed)
            lines = parse_note(opened.node.log.newest().note).signatures
            assert len(lines) == len({line.key_id for line in lines}) == number + 1
    assert [each.role for each in stored_keys(created.directory)] == [*Role, "log_1", "log_2", NEXT_LOG]


def test_a_node_that_does_not_hold_the_new_key_refuses_and_writes_on(created: Created) -> None:
    with open_node(created.directory) as opened:
        signed = prepare(created)
        with pytest.raises(SignerRefused, match="start it again where that key is"):
            rotate(opened, signed)
        open_account(opened, "ann")
        assert opened.node.log.newest().size == 2


def test_the_rotation_of_another_ledger_is_not_taken_for_a_key_that_was_not_read(created: Created) -> None:
    signed = prepare(created)
    statement = msgspec.structs.replace(signed.statement, ledger=Ledger("bluebird.example/main.1"))
    with (
        open_node(created.directory) as opened,
        pytest.raises(Refusal, match=r"of the log of bluebird\.example") as refused,
    ):
        rotate(opened, msgspec.structs.replace(signed, statement=statement))
    assert refused.value.code == Code.ROTATION_INVALID


def test_a_key_that_the_log_has_not_committed_to_is_refused(created: Created) -> None:
    signed = prepare(created)
    with open_node(created.directory) as opened:
        rotate(opened, signed)
    again = prepare(created)
    with open_node(created.directory) as opened:
        with pytest.raises(ProtocolError):
            opened.node.rotation.rotate(b"{}")
        thief = SignedRotation(
            statement=signed.statement, signature_before=again.signature_before, signature=again.signature
        )
        with pytest.raises(Refusal) as refused:
            rotate(opened, thief)
        assert refused.value.code == Code.ID_REUSED


class Interrupted(BaseException):
    """The machine stops."""


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("at", range(STEPS))
def test_a_preparation_that_was_interrupted_is_repeated(
    created: Created, monkeypatch: pytest.MonkeyPatch, *, at: int, done: bool
) -> None:
    steps = iter(range(STEPS))

    def stopping(original: Callable[..., None]) -> Callable[..., None]:
        def step(*arguments: object) -> None:
            stops = next(steps) == at
            if stops and not done:
                raise Interrupted
            original(*arguments)
            if stops:
                raise Interrupted

        return step

    with monkeypatch.context() as patched:
        for name in ("write_key", "rename_durably"):
            patched.setattr(rotation, name, stopping(getattr(rotation, name)))
        with pytest.raises(Interrupted):
            prepare(created)
    with open_node(created.directory) as opened:
        open_account(opened, "ann")
    signed = prepare(created)
    with open_node(created.directory) as opened:
        rotate(opened, signed)
    assert not list(created.directory.glob("keys/after*"))
    assert prepare(created).statement.number == 2


def test_what_an_older_copy_has_lost_is_prepared_again_as_it_was(created: Created) -> None:
    older, signed = [], []
    for _ in range(2):
        older.append(record_in(created))
        signed.append(prepare(created))
        with open_node(created.directory) as opened:
            rotate(opened, signed[-1])
    for record, before in zip(older, signed, strict=True):
        again = prepare_rotation(
            created.directory, record, passphrase=ask_passphrase(None), randomness=SystemRandomness()
        )
        assert again == before


def test_no_key_is_moved_for_a_log_that_has_enough(created: Created) -> None:
    before, record = list(stored_keys(created.directory)), record_in(created)
    record = msgspec.structs.replace(record, log_keys=("another",) * (LOG_KEYS_MAX - 1))
    with pytest.raises(Refusal) as refused:
        prepare_rotation(created.directory, record, passphrase=never, randomness=SystemRandomness())
    assert refused.value.code == Code.ROTATION_INVALID
    assert list(stored_keys(created.directory)) == before


def test_the_next_key_must_be_there_and_the_one_that_was_committed_to(created: Created, tmp_path: Path) -> None:
    path = seed_path(created.directory, NEXT_LOG)
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(NextKeyElsewhere):
        prepare(created)
    path.write_text(seed_path(created.directory, Role.CHANNEL).read_text())
    path.chmod(0o600)
    with pytest.raises(NextKeyElsewhere):
        prepare(created)
    (tmp_path / "elsewhere").rename(path)
    prepare(created)


def test_sealed_keys_stay_sealed(created: Created, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_files, "COST", Cost(1, MEMORY_BYTES_MIN))
    one = b"one"
    seal_keys(created.directory, passphrase=lambda: one, new=lambda: one, randomness=SystemRandomness())
    prepare(created, lambda: one)
    assert all(each.sealed for each in stored_keys(created.directory))
    assert len(read_keyring(created.directory, lambda: one).log_keys()) == 2


def test_a_passphrase_that_opens_nothing_seals_no_key(created: Created, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_files, "COST", Cost(1, MEMORY_BYTES_MIN))
    one, mistyped = b"one", b"onne"
    seal_keys(created.directory, passphrase=lambda: one, new=lambda: one, randomness=SystemRandomness())
    before = list(stored_keys(created.directory))
    with pytest.raises(PassphraseWrong):
        prepare(created, lambda: mistyped)
    assert list(stored_keys(created.directory)) == before
    prepare(created, lambda: one)
    unseal_keys(created.directory, passphrase=lambda: one)


def test_a_passphrase_is_changed_for_keys_of_an_interrupted_preparation_too(
    created: Created, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_files, "COST", Cost(1, MEMORY_BYTES_MIN))
    one = b"one"

    def stop(*_: object) -> None:
        raise Interrupted

    with monkeypatch.context() as patched:
        patched.setattr(rotation, "rename_durably", stop)
        with pytest.raises(Interrupted):
            prepare(created)
    seal_keys(created.directory, passphrase=lambda: one, new=lambda: one, randomness=SystemRandomness())
    assert [each.role for each in stored_keys(created.directory)][-1] == FRESH
    assert prepare(created, lambda: one).statement.number == 1
    assert all(each.sealed for each in stored_keys(created.directory))


def test_a_directory_that_has_lost_a_key_of_the_log_is_not_served(created: Created) -> None:
    signed = prepare(created)
    with open_node(created.directory) as opened:
        rotate(opened, signed)
    seed_path(created.directory, "log_1").unlink()
    with pytest.raises(KeysMismatch, match="keys that are not held"), open_node(created.directory):
        pass


def test_an_agent_signs_with_both_keys(created: Created, tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    vault.mkdir()
    signed = prepare(created)
    (created.directory / "keys").rename(vault / "keys")

    path = created.directory / "agent.sock"
    with (
        open_agent(vault, path, keyring=read_keyring(vault), ledger=AURORA.ledger) as server,
        running(server),
        open_node(created.directory, settings={"agent": "agent.sock"}) as opened,
    ):
        rotate(opened, signed)
        open_account(opened, "ann")
        note = opened.node.log.newest().note
    assert opens(note, public_key(vault, Role.LOG)) == opens(note, PublicKey.parse(signed.statement.key))


def test_two_preparations_at_once_lose_no_key(created: Created, monkeypatch: pytest.MonkeyPatch) -> None:
    committed, room = key_files.public_in(seed_path(created.directory, NEXT_LOG)), rotation._make_room

    def meanwhile(*arguments: object, **named: object) -> None:
        with pytest.raises(KeyFileInvalid, match="another command"):
            prepare(created)
        with pytest.raises(KeyFileInvalid, match="another command"):
            seal_keys(created.directory, passphrase=never, new=never, randomness=SystemRandomness())
        room(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(rotation, "_make_room", meanwhile)
    prepare(created)
    assert {each.role: each.public for each in stored_keys(created.directory)}["log_1"] == committed


def never() -> bytes:
    raise AssertionError("nobody is asked")
