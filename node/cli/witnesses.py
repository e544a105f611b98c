"""`tallystick witnesses`: who is asked to cosign the node's checkpoints, and how it goes with each."""

import msgspec

from node.cli.options import JsonOption, NodeOption, TokenOption, connect
from node.cli.output import print_json, print_table


class Witness(msgspec.Struct, frozen=True):
    """A witness of the node."""

    name: str
    url: str
    vkey: str
    cosigned_size: int | None = None
    last_failure: str | None = None


class WitnessList(msgspec.Struct, frozen=True):
    """All witnesses."""

    witnesses: tuple[Witness, ...]


def witnesses(*, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption) -> None:
    """List the witnesses that the node asks to cosign its checkpoints, with what a trust policy needs of each."""
    with connect(node, token_file) as client:
        reply = client.get("/v1/witnesses")
    if as_json:
        print_json(reply.data)
        return
    rows = [
        (one.name, one.cosigned_size, one.last_failure or "", one.url, one.vkey)
        for one in reply.read(WitnessList).witnesses
    ]
    print_table(("witness", "cosigned", "last failure", "url", "vkey"), rows)
