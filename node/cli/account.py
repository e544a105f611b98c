"""`tallystick account`: open, show, list and close accounts, and read what happened to them and what they had."""

from typing import Annotated, Final

import typer

from node.cli.options import (
    AccountArgument,
    DateOption,
    IdOption,
    JsonOption,
    LimitOption,
    NodeOption,
    OptionalAccount,
    ReasonOption,
    RecipientArgument,
    SenderArgument,
    TokenOption,
    connect,
    fresh_id,
    parse_kind,
)
from node.cli.output import print_facts, print_json, print_line, print_table
from node.cli.person import ReferenceOption, account_of, erase, personal
from node.cli.request import JsonObject, post, write
from node.client.answers import AccountBalance, AccountList, AccountState, AccountWritten, History

app: Final = typer.Typer(no_args_is_help=True, help="Open, show, list, freeze, merge, close and erase accounts.")


@app.command("open")
def open_account(
    *,
    kind: Annotated[
        str, typer.Option(parser=parse_kind, metavar="KIND", help="member, employee or supplier.")
    ] = "member",
    request_id: IdOption = None,
    occurred_on: DateOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Open an account; --id is also its name."""
    with connect(node, token_file) as client:
        reply = post(client, "/v1/accounts", {"id": fresh_id(request_id), "kind": kind, "occurred_on": occurred_on})
    if as_json:
        print_json(reply.data)
    else:
        print_line(reply.read(AccountWritten).account)


@app.command()
def show(
    account: OptionalAccount = None,
    *,
    reference: ReferenceOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Show an account's points: posted, held, pending, available, and its lots; --ref finds it."""
    with connect(node, token_file) as client:
        reply = client.get(f"/v1/accounts/{account_of(client, account, reference)}")
    if as_json:
        print_json(reply.data)
        return
    state = reply.read(AccountState)
    expiry = state.next_expiry
    print_facts(
        [
            ("account", f"{state.account} ({state.status})"),
            ("posted", state.posted),
            ("held", state.held),
            ("pending", state.pending or None),
            ("available", state.available),
            ("next expiry", f"{expiry.amount:,} on {expiry.date}" if expiry else None),
            ("open conversions", state.open_conversions),
        ]
    )
    if state.lots:
        print_line("")
        rows = [(lot.remaining, lot.origin, lot.earned_on, lot.spendable_on, lot.expires_on) for lot in state.lots]
        print_table(("points", "origin", "earned on", "from", "last day"), rows)


@app.command()
def balance(
    account: AccountArgument,
    *,
    on: Annotated[str | None, typer.Option(metavar="DATE", help="When this day was over (2026-01-31).")] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="By all that was written before (2026-01-31T12:00:00Z).")
    ] = None,
    seq: Annotated[int | None, typer.Option(metavar="N", help="Once entry N was written.")] = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Tell what was posted on an account at a moment, or now; with the ledger's last entry until then."""
    moment = {name: value for name, value in (("on", on), ("at", at), ("seq", seq)) if value is not None}
    with connect(node, token_file) as client:
        reply = client.get(f"/v1/accounts/{account}/balance", moment)
    if as_json:
        print_json(reply.data)
        return
    found = reply.read(AccountBalance)
    print_facts([("account", found.account), ("posted", found.posted), ("after entry", f"{found.seq}, {found.time}")])


@app.command("list")
def list_accounts(
    *, limit: LimitOption = 100, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption
) -> None:
    """List accounts."""
    with connect(node, token_file) as client:
        reply = client.get("/v1/accounts", {"limit": limit})
    if as_json:
        print_json(reply.data)
        return
    rows = [
        (row.account, row.status, row.posted, row.held, row.pending, row.available)
        for row in reply.read(AccountList).accounts
    ]
    print_table(("account", "status", "posted", "held", "pending", "available"), rows)


@app.command()
def history(
    account: AccountArgument,
    *,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Tell what happened to an account, newest first."""
    with connect(node, token_file) as client:
        reply = client.get(f"/v1/accounts/{account}/history", {"limit": limit})
    if as_json:
        print_json(reply.data)
        return
    rows = []
    for entry in reply.read(History).entries:
        change = sum(amount for holder, _, amount in entry.postings if holder == account)
        rows.append((entry.seq, entry.occurred_on, entry.kind, change or None, entry.id))
    print_table(("entry", "day", "what", "points", "id"), rows)


@app.command()
def close(
    account: AccountArgument,
    *,
    request_id: IdOption = None,
    occurred_on: DateOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Close an empty account."""
    body: JsonObject = {"id": fresh_id(request_id), "occurred_on": occurred_on}
    write(node, token_file, f"/v1/accounts/{account}/close", body, as_json=as_json, said=f"{account} is closed")


@app.command()
def freeze(
    account: AccountArgument,
    *,
    reason: ReasonOption,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Let an account's holder begin nothing that takes points; what comes in is credited all the same."""
    body: JsonObject = {"id": fresh_id(request_id), "reason": reason}
    write(node, token_file, f"/v1/accounts/{account}/freeze", body, as_json=as_json, said=f"{account} is frozen")


@app.command()
def unfreeze(
    account: AccountArgument,
    *,
    reason: ReasonOption,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Open a frozen account again."""
    body: JsonObject = {"id": fresh_id(request_id), "reason": reason}
    write(node, token_file, f"/v1/accounts/{account}/unfreeze", body, as_json=as_json, said=f"{account} is open")


@app.command()
def merge(
    account: SenderArgument,
    survivor: RecipientArgument,
    *,
    reason: ReasonOption = "joined_twice",
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Let all points of an account go to another one of its kind, and what comes for it later, too."""
    body: JsonObject = {"id": fresh_id(request_id), "survivor": survivor, "reason": reason}
    said = f"{survivor} stands for {account}"
    write(node, token_file, f"/v1/accounts/{account}/merge", body, as_json=as_json, said=said)


app.command()(personal)
app.command()(erase)
