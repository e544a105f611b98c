"""`tallystick transfer`: points that one member offers to another, who accepts or declines."""

from typing import Annotated, Final

import typer

from node.cli.options import (
    AmountArgument,
    DateOption,
    IdOption,
    JsonOption,
    LimitOption,
    NodeOption,
    RecipientArgument,
    SenderArgument,
    TokenOption,
    UuidArgument,
    connect,
    fresh_id,
    parse_account,
)
from node.cli.output import print_json, print_table
from node.cli.program_answers import TransferList
from node.cli.request import JsonObject, write
from protocol.identifiers import Account

app: Final = typer.Typer(no_args_is_help=True, help="Offer, accept, decline and list transfers between members.")
_PATH: Final = "/v1/transfers"


@app.command()
def offer(
    account: SenderArgument,
    to: RecipientArgument,
    amount: AmountArgument,
    *,
    request_id: IdOption = None,
    occurred_on: DateOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Offer points to another account; --id is also the transfer's name."""
    body: JsonObject = {
        "id": fresh_id(request_id),
        "account": account,
        "to": to,
        "amount": amount,
        "occurred_on": occurred_on,
    }
    said = f"{amount:,} of {account} wait for {to} as transfer {body['id']}"
    write(node, token_file, _PATH, body, as_json=as_json, said=said)


@app.command()
def accept(
    transfer: UuidArgument,
    *,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Let the recipient have the points of a transfer."""
    body: JsonObject = {"id": fresh_id(request_id)}
    said = f"transfer {transfer} is accepted"
    write(node, token_file, f"{_PATH}/{transfer}/accept", body, as_json=as_json, said=said)


@app.command()
def decline(
    transfer: UuidArgument,
    *,
    by_sender: Annotated[bool, typer.Option("--by-sender", help="The sender takes it back.")] = False,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Give the points of a transfer back to the sender."""
    body: JsonObject = {"id": fresh_id(request_id), "by": "sender" if by_sender else "recipient"}
    said = f"the points of transfer {transfer} are the sender's again"
    write(node, token_file, f"{_PATH}/{transfer}/decline", body, as_json=as_json, said=said)


@app.command("list")
def list_transfers(
    *,
    account: Annotated[
        Account | None, typer.Option(parser=parse_account, metavar="ACCOUNT", help="Of one account alone.")
    ] = None,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="offered, accepted, declined, cancelled or lapsed.")
    ] = None,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """List transfers, newest first."""
    with connect(node, token_file) as client:
        reply = client.get(_PATH, {"account": account, "state": state, "limit": limit})
    if as_json:
        print_json(reply.data)
        return
    rows = [
        (each.id, each.state, each.account, each.to, each.amount, each.fee, each.accept_by)
        for each in reply.read(TransferList).transfers
    ]
    print_table(("transfer", "state", "from", "to", "points", "fee", "until"), rows)
