"""`tallystick points`: issue, redeem, transfer and reverse points."""

from typing import Annotated, Final

import typer

from node.cli.approval import adjust
from node.cli.options import (
    AccountArgument,
    AmountArgument,
    DateOption,
    IdOption,
    JsonOption,
    NodeOption,
    RecipientArgument,
    SenderArgument,
    TokenOption,
    connect,
    fresh_id,
)
from node.cli.output import print_written
from node.cli.request import JsonObject, post, write
from node.client.answers import Reversed

app: Final = typer.Typer(no_args_is_help=True, help="Issue, redeem, transfer, reverse and adjust points.")
# So that -500 is an amount, and no option.
app.command(context_settings={"ignore_unknown_options": True})(adjust)
_PATH: Final = "/v1/transactions"


@app.command()
def issue(
    account: AccountArgument,
    amount: AmountArgument,
    *,
    expires_on: Annotated[
        str | None, typer.Option(metavar="DATE", help="Last day of these points; the program's rule if left out.")
    ] = None,
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
    write(node, token_file, _PATH, body, as_json=as_json, said=f"issued {amount:,} to {account}")


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
    write(node, token_file, _PATH, body, as_json=as_json, said=f"redeemed {amount:,} of {account}")


@app.command()
def transfer(
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
    """Move points from one account to another of the same program."""
    body: JsonObject = {
        "id": fresh_id(request_id),
        "type": "transfer",
        "account": account,
        "to": to,
        "amount": amount,
        "occurred_on": occurred_on,
    }
    write(node, token_file, _PATH, body, as_json=as_json, said=f"transferred {amount:,} from {account} to {to}")


@app.command()
def reverse(
    reverses: Annotated[str, typer.Argument(metavar="ID", help="What issued or redeemed the points.")],
    amount: Annotated[
        int | None, typer.Argument(metavar="[AMOUNT]", min=1, help="All that is left if left out.")
    ] = None,
    *,
    partial: Annotated[
        bool, typer.Option("--partial", help="Of issued points, take back as many as are there.")
    ] = False,
    request_id: IdOption = None,
    occurred_on: DateOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Undo an issue, a redemption or a captured hold, all or in part."""
    body: JsonObject = {
        "id": fresh_id(request_id),
        "type": "reverse",
        "reverses": reverses,
        "amount": amount,
        "partial": partial or None,
        "occurred_on": occurred_on,
    }
    with connect(node, token_file) as client:
        reply = post(client, _PATH, body)
    moved = reply.read(Reversed).moved
    print_written(reply, as_json=as_json, said=f"reversed {moved:,} of {reverses}")
