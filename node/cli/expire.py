"""`tallystick expire`: post points whose last day has passed, or only tell what would be posted."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec
import typer

from node.cli.options import JsonOption, NodeOption, TokenOption, connect
from node.cli.output import print_json, print_line, print_table
from node.cli.request import JsonObject
from node.client import NodeClient
from node.client.expiring import ExpiryPage

PAUSE_SECONDS: Final = 0.02
"""How long others' writes have the node's writer to themselves after each page."""

_PROGRESS_PAGES: Final = 50


class _Totals:
    """The pages of a run, summed."""

    def __init__(self) -> None:
        self.as_of = ""
        self.sums: Counter[str] = Counter()
        self.lots: Counter[str] = Counter()
        self.points: Counter[str] = Counter()

    def add(self, page: ExpiryPage) -> None:
        self.as_of = page.as_of
        self.sums.update({"entries": page.entries, "refused": page.refused, "lots": page.lots, "points": page.points})
        for each in page.months:
            self.lots[each.month] += each.lots
            self.points[each.month] += each.points

    def document(self, *, dry_run: bool) -> JsonObject:
        return {
            "as_of": self.as_of,
            "dry_run": dry_run,
            **{name: self.sums[name] for name in ("entries", "lots", "points", "refused")},
            "months": [
                {"month": month, "lots": lots, "points": self.points[month]}
                for month, lots in sorted(self.lots.items())
            ],
        }


def expire(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be posted.")] = False,
    as_of: Annotated[
        str | None, typer.Option(metavar="DATE", help="Post what expired before that day; today if left out.")
    ] = None,
    as_json: JsonOption = False,
    node: NodeOption,
    token_file: TokenOption,
) -> None:
    """Post points whose last day has passed to breakage. Whatever interrupts it, the same command goes on."""
    totals = _Totals()
    with connect(node, token_file) as client:
        pages = client.preview_expiry(as_of=as_of) if dry_run else _posted(client, as_of)
        for number, page in enumerate(pages, start=1):
            totals.add(page)
            if not as_json and not number % _PROGRESS_PAGES:
                sys.stderr.write(f"{totals.sums['lots']:,} lots, {totals.sums['points']:,} points\n")
    if as_json:
        print_json(msgspec.json.encode(totals.document(dry_run=dry_run)))
        return
    _print(totals, dry_run=dry_run)


def _posted(client: NodeClient, as_of: str | None) -> Iterator[ExpiryPage]:
    for page in client.expire(as_of=as_of):
        yield page
        if page.next is not None:
            time.sleep(PAUSE_SECONDS)


def _print(totals: _Totals, *, dry_run: bool) -> None:
    done = "would be posted" if dry_run else "posted"
    if totals.lots:
        rows = [(month, lots, totals.points[month]) for month, lots in sorted(totals.lots.items())]
        print_table(("month", "lots", "points"), rows)
    sums = totals.sums
    print_line(f"{done} as of {totals.as_of}: {sums['points']:,} points in {sums['lots']:,} lots")
    if sums["refused"]:
        print_line(f"passed over: {sums['refused']:,} accounts that are not open")
