"""`tallystick agreement check`: loops that multiply points, and ways around that beat a direct rate."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from node.cli.failures import HELD, REFUSED, stop
from node.cli.files import read_bytes
from node.cli.options import JsonOption, connect, parse_node
from node.cli.output import print_json, print_line
from node.cli.request import JsonObject
from node.client.answers import Finding, RateReport
from node.kinds import known
from node.services.conversions.rate_checks import report_of
from protocol.agreement import decode_signed_agreement

_ENCODER: Final = msgspec.json.Encoder()

FilesArgument = Annotated[
    list[Path] | None, typer.Argument(metavar="FILE...", help="Signed agreements or proposals; without, ask the node.")
]


def check(
    files: FilesArgument = None,
    *,
    proposal: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="A proposal that the node keeps, to be counted too.")
    ] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="Count only what holds at this time.")] = None,
    as_json: JsonOption = False,
    node: Annotated[
        str | None,
        typer.Option("--node", envvar="TALLYSTICK_NODE", parser=parse_node, metavar="URL", help="URL of the node."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file", envvar="TALLYSTICK_TOKEN_FILE", metavar="FILE", help="File that holds the credential."
        ),
    ] = None,
) -> None:
    """Check rates side by side, in exact fractions: exit status 1 when points can be multiplied."""
    if files:
        data = checked_files(files, at=at)
    elif node is None:
        raise typer.BadParameter("give files of agreements, or a node")
    else:
        body: JsonObject = {"digest": proposal, "at": at}
        with connect(node, token_file) as client:
            data = client.post("/v1/agreements/check", body).data
    report = msgspec.json.decode(data, type=known(RateReport))
    if as_json:
        print_json(data)
    else:
        print_report(report)
    stop(REFUSED if report.multiplies else HELD)


def checked_files(files: Sequence[Path], *, at: str | None) -> bytes:
    """Return the report on the agreements in `files`, as a node would answer it, or raise a `ProtocolError`."""
    agreements = [decode_signed_agreement(read_bytes(path)).agreement for path in files]
    return _ENCODER.encode(report_of(agreements, None, at=at))


def print_report(report: RateReport) -> None:
    """Print what was found, one way a line, and last what it means."""
    for finding in report.findings:
        print_line(sentence(finding))
    loops = sum(finding.kind == "loop" for finding in report.findings)
    detours = len(report.findings) - loops
    print_line(f"{report.agreements} agreements: {loops} loops multiply points, {detours} ways around beat a rate")


def sentence(finding: Finding) -> str:
    """Return a way through the rates in words."""
    steps = ", ".join(
        f"{rate.gives:,}:{rate.gets:,}" + (f" ({rate.promotion})" if rate.promotion else "") for rate in finding.rates
    )
    way = " > ".join(finding.path)
    if finding.direct is None:
        return f"loop: {way} multiplies points by {finding.ratio} (steps {steps})"
    return f"detour: {way} gives {finding.ratio}, more than {finding.direct.gives:,}:{finding.direct.gets:,} directly"
