"""`tallystick approval`: propose what needs two people, approve it, refuse it; `tallystick points adjust` proposes."""

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from node.cli.access_answers import ApprovalRows, ApprovalState
from node.cli.files import DocumentArgument, read_document
from node.cli.options import (
    AccountArgument,
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
    parse_amount,
    parse_uuid,
)
from node.cli.output import print_facts, print_json, print_line, print_table, print_written
from node.cli.request import JsonObject, post, write
from node.client import Reply
from protocol.identifiers import Id

app: Final = typer.Typer(no_args_is_help=True, help="What one person proposes and another approves.")
propose: Final = typer.Typer(no_args_is_help=True, help="Propose to a second person.")
app.add_typer(propose, name="propose")
_PATH: Final = "/v1/approvals"

HoursOption: TypeAlias = Annotated[
    int, typer.Option("--within-hours", min=1, max=720, metavar="N", help="How long it may be approved.")
]
ForceOption: TypeAlias = Annotated[bool, typer.Option("--force", help="Allow terms by which points multiply.")]
NoteOption: TypeAlias = Annotated[
    str | None, typer.Option("--note", metavar="TEXT", help="What the second person should know; it can be erased.")
]


def send(
    node: str,
    token_file: Path,
    action: JsonObject,
    *,
    request_id: Id | None,
    within_hours: int,
    note: str | None,
    as_json: bool,
) -> None:
    """Propose `action` to a second person, and say how it is approved."""
    proposal = fresh_id(request_id)
    named = action if action["type"] in {"agreement", "agreement_terms"} else {"entry": entry_of(proposal), **action}
    kept = {name: value for name, value in named.items() if value is not None}
    body: JsonObject = {"id": proposal, "action": kept, "within_hours": within_hours}
    if note is not None:
        body["metadata"] = {"note": note}
    said = f"proposed; another person runs: tallystick approval approve {proposal}"
    write(node, token_file, _PATH, body, as_json=as_json, said=said)


def entry_of(proposal: Id) -> str:
    """Return the id of the entry that a proposal of the command line leads to: the same again when it is retried."""
    last = "0123456789abcdef"
    return proposal[:-1] + last[(last.index(proposal[-1]) + 1) % len(last)]


def adjust(
    account: AccountArgument,
    amount: Annotated[
        int, typer.Argument(parser=parse_amount, metavar="AMOUNT", help="Whole points; -500 takes some away.")
    ],
    *,
    reason: ReasonOption,
    expires_on: Annotated[str | None, typer.Option(metavar="DATE", help="Last day of points that are given.")] = None,
    appeal: Annotated[
        Id | None, typer.Option(parser=parse_uuid, metavar="UUID", help="The appeal that this decides.")
    ] = None,
    within_hours: HoursOption = 72,
    note: NoteOption = None,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Propose to give an account points at the program's cost, or to take some; another person approves."""
    action: JsonObject = {
        "type": "adjustment",
        "account": account,
        "amount": amount,
        "expires_on": expires_on,
        "reason": reason,
        "appeal": appeal,
    }
    send(node, token_file, action, request_id=request_id, within_hours=within_hours, note=note, as_json=as_json)


@propose.command("force-release")
def propose_force(
    conversion: UuidArgument,
    *,
    reason: ReasonOption,
    within_hours: HoursOption = 72,
    note: NoteOption = None,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Propose to give the points of a pending conversion back without the partner's word."""
    action: JsonObject = {"type": "forced_release", "conversion": conversion, "reason": reason}
    send(node, token_file, action, request_id=request_id, within_hours=within_hours, note=note, as_json=as_json)


@propose.command("program")
def propose_program(
    file: DocumentArgument,
    *,
    reason: ReasonOption = "terms_changed",
    within_hours: HoursOption = 72,
    note: NoteOption = None,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Propose the program's terms in FILE, as `program show --out` writes them."""
    action: JsonObject = {"type": "program", "terms": read_document(file), "reason": reason}
    send(node, token_file, action, request_id=request_id, within_hours=within_hours, note=note, as_json=as_json)


@propose.command("agreement")
def propose_agreement(
    digest: Annotated[str, typer.Argument(metavar="DIGEST", help="Of a proposal: tallystick agreement list.")],
    *,
    force: ForceOption = False,
    within_hours: HoursOption = 72,
    note: NoteOption = None,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Propose to sign what a partner has proposed."""
    action: JsonObject = {"type": "agreement", "digest": digest, "force": force}
    send(node, token_file, action, request_id=request_id, within_hours=within_hours, note=note, as_json=as_json)


@propose.command("terms")
def propose_terms(
    partner: PartnerArgument,
    file: DocumentArgument,
    *,
    force: ForceOption = False,
    within_hours: HoursOption = 72,
    note: NoteOption = None,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Propose to offer a partner the terms in FILE, as `agreement propose` takes them."""
    with connect(node, token_file) as client:
        ledger = client.partner(partner).ledger
    offer: JsonObject = {"partner": ledger, "terms": read_document(file), "force": force}
    action: JsonObject = {"type": "agreement_terms", "offer": offer}
    send(node, token_file, action, request_id=request_id, within_hours=within_hours, note=note, as_json=as_json)


@app.command("list")
def list_approvals(
    *,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="proposed, approved, refused or done; all if left out.")
    ] = None,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """List what was proposed, the latest first."""
    with connect(node, token_file) as client:
        reply = client.get(_PATH, {"state": state, "limit": limit})
    if as_json:
        print_json(reply.data)
        return
    rows = [
        (row.proposal, str(row.action.get("type")), row.said, row.proposed_by, row.decided_by, row.expires_at[:19])
        for row in reply.read(ApprovalRows).approvals
    ]
    print_table(("proposal", "of", "state", "by", "decided by", "ends at"), rows)


@app.command()
def show(proposal: UuidArgument, *, as_json: JsonOption = False, node: NodeOption, token_file: TokenOption) -> None:
    """Show what was proposed, word for word."""
    with connect(node, token_file) as client:
        reply = client.get(f"{_PATH}/{proposal}")
    if as_json:
        print_json(reply.data)
        return
    state = reply.read(ApprovalState)
    print_facts(
        [
            ("proposal", f"{state.proposal} ({state.said})"),
            ("proposed by", f"{state.proposed_by} at {state.proposed_at}"),
            ("ends at", state.expires_at),
            ("decided by", state.decided_by),
            ("decided by entry", state.decided_seq),
        ]
    )
    for name, value in state.action.items():
        print_line(f"  {name}: {value}")


@app.command()
def approve(
    proposal: UuidArgument,
    *,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Approve what another person has proposed: it is done at once."""
    reply = _decided(node, token_file, f"{proposal}/approve", {"id": fresh_id(request_id)})
    print_written(reply, as_json=as_json, said=f"approved {proposal}, and done")


@app.command()
def refuse(
    proposal: UuidArgument,
    *,
    reason: ReasonOption,
    request_id: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Let what was proposed not be done; whoever proposed it takes it back so."""
    reply = _decided(node, token_file, f"{proposal}/refuse", {"id": fresh_id(request_id), "reason": reason})
    print_written(reply, as_json=as_json, said=f"refused {proposal}")


def _decided(node: str, token_file: Path, path: str, body: JsonObject) -> Reply:
    with connect(node, token_file) as client:
        return post(client, f"{_PATH}/{path}", body)
