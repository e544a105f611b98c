"""`tallystick review`: orders that a screen has put up for review."""

from typing import Annotated, Final

import typer

from node.cli.options import (
    IdOption,
    JsonOption,
    LimitOption,
    NodeOption,
    ReasonOption,
    TokenOption,
    UuidArgument,
    connect,
    fresh_id,
)
from node.cli.output import print_json, print_table
from node.cli.program_answers import ReviewList
from node.cli.request import JsonObject, write

app: Final = typer.Typer(no_args_is_help=True, help="List and decide orders that a screen has put up for review.")
_PATH: Final = "/v1/reviews"


@app.command("list")
def list_reviews(
    *,
    every: Annotated[bool, typer.Option("--all", help="Those that were decided, too.")] = False,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """List orders under review, newest first."""
    with connect(node, token_file) as client:
        reply = client.get(_PATH, {"state": None if every else "open", "limit": limit})
    if as_json:
        print_json(reply.data)
        return
    rows = [
        (each.id, each.state, each.screen, str(each.order.get("kind")), each.account, each.points, each.opened_at)
        for each in reply.read(ReviewList).reviews
    ]
    print_table(("order", "state", "screen", "what", "account", "points", "since"), rows)


@app.command()
def approve(
    order: UuidArgument,
    *,
    reason: ReasonOption = "looked_at",
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Let an order go on."""
    body: JsonObject = {"id": fresh_id(request_id), "reason": reason}
    said = f"order {order} goes on"
    write(node, token_file, f"{_PATH}/{order}/approve", body, as_json=as_json, said=said)


@app.command()
def reject(
    order: UuidArgument,
    *,
    reason: ReasonOption = "looked_at",
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Give the points of an order back."""
    body: JsonObject = {"id": fresh_id(request_id), "reason": reason}
    said = f"the points of order {order} are available again"
    write(node, token_file, f"{_PATH}/{order}/reject", body, as_json=as_json, said=said)
