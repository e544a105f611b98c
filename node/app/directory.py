"""A node's directory: configuration, keys, tokens and, by default, the database. Made once; an interrupted making
can be repeated.

What was asked for is written first, as `init.toml`; it becomes `node.toml` last. Until then everything that is found
is taken up again, so that keys which may already stand in a genesis entry are never drawn twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.app.files import alone, make_private_directory, rename_durably, write_private
from node.app.genesis import begin_ledger
from node.app.key_files import KEYS, NEXT_LOG, FormatKey, is_sealed, make_sealer, plain, read_keyring, seed_path
from node.app.sealed_seeds import AskPassphrase
from node.app.system import SystemClock, SystemRandomness
from node.config import FILE_NAME, NodeConfig, format_config, make_config
from node.ports import Clock, Randomness
from node.services.access.credentials import CallerRole
from node.services.access.tokens import adopt_token, issue_credential
from node.store.database import Database, StoreUrl, file_url, whole_url
from node.workers.keep_state import write_state
from protocol.errors import TallystickError
from protocol.fields import format_time
from protocol.identifiers import Network
from protocol.keys import SEED_BYTES, Role, SigningKey, fingerprint
from protocol.note import Verifier, format_vkey

STARTED_NAME: Final = "init.toml"
STATE_NAME: Final = "state.json"
TOKENS: Final = "tokens"
DATABASE_NAME: Final = "ledger.sqlite"
FIRST_ROLES: Final = (CallerRole.ADMINISTRATOR, CallerRole.BACKEND, CallerRole.AUDITOR)
"""Whose tokens are made with the directory; the administrator issues all others."""

_LOCK_NAME: Final = "init.lock"
_UNFINISHED: Final = (f"{STARTED_NAME}.new", _LOCK_NAME)
"""What an interruption at the very beginning leaves behind."""


class DirectoryInvalid(TallystickError):
    """A directory cannot become a node's."""

    code = "directory_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """A new node: where its tokens lie, the log's verifier key, and the fingerprint of all its keys."""

    directory: Path
    config: NodeConfig
    vkey: str
    fingerprint: str
    tokens: Mapping[CallerRole, Path]


def create_node_directory(
    directory: Path,
    *,
    ledger: str,
    points: str,
    points_name: str,
    url: str,
    currencies: tuple[str, ...] = (),
    settings: Mapping[str, object] | None = None,
    network: Network | None = None,
    clock: Clock | None = None,
    randomness: Randomness | None = None,
    passphrase: AskPassphrase | None = None,
) -> Created:
    """Make a node in `directory`: keys, tokens, database, genesis, and `node.toml` last.

    `settings` are further keys of `node.toml`; `network` is the alliance's id when it is known, else one is drawn.
    With a `passphrase` the keys are sealed from the first byte on.
    Raises `DirectoryInvalid` where there is a node, or something else, or an interrupted making with other values;
    `ConfigInvalid`, `StoreError` or OSError for the rest. Called again after an interruption, it goes on.
    """
    asked = {"ledger": ledger, "points": points, "points_name": points_name, "url": url, "currencies": currencies}
    config = make_config({**(settings or {}), **asked})
    config = config.model_copy(update={"database_url": whole_url(config.database_url)})
    _check_free(directory, config)
    make_private_directory(directory)
    busy = DirectoryInvalid(f"another init is at work in {directory}")
    with alone(directory / _LOCK_NAME, busy):
        _check_free(directory, config)
        return _make(
            directory,
            config,
            network=network,
            clock=clock or SystemClock(),
            randomness=randomness or SystemRandomness(),
            passphrase=passphrase,
        )


def _make(
    directory: Path,
    config: NodeConfig,
    *,
    network: Network | None,
    clock: Clock,
    randomness: Randomness,
    passphrase: AskPassphrase | None,
) -> Created:
    now = format_time(clock.now())
    if not (directory / STARTED_NAME).exists():
        write_private(directory / STARTED_NAME, format_config(config))
    if passphrase is not None:
        _check_sealed(directory)
    _make_keys(directory, randomness, plain if passphrase is None else make_sealer(passphrase, randomness=randomness))
    tokens = _make_tokens(directory, randomness, now)
    keyring = read_keyring(directory, passphrase)
    with Database.open(database_url(directory, config)) as database:
        database.migrate()
        rows = [
            adopt_token(path.read_text(encoding="ascii").strip(), name="init", now=now, randomness=randomness).row
            for path in tokens.values()
        ]
        note = begin_ledger(
            database, config, keyring=keyring, credentials=rows, network=network, now=now, randomness=randomness
        )
    write_state(directory / STATE_NAME, note)
    rename_durably(directory / STARTED_NAME, directory / FILE_NAME)
    keys = [keyring.key(role).public for role in Role]
    return Created(
        directory=directory,
        config=config,
        vkey=format_vkey(Verifier(config.ledger, keys[0])),
        fingerprint=fingerprint(keys),
        tokens=tokens,
    )


def database_url(directory: Path, config: NodeConfig) -> StoreUrl:
    """Return where the database is: configured, or a file in the directory."""
    return config.database_url or file_url(directory / DATABASE_NAME)


def token_path(directory: Path, role: CallerRole) -> Path:
    """Return where the token that was made with the directory lies; the administrator's is the first operator's."""
    name = "operator" if role is CallerRole.ADMINISTRATOR else role.value
    return directory / TOKENS / f"{name}.token"


def _check_free(directory: Path, config: NodeConfig) -> None:
    """Raise `DirectoryInvalid` unless a node can be made in `directory`, or an interrupted making goes on there."""
    if (directory / FILE_NAME).exists():
        raise DirectoryInvalid(f"{directory} is a node directory already")
    started, text = directory / STARTED_NAME, format_config(config)
    if started.exists():
        if started.read_text(encoding="utf-8") != text:
            raise DirectoryInvalid(
                f"an init with other values was interrupted in {directory}: repeat it, or remove the directory"
            )
        return
    if directory.exists() and (
        not directory.is_dir() or any(each.name not in _UNFINISHED for each in directory.iterdir())
    ):
        raise DirectoryInvalid(f"{directory} is not empty")


def _check_sealed(directory: Path) -> None:
    """Raise `DirectoryInvalid` where an interrupted making has left keys in clear, which genesis may name already."""
    paths = (seed_path(directory, role) for role in (*Role, NEXT_LOG))
    if any(path.exists() and not is_sealed(path) for path in paths):
        raise DirectoryInvalid(
            f"an init without a passphrase was interrupted in {directory}: repeat it without one and then encrypt "
            "(tallystick keys encrypt), or remove the directory"
        )


def _make_keys(directory: Path, randomness: Randomness, write: FormatKey) -> None:
    make_private_directory(directory / KEYS)
    for role in (*Role, NEXT_LOG):
        path = seed_path(directory, role)
        if not path.exists():
            write_private(path, write(SigningKey(randomness.token(SEED_BYTES))))


def _make_tokens(directory: Path, randomness: Randomness, now: str) -> Mapping[CallerRole, Path]:
    make_private_directory(directory / TOKENS)
    paths = {role: token_path(directory, role) for role in FIRST_ROLES}
    for role, path in paths.items():
        if not path.exists():
            write_private(path, issue_credential(role, name="init", now=now, randomness=randomness).token + "\n")
    return paths
