"""`tallystick link`: an account of one program may receive what an account of another converts."""

from typing import Final

import typer

from node.cli import consent
from node.cli.files import DocumentArgument, OutOption, read_document, write_document
from node.cli.options import (
    AccountArgument,
    IdOption,
    JsonOption,
    NodeOption,
    PartnerArgument,
    TokenOption,
    connect,
    fresh_id,
)
from node.cli.output import print_json, print_table
from node.cli.request import JsonObject, post, write
from node.client.answers import LinkList, LinkWritten

app: Final = typer.Typer(no_args_is_help=True, help="Link accounts of two programs.")


@app.command()
def issue(
    account: AccountArgument,
    partner: PartnerArgument,
    *,
    out: OutOption = None,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Where the points shall arrive: write the link that the member takes to the partner."""
    with connect(node, token_file) as client:
        body: JsonObject = {"id": fresh_id(request_id), "account": account, "partner": client.partner(partner).ledger}
        reply = post(client, "/v1/links", body)
    if as_json:
        print_json(reply.data)
    else:
        write_document(reply.read(LinkWritten).document, out, said="wrote the link")


@app.command()
def accept(
    account: AccountArgument,
    document: DocumentArgument,
    *,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Where the points are: connect an account with the link that its member brought."""
    body: JsonObject = {"id": fresh_id(request_id), "account": account, "document": read_document(document)}
    write(node, token_file, "/v1/links/accept", body, as_json=as_json, said=f"{account} is linked")


@app.command("list")
def list_links(
    account: AccountArgument,
    *,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """List the links of an account."""
    with connect(node, token_file) as client:
        reply = client.get("/v1/links", {"account": account})
    if as_json:
        print_json(reply.data)
        return
    rows = [(link.direction, link.partner, link.alias, link.state) for link in reply.read(LinkList).links]
    print_table(("direction", "partner", "alias", "state"), rows)


app.command()(consent.code)
app.command()(consent.redeem)
app.command()(consent.revoke)
app.command()(consent.pages)
