"""`tallystick statement`: what settlement windows come to, signed by both, and how it is paid."""

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from node.cli.agreement import digest_in
from node.cli.files import write_bytes
from node.cli.options import (
    IdOption,
    JsonOption,
    LimitOption,
    NodeOption,
    PartnerArgument,
    PartnerOption,
    TokenOption,
    connect,
    fresh_id,
    parse_uuid,
)
from node.cli.output import money, print_facts, print_json, print_line, print_table, print_written
from node.cli.request import JsonObject, post, write
from node.cli.terms import parse_price
from node.cli.window import LIMIT, WindowArgument
from node.client.settlement_answers import (
    ProposedStatement,
    ProposedStatementList,
    StatementList,
    StatementRow,
    StatementState,
)
from protocol.encoding import JsonValue
from protocol.statement import Statement

app: Final = typer.Typer(no_args_is_help=True, help="Settlement statements: agreed, paid, confirmed.")

_ADJUST: Final = (
    "How a line in dispute ends: the conversion's id, then :upheld, :waived, or :MONEY that is billed. A line that was "
    "billed is given back by :taken_back, or :taken_back:MONEY for a part of it."
)
_PROPOSAL: Final = "Agree to this proposal of the partner, with the adjustments that it lists, as proposals prints it."
_UNCHECKED: Final = "Sign although the partner's log cannot be read to check the checkpoint that it states."
_TAKEN_BACK: Final = "taken_back"
_ENDINGS: Final = ("upheld", "waived", _TAKEN_BACK)


def parse_digest_argument(text: str) -> str:
    """Return `text` if it is a digest."""
    if digest_in(text) is None:
        raise typer.BadParameter(f"{text!r} is no digest of 64 lowercase hex digits")
    return text


DigestArgument: TypeAlias = Annotated[
    str, typer.Argument(parser=parse_digest_argument, metavar="DIGEST", help="As statement list prints it.")
]


@app.command("list")
def list_statements(
    *,
    partner: PartnerOption = None,
    limit: LimitOption = LIMIT,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """List agreed statements, latest first."""
    with connect(node, token_file) as client:
        ledger = None if partner is None else client.partner(partner).ledger
        reply = client.get("/v1/statements", {"partner": ledger, "limit": limit})
    if as_json:
        print_json(reply.data)
        return
    rows = reply.read(StatementList).statements
    print_table(("partner", "window", "state", "payer", "amount", "due", "digest"), map(_row, rows))


def _row(row: StatementRow) -> tuple[str | int | None, ...]:
    return row.partner, row.window, row.state, row.payer, _amount(row), row.due_at, row.digest


def _amount(row: StatementRow) -> str:
    return money(int(row.minor_units) * row.minor_unit, row.currency)


@app.command()
def show(
    digest: DigestArgument,
    *,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the lines here.")] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page to print here.")] = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Show what a statement says, or write its lines or a page to a file."""
    path = f"/v1/statements/{digest}"
    with connect(node, token_file) as client:
        for form, file in (("csv", csv), ("html", html)):
            if file is not None:
                write_bytes(file, client.get(path, {"format": form}).data)
                print_line(f"wrote {file}")
        if csv is not None or html is not None:
            return
        reply = client.get(path)
    if as_json:
        print_json(reply.data)
    else:
        _print(reply.read(StatementState))


def _print(state: StatementState) -> None:
    statement = state.signed.statement
    facts: list[tuple[str, str | int | None]] = [
        ("partner", state.partner),
        ("window", state.window),
        ("state", state.state),
        ("payer", statement.payer),
        ("amount", money(int(statement.minor_units) * statement.minor_unit, statement.currency)),
        ("carried on", money(int(statement.carry), statement.currency)),
        ("due", statement.due_at),
    ]
    print_facts(facts)
    print_line("")
    rows = [
        (
            f"{bill.source} to {bill.destination}",
            bill.totals.count,
            money(int(bill.totals.value), statement.currency),
            len(bill.disputed),
            len(bill.adjustments),
        )
        for bill in statement.directions
    ]
    print_table(("direction", "conversions", "worth", "in dispute", "adjusted"), rows)
    _print_lines(statement)


def _print_lines(statement: Statement) -> None:
    lines = [
        (what, line.id, f"{line.window}/{line.dec_seq}", line.reason, money(line.value, statement.currency))
        for bill in statement.directions
        for what, listed in (("in dispute", bill.disputed), ("adjusted", bill.adjustments))
        for line in listed
    ]
    if lines:
        print_line("")
        print_table(("what", "conversion", "window/number", "reason", "worth"), lines)


@app.command()
def proposals(
    *,
    partner: PartnerOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """List statements that one party alone has signed, with what each lists as disputed and adjusted."""
    with connect(node, token_file) as client:
        ledger = None if partner is None else client.partner(partner).ledger
        reply = client.get("/v1/statements/proposals", {"partner": ledger})
    if as_json:
        print_json(reply.data)
        return
    rows = reply.read(ProposedStatementList).proposals
    print_table(("partner", "window", "signed by", "amount", "in dispute", "adjusted", "digest"), map(_proposal, rows))


def _proposal(row: ProposedStatement) -> tuple[str | int | None, ...]:
    statement = row.signed.statement
    amount = money(int(statement.minor_units) * statement.minor_unit, statement.currency)
    disputed, adjusted = (
        sum(map(len, found))
        for found in zip(*((bill.disputed, bill.adjustments) for bill in statement.directions), strict=True)
    )
    return row.partner, row.window, row.by, amount, disputed, adjusted, row.digest


@app.command()
def agree(
    partner: PartnerArgument,
    *,
    window: Annotated[int | None, typer.Option(min=1, help="Its number, if not the next one.")] = None,
    adjust: Annotated[list[str] | None, typer.Option(metavar="ID:HOW", help=_ADJUST)] = None,
    proposal: Annotated[
        str | None, typer.Option(parser=parse_digest_argument, metavar="DIGEST", help=_PROPOSAL)
    ] = None,
    unchecked: Annotated[bool, typer.Option("--unchecked", help=_UNCHECKED)] = False,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Sign now what the node would sign by itself: propose the next statement, or agree to the partner's."""
    adjustments: JsonValue = [_adjustment(each) for each in adjust or []]
    with connect(node, token_file) as client:
        body: JsonObject = {
            "partner": client.partner(partner).ledger,
            "window": window,
            "adjustments": adjustments,
            "proposal": proposal,
            "unchecked": unchecked or None,
        }
        reply = client.post("/v1/statements", body)
    print_written(reply, as_json=as_json, said="signed")


