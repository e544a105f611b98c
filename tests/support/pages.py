"""The public pages in `specs/` as tests read them: the tables under each heading."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

SPECS: Final = Path(__file__).resolve().parents[2] / "specs"

Row: TypeAlias = Mapping[str, str]
Table: TypeAlias = Sequence[Row]

_CELL: Final = re.compile(r"(?<!\\)\|")


def page(name: str) -> str:
    """Return the text of a page."""
    return (SPECS / f"{name}.md").read_text(encoding="utf-8")


def tables(name: str) -> dict[str, list[Table]]:
    """Return the tables of a page under each heading, without the heading's marks; a row maps column to cell."""
    found: dict[str, list[Table]] = {"": []}
    heading, block = "", list[str]()
    for line in [*page(name).splitlines(), ""]:
        if line.startswith("|"):
            block.append(line)
            continue
        if block:
            found[heading].append(_table(block))
            block = []
        if line.startswith("#"):
            heading = line.lstrip("# ")
            found[heading] = []
    return found


def table(name: str, heading: str) -> Table:
    """Return the only table under a heading."""
    (only,) = tables(name)[heading]
    return only


def code(cell: str) -> str:
    """Return what a cell holds between backticks, with escaped bars as they are meant."""
    return cell.strip("`").replace("\\|", "|")


def _table(block: Sequence[str]) -> Table:
    rows = [[cell.strip() for cell in _CELL.split(line)[1:-1]] for line in block]
    columns, marks, *lines = rows
    assert set(marks) == {"---"}, block[0]
    assert {len(line) for line in lines} <= {len(columns)}, block[0]
    return [dict(zip(columns, line, strict=True)) for line in lines]
