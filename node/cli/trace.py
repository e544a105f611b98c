"""`tallystick trace`: where a conversion is, on both sides, and what proves it."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from node.cli.files import write_bytes
from node.cli.options import JsonOption, NodeOption, TokenOption, UuidArgument, connect
from node.cli.output import money, print_facts, print_json, print_line, print_table
from node.client.event_answers import TraceAnswer, TraceSettled


def trace(
    conversion: UuidArgument,
    *,
    source: Annotated[
        str | None, typer.Option("--from", metavar="PARTNER", help="The partner that it came from.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write what proves it: tallystick verify FILE.")
    ] = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Tell the whole path of a conversion from either side: what was signed, where it is billed, who is waited for."""
    with connect(node, token_file) as client:
        ledger = None if source is None else client.partner(source).ledger
        reply = client.get(f"/v1/conversions/{conversion}/trace", {"source": ledger})
    found = reply.read(TraceAnswer)
    if out is not None:
        write_bytes(out, msgspec.json.encode(found.evidence, order="sorted"))
    if as_json:
        print_json(reply.data)
        return
    _print(found)
    if out is not None:
        print_line(f"what proves it: {out}")


def _print(found: TraceAnswer) -> None:
    print_facts(
        (
            ("conversion", found.conversion),
            ("from", found.source),
            ("to", found.destination),
            ("account here", found.account),
            ("state", found.state),
        )
    )
    rows = ((step.at, _side(found, step.side), step.entry, step.what) for step in found.steps)
    print_table(("time", "where", "entry", "what happened"), rows)
    said = ((each.way, each.kind, "no answer yet" if each.waits else None, each.digest) for each in found.messages)
    print_table(("message", "kind", "waits", "digest"), said)
    for shown in found.partner_log:
        print_line(f"the partner's entry {shown.entry}: {shown.outcome}; {shown.detail}")
    if found.settlement is not None:
        print_line(_settled(found.settlement))
    heard = found.last_contact or "never since this node started"
    print_line(f"the partner was heard of last: {heard}" + (f" ({found.last_failure})" if found.last_failure else ""))
    print_line(f"waiting for: {found.waiting_for or 'nothing'}" + (f" -- {found.to_do}" if found.to_do else ""))


def _side(found: TraceAnswer, side: str) -> str:
    ours, theirs = found.source, found.destination
    if found.direction == "in":
        ours, theirs = theirs, ours
    return (ours if side == "us" else theirs).partition("/")[0]


def _settled(line: TraceSettled) -> str:
    billed = "not billed yet" if line.billed is None else f"billed with {money(line.billed, line.currency)}"
    dispute = f", in dispute ({line.dispute})" if line.dispute else ""
    statement = f", statement {line.statement}" if line.statement else ""
    return f"settlement: line {line.dec_seq} of window {line.window} ({line.state}), {billed}{dispute}{statement}"
