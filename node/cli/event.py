"""`tallystick events` and `tallystick webhook`: what happened, and where it is told."""

from typing import Annotated, Final

import msgspec
import typer

from node.cli.options import IdOption, JsonOption, LimitOption, NodeOption, TokenOption, UuidArgument, connect, fresh_id
from node.cli.output import print_facts, print_json, print_line, print_table
from node.cli.request import JsonObject
from node.client import Reply
from node.client.event_answers import Deliveries, EventPage, WebhookAdded, WebhookList, WebhookRow, WebhookTried

app: Final = typer.Typer(no_args_is_help=True, help="Name where events are sent, and see that they arrive.")

AfterOption = Annotated[
    str | None, typer.Option("--after", metavar="SEQ", help="After this entry, or this place in the feed.")
]
TypesOption = Annotated[list[str] | None, typer.Option("--type", metavar="TYPE", help="Of this type; may be repeated.")]


def events(
    *,
    after: AfterOption = None,
    types: TypesOption = None,
    account: Annotated[str | None, typer.Option(metavar="ACCOUNT", help="About one account alone.")] = None,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """List what happened, oldest first; the last line says where to go on."""
    query = {"after": after, "types": ",".join(types or ()) or None, "account": account, "limit": limit}
    with connect(node, token_file) as client:
        reply = client.get("/v1/events", query)
    if as_json:
        print_json(reply.data)
        return
    page = reply.read(EventPage)
    rows = ((row.seq, row.time, row.type, row.account or row.partner, _said(row.data)) for row in page.events)
    print_table(("entry", "time", "what", "about", "told"), rows)
    print_line(f"{'there is more' if page.more else 'that is all so far'}: --after {page.next}")


def _said(data: object) -> str:
    return msgspec.json.encode(data).decode()


@app.command()
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where events are posted.")],
    *,
    types: TypesOption = None,
    after: AfterOption = None,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Send events to an address from now on; the secret that signs them is shown this once."""
    body: JsonObject = {"id": fresh_id(request_id), "url": url, "types": list(types or ()), "after": after}
    with connect(node, token_file) as client:
        reply = client.post("/v1/webhooks", body)
    _print_secret(reply, as_json=as_json)
    if not as_json:
        print_line("keep the secret: it is not shown again")


@app.command("list")
def list_webhooks(*, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption) -> None:
    """List the addresses and how delivery to them goes."""
    with connect(node, token_file) as client:
        reply = client.get("/v1/webhooks")
    if as_json:
        print_json(reply.data)
        return
    rows = ((row.id, row.url, row.state, row.waiting, row.delivered, row.failing_since, row.last_error)
            for row in reply.read(WebhookList).webhooks)  # fmt: skip
    print_table(("webhook", "address", "state", "waiting", "delivered", "failing since", "last error"), rows)


@app.command()
def remove(webhook: UuidArgument, *, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption) -> None:
    """Forget an address and all that waits for it."""
    with connect(node, token_file) as client:
        reply = client.delete(f"/v1/webhooks/{webhook}")
    if as_json:
        print_json(reply.data)
        return
    print_line(f"nothing more is sent to {reply.read(WebhookRow).url}")


@app.command("test")
def try_out(webhook: UuidArgument, *, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption) -> None:
    """Send one event that means nothing, and say what came of it."""
    with connect(node, token_file) as client:
        reply = client.post(f"/v1/webhooks/{webhook}/test", {})
    if as_json:
        print_json(reply.data)
        return
    print_line(reply.read(WebhookTried).outcome)


@app.command()
def replay(
    webhook: UuidArgument,
    *,
    after: Annotated[str, typer.Option("--after", metavar="SEQ", help="After this entry, or this place in the feed.")],
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Send what comes after a place, again or leaving out what lies between; what waits is forgotten."""
    with connect(node, token_file) as client:
        reply = client.post(f"/v1/webhooks/{webhook}/replay", {"after": after})
    _print_state(reply, as_json=as_json)


@app.command("rotate-secret")
def rotate_secret(
    webhook: UuidArgument,
    *,
    overlap: Annotated[
        int | None, typer.Option(metavar="SECONDS", min=0, help="How long the old secret signs too: a day if left out.")
    ] = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Give an endpoint a new secret, shown this once; until the overlap is over both sign what it is sent."""
    with connect(node, token_file) as client:
        reply = client.post(f"/v1/webhooks/{webhook}/rotate-secret", {"overlap_seconds": overlap})
    _print_secret(reply, as_json=as_json)


@app.command()
def resume(webhook: UuidArgument, *, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption) -> None:
    """Try a disabled or failing address again, at once and from where it stands."""
    with connect(node, token_file) as client:
        reply = client.post(f"/v1/webhooks/{webhook}/resume", {})
    _print_state(reply, as_json=as_json)


@app.command()
def deliveries(
    webhook: UuidArgument, *, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption
) -> None:
    """List what waits for an address, and what was tried last."""
    with connect(node, token_file) as client:
        reply = client.get(f"/v1/webhooks/{webhook}/deliveries")
    if as_json:
        print_json(reply.data)
        return
    found = reply.read(Deliveries)
    if found.waiting:
        waiting = ((row.event, row.type, row.lane, row.attempts, row.retry_at, row.last_error) for row in found.waiting)
        print_table(("waiting", "what", "about", "attempts", "again at", "last error"), waiting)
    tried = ((row.event, row.type, row.at, row.outcome, row.milliseconds) for row in found.attempts)
    print_table(("tried", "what", "at", "outcome", "ms"), tried)


def _print_secret(reply: Reply, *, as_json: bool) -> None:
    if as_json:
        print_json(reply.data)
        return
    added = reply.read(WebhookAdded)
    print_facts((("webhook", added.webhook.id), ("secret", added.secret)))


def _print_state(reply: Reply, *, as_json: bool) -> None:
    if as_json:
        print_json(reply.data)
        return
    row = reply.read(WebhookRow)
    print_line(f"{row.url} is {row.state}; it goes on after {row.after}")
