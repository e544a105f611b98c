"""A node's private keys as files of its directory: one seed a file, plain or sealed (specs/keys.md §5).

A file is replaced in one step, a set of them one after the other. So whatever changes all of them can be interrupted
between two, and repeated until it is done.
"""

import getpass
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Final

from node.app.files import alone, write_private
from node.app.sealed_seeds import COST, SALT_BYTES, AskPassphrase, Opener, PassphraseWrong, SealedSeed, Sealer
from node.app.sealed_seeds import is_sealed as is_sealed_text
from node.app.system import SeedKeyring
from node.ports import Randomness
from protocol.errors import KeyInvalid, TallystickError
from protocol.key_entries import LOG_KEYS_MAX
from protocol.keys import PublicKey, Role, SigningKey

KEYS: Final = "keys"
NEXT_LOG: Final = "next_log"
"""The seed of the log key that will follow; the log commits to it ahead. Its file may be kept elsewhere until then."""

FRESH: Final = "after_next_log"
"""The seed of the key after that one, for as long as the preparation of a rotation is interrupted."""

LOCK_NAME: Final = "keys.lock"
PROMPT: Final = "Passphrase of the keys: "
PASSPHRASE_BYTES_MAX: Final = 1_024
NONCE_BYTES: Final = 24
FormatKey = Callable[[SigningKey], str]
"""Returns the text of a key's file."""

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class KeyFileInvalid(TallystickError):
    """A key file is missing, unreadable, or readable by others, or cannot be written."""

    code = "key_file_invalid"


