"""`tallystick verify`: check one file offline, a receipt, a message, an agreement or evidence."""

from pathlib import Path
from typing import Annotated, Final

import typer

from node.cli.audit_options import PolicyOption, VkeyOption, parse_vkeys, read_agreements, read_policy
from node.cli.failures import stop
from node.cli.files import DocumentArgument, read_bytes
from node.cli.options import JsonOption
from node.cli.output import print_json, print_line
from protocol.audit.findings import EXIT_STATUS, Verdict
from protocol.audit.verify import Verification, verify_file

HEADLINES: Final = {Verdict.HELD: "Held", Verdict.BROKEN: "DISPROVED", Verdict.INCOMPLETE: "Could not check"}


def verify(
    file: DocumentArgument,
    *,
    vkeys: VkeyOption = None,
    agreements: Annotated[
        list[Path] | None,
        typer.Option("--agreement", metavar="FILE", help="An agreement whose parties' keys you know to be right."),
    ] = None,
    policy: PolicyOption = None,
    answers: Annotated[
        list[Path] | None,
        typer.Option("--answer", metavar="FILE", help="What the accused answers to the evidence (evidence answer)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a receipt, a message, an agreement or evidence, with public keys alone and no server.

    Exit status 0: it held. 1: it is disproved. 3: it could not be checked.
    """
    verifiers = parse_vkeys(vkeys)
    known = read_agreements(agreements)
    result = verify_file(
        read_bytes(file),
        verifiers=verifiers,
        agreements=known,
        policy=read_policy(policy),
        answers=[read_bytes(answer) for answer in answers or []],
    )
    tell(result, as_json=as_json)
    stop(EXIT_STATUS[result.verdict])


def tell(result: Verification, *, as_json: bool) -> None:
    """Say what the check of a file came to."""
    if as_json:
        print_json(result.json())
        return
    print_line(f"{HEADLINES[result.verdict]}: {result.kind or 'unknown file'}")
    for line in result.lines:
        print_line(f"  {line}")
