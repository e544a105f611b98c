"""`tallystick journal` and `reconcile`: files for the books, and the comparison with a partner's."""

import sys
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import msgspec
import typer

from node.cli.failures import REFUSED, stop
from node.cli.files import read_bytes, write_bytes
from node.cli.importing import parse_day
from node.cli.options import JsonOption, NodeOption, PartnerArgument, TokenOption
from node.cli.output import print_json, print_line, print_table
from node.client import PATIENT, NodeClient, read_token
from protocol.settlement.daily import DailyDifference, DailyFile, compare_daily, decode_daily

PER: Final = ("entry", "day")

FileOption: TypeAlias = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the file here, not to the screen.")
]


def parse_per(text: str) -> str:
    """Return `text` if it is how lines are grouped."""
    if text not in PER:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(PER)}")
    return text


def journal(
    *,
    first_day: Annotated[str, typer.Option("--from", parser=parse_day, metavar="DATE", help="The first day, UTC.")],
    last_day: Annotated[str, typer.Option("--to", parser=parse_day, metavar="DATE", help="The last day.")],
    per: Annotated[
        str, typer.Option(parser=parse_per, metavar="entry|day", help="A line for each entry, or for each day.")
    ] = PER[0],
    out: FileOption = None,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Write the accounting journal as CSV: debits and credits by account, partner-funded points apart from own."""
    with _client(node, token_file) as client:
        data = client.journal(first_day=first_day, last_day=last_day, per=per)
    _write(data, out)


def reconcile(
    partner: PartnerArgument,
    *,
    day: Annotated[
        str, typer.Option("--date", parser=parse_day, metavar="DATE", help="The day of the decisions, UTC.")
    ],
    out: FileOption = None,
    compare: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The partner's file of the same day: say where they differ.")
    ] = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Write the daily file of a partner: every conversion of a day, both ways, with control totals.

    With --compare, differences from the partner's own file are listed, and the exit status is 1 if there are any.
    """
    theirs = None if compare is None else decode_daily(read_bytes(compare))
    with _client(node, token_file) as client:
        data = client.reconciliation(client.partner(partner).ledger, day)
    if out is not None or theirs is None:
        _write(data, out)
    if theirs is not None:
        _compare(decode_daily(data), theirs, as_json=as_json)


def _compare(ours: DailyFile, theirs: DailyFile, *, as_json: bool) -> None:
    found = compare_daily(ours, theirs)
    if as_json:
        print_json(msgspec.json.encode({"day": ours.day, "lines": len(ours.lines), "differences": found}))
    elif found:
        print_table(("source", "conversion", "what", "ours and theirs"), map(_row, found))
    else:
        print_line(f"both sides have the same {len(ours.lines)} conversions of {ours.day}")
    stop(REFUSED if found else 0)


def _row(difference: DailyDifference) -> tuple[str, str, str, str]:
    fields = "; ".join(
        f"{name}: {ours or 'nothing'} and {theirs or 'nothing'}" for name, ours, theirs in difference.fields
    )
    return difference.source, difference.conversion, difference.fault.value, fields


def _client(node: str, token_file: Path) -> NodeClient:
    return NodeClient(node, token=read_token(token_file), retries=PATIENT)


def _write(data: bytes, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(data.decode())
        return
    write_bytes(out, data)
    print_line(f"wrote {out}")
