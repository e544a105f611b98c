"""`tallystick partner`: get to know another brand's node by a signed file and a fingerprint read aloud."""

from pathlib import Path
from typing import Annotated, Final

import typer

from node.cli import run_off
from node.cli.files import DocumentArgument, OutOption, read_document, write_document
from node.cli.options import (
    IdOption,
    JsonOption,
    NodeOption,
    PartnerArgument,
    ReasonOption,
    TokenOption,
    connect,
    fresh_id,
)
from node.cli.output import money, print_json, print_line, print_table, print_written
from node.cli.request import JsonObject, post
from node.client.answers import Exposure, PartnerList, PartnerWritten

app: Final = typer.Typer(no_args_is_help=True, help="Invite, accept, list and suspend partners.")


@app.command()
def invite(
    *,
    network: Annotated[
        str | None, typer.Option(metavar="HEX", help="The alliance's id, if it has one; else the node's own.")
    ] = None,
    out: OutOption = None,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Write an invitation: this node's keys, URL and network, for another brand's operator."""
    with connect(node, token_file) as client:
        reply = client.post("/v1/partners/invitations", {"network": network})
    write_document(reply.read(dict), out, said="wrote the invitation")


@app.command()
def accept(
    invitation: DocumentArgument,
    *,
    fingerprint: Annotated[
        str | None, typer.Option(metavar="TEXT", help="As the partner's operator read it aloud.")
    ] = None,
    reply_to: Annotated[
        Path | None, typer.Option("--reply", metavar="FILE", help="Write our own invitation here, to send back.")
    ] = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Add the brand that an invitation names; both sides do this once."""
    body = {"invitation": read_document(invitation), "fingerprint": fingerprint}
    with connect(node, token_file) as client:
        reply = client.post("/v1/partners", body)
    written = reply.read(PartnerWritten)
    if as_json:
        print_json(reply.data)
    else:
        print_line(f"{written.ledger} is a partner (entry {written.seq}); its fingerprint: {written.fingerprint}")
    if reply_to is not None:
        write_document(written.reply, reply_to, said="wrote our invitation")


@app.command("list")
def list_partners(*, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption) -> None:
    """List partners."""
    with connect(node, token_file) as client:
        reply = client.get("/v1/partners")
    if as_json:
        print_json(reply.data)
        return
    rows = [
        (
            one.ledger,
            one.points,
            one.url,
            "yes" if one.agreement else "no",
            "ended" if one.ended else "suspended" if one.suspended else one.channel,
            one.last_contact,
            one.fingerprint,
        )
        for one in reply.read(PartnerList).partners
    ]
    print_table(("ledger", "points", "url", "agreement", "channel", "last contact", "fingerprint"), rows)


@app.command()
def suspend(
    partner: PartnerArgument,
    *,
    reason: ReasonOption = "key_stolen",
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Begin nothing new with a partner: its keys may be in other hands. What is on its way ends by the rules.

    New conversions either way, links and agreements are refused; decisions, cancellations, windows and payments go on.
    """
    with connect(node, token_file) as client:
        ledger = client.partner(partner).ledger
        body: JsonObject = {"id": fresh_id(request_id), "partner": ledger, "reason": reason}
        reply = post(client, "/v1/partners/suspensions", body)
    print_written(reply, as_json=as_json, said=f"{ledger} is suspended: nothing new begins with it")


@app.command("log-key")
def log_key(
    partner: PartnerArgument,
    rotation: DocumentArgument,
    *,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Know a partner's log by its next key as well, from the file that the partner has made (tallystick keys prepare).

    Do it once the partner has rotated: what that key has not signed is not cosigned any more.
    """
    with connect(node, token_file) as client:
        ledger = client.partner(partner).ledger
        body: JsonObject = {"partner": ledger, "rotation": read_document(rotation)}
        reply = client.post("/v1/partners/log-keys", body)
    print_written(reply, as_json=as_json, said=f"the log of {ledger} is known by its new key as well")


@app.command()
def resume(
    partner: PartnerArgument,
    *,
    reason: ReasonOption = "keys_checked",
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Take a suspended partner back."""
    with connect(node, token_file) as client:
        ledger = client.partner(partner).ledger
        body: JsonObject = {"id": fresh_id(request_id), "partner": ledger, "reason": reason}
        reply = post(client, "/v1/partners/resumptions", body)
    print_written(reply, as_json=as_json, said=f"{ledger} is a partner as before")


@app.command()
def limits(*, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption) -> None:
    """Show what is open with each partner, each way, and how much of the agreed cap that uses up.

    Open is what is undecided, owed or not yet confirmed as paid. At the cap conversions are refused until a statement
    is paid: close the window early and pay it.
    """
    with connect(node, token_file) as client:
        reply = client.get("/v1/partners")
    if as_json:
        print_json(reply.data)
        return
    rows = [
        (one.ledger, each.direction, money(int(each.open), each.currency), *_capped(each), each.undecided)
        for one in reply.read(PartnerList).partners
        for each in one.exposure
    ]
    print_table(("ledger", "direction", "open", "cap", "used", "undecided"), rows)


def _capped(exposure: Exposure) -> tuple[str | None, str | None]:
    if exposure.cap is None:
        return None, None
    return money(exposure.cap, exposure.currency), f"{int(exposure.open) * 100 // exposure.cap} %"


app.command()(run_off.show)
app.command()(run_off.end)
