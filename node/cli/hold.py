"""`tallystick hold`: set points aside, take them or give them back."""

from typing import Annotated, Final

import typer

from node.cli.options import (
    AccountArgument,
    AmountArgument,
    IdOption,
    JsonOption,
    NodeOption,
    TokenOption,
    UuidArgument,
    connect,
    fresh_id,
    parse_amount,
)
from node.cli.output import print_facts, print_json
from node.cli.request import JsonObject, write
from node.client.answers import HoldState

app: Final = typer.Typer(no_args_is_help=True, help="Set points aside, take them or give them back.")


@app.command()
def place(
    account: AccountArgument,
    amount: AmountArgument,
    *,
    expires_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it lapses by itself (2026-01-31T12:00:00.000000Z).")
    ] = None,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Set points of an account aside; --id is also the hold's name."""
    body: JsonObject = {"id": fresh_id(request_id), "account": account, "amount": amount, "expires_at": expires_at}
    write(node, token_file, "/v1/holds", body, as_json=as_json, said=f"{amount:,} of {account} are on hold")


@app.command()
def capture(
    hold: UuidArgument,
    *,
    amount: Annotated[
        int | None, typer.Option(parser=parse_amount, metavar="AMOUNT", help="Whole points, if not all.")
    ] = None,
    final: Annotated[bool, typer.Option("--final/--keep", help="Give the rest back, or keep it on hold.")] = True,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Redeem held points, all or in part."""
    body: JsonObject = {"id": fresh_id(request_id), "amount": amount, "final": final}
    write(node, token_file, f"/v1/holds/{hold}/capture", body, as_json=as_json, said=f"captured from hold {hold}")


@app.command()
def release(
    hold: UuidArgument,
    *,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Give held points back."""
    body: JsonObject = {"id": fresh_id(request_id)}
    said = f"released hold {hold}"
    write(node, token_file, f"/v1/holds/{hold}/release", body, as_json=as_json, said=said)


@app.command()
def show(hold: UuidArgument, *, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption) -> None:
    """Show a hold."""
    with connect(node, token_file) as client:
        reply = client.get(f"/v1/holds/{hold}")
    if as_json:
        print_json(reply.data)
        return
    state = reply.read(HoldState)
    print_facts(
        [
            ("hold", f"{state.id} ({state.state})"),
            ("account", state.account),
            ("amount", state.amount),
            ("remaining", state.remaining),
            ("lapses at", state.expires_at),
            ("of a conversion", "yes" if state.conversion else "no"),
        ]
    )
