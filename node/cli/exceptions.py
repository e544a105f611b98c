"""`tallystick exceptions`: what an operator should look at, and what to do."""

from typing import Annotated, Final

import typer

from node.cli.options import JsonOption, NodeOption, TokenOption, connect
from node.cli.output import money, print_json, print_line, print_table
from node.client.answers import ExceptionList, ExceptionRow

OLDER_THAN_SECONDS: Final = 600


def exceptions(
    *,
    older_than: Annotated[
        int, typer.Option(metavar="SECONDS", min=0, help="From when a pending conversion is stuck.")
    ] = OLDER_THAN_SECONDS,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """List conversions and partners that do not go as they should, with age, amount and what to do."""
    with connect(node, token_file) as client:
        reply = client.get("/v1/exceptions", {"older_than_seconds": older_than})
    if as_json:
        print_json(reply.data)
        return
    found = reply.read(ExceptionList)
    if not found.exceptions:
        print_line("nothing to look at")
        return
    print_table(("what", "partner", "about", "age", "points", "worth", "do"), map(_row, found.exceptions))
    if found.more:
        print_line("there are more than are listed")


def _row(row: ExceptionRow) -> tuple[str | int | None, ...]:
    what = row.kind.replace("_", " ") + (f" ({row.reason})" if row.reason else "")
    worth = None if row.currency is None else money(row.value, row.currency)
    about = row.conversion or row.about or (None if row.window is None else f"window {row.window}")
    to_do = row.to_do if row.evidence is None else f"tallystick evidence export {row.evidence} FILE; {row.to_do}"
    return what, row.partner, about, age(row.age_seconds), row.points or None, worth, to_do


def age(seconds: int | None) -> str | None:
    """Return an age in its two largest units."""
    if seconds is None:
        return None
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, left = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    first = next((place for place, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2])
