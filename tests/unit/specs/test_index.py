"""The index of the specification names every page, and every page it names exists."""

import re
from pathlib import Path

SPECS = Path(__file__).resolve().parents[3] / "specs"


def test_the_index_lists_exactly_the_pages() -> None:
    listed = re.findall(r"\]\(([a-z-]+\.md)\)", (SPECS / "README.md").read_text())
    assert sorted(listed) == sorted(page.name for page in SPECS.glob("*.md") if page.name != "README.md")


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(int(page.name[:4]) for page in (SPECS / "decisions").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in SPECS.rglob("*.md"):
        for target in re.findall(r"\]\(([A-Za-z0-9_./-]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
