"""`tallystick window`: settlement windows with partners."""

from typing import Annotated, Final

import typer

from node.cli.options import JsonOption, LimitOption, NodeOption, PartnerArgument, PartnerOption, TokenOption, connect
from node.cli.output import MILLIONTHS, money, print_json, print_line, print_table, print_written
from node.client import Query
from node.client.settlement_answers import (
    DifferenceList,
    DifferenceRow,
    WindowLine,
    WindowLineList,
    WindowList,
    WindowRow,
)

app: Final = typer.Typer(no_args_is_help=True, help="Settlement windows with partners.")

LIMIT: Final = 30
WindowArgument = Annotated[int, typer.Argument(metavar="WINDOW", min=1, help="Its number, as window list prints it.")]


@app.command("list")
def list_windows(
    *,
    partner: PartnerOption = None,
    limit: LimitOption = LIMIT,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """List windows with what was converted in them, latest first."""
    with connect(node, token_file) as client:
        ledger = None if partner is None else client.partner(partner).ledger
        reply = client.get("/v1/windows", {"partner": ledger, "limit": limit})
    if as_json:
        print_json(reply.data)
        return
    columns = ("partner", "window", "state", "opened", "sent", "worth", "received", "worth", "statement")
    print_table(columns, map(_row, reply.read(WindowList).windows))


def _row(row: WindowRow) -> tuple[str | int | None, ...]:
    sent, received = row.sent, row.received
    return (
        row.partner, row.window, row.state, row.opened_at, sent.count, plain(sent.value), received.count,
        plain(received.value), row.statement or row.proposed,
    )  # fmt: skip


def plain(millionths: str) -> str:
    """Return a decimal text of millionths as an amount, exactly."""
    whole, rest = divmod(int(millionths), MILLIONTHS)
    return f"{whole:,}.{f'{rest:06d}'.rstrip('0').ljust(2, '0')}"


@app.command()
def close(
    partner: PartnerArgument,
    window: WindowArgument,
    *,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Close an open window before its time; the partner's node answers with its own close."""
    with connect(node, token_file) as client:
        reply = client.post("/v1/windows/close", {"partner": client.partner(partner).ledger, "window": window})
    print_written(reply, as_json=as_json, said=f"window {window} is closed here")


@app.command()
def lines(
    partner: PartnerArgument,
    window: WindowArgument,
    *,
    received: Annotated[
        bool, typer.Option("--received", help="Conversions from the partner, not those to it.")
    ] = False,
    after: Annotated[int | None, typer.Option(min=1, metavar="NUMBER", help="Those after this one.")] = None,
    limit: LimitOption = LIMIT,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """List what was credited in one direction of a window, also while it is open."""
    with connect(node, token_file) as client:
        ledger, direction = client.partner(partner).ledger, "in" if received else "out"
        place: Query = {"partner": ledger, "window": window, "direction": direction}
        reply = client.get("/v1/windows/lines", {**place, "after": after, "limit": limit})
    if as_json:
        print_json(reply.data)
        return
    found = reply.read(WindowLineList)
    columns = ("number", "conversion", "points", "fee", "gives", "value", "in dispute")
    print_table(columns, map(_line, found.lines))
    if found.next is not None:
        print_line(f"more with --after {found.next}")


def _line(row: WindowLine) -> tuple[str | int | None, ...]:
    line, dispute = row.line, row.dispute and row.dispute.replace("_", " ")
    return (
        row.dec_seq, row.conversion, line.source_points, line.fee_points, line.destination_points,
        money(line.value, line.currency), dispute,
    )  # fmt: skip


@app.command()
def differences(
    partner: PartnerArgument,
    window: WindowArgument,
    *,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Show the lines of a window that the two sides have otherwise, or that one of them lacks, and what to do."""
    with connect(node, token_file) as client:
        ledger = client.partner(partner).ledger
        reply = client.get("/v1/windows/differences", {"partner": ledger, "window": window})
    if as_json:
        print_json(reply.data)
        return
    found = reply.read(DifferenceList)
    if found.reason is not None:
        print_line(f"window {window} cannot be compared yet ({found.reason.replace('_', ' ')}): {found.to_do}")
    if found.differences:
        columns = ("source", "number", "conversion", "what", "ours", "theirs", "do")
        print_table(columns, map(_difference, found.differences))
    elif found.reason is None:
        print_line("no line differs, as far as both sides have shown theirs")
    if found.more:
        print_line("there are more than are listed")


def _difference(row: DifferenceRow) -> tuple[str | int | None, ...]:
    ours, theirs = (None if one is None else money(one.value, one.currency) for one in (row.ours, row.theirs))
    return row.source, row.dec_seq, row.conversion, row.reason.replace("_", " "), ours, theirs, row.to_do
