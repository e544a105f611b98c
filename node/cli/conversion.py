"""`tallystick quote`, `convert` and `conversion`: points to a partner's program, and where they are."""

from typing import Annotated, Final

import typer

from node.cli.failures import COULD_NOT, HELD, REFUSED, stop
from node.cli.options import (
    AccountArgument,
    AmountArgument,
    IdOption,
    JsonOption,
    LimitOption,
    NodeOption,
    PartnerArgument,
    ReasonOption,
    TokenOption,
    UuidArgument,
    connect,
    fresh_id,
    parse_uuid,
)
from node.cli.ordering import order
from node.cli.output import money, print_facts, print_json, print_line, print_table
from node.cli.request import JsonObject, post, write
from node.client import NodeClient
from node.client.answers import ConversionList, ConversionState, Quote, Written
from protocol.identifiers import Id

app: Final = typer.Typer(no_args_is_help=True, help="Order many conversions, see and cancel them.")

PENDING: Final = "pending"
COMPLETED: Final = "completed"
WAIT_SECONDS: Final = 20


def quote(
    account: AccountArgument,
    partner: PartnerArgument,
    amount: AmountArgument,
    *,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Say what a conversion would take and give; nothing is written."""
    with connect(node, token_file) as client:
        ledger = client.partner(partner).ledger
        reply = client.post("/v1/quotes", {"account": account, "partner": ledger, "amount": amount})
    if as_json:
        print_json(reply.data)
        return
    offer = reply.read(Quote)
    print_facts(
        [
            ("partner", offer.partner),
            ("used", offer.used),
            ("stays", offer.stays),
            ("fee", offer.fee),
            ("gives", offer.gives),
            ("worth", money(offer.value, offer.currency)),
            ("promotion", offer.promotion),
            ("valid until", offer.valid_until),
            ("last day", _last_day(offer)),
            ("agreement", offer.agreement),
        ]
    )


def _last_day(offer: Quote) -> str:
    if offer.expires_days is None:
        return "never expires"
    return f"{offer.expires_days:,} days after" + (f" ({offer.expires_on} if today)" if offer.expires_on else "")


def convert(
    account: AccountArgument,
    partner: PartnerArgument,
    amount: AmountArgument,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until the partner has decided.")] = False,
    accept_within: Annotated[
        int | None, typer.Option(metavar="SECONDS", min=1, help="How long the partner may take to decide.")
    ] = None,
    agreement: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="Of a quote that is still open: its terms are kept.")
    ] = None,
    refund_of: Annotated[
        Id | None, typer.Option(parser=parse_uuid, metavar="UUID", help="Send back a conversion that came from there.")
    ] = None,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Convert as many whole steps of an account's points as fit; --id is also the conversion's name."""
    with connect(node, token_file) as client:
        body: JsonObject = {
            "id": fresh_id(request_id),
            "account": account,
            "partner": client.partner(partner).ledger,
            "amount": amount,
            "accept_within_seconds": accept_within,
            "agreement": agreement,
            "refund_of": refund_of,
        }
        ordered = post(client, "/v1/conversions", body)
        if not wait and as_json:
            print_json(ordered.data)
            return
        conversion = ordered.read(Written).id
        if not wait:
            print_line(f"ordered; the points are on hold until the partner decides (id {conversion})")
            return
        _follow(client, conversion, as_json=as_json)


def _follow(client: NodeClient, conversion: str, *, as_json: bool) -> None:
    reply = client.get(f"/v1/conversions/{conversion}", {"wait": WAIT_SECONDS})
    state = reply.read(ConversionState)
    if as_json:
        print_json(reply.data)
    else:
        print_line(sentence(state))
    stop(status_of(state))


def sentence(state: ConversionState) -> str:
    """Return where a conversion stands, in words."""
    taken = state.source_points + state.fee_points
    if state.state == PENDING:
        where = state.waiting_for or f"waiting for {state.partner}; the points are safe on hold"
        return f"pending: {taken:,} points; {where} (id {state.id})"
    if state.state == COMPLETED:
        return f"completed: {taken:,} points gave {state.destination_points:,} at {state.partner} (id {state.id})"
    if state.forced:
        return f"released by force ({state.reason}): {taken:,} points are the member's again (id {state.id})"
    return f"returned ({state.reason}): {taken:,} points are the member's again (id {state.id})"


def status_of(state: ConversionState) -> int:
    """Return the exit status that tells where a conversion stands."""
    if state.state == PENDING:
        return COULD_NOT
    return HELD if state.state == COMPLETED else REFUSED


@app.command()
def show(conversion: UuidArgument, *, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption) -> None:
    """Say where a conversion stands."""
    with connect(node, token_file) as client:
        reply = client.get(f"/v1/conversions/{conversion}")
    if as_json:
        print_json(reply.data)
    else:
        print_line(sentence(reply.read(ConversionState)))


@app.command("list")
def list_conversions(
    *,
    state: Annotated[str | None, typer.Option(metavar="STATE", help="pending, completed or returned.")] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """List conversions to partners, newest first."""
    with connect(node, token_file) as client:
        reply = client.get("/v1/conversions", {"state": state, "limit": limit})
    if as_json:
        print_json(reply.data)
        return
    rows = [
        (
            one.id,
            one.state,
            one.reason,
            one.partner,
            one.source_points + one.fee_points,
            one.destination_points,
            one.since,
        )
        for one in reply.read(ConversionList).conversions
    ]
    print_table(("id", "state", "reason", "partner", "takes", "gives", "since"), rows)


@app.command()
def cancel(conversion: UuidArgument, *, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption) -> None:
    """Ask the partner to return a conversion, unless it has credited already."""
    with connect(node, token_file) as client:
        reply = client.post(f"/v1/conversions/{conversion}/cancel", {})
    if as_json:
        print_json(reply.data)
    else:
        print_line(sentence(reply.read(ConversionState)))


@app.command("force-release")
def force_release(
    conversion: UuidArgument,
    *,
    reason: ReasonOption = "partner_gone",
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Give an undecided conversion's points back at your own risk: if the partner has credited, you still owe it."""
    body: JsonObject = {"id": fresh_id(request_id), "reason": reason}
    said = "released at your own risk; the partner is asked to refuse"
    write(node, token_file, f"/v1/conversions/{conversion}/force-release", body, as_json=as_json, said=said)


app.command()(order)
