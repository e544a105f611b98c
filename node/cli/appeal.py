"""`tallystick appeal`: what holders do not accept, opened for them, talked about and decided."""

from typing import Annotated, Final

import typer

from node.cli.options import (
    AccountArgument,
    IdOption,
    JsonOption,
    LimitOption,
    NodeOption,
    ReasonOption,
    TokenOption,
    UuidArgument,
    connect,
    fresh_id,
    parse_account,
)
from node.cli.output import print_facts, print_json, print_table
from node.cli.request import JsonObject, write
from node.client.event_answers import AppealList, AppealState

app: Final = typer.Typer(no_args_is_help=True, help="Open appeals for members, answer and decide them.")

TextOption = Annotated[
    str | None, typer.Option("--text", metavar="TEXT", help="What is said; it can be erased, its digest stays.")
]


@app.command("open")
def open_appeal(
    account: AccountArgument,
    *,
    reason: ReasonOption,
    text: TextOption = None,
    about: Annotated[
        str | None, typer.Option(metavar="ID", help="The transaction, hold or conversion that it is about.")
    ] = None,
    deadline: Annotated[
        str | None, typer.Option(metavar="DATE", help="Day by whose end it is decided, if not the programme's own.")
    ] = None,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Open an appeal for a member; --id is also the appeal's name."""
    body: JsonObject = {
        "id": fresh_id(request_id),
        "account": account,
        "reason": reason,
        "text": text,
        "about": about,
        "deadline": deadline,
    }
    write(node, token_file, "/v1/appeals", body, as_json=as_json, said=f"opened an appeal of {account}")


@app.command("list")
def list_appeals(
    *,
    account: Annotated[str | None, typer.Option(metavar="ACCOUNT", help="Of one account alone.")] = None,
    state: Annotated[
        str | None, typer.Option(help="open, waiting, upheld, rejected, withdrawn, or overdue.", metavar="STATE")
    ] = None,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """List appeals, newest first."""
    of = None if account is None else parse_account(account)
    with connect(node, token_file) as client:
        reply = client.get("/v1/appeals", {"account": of, "state": state, "limit": limit})
    if as_json:
        print_json(reply.data)
        return
    rows = (
        (row.id, row.account, "overdue" if row.overdue else row.state, row.reason, row.deadline, row.about)
        for row in reply.read(AppealList).appeals
    )
    print_table(("appeal", "account", "state", "reason", "deadline", "about"), rows)


@app.command()
def show(appeal: UuidArgument, *, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption) -> None:
    """Show an appeal with all that was said."""
    with connect(node, token_file) as client:
        reply = client.get(f"/v1/appeals/{appeal}")
    if as_json:
        print_json(reply.data)
        return
    found = reply.read(AppealState)
    print_facts(
        (
            ("appeal", found.id),
            ("account", found.account),
            ("state", "overdue" if found.overdue else found.state),
            ("reason", found.reason),
            ("about", found.about),
            ("deadline", found.deadline),
            ("waiting for", found.waiting_for),
            ("decided", found.decided_at),
            ("because", found.outcome_reason),
            ("adjustment", found.adjustment),
        )
    )
    said = ((row.at, row.by, row.kind, row.text or "(no text, or erased)") for row in found.messages)
    print_table(("at", "who", "what", "said"), said)


@app.command()
def message(
    appeal: UuidArgument,
    *,
    text: Annotated[str, typer.Option("--text", metavar="TEXT", help="What is said.")],
    by: Annotated[str, typer.Option("--by", metavar="WHO", help="program, or holder for what the member said.")] = (
        "program"
    ),
    asks: Annotated[bool, typer.Option("--ask", help="Wait for the member's answer.")] = False,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Say something about an appeal, or ask the member."""
    body: JsonObject = {"id": fresh_id(request_id), "text": text, "by": by, "asks": asks}
    write(node, token_file, f"/v1/appeals/{appeal}/messages", body, as_json=as_json, said="said")


@app.command()
def decide(
    appeal: UuidArgument,
    outcome: Annotated[str, typer.Argument(metavar="OUTCOME", help="upheld, rejected or withdrawn.")],
    *,
    reason: ReasonOption,
    text: TextOption = None,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Decide an appeal without moving points; an adjustment that names it upholds it and moves some."""
    body: JsonObject = {"id": fresh_id(request_id), "outcome": outcome, "reason": reason, "text": text}
    write(node, token_file, f"/v1/appeals/{appeal}/decision", body, as_json=as_json, said=f"the appeal is {outcome}")
