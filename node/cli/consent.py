"""`tallystick link …`: consents, codes and the end of links, for whoever helps a member."""

from typing import Annotated, TypeAlias

import msgspec
import typer

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
from node.cli.output import print_facts, print_json, print_line, print_written
from node.cli.request import JsonObject, post

UntilOption: TypeAlias = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="The link holds before this time (2027-01-31T12:00:00Z).")
]
ConversionsOption: TypeAlias = Annotated[
    int | None, typer.Option("--conversions", min=1, help="So many conversions go over the link.")
]
PointsOption: TypeAlias = Annotated[
    int | None, typer.Option("--points", min=1, help="So many points come in over the link in all.")
]


class _Code(msgspec.Struct, frozen=True):
    code: str
    expires_at: str


class _Pages(msgspec.Struct, frozen=True):
    partner: str
    consent_url: str | None = None
    redirect_url: str | None = None


def code(
    account: AccountArgument,
    partner: PartnerArgument,
    *,
    until: UntilOption = None,
    conversions: ConversionsOption = None,
    points: PointsOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Where the points shall arrive: make the code that the member types at the partner."""
    with connect(node, token_file) as client:
        body: JsonObject = {
            "account": account,
            "partner": client.partner(partner).ledger,
            "until": until,
            "conversions_max": conversions,
            "points_max": points,
        }
        reply = client.post("/v1/links/codes", body)
    if as_json:
        print_json(reply.data)
        return
    made = reply.read(_Code)
    print_line(f"{made.code} (until {made.expires_at})")


def redeem(
    account: AccountArgument,
    partner: PartnerArgument,
    typed: Annotated[str, typer.Argument(metavar="CODE", help="The eight characters that the member read.")],
    *,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Where the points are: connect an account with the one whose owner read CODE at the partner."""
    with connect(node, token_file) as client:
        body: JsonObject = {
            "id": fresh_id(request_id),
            "account": account,
            "partner": client.partner(partner).ledger,
            "code": typed,
        }
        reply = post(client, "/v1/links/typed", body)
    print_written(reply, as_json=as_json, said=f"{account} is linked")


def revoke(
    account: AccountArgument,
    partner: PartnerArgument,
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="As `link list` shows it.")],
    *,
    direction: Annotated[str, typer.Option("--direction", metavar="issued|accepted", help="Which end is here.")],
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """End a link from now on, at both sides."""
    with connect(node, token_file) as client:
        body: JsonObject = {
            "account": account,
            "partner": client.partner(partner).ledger,
            "alias": alias,
            "direction": direction,
        }
        reply = client.post("/v1/links/revocations", body)
    print_written(reply, as_json=as_json, said="the link has ended")


def pages(
    partner: PartnerArgument,
    *,
    consent_url: Annotated[
        str | None, typer.Option("--consent-url", metavar="URL", help="Where the partner's members consent.")
    ] = None,
    redirect_url: Annotated[
        str | None, typer.Option("--redirect-url", metavar="URL", help="Where the partner wants members back.")
    ] = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Show where links with a partner are consented to; with options, set both addresses."""
    with connect(node, token_file) as client:
        ledger = client.partner(partner).ledger
        if consent_url is None and redirect_url is None:
            reply = client.get("/v1/links/pages", {"partner": ledger})
        else:
            body: JsonObject = {"partner": ledger, "consent_url": consent_url, "redirect_url": redirect_url}
            reply = client.post("/v1/links/pages", body)
    if as_json:
        print_json(reply.data)
        return
    found = reply.read(_Pages)
    print_facts(
        [
            ("partner", found.partner),
            ("members consent at", found.consent_url),
            ("members go back to", found.redirect_url),
        ]
    )
