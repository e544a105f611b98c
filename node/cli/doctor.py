"""`tallystick doctor`: look a node over, and say what to do."""

from typing import Annotated

import msgspec
import typer

from node.cli.failures import HELD, REFUSED, stop
from node.cli.options import DirectoryArgument, JsonOption
from node.cli.output import print_json, print_line, print_table


def doctor(
    directory: DirectoryArgument,
    *,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask nobody else: no partner, no witness, no node.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at what an operator would look at first: keys, disk, database, clock, partners; nothing is changed.

    Exit status 0: nothing hurts now. 1: something does.
    """
    from node.app.doctor import Health, examine  # noqa: PLC0415 - so that other commands start without it

    checks = list(examine(directory, offline=offline))
    if as_json:
        print_json(msgspec.json.encode({"checks": checks}))
    else:
        print_table(("check", "", "found"), [(each.name, each.health.value, each.found) for each in checks])
        for each in checks:
            if each.advice is not None:
                print_line(f"{each.name}: {each.advice}")
    stop(REFUSED if any(each.health is Health.BAD for each in checks) else HELD)
