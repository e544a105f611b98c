"""`tallystick exchange`: messages with a partner as files, where the two nodes have no connection."""

from pathlib import Path
from typing import Annotated, Final

import typer

from node.cli.files import FileUnreadable, write_bytes
from node.cli.options import JsonOption, NodeOption, PartnerArgument, TokenOption, connect
from node.cli.output import print_facts, print_json, print_line
from node.client.answers import FileImported
from protocol.errors import ExchangeFileInvalid
from protocol.exchange_file import FILE_BYTES_MAX, decode_exchange_file

app: Final = typer.Typer(no_args_is_help=True, help="Exchange messages with a partner as files.")

FILE_TYPE: Final = "application/vnd.tallystick.exchange-file.v1"
NEXT: Final = {
    "nothing": "nothing",
    "export": "export a file for the partner: it waits for the answer",
    "import_earlier": "import the files before this one",
    "recover": "this node's store is older than its own messages: nothing is decided until they are back",
}


@app.command("export")
def export_file(
    partner: PartnerArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")],
    *,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Write a file with everything that waits for a partner."""
    with connect(node, token_file) as client:
        data = client.post("/v1/exchange/exports", {"partner": client.partner(partner).ledger}).data
    made = decode_exchange_file(data)
    write_bytes(file, data)
    if as_json:
        header, *_, trailer = data.splitlines()
        print_json(b'{"header":%s,"trailer":%s}' % (header, trailer))
        return
    print_line(f"wrote file {made.header.number} for {made.header.receiver}: {file}")
    totals = made.trailer
    print_facts(
        [
            ("parcels", totals.parcels),
            ("messages", totals.bodies),
            ("conversions asked for", totals.prepares.count),
            ("source points", int(totals.prepares.source_points)),
            ("conversions credited", totals.fulfils.count),
            ("destination points", int(totals.fulfils.destination_points)),
        ]
    )


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As the partner wrote it.")],
    *,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Take in a partner's file; importing it twice does nothing new."""
    data = _read(file)
    with connect(node, token_file) as client:
        reply = client.post_file("/v1/exchange/imports", data, FILE_TYPE)
    if as_json:
        print_json(reply.data)
        return
    done = reply.read(FileImported)
    print_line(f"file {done.number} of {done.sender}: {done.outcome}")
    print_facts(
        [
            ("parcels", done.parcels),
            ("messages", done.bodies),
            ("applied now", done.applied),
            ("waiting", done.waiting),
            ("next file", done.expected),
            ("to do", NEXT.get(done.next, done.next)),
        ]
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise FileUnreadable(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > FILE_BYTES_MAX:
        raise ExchangeFileInvalid(f"{path} is longer than {FILE_BYTES_MAX} bytes")
    return data
