"""Key files of a directory: sealed, opened and given another passphrase, also when that is interrupted."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from node.app import key_files
from node.app.files import write_private
from node.app.key_files import (
    NEXT_LOG,
    KeyFileInvalid,
    PassphraseMissing,
    ask_passphrase,
    is_exposed,
    plain,
    public_key,
    read_keyring,
    seal_keys,
    seed_path,
    stored_keys,
    unseal_keys,
)
from node.app.sealed_seeds import MEMORY_BYTES_MIN, AskPassphrase, Cost, PassphraseWrong
from node.app.system import NextKeyElsewhere, SystemRandomness
from protocol.keys import Role, SigningKey

FILES: Final = len(Role) + 1


def saying(text: str) -> AskPassphrase:
    return text.encode


def never() -> bytes:
    raise AssertionError("nobody has to be asked")


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seal at the lowest cost; the shipped one is tested once, elsewhere."""
    monkeypatch.setattr(key_files, "COST", Cost(1, MEMORY_BYTES_MIN))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "keys").mkdir(mode=0o700)
    for number, role in enumerate((*Role, NEXT_LOG)):
        write_private(seed_path(tmp_path, role), plain(SigningKey(bytes([number]) * 32)))
    return tmp_path


def seal(directory: Path, old: str, new: str) -> None:
    seal_keys(directory, passphrase=saying(old), new=saying(new), randomness=SystemRandomness())


def texts(directory: Path) -> list[str]:
    return [path.read_text() for path in sorted(directory.glob("keys/*"))]


def check_opens(directory: Path, passphrase: AskPassphrase) -> None:
    keyring = read_keyring(directory, passphrase)
    for number, role in enumerate(Role):
        assert keyring.key(role).public == SigningKey(bytes([number]) * 32).public == public_key(directory, role)
    assert keyring.next_log_key == SigningKey(bytes([len(Role)]) * 32).public.digest


