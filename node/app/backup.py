"""Backing a node up while it runs, and making a node's directory out of a backup.

A backup is a directory: the store of one moment as an SQLite file, whichever database the node has; the configuration
without the database's address; the state file; and `backup.json`, which comes last and says what the files are. The
keys are in it only where that is asked for: who has them can sign as the brand.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from node.app.agent_client import AgentKeyring
from node.app.directory import DATABASE_NAME, STATE_NAME, database_url
from node.app.files import alone, flush, make_private_directory, rename_durably, write_private
from node.app.key_files import KEYS, keys_alone
from node.app.open import check_directory, keyring_of, seen_before
from node.app.system import SystemClock
from node.config import FILE_NAME, NodeConfig, format_changed, load_config
from node.kinds import known
from node.store.copying import Told, back_up, copy_once
from node.store.database import Database, file_url, whole_url
from node.workers.keep_state import read_state, write_state
from protocol.checkpoint import parse_checkpoint
from protocol.errors import CouldNotCheck, TallystickError
from protocol.fields import format_time
from protocol.identifiers import first_of, parse_ledger
from protocol.merkle import HASH_BYTES
from protocol.note import parse_note
from protocol.tiles import TileBuilder, TileId

MANIFEST_NAME: Final = "backup.json"
_PART: Final = ".part"
_READ_BYTES: Final = 1 << 20


class BackupInvalid(TallystickError):
    """A backup is not whole, was changed, or cannot be written or put back where it should go."""

    code = "backup_invalid"


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a backup holds: the log and how far it goes, when it was made, and SHA-256 of each file, in hex."""

    v: int
    ledger: str
    log: str
    size: int
    root: str
    made_at: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup and where it is."""

    place: Path
    manifest: Manifest


def backup_directory(directory: Path, out: Path, *, with_keys: bool, told: Told) -> Backup:
    """Back the node in `directory` up to the new directory `out`; the node may be running.

    Raises `BackupInvalid` where `out` exists or cannot be written, `KeyFileInvalid` while another command changes the
    keys, and what the store raises; then there is no `out`.
    """
    config = load_config(directory)
    with _unfinished(out) as part:
        os.close(os.open(part / DATABASE_NAME, os.O_CREAT | os.O_WRONLY, 0o600))
        with Database.open(database_url(directory, config), made=True) as database:
            _check_current(database, directory)
            back_up(database, part / DATABASE_NAME, told)
        (part / DATABASE_NAME).chmod(0o600)
        write_private(part / FILE_NAME, format_changed(directory, {"database_url": ""}))
        if (directory / STATE_NAME).exists():
            shutil.copy2(directory / STATE_NAME, part / STATE_NAME)
        if with_keys:
            # A key that moves to another file meanwhile would be in none of those that are copied.
            with keys_alone(directory):
                _copy_keys(directory / KEYS, part / KEYS)
        manifest = _describe(part)
        write_private(part / MANIFEST_NAME, msgspec.json.encode(manifest).decode() + "\n")
    return Backup(place=out, manifest=manifest)


def read_backup(place: Path) -> Manifest:
    """Return what the backup at `place` holds, or raise `BackupInvalid` unless every file is as it was written."""
    try:
        manifest = msgspec.json.decode((place / MANIFEST_NAME).read_bytes(), type=known(Manifest))
        found = {name: _digest(place / name) for name in _files(place)}
    except (OSError, msgspec.MsgspecError) as error:
        raise BackupInvalid(f"{place} is no backup, or not a whole one: {error}") from error
    if found != dict(manifest.files):
        changed = sorted(dict(manifest.files).items() ^ found.items())
        raise BackupInvalid(f"{place} is not as it was written: {changed[0][0]}")
    return manifest


def restore_directory(
    place: Path,
    directory: Path,
    *,
    keys: Path | None,
    state: Path | None,
    url: str | None,
    told: Told,
    passphrase_file: Path | None = None,
    agent: Path | None = None,
) -> Backup:
    """Make the new node directory `directory` out of the backup at `place`.

    `keys` is a directory of key files, for a backup without them; `state` a state file that outlived the node, which
    tells how much the backup lacks; `url` another database than an SQLite file, which must be empty. `passphrase_file`
    opens the keys now, and is not what `node.toml` names; `agent` is the socket that it names from now on.
    Raises `BackupInvalid`, what the store raises, `StateFileForeign`, and `KeysMismatch` where the keys are not the
    ledger's; then there is no `directory`, and nothing at `url`.
    """
    manifest = read_backup(place)
    kept = keys or place / KEYS
    with _unfinished(directory) as part:
        named = {"database_url": whole_url(url or "")} | ({} if agent is None else {"agent": str(agent.absolute())})
        config = _restored_config(place, directory, named)
        write_private(part / FILE_NAME, format_changed(place, named))
        if kept.is_dir():
            _copy_keys(kept, part / KEYS)
            (part / KEYS).chmod(0o700)
        elif not config.agent:
            raise BackupInvalid("the backup has no keys: say where they are (--keys DIR)")
        kept_state = state or place / STATE_NAME
        _put_state(kept_state, part, needed=state is not None)
        with _copied_store(place, part) as source, ExitStack() as stack:
            keyring = keyring_of(part, config.model_copy(update=_opened_by(passphrase_file)))
            if isinstance(keyring, AgentKeyring):
                stack.enter_context(closing(keyring))
            check_directory(directory, config, reader=source.reader(), keyring=keyring)
            seen_before(kept_state, config, keyring=keyring)
            if url is not None:
                _move_into(url, source, part, told)
    return Backup(place=directory, manifest=manifest)


def _restored_config(place: Path, directory: Path, named: Mapping[str, str]) -> NodeConfig:
    config = load_config(place, named)
    if config.agent and not Path(config.agent).is_absolute():
        raise BackupInvalid(f"no agent can listen at {directory / config.agent} yet: say where one does (--agent)")
    return config


@contextmanager
def _unfinished(out: Path) -> Iterator[Path]:
    """Lend an empty directory, to this process alone, that becomes the new directory `out` once all went well.

    Raises `BackupInvalid` where `out` exists, where another process is making it, or where it cannot be written.
    """
    part = out.with_name(out.name + _PART)
    busy = BackupInvalid(f"another process is making {out}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with alone(out.with_name(f"{part.name}.lock"), busy):
            if out.exists():
                raise BackupInvalid(f"{out} exists already")
            # What is there was left by a process that did not end well.
            shutil.rmtree(part, ignore_errors=True)
            make_private_directory(part)
            try:
                yield part
                _sync(part)
            except BaseException:
                # On a disk that is full it would keep its place, which the node itself may need.
                shutil.rmtree(part, ignore_errors=True)
                raise
            rename_durably(part, out)
    except OSError as error:
        raise BackupInvalid(f"{out} cannot be written: {error}") from error


def _copy_keys(source: Path, target: Path) -> None:
    """Copy a directory of keys, without what comes and goes where an agent is at work: its socket, unfinished files."""

    def passing(folder: str, names: list[str]) -> list[str]:
        found = ((name, Path(folder, name)) for name in names)
        return [
            name for name, path in found if name.endswith((".new", ".lock")) or not (path.is_file() or path.is_dir())
        ]

    shutil.copytree(source, target, ignore=passing)


def _opened_by(passphrase_file: Path | None) -> Mapping[str, str]:
    return {} if passphrase_file is None else {"passphrase_file": str(passphrase_file.absolute())}


@contextmanager
def _copied_store(place: Path, part: Path) -> Iterator[Database]:
    """Copy a backup's store, with the tables of this version, and lend it: opening the backup's own would change it."""
    copy = part / DATABASE_NAME
    shutil.copyfile(place / DATABASE_NAME, copy)
    copy.chmod(0o600)
    with Database.open(file_url(copy)) as database:
        database.migrate()
        yield database


def _move_into(url: str, source: Database, part: Path, told: Told) -> None:
    with Database.open(url) as target:
        copy_once(source, target, told)
    source.close()
    for each in part.glob(f"{DATABASE_NAME}*"):
        each.unlink()


def _put_state(source: Path, part: Path, *, needed: bool) -> None:
    note = read_state(source)
    if note is not None:
        write_state(part / STATE_NAME, note)
    elif needed:
        raise BackupInvalid(f"there is no state file {source}")


def _describe(part: Path) -> Manifest:
    """Return what the copied store holds, having seen that its tiles lead to its last checkpoint."""
    with Database.open(file_url(part / DATABASE_NAME)) as database:
        reader = database.reader()
        newest = reader.latest_checkpoint()
        if newest is None:
            raise CouldNotCheck("the store holds no ledger")

        def fetch(tile: TileId) -> bytes:
            return reader.tile(tile.level, tile.index, generation=newest.generation)[: HASH_BYTES * tile.width]

        if TileBuilder.resume(size=newest.size, fetch=fetch).root().hex() != newest.root:
            raise CouldNotCheck("the stored tiles do not lead to the last checkpoint: run tallystick fsck")
    log = parse_ledger(parse_checkpoint(parse_note(newest.note).text).origin)
    return Manifest(
        v=1,
        ledger=first_of(log),
        log=log,
        size=newest.size,
        root=newest.root,
        made_at=format_time(SystemClock().now()),
        files={name: _digest(part / name) for name in _files(part)},
    )


def _check_current(database: Database, directory: Path) -> None:
    if not database.is_current():
        raise CouldNotCheck(
            f"the tables of {directory} are of another version: back up with the version that the node last ran, or "
            "start the node with this one, which changes them"
        )


def _files(place: Path) -> list[str]:
    names = (str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())
    return sorted(name for name in names if name != MANIFEST_NAME and not name.endswith((".lock", "-wal", "-shm")))


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_READ_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _sync(place: Path) -> None:
    """Flush every file of a directory to the disk."""
    for path in (*place.rglob("*"), place):
        flush(path)
