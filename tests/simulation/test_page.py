"""The page about the simulation names what there is."""

import re
from pathlib import Path

from scripts.simulation.__main__ import parse_arguments
from scripts.simulation.invariants import Invariant
from scripts.simulation.mutations import MUTATIONS

PAGE = (Path(__file__).resolve().parents[2] / "specs" / "simulation.md").read_text(encoding="utf-8")


def rows(section: str) -> list[list[str]]:
    """Return the cells of a section's table, without its head."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"]
    return cells[2:]


def test_the_page_lists_every_invariant() -> None:
    assert [row[0] for row in rows("3. Invariants")] == [f"`{each}`" for each in Invariant]


def test_the_page_lists_every_mutation_with_what_it_replaces_and_shows() -> None:
    listed = {row[0]: (row[1], row[3]) for row in rows("4. Mutations")}
    expected = {}
    for name, one in MUTATIONS.items():
        place = f"{one.owner.__name__}.{one.name}" if isinstance(one.owner, type) else one.name
        expected[f"`{name}`"] = (f"`{place}`", f"`{one.shows}`")
    assert listed == expected


def test_the_page_lists_every_option() -> None:
    (table,) = re.findall(r"\| option \|.*?\n\n", PAGE, re.DOTALL)
    listed = {name.replace("-", "_") for name in re.findall(r"`--([a-z]+)", table)}
    assert listed == set(vars(parse_arguments([])))