def test_keys_are_sealed_opened_and_written_in_clear_again(directory: Path) -> None:
    before = texts(directory)
    check_opens(directory, never)
    seal(directory, "one", "one")
    check_opens(directory, saying("one"))
    assert all(each.sealed for each in stored_keys(directory))
    assert not any(old.strip().partition(":")[2] in new for old in before for new in texts(directory))
    for path in directory.glob("keys/*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    unseal_keys(directory, passphrase=saying("one"))
    assert texts(directory) == before
    unseal_keys(directory, passphrase=never)


def test_a_wrong_passphrase_changes_nothing(directory: Path) -> None:
    seal(directory, "one", "one")
    before = texts(directory)
    acts: list[Callable[[], object]] = [
        lambda: read_keyring(directory, saying("two")),
        lambda: seal(directory, "two", "three"),
        lambda: seal(directory, "two", "two"),
        lambda: unseal_keys(directory, passphrase=saying("two")),
    ]
    for act in acts:
        with pytest.raises(PassphraseWrong, match=r"log\.seed"):
            act()
    assert texts(directory) == before


def test_the_passphrase_can_be_changed(directory: Path) -> None:
    seal(directory, "one", "one")
    seal(directory, "one", "two")
    check_opens(directory, saying("two"))
    with pytest.raises(PassphraseWrong):
        read_keyring(directory, saying("one"))


class Interrupted(BaseException):
    """The machine stops."""


def interrupted(monkeypatch: pytest.MonkeyPatch, at: int, act: Callable[[], object]) -> None:
    """Stop `act` before it has written the file `at`."""
    written = iter(range(FILES))
    original = write_private

    def write(path: Path, text: str) -> None:
        if next(written) == at:
            raise Interrupted
        original(path, text)

    with monkeypatch.context() as patched:
        patched.setattr(key_files, "write_private", write)
        with pytest.raises(Interrupted):
            act()


@pytest.mark.parametrize("at", range(FILES))
def test_what_was_interrupted_can_be_repeated(directory: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    interrupted(monkeypatch, at, lambda: seal(directory, "one", "one"))
    check_opens(directory, saying("one"))
    seal(directory, "one", "one")
    interrupted(monkeypatch, at, lambda: seal(directory, "one", "two"))
    seal(directory, "one", "two")
    check_opens(directory, saying("two"))
    interrupted(monkeypatch, at, lambda: unseal_keys(directory, passphrase=saying("two")))
    check_opens(directory, saying("two"))
    unseal_keys(directory, passphrase=saying("two"))
    check_opens(directory, never)


def test_a_disk_that_is_full_amid_a_set_is_told_with_what_to_do(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        if path.stem == Role.WITNESS:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_private(path, text)

    seal(directory, "one", "one")
    with monkeypatch.context() as patched:
        patched.setattr(key_files, "write_private", full)
        with pytest.raises(KeyFileInvalid, match=r"witness\.seed cannot be written: No space left .* again"):
            seal(directory, "one", "two")
    seal(directory, "one", "two")
    check_opens(directory, saying("two"))


def test_the_key_that_will_follow_may_be_kept_elsewhere(directory: Path) -> None:
    seed_path(directory, NEXT_LOG).unlink()
    keyring = read_keyring(directory, never)
    with pytest.raises(NextKeyElsewhere):
        keyring.next_log_key  # noqa: B018 - reading it is what is refused
    seal(directory, "one", "one")
    assert [each.role for each in stored_keys(directory)] == [*Role]


def test_files_that_cannot_be_used_are_named(directory: Path) -> None:
    path = seed_path(directory, Role.WITNESS)
    for text in ("tallystick-seed-v1:AAAA", "tallystick-sealed-seed-v1:AAAA", "\xfc"):
        path.write_bytes(text.encode("latin-1"))
        for act in (lambda: read_keyring(directory, never), lambda: public_key(directory, Role.WITNESS)):
            with pytest.raises(KeyFileInvalid, match=r"witness\.seed"):
                act()
    path.unlink()
    with pytest.raises(KeyFileInvalid, match="FileNotFoundError"):
        read_keyring(directory, never)
    path.write_text(plain(SigningKey(bytes(32))))
    path.chmod(0o640)
    with pytest.raises(KeyFileInvalid, match="chmod 600"):
        list(stored_keys(directory))


class TestAsking:
    def test_a_file_is_read_once_without_its_line_end(self, tmp_path: Path) -> None:
        path = tmp_path / "passphrase"
        for data in (b" one \n", b" one \r\n", b" one "):
            path.write_bytes(data)
            path.chmod(0o600)
            ask = ask_passphrase(path)
            assert ask() == b" one "
            path.write_bytes(b"two")
            assert ask() == b" one "

    @pytest.mark.parametrize("data", [b"", b"\n", b"x" * 1_025, b"x" * 2_000])
    def test_a_passphrase_has_bounds(self, tmp_path: Path, data: bytes) -> None:
        path = tmp_path / "passphrase"
        path.write_bytes(data)
        path.chmod(0o600)
        with pytest.raises(PassphraseMissing, match="1 to 1024 bytes"):
            ask_passphrase(path)()

    def test_a_file_must_be_there_and_ones_own(self, tmp_path: Path) -> None:
        path = tmp_path / "passphrase"
        with pytest.raises(PassphraseMissing, match="FileNotFoundError"):
            ask_passphrase(path)()
        path.write_bytes(b"one")
        path.chmod(0o644)
        with pytest.raises(PassphraseMissing, match="chmod 600"):
            ask_passphrase(path)()

    @pytest.mark.parametrize(
        ("mode", "owner", "group", "exposed"),
        [
            (0o400, 1000, 1000, False),
            (0o440, 0, 0, False),
            (0o440, 0, 1000, True),
            (0o440, 1000, 0, True),
            (0o460, 0, 0, True),
            (0o444, 0, 0, True),
        ],
    )
    def test_what_systemd_lends_is_not_open_to_others(
        self, mode: int, owner: int, group: int, *, exposed: bool
    ) -> None:
        status = os.stat_result((stat.S_IFREG | mode, 1, 1, 1, owner, group, 4, 0, 0, 0))
        assert is_exposed(status, reader=1000) is exposed
        assert is_exposed(status, reader=0) is (mode != 0o400)

    def test_a_person_types_it_unseen_and_twice_when_it_is_new(self, monkeypatch: pytest.MonkeyPatch) -> None:
        typed: list[str] = []
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("getpass.getpass", lambda _prompt: typed.pop(0))
        typed[:] = ["one"]
        assert ask_passphrase(None)() == b"one"
        typed[:] = ["one", "one"]
        assert ask_passphrase(None, twice=True)() == b"one"
        typed[:] = ["one", "two"]
        with pytest.raises(PassphraseMissing, match="something else"):
            ask_passphrase(None, twice=True)()
        typed[:] = [""]
        with pytest.raises(PassphraseMissing, match="1 to 1024 bytes"):
            ask_passphrase(None)()

    def test_nobody_is_asked_where_nobody_sits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
        with pytest.raises(PassphraseMissing, match="no terminal"):
            ask_passphrase(None)()
