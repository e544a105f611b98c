"""`tallystick init`, `serve`, `vkey`, `fsck` and `recover`: what is done to a node's own directory.

The service behind these commands is imported when one of them runs, so that all others start without it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from node.cli.failures import stop
from node.cli.ledger import said_of_recovery
from node.cli.options import DirectoryArgument, JsonOption, PassphraseOption, passphrase_settings
from node.cli.output import print_facts, print_json, print_line
from protocol.audit.findings import EXIT_STATUS
from protocol.checkpoint import Checkpoint
from protocol.errors import CouldNotCheck
from protocol.keys import Role

if TYPE_CHECKING:
    from node.app.directory import Created
    from node.store.database import Database


def init(
    directory: DirectoryArgument,
    *,
    program: Annotated[str, typer.Option(metavar="NAME", help="The program's name, as aurora.example.")],
    points: Annotated[str, typer.Option(metavar="CODE", help="The code of its points, as AUR.")],
    points_name: Annotated[str, typer.Option(metavar="TEXT", help="What members call them, as 'Aurora Miles'.")],
    url: Annotated[
        str, typer.Option(metavar="URL", help="Where partners reach the node; not given where they cannot.")
    ] = "",
    currencies: Annotated[
        list[str] | None, typer.Option("--currency", metavar="CODE", help="Settlement currency; may be repeated.")
    ] = None,
    shard: Annotated[str, typer.Option(metavar="NAME", help="Name of this ledger of the program.")] = "main",
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port to listen on.")] = None,
    database_url: Annotated[
        str | None, typer.Option(metavar="URL", help="postgresql+psycopg://..., if not SQLite in DIR.")
    ] = None,
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Protect the keys by a passphrase.")] = False,
    passphrase_file: PassphraseOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing when it worked.")] = False,
) -> None:
    """Make a node: its keys, tokens, configuration, database, and the first entry of its log."""
    from node.app.directory import create_node_directory  # noqa: PLC0415 - see the module's docstring
    from node.app.key_files import ask_passphrase  # noqa: PLC0415 - as above

    if passphrase_file is not None and not encrypt:
        raise typer.BadParameter("--passphrase-file protects nothing without --encrypt")
    given = {"host": host, "port": port, "database_url": database_url}
    created = create_node_directory(
        directory,
        ledger=f"{program}/{shard}.1",
        points=points,
        points_name=points_name,
        url=url,
        currencies=tuple(currencies or ()),
        settings={name: value for name, value in given.items() if value is not None},
        passphrase=ask_passphrase(passphrase_file, twice=True) if encrypt else None,
    )
    if not quiet:
        _say_created(created)


def _say_created(created: "Created") -> None:
    print_facts(
        [
            ("ledger", created.config.ledger),
            ("directory", str(created.directory)),
            ("vkey", created.vkey),
            ("fingerprint", created.fingerprint),
            *((f"{role} token", str(path)) for role, path in created.tokens.items()),
        ]
    )
    print_line(f"\nnext: tallystick serve {created.directory}")


def serve(
    directory: DirectoryArgument,
    *,
    standby: Annotated[
        bool,
        typer.Option("--standby", help="As one of several processes on one PostgreSQL: one writes, the others read."),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Serve as so many processes on one address.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port, if not that of node.toml.")] = None,
    passphrase_file: PassphraseOption = None,
    shared: Annotated[int | None, typer.Option("--shared", hidden=True)] = None,
) -> None:
    """Serve the node until it is asked to stop (Ctrl-C, or SIGTERM)."""
    settings = {**passphrase_settings(passphrase_file), **({} if port is None else {"port": port})}
    if workers is not None:
        from node.app.several import serve_several  # noqa: PLC0415 - see the module's docstring

        stop(serve_several(directory, count=workers, settings=settings, module="node.cli.main"))
    elif standby:
        from node.app.cluster import serve_one_of_several  # noqa: PLC0415 - as above

        serve_one_of_several(directory, settings=settings, shared=shared)
    else:
        from node.app.serve import serve as serve_node  # noqa: PLC0415 - as above

        serve_node(directory, settings=settings)


def vkey(
    directory: DirectoryArgument,
    *,
    role: Annotated[Role, typer.Option(help="Which of the node's keys.")] = Role.LOG,
) -> None:
    """Print a verifier key of the node: what auditors and partners check its signatures with."""
    from node.app.open import public_key_of  # noqa: PLC0415 - see the module's docstring
    from node.config import load_config  # noqa: PLC0415 - as above
    from protocol.note import KeyType, Verifier, format_vkey  # noqa: PLC0415 - as above

    kind = KeyType.COSIGNATURE if role is Role.WITNESS else KeyType.ED25519
    config = load_config(directory)
    verifier = Verifier(config.ledger, public_key_of(directory, config, role), kind)
    print_line(format_vkey(verifier))


def fsck(directory: DirectoryArgument, *, as_json: JsonOption = False) -> None:
    """Check every table of the node to the column, as it is at one moment; the node may be running.

    Exit status 0: it held. 1: something was changed, and the first places are named. 3: it could not be checked.
    """
    from node.app.directory import STATE_NAME  # noqa: PLC0415 - see the module's docstring
    from node.services.fsck.fsck import fsck as check_store  # noqa: PLC0415 - as above
    from node.workers.keep_state import read_state  # noqa: PLC0415 - as above

    with open_store(directory) as database:
        report = check_store(database, state=read_state(directory / STATE_NAME))
    if as_json:
        print_json(report.json())
    else:
        for line in report.lines():
            print_line(line)
    stop(EXIT_STATUS[report.verdict])


def recover(
    directory: DirectoryArgument,
    *,
    package: Annotated[
        Path, typer.Option("--from", metavar="PACKAGE", help="An audit package of this ledger: tallystick export.")
    ],
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring the end of a log that the store has lost back, out of an audit package; the node must not run.

    Exit status 0: the log is as long as the package. 3: the package is no continuation of it, or too short.
    """
    from node.app.recover import recover_directory  # noqa: PLC0415 - see the module's docstring

    brought = recover_directory(directory, package, passphrase_settings(passphrase_file))
    if as_json:
        facts = {"log": brought.log, "size": brought.size, "entries": brought.entries, "messages": brought.messages}
        print_json(msgspec.json.encode(facts))
    else:
        said_of_recovery(brought.entries, brought.messages, brought.log, brought.size)


def export_directory(directory: Path, package: Path) -> Checkpoint:
    """Write the log of the node in `directory` to `package` and return the checkpoint that it reaches."""
    from node.services.logs.package import export  # noqa: PLC0415 - see the module's docstring

    with open_store(directory) as database:
        return export(database.reader(), package)


@contextmanager
def open_store(directory: Path) -> "Iterator[Database]":
    """Lend the store of the node in `directory`, to be read; raise `CouldNotCheck` where there is none to read."""
    from node.app.directory import database_url  # noqa: PLC0415 - see the module's docstring
    from node.config import load_config  # noqa: PLC0415 - as above
    from node.store.database import Database  # noqa: PLC0415 - as above

    with Database.open(database_url(directory, load_config(directory)), made=True) as database:
        if not database.is_current():
            raise CouldNotCheck(f"the tables of {directory} are of another version: start the node once")
        yield database
