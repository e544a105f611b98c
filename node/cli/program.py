"""`tallystick program`: show and set the program's terms."""

import sys
from typing import Final

import msgspec
import typer

from node.cli.files import DocumentArgument, OutOption, read_document, write_document
from node.cli.options import IdOption, JsonOption, NodeOption, ReasonOption, TokenOption, connect, fresh_id
from node.cli.output import print_json, print_line, print_written
from node.cli.program_answers import ProgramState
from node.cli.request import JsonObject, put

app: Final = typer.Typer(no_args_is_help=True, help="Show and set the program's terms.")
_PATH: Final = "/v1/program"


@app.command()
def show(*, out: OutOption = None, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption) -> None:
    """Show the terms in force; with --out, as the file that `program set` takes."""
    with connect(node, token_file) as client:
        reply = client.get(_PATH)
    if as_json:
        print_json(reply.data)
        return
    state = reply.read(ProgramState)
    terms = {name: value for name, value in state.terms.items() if name != "offsets"}
    if out is not None:
        write_document(terms, out, said="the terms")
        return
    since = "as every program begins" if state.entered_seq is None else f"set by entry {state.entered_seq}"
    print_line(f"terms {since}; today is {state.today} ({terms['time_zone']})")
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(terms), indent=2) + b"\n")
    sys.stdout.flush()


@app.command("set")
def set_terms(
    file: DocumentArgument,
    *,
    reason: ReasonOption = "terms_changed",
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Let the program have the terms in FILE, as `program show --out` writes them; what is left out is its default."""
    body: JsonObject = {"id": fresh_id(request_id), "terms": read_document(file), "reason": reason}
    with connect(node, token_file) as client:
        reply = put(client, _PATH, body)
    print_written(reply, as_json=as_json, said="the program has these terms")
