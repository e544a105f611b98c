"""`tallystick points`: issue, redeem and transfer points."""

from pathlib import Path
from typing import Annotated, Final

import typer

from node.cli.options import (
    AccountArgument,
    AmountArgument,
    DateOption,
    IdOption,
    JsonOption,
    NodeOption,
    TokenOption,
    connect,
    fresh_id,
)
from node.cli.output import print_written
from node.cli.request import JsonObject, post

app: Final = typer.Typer(no_args_is_help=True, help="Issue, redeem and transfer points.")
_PATH: Final = "/v1/transactions"


def _send(node: str, token_file: Path, body: JsonObject, *, as_json: bool, said: str) -> None:
    with connect(node, token_file) as client:
        reply = post(client, _PATH, body)
    print_written(reply, as_json=as_json, said=said)


@app.command()
def issue(
    account: AccountArgument,
    amount: AmountArgument,
    *,
    expires_on: Annotated[str | None, typer.Option(metavar="DATE", help="Last day of these points.")] = None,
    request_id: IdOption = None,
    occurred_on: DateOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Give an account new points."""
    body: JsonObject = {
        "id": fresh_id(request_id),
        "type": "issue",
        "account": account,
        "amount": amount,
        "expires_on": expires_on,
        "occurred_on": occurred_on,
    }
    _send(node, token_file, body, as_json=as_json, said=f"issued {amount:,} to {account}")


@app.command()
def redeem(
    account: AccountArgument,
    amount: AmountArgument,
    *,
    request_id: IdOption = None,
    occurred_on: DateOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Use up points of an account."""
    body: JsonObject = {
        "id": fresh_id(request_id),
        "type": "redeem",
        "account": account,
        "amount": amount,
        "occurred_on": occurred_on,
    }
    _send(node, token_file, body, as_json=as_json, said=f"redeemed {amount:,} of {account}")


@app.command()
def transfer(
    account: AccountArgument,
    to: AccountArgument,
    amount: AmountArgument,
    *,
    request_id: IdOption = None,
    occurred_on: DateOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Move points from one account to another of the same program."""
    body: JsonObject = {
        "id": fresh_id(request_id),
        "type": "transfer",
        "account": account,
        "to": to,
        "amount": amount,
        "occurred_on": occurred_on,
    }
    _send(node, token_file, body, as_json=as_json, said=f"transferred {amount:,} from {account} to {to}")