class PassphraseMissing(TallystickError):
    """Key files are sealed and no passphrase was given, or the file that should hold it cannot be used."""

    code = "passphrase_missing"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key file as anybody who can read it sees it."""

    role: str
    public: PublicKey
    sealed: bool


def read_keyring(directory: Path, passphrase: AskPassphrase | None = None) -> SeedKeyring:
    """Return the keys in the node directory `directory`; ask for the passphrase only where a file is sealed.

    Raises `KeyFileInvalid`, `PassphraseMissing` or `PassphraseWrong`.
    """
    opener = Opener(passphrase or ask_passphrase(None))
    keys = {role: read_key(seed_path(directory, role), opener) for role in Role}
    later = [read_key(path, opener) for path in later_paths(directory)]
    after = seed_path(directory, NEXT_LOG)
    return SeedKeyring(keys, next_log_key=public_in(after) if after.exists() else None, later=later)


def read_key(path: Path, opener: Opener) -> SigningKey:
    """Return the key whose seed the file at `path` holds, or raise as `read_keyring` does."""
    text = _read(path)
    try:
        return opener.open(SealedSeed.parse(text)) if is_sealed_text(text) else SigningKey.parse_seed(text)
    except KeyInvalid as error:
        raise KeyFileInvalid(f"{path}: {error}") from error
    except PassphraseWrong as error:
        raise PassphraseWrong(f"{path}: {error}") from error


def public_key(directory: Path, role: Role) -> PublicKey:
    """Return the public key of `role` of the node in `directory`, or raise `KeyFileInvalid`; nothing is opened."""
    return public_in(seed_path(directory, role))


def stored_keys(directory: Path) -> Iterator[StoredKey]:
    """Yield what each key file says of itself, or raise `KeyFileInvalid`; nothing is opened."""
    for path in _paths(directory):
        yield StoredKey(path.stem, public_in(path), is_sealed_text(_read(path)))


def seed_path(directory: Path, role: str) -> Path:
    """Return where the seed of `role` is kept."""
    return directory / KEYS / f"{role}.seed"


def ask_passphrase(path: Path | None, *, prompt: str = PROMPT, twice: bool = False) -> AskPassphrase:
    """Return what reads the passphrase: from the file at `path`, else from the terminal, without showing it.

    It is read once, when it is first needed; `twice` has a person type it again, since nobody sees what is typed.
    """

    @cache
    def ask() -> bytes:
        if path is not None:
            return _read_passphrase(path)
        if not sys.stdin.isatty():
            raise PassphraseMissing("there is no terminal to ask for the passphrase of the keys")
        typed = getpass.getpass(prompt)
        if twice and getpass.getpass("The same again: ") != typed:
            raise PassphraseMissing("what was typed the second time is something else")
        return _checked(typed.encode(), "what was typed")

    return ask


def seal_keys(directory: Path, *, passphrase: AskPassphrase, new: AskPassphrase, randomness: Randomness) -> None:
    """Seal every key file under the passphrase `new`.

    Files that are sealed are opened with `passphrase`, or with `new` where an earlier run was interrupted. Nothing is
    written before all of them are open. Raises as `read_keyring` does.
    """
    openers = (Opener(passphrase), Opener(new))
    with keys_alone(directory):
        keys = {path: _opened(path, openers) for path in _paths(directory)}
        seal = make_sealer(new, randomness=randomness)
        for path, key in keys.items():
            write_key(path, seal(key))


def unseal_keys(directory: Path, *, passphrase: AskPassphrase) -> None:
    """Write every key file as it is without a passphrase. Raises as `read_keyring` does."""
    opener = Opener(passphrase)
    with keys_alone(directory):
        keys = {path: read_key(path, opener) for path in _paths(directory) if is_sealed_text(_read(path))}
        for path, key in keys.items():
            write_key(path, plain(key))


@contextmanager
def keys_alone(directory: Path) -> Iterator[None]:
    """Keep every other command from changing these key files, or raise `KeyFileInvalid` while one does.

    Two at once would each write what the other has just replaced, and a key that a log relies on would be gone.
    """
    folder = directory / KEYS
    if not folder.is_dir():
        raise KeyFileInvalid(f"{folder} is no directory of keys")
    with alone(folder / LOCK_NAME, KeyFileInvalid(f"another command is changing the keys in {folder}")):
        yield


def write_key(path: Path, text: str) -> None:
    """Write a key file, or raise `KeyFileInvalid`: of a set, what was written before it stays."""
    try:
        write_private(path, text)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise KeyFileInvalid(f"{path} cannot be written: {reason}: once it can, give the same command again") from error


def make_sealer(passphrase: AskPassphrase, *, randomness: Randomness) -> FormatKey:
    """Return what writes key files that are sealed under `passphrase` at the shipped cost."""
    sealer = Sealer(passphrase(), salt=randomness.token(SALT_BYTES), cost=COST)
    return lambda key: sealer.seal(key, nonce=randomness.token(NONCE_BYTES)) + "\n"


def plain(key: SigningKey) -> str:
    """Return the text of a key file that no passphrase protects."""
    return key.format_seed() + "\n"


def is_sealed(path: Path) -> bool:
    """Return whether a key file needs a passphrase, or raise `KeyFileInvalid`."""
    return is_sealed_text(_read(path))


def later_paths(directory: Path) -> list[Path]:
    """Return the files of the keys that the log has got after its first, in their order."""
    numbered = (seed_path(directory, f"{Role.LOG}_{number}") for number in range(1, LOG_KEYS_MAX))
    return list(takewhile(Path.exists, numbered))


def _paths(directory: Path) -> list[Path]:
    first = [seed_path(directory, role) for role in Role]
    ahead = [path for name in (NEXT_LOG, FRESH) if (path := seed_path(directory, name)).exists()]
    return [*first, *later_paths(directory), *ahead]


def _opened(path: Path, openers: tuple[Opener, Opener]) -> SigningKey:
    try:
        return read_key(path, openers[0])
    except PassphraseWrong as wrong:
        try:
            return read_key(path, openers[1])
        except PassphraseWrong:
            raise wrong from None


def public_in(path: Path) -> PublicKey:
    """Return the public key of a key file, or raise `KeyFileInvalid`; nothing is opened."""
    text = _read(path)
    try:
        return SealedSeed.parse(text).public if is_sealed_text(text) else SigningKey.parse_seed(text).public
    except KeyInvalid as error:
        raise KeyFileInvalid(f"{path}: {error}") from error


def _read(path: Path) -> str:
    try:
        if path.stat().st_mode & _OTHERS:
            raise KeyFileInvalid(f"{path} can be read by others: chmod 600 {path}")
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        raise KeyFileInvalid(f"{path} cannot be read: {type(error).__name__}") from error


def is_exposed(status: os.stat_result, *, reader: int) -> bool:
    """Return whether others than the user `reader` can read a file, as far as its mode tells.

    A credential of systemd is root's, and lent by an access list to the service's user: then the group's bits are that
    list's mask, and the group is root's own.
    """
    is_lent = status.st_uid == status.st_gid == 0 != reader
    return bool(status.st_mode & (_OTHERS & ~stat.S_IRGRP if is_lent else _OTHERS))


def _read_passphrase(path: Path) -> bytes:
    try:
        if is_exposed(path.stat(), reader=os.geteuid()):
            raise PassphraseMissing(f"{path} can be read by others: chmod 600 {path}")
        with path.open("rb") as file:
            data = file.read(PASSPHRASE_BYTES_MAX + 3)
    except OSError as error:
        raise PassphraseMissing(f"{path} cannot be read: {type(error).__name__}") from error
    return _checked(data.removesuffix(b"\n").removesuffix(b"\r"), str(path))


def _checked(passphrase: bytes, where: str) -> bytes:
    if not 0 < len(passphrase) <= PASSPHRASE_BYTES_MAX:
        raise PassphraseMissing(f"a passphrase has 1 to {PASSPHRASE_BYTES_MAX} bytes: {where} has another number")
    return passphrase
