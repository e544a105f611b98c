"""`tallystick keys`: the files of a node's private keys, and the passphrase that protects them."""

from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from node.cli.files import DocumentArgument, OutOption, read_document, write_document
from node.cli.options import DirectoryArgument, JsonOption, NodeOption, PassphraseOption, TokenOption, connect
from node.cli.output import print_json, print_line, print_table, print_written
from protocol.errors import CouldNotCheck

app: Final = typer.Typer(no_args_is_help=True, help="Show, protect and rotate the keys of a node.")


@app.command()
def show(directory: DirectoryArgument, *, as_json: JsonOption = False) -> None:
    """Show the public half of each key, and whether its file needs a passphrase; nothing is opened."""
    from node.app.key_files import stored_keys  # noqa: PLC0415 - so that other commands start without it

    keys = [(each.role, each.public.text, each.sealed) for each in stored_keys(directory)]
    if as_json:
        rows = [{"role": role, "key": key, "encrypted": sealed} for role, key, sealed in keys]
        print_json(msgspec.json.encode({"keys": rows}))
        return
    print_table(("role", "key", "encrypted"), [(role, key, "yes" if sealed else "no") for role, key, sealed in keys])


def agent(
    directory: DirectoryArgument,
    *,
    socket: Annotated[
        Path,
        typer.Option("--socket", metavar="PATH", help="Where to listen; `agent` in the node's node.toml names it."),
    ],
    ledger: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose keys these are, where DIR has no node.toml.")
    ] = None,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Hold the keys in DIR/keys and sign for a node over a Unix socket, until told to stop.

    The node then needs no keys: they lie where the agent runs, and never leave it.
    """
    from node.app.agent import serve_agent  # noqa: PLC0415 - as above
    from node.app.key_files import ask_passphrase, read_keyring  # noqa: PLC0415 - as above
    from node.config import load_config  # noqa: PLC0415 - as above
    from protocol.errors import IdentifierInvalid  # noqa: PLC0415 - as above
    from protocol.identifiers import parse_ledger  # noqa: PLC0415 - as above

    try:
        name = parse_ledger(ledger or load_config(directory).ledger)
    except IdentifierInvalid as error:
        raise typer.BadParameter(str(error), param_hint="--ledger") from error
    keyring = read_keyring(directory, ask_passphrase(passphrase_file))
    serve_agent(directory, socket, keyring=keyring, ledger=name, on_ready=lambda: print_line(f"signing for {name}"))


@app.command()
def prepare(
    directory: DirectoryArgument,
    *,
    vault: Annotated[
        Path | None, typer.Option("--keys", metavar="DIR", help="Where an agent's keys are, if not in DIR.")
    ] = None,
    out: OutOption = None,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Prepare the rotation of the log's key to the one that the log has committed to; nothing changes yet.

    Then start the node again, after its agent if it has one, so that it has the new key, and hand in the file:
    tallystick keys rotate.
    The old key signs on beside the new one, so that nobody has to learn of it at once.
    """
    from node.app.key_files import ask_passphrase  # noqa: PLC0415 - as above
    from node.app.rotation import prepare_rotation  # noqa: PLC0415 - as above
    from node.app.system import SystemRandomness  # noqa: PLC0415 - as above
    from node.cli.directory import open_store  # noqa: PLC0415 - as above
    from protocol.key_entries import encode_rotation  # noqa: PLC0415 - as above
    from protocol.ledger.state import LEDGER, ONLY  # noqa: PLC0415 - as above

    with open_store(directory) as database:
        record = database.reader().record(LEDGER, ONLY)
    if record is None:
        raise CouldNotCheck(f"the database of {directory} holds no ledger")
    ask = ask_passphrase(passphrase_file)
    signed = prepare_rotation(vault or directory, record, passphrase=ask, randomness=SystemRandomness())
    write_document(msgspec.json.decode(encode_rotation(signed)), out, said="wrote the rotation")


@app.command()
def rotate(
    rotation: DocumentArgument, *, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption
) -> None:
    """Have a node sign its log with the new key as well, from a rotation that was prepared."""
    with connect(node, token_file) as client:
        reply = client.post("/v1/ledger/log-key", {"rotation": read_document(rotation)})
    print_written(reply, as_json=as_json, said="checkpoints are signed by the new key as well")


@app.command()
def encrypt(directory: DirectoryArgument, *, passphrase_file: PassphraseOption = None) -> None:
    """Protect the key files by a passphrase; repeat it if it was interrupted.

    What was written before without one may still be on the disk, and in backups.
    """
    from node.app.key_files import ask_passphrase, seal_keys  # noqa: PLC0415 - as above
    from node.app.system import SystemRandomness  # noqa: PLC0415 - as above

    new = ask_passphrase(passphrase_file, twice=True)
    seal_keys(directory, passphrase=new, new=new, randomness=SystemRandomness())
    print_line("the keys are encrypted: without the passphrase they are lost")


@app.command()
def decrypt(directory: DirectoryArgument, *, passphrase_file: PassphraseOption = None) -> None:
    """Write the key files without a passphrase; repeat it if it was interrupted."""
    from node.app.key_files import ask_passphrase, unseal_keys  # noqa: PLC0415 - as above

    unseal_keys(directory, passphrase=ask_passphrase(passphrase_file))
    print_line("the keys are not encrypted any more: whoever reads the files has them")


@app.command()
def passphrase(
    directory: DirectoryArgument,
    *,
    passphrase_file: PassphraseOption = None,
    new_passphrase_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File that holds the new passphrase; else a terminal asks for it."),
    ] = None,
) -> None:
    """Change the passphrase of the key files; repeat it, with both, if it was interrupted."""
    from node.app.key_files import ask_passphrase, seal_keys  # noqa: PLC0415 - as above
    from node.app.system import SystemRandomness  # noqa: PLC0415 - as above

    old = ask_passphrase(passphrase_file)
    new = ask_passphrase(new_passphrase_file, prompt="New passphrase: ", twice=True)
    seal_keys(directory, passphrase=old, new=new, randomness=SystemRandomness())
    print_line("the passphrase is changed; backups of the files still have the old one")