def _adjustment(text: str) -> JsonValue:
    conversion, _, how = text.partition(":")
    reason, _, value = how.partition(":")
    ending: JsonObject = {"conversion": parse_uuid(conversion), "reason": reason}
    if reason not in _ENDINGS:
        ending |= {"reason": "reduced", "value": parse_price(how)}
    elif value:
        if reason != _TAKEN_BACK:
            raise typer.BadParameter(f"{text!r}: {reason} has no value of its own")
        ending |= {"value": parse_price(value)}
    return ending


@app.command()
def pay(
    digest: DigestArgument,
    *,
    reference: Annotated[str, typer.Option(metavar="TEXT", help="By which the payee finds the money.")],
    request: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Tell the partner that the money of a statement is on its way."""
    body: JsonObject = {"id": fresh_id(request), "reference": reference}
    said = "the partner is told that the money is on its way"
    write(node, token_file, f"/v1/statements/{digest}/payment", body, as_json=as_json, said=said)


@app.command("return")
def send_back(
    digest: DigestArgument,
    *,
    request: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Note that the money of a statement, which was sent from here, came back: it is due again."""
    body: JsonObject = {"id": fresh_id(request)}
    said = "the money is due again; pay it anew"
    write(node, token_file, f"/v1/statements/{digest}/return", body, as_json=as_json, said=said)


@app.command()
def confirm(
    digest: DigestArgument,
    *,
    request: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Tell the partner that its money has arrived."""
    body: JsonObject = {"id": fresh_id(request)}
    said = "the partner is told that the money has arrived"
    write(node, token_file, f"/v1/statements/{digest}/confirmation", body, as_json=as_json, said=said)


@app.command()
def dispute(
    partner: PartnerArgument,
    window: WindowArgument,
    conversions: Annotated[
        list[str], typer.Argument(parser=parse_uuid, metavar="ID...", help="Conversions to leave out of the bill.")
    ],
    *,
    received: Annotated[bool, typer.Option("--received", help="They are the partner's conversions, not ours.")] = False,
    reason: Annotated[
        str, typer.Option(metavar="WORD", help="missing, terms, not_credited, rejected, late or other.")
    ] = "other",
    enter: Annotated[
        bool, typer.Option("--enter", help="Enter those of our conversions that the partner alone has shown.")
    ] = False,
    request: IdOption = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Leave conversions out of a window's statement until their dispute ends."""
    lines: JsonValue = [str(each) for each in conversions]
    with connect(node, token_file) as client:
        body: JsonObject = {
            "id": fresh_id(request),
            "partner": client.partner(partner).ledger,
            "window": window,
            "direction": "in" if received else "out",
            "lines": lines,
            "reason": reason,
            "enter": enter or None,
        }
        reply = post(client, "/v1/windows/disputes", body)
    print_written(reply, as_json=as_json, said="left out of the bill")
