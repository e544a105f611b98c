"""`tallystick evidence`: what partners have signed that proves misconduct, to keep and to show to others."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Final

import typer

from node.cli.audit_options import AgreementsOption, VkeyOption, parse_vkeys, read_agreements
from node.cli.files import DocumentArgument, read_bytes, write_bytes
from node.cli.options import JsonOption, NodeOption, TokenOption, connect
from node.cli.output import print_json, print_line, print_table
from node.client import read_token
from node.client.answers import EvidencePage
from node.peers.log_source import open_source
from node.services.audits.auditing import pages_of
from protocol.audit.evidence import decode_evidence, prove
from protocol.audit.fenced import answer_to, encode_fenced, fences_of, words_of
from protocol.audit.known import KnownKeys
from protocol.errors import CouldNotCheck

app: Final = typer.Typer(no_args_is_help=True, help="Look at evidence against partners, and write it to files.")


@app.command("list")
def list_evidence(
    *,
    before: Annotated[int | None, typer.Option(metavar="CURSOR", help="The page after: those before this.")] = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """List the evidence against partners, the newest first."""
    with connect(node, token_file) as client:
        reply = client.get("/v1/evidence", {} if before is None else {"before": before})
    if as_json:
        print_json(reply.data)
        return
    page = reply.read(EvidencePage)
    if not page.evidence:
        print_line("no partner has signed anything that proves misconduct")
        return
    rows = [(row.digest, row.partner, row.subject, row.conversion or row.name, row.found_at) for row in page.evidence]
    print_table(("evidence", "against", "about", "which", "found"), rows)
    if page.next is not None:
        print_line(f"more with --before {page.next}")


@app.command("export")
def export_evidence(
    digest: Annotated[str, typer.Argument(metavar="EVIDENCE", help="As it is listed.")],
    out: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")],
    *,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Write one file of evidence; `verify` checks it with public keys alone and no server."""
    with connect(node, token_file) as client:
        write_bytes(out, client.get(f"/v1/evidence/{digest}").data)
    print_line(f"wrote the evidence {digest}: {out}")


@app.command("answer")
def answer_evidence(
    file: DocumentArgument,
    place: Annotated[str, typer.Argument(metavar="URL|PACKAGE", help="The accused node, or its audit package.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Where to write the answer.")],
    *,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", envvar="TALLYSTICK_TOKEN_FILE", metavar="FILE", help="Auditor's token for URL."),
    ] = None,
    vkeys: VkeyOption = None,
    agreements: AgreementsOption = None,
) -> None:
    """Answer evidence with what its maker signed: that it had never applied the message that it shows.

    For a ledger that lost its store with a message that its partner did not give back.
    """
    evidence = decode_evidence(read_bytes(file))
    known = KnownKeys(verifiers=tuple(parse_vkeys(vkeys)), agreements=read_agreements(agreements))
    prove(evidence, known)
    makers = {word.envelope.header().receiver for word in words_of(evidence)}
    with closing(open_source(place, token=None if token_file is None else read_token(token_file))) as source:
        fences = [fence for maker in sorted(makers) for fence in fences_of(pages_of(source), maker)]
    found = answer_to(evidence, fences, known)
    if found is None:
        raise CouldNotCheck("nothing there says that a message in this evidence was never applied: it stands")
    write_bytes(out, encode_fenced(found))
    print_line(f"wrote the answer, for verify --answer: {out}")
