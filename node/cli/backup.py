"""`tallystick backup`, `restore` and `copy-store`: a node's store as a copy, and a node out of a copy."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from node.cli.options import DirectoryArgument, JsonOption, PassphraseOption
from node.cli.output import print_facts, print_json, print_line, show_progress

if TYPE_CHECKING:
    from node.app.backup import Backup
    from node.store.copying import Told


def backup(
    directory: DirectoryArgument,
    out: Annotated[Path, typer.Argument(metavar="BACKUP", help="The directory to make.")],
    *,
    with_keys: Annotated[
        bool, typer.Option("--with-keys", help="With the key files: who has the backup can then sign as the brand.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Back a node up as it is at one moment; the node may be running.

    The backup holds the whole store as an SQLite file, whichever database the node has, its configuration and its state
    file, and no tokens; everything is flushed to disk and its digests are written down before the command ends.
    """
    from node.app.backup import backup_directory  # noqa: PLC0415 - so that other commands start without it

    with _told() as told:
        made = backup_directory(directory, out, with_keys=with_keys, told=told)
    _say(made, as_json=as_json)
    if as_json:
        return
    if not with_keys:
        print_line("The keys are not in it: keep a copy of DIR/keys apart from it, once.")
    print_line("The tokens are not in it: keep one, or make another (tallystick credential bootstrap).")


def restore(
    place: Annotated[Path, typer.Argument(metavar="BACKUP", help="What `tallystick backup` made.")],
    directory: DirectoryArgument,
    *,
    keys: Annotated[
        Path | None, typer.Option("--keys", metavar="DIR", help="The key files, where the backup has none.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="FILE", help="The state.json of the lost node, where it outlived the store."),
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="An empty database, if not a file in DIR."),
    ] = None,
    agent: Annotated[
        Path | None, typer.Option(metavar="SOCKET", help="Where the keys' agent listens, if not where it did.")
    ] = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a node's directory out of a backup; nothing is changed if any file is not as it was written.

    The node that starts there asks its partners and witnesses whether they have seen more of its log than the backup
    has, and writes nothing before that is cleared. Credentials that were revoked after the backup are valid again.
    """
    from node.app.backup import restore_directory  # noqa: PLC0415 - as above

    with _told() as told:
        made = restore_directory(
            place,
            directory,
            keys=keys,
            state=state,
            url=database_url,
            told=told,
            passphrase_file=passphrase_file,
            agent=agent,
        )
    _say(made, as_json=as_json)
    if not as_json:
        print_line(f"next: tallystick serve {directory}; then see what others have seen: tallystick standing")


def copy_store(
    directory: DirectoryArgument,
    url: Annotated[
        str, typer.Argument(metavar="URL", help="An empty database: postgresql+psycopg://..., or sqlite:///FILE.")
    ],
    *,
    as_json: JsonOption = False,
) -> None:
    """Move a node's ledger to another database, with the same checkpoints; the node must not run.

    The store before is kept and marked, so that no node can start on it, and node.toml names the new one. What was
    interrupted is finished by the same command.
    """
    from node.app.moving import move_store  # noqa: PLC0415 - as above

    with _told() as told:
        newest = move_store(directory, url, told=told)
    if as_json:
        print_json(msgspec.json.encode({"size": newest.size, "root": newest.root}))
        return
    print_facts([("entries", newest.size), ("root", newest.root)])
    print_line(f"next: tallystick serve {directory}")


def _say(made: "Backup", *, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.json.encode(made.manifest))
        return
    manifest = made.manifest
    print_facts(
        [
            ("ledger", manifest.ledger),
            ("entries", manifest.size),
            ("root", manifest.root),
            ("made at", manifest.made_at),
        ]
    )
    print_line(f"{made.place}: {len(manifest.files)} files")


@contextmanager
def _told() -> "Iterator[Told]":
    """Yield what is to be called with a table's name and the rows copied so far: one line on a terminal."""
    yield lambda table, rows: show_progress(f"{table}: {rows:,} rows")
    show_progress("")
