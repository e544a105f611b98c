"""`tallystick explain`: what a code means and what to do about it, without a node."""

import sys
from difflib import get_close_matches
from functools import cache
from typing import Annotated

import msgspec
import typer

from node.cli.catalogue import ROWS
from node.cli.failures import REFUSED, stop
from node.cli.options import JsonOption
from node.cli.output import print_facts, print_json, print_line, print_table


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A code, the `type` of its problem documents, what it means, and what to do."""

    code: str
    type: str
    meaning: str
    to_do: str


@cache
def catalogue() -> dict[str, Explanation]:
    """Return every code that a node, an audit or a document is refused with."""
    found = (row.split(" | ") for row in ROWS.splitlines())
    return {
        code: Explanation(code=code, type=f"urn:tallystick:problem:{code}", meaning=meaning, to_do=to_do)
        for code, meaning, to_do in found
    }


def explain(
    code: Annotated[
        str | None, typer.Argument(metavar="CODE", help="A code, or the type of a problem; else all.")
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Say what a code means and what to do about it; needs no node."""
    if code is None:
        _print_all(as_json=as_json)
        return
    name = code.strip().lower().rpartition(":")[2]
    found = catalogue().get(name)
    if found is None:
        near = ", ".join(get_close_matches(name, catalogue(), n=3))
        said = f"there is no code {name}{f'; do you mean {near}?' if near else ''}"
        if as_json:  # Whoever reads JSON finds none.
            sys.stderr.write(said + "\n")
        else:
            print_line(said)
        stop(REFUSED)
    elif as_json:
        print_json(msgspec.json.encode(found))
    else:
        print_facts(
            [("code", found.code), ("type", found.type), ("meaning", found.meaning), ("what to do", found.to_do)]
        )


def _print_all(*, as_json: bool) -> None:
    every = tuple(catalogue().values())
    if as_json:
        print_json(msgspec.json.encode(every))
    else:
        print_table(("code", "meaning", "what to do"), ((each.code, each.meaning, each.to_do) for each in every))
