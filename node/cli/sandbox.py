"""`tallystick sandbox`: a partner to try every path with, also those that should never happen."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from node.cli.output import print_line, print_table

PORT: Final = 8_490


def sandbox(
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The sandbox's directory; made at the first start.")
    ] = None,
    *,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")] = PORT,
    table: Annotated[bool, typer.Option("--table", help="Print what it answers to which amounts, and end.")] = False,
) -> None:
    """Serve a partner node whose answers are scripted by amount, until it is asked to stop (Ctrl-C, or SIGTERM)."""
    from node.app.sandbox import guide, make_sandbox, script_rows, serve_sandbox  # noqa: PLC0415 - as `serve`

    if table:
        rows = [(f"..{ending:02d}", does, leads_to) for ending, does, leads_to in script_rows()]
        print_table(("steps", "the sandbox", "leads to"), [*rows, ("else", "decides by the rules", "completed")])
        return
    if directory is None:
        raise typer.BadParameter("DIR is missing")
    make_sandbox(directory, port=port)

    def ready(url: str) -> None:
        print_line(guide(directory, url))
        sys.stdout.flush()

    serve_sandbox(directory, port=port, on_ready=ready)
