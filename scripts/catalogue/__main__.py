"""Write `node/cli/catalogue.py` out of `specs/errors.md`: python -m scripts.catalogue.

A program that is installed has no pages beside it; a test holds that both say the same.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "specs" / "errors.md"
MODULE: Final = ROOT / "node" / "cli" / "catalogue.py"
_LINK: Final = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_ROW: Final = re.compile(r"^\| `([a-z_]+)` \| (.+) \| (.+) \|$")

_HEAD: Final = '''"""Every code with what it means and what to do; written by `python -m scripts.catalogue`."""

# ruff: noqa: E501 - a line a code, as the page has it

from typing import Final

ROWS: Final = """\\
'''


def rows(page: str) -> Iterator[str]:
    """Yield a line for each code of the page: code, meaning and remedy, the first of a code that stands twice."""
    seen = set[str]()
    for line in page.splitlines():
        found = _ROW.match(line)
        if found and found[1] not in seen:
            seen.add(found[1])
            yield " | ".join(_LINK.sub(r"\1", cell).replace("`", "") for cell in found.groups())


def module(page: str) -> str:
    """Return the module's text."""
    return _HEAD + "".join(f"{row}\n" for row in sorted(rows(page))) + '"""\n'


if __name__ == "__main__":
    MODULE.write_text(module(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
