"""`tallystick evidence`: what partners have signed that proves misconduct, to keep and to show to others."""

from pathlib import Path
from typing import Annotated, Final

import typer

from node.cli.files import write_bytes
from node.cli.options import JsonOption, NodeOption, TokenOption, connect
from node.cli.output import print_json, print_line, print_table
from node.client.answers import EvidencePage

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
