"""An audit's page as a test reads it: its tables, what it loads, and how a browser prints it."""

import os
import shutil
import subprocess
import zlib
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
VOID: Final = frozenset({"meta", "wbr", "br", "img", "hr", "input", "link", "line", "path", "circle"})
LOADS: Final = frozenset({"src", "href", "srcset", "data", "action", "poster"})
SECONDS_MAX: Final = 120
A4_WIDTH: Final = 703
"""Pixels, 96 to the inch, between the margins of the page: 210 mm less 12 mm on each side."""


@dataclass
class Table:
    """A table by its id, if it has one, with the text of its head and of every row."""

    name: str | None
    head: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


class Page(HTMLParser):
    """Reads a page strictly: every element is closed in its order, and nothing is loaded from anywhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[Table] = []
        self.sections: dict[str, list[Table]] = {}
        self.headings: list[str] = []
        self.loads: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self._open: list[str] = []
        self._group: list[str] = []
        self._cell: str | None = None
        self._section = ""
        self.feed(text)
        self.close()
        assert self._open == [], self._open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.tags.add(tag)
        self.loads += [value or "" for name, value in attributes if name in LOADS and not (value or "").startswith("#")]
        if tag not in VOID:
            self._open.append(tag)
        if tag == "section":
            self._section = found.get("id") or ""
        elif tag == "table":
            self._group = []
            self.tables.append(Table(found.get("id")))
            self.sections.setdefault(self._section, []).append(self.tables[-1])
        elif tag == "tr" and "tbody" in self._open:
            self.tables[-1].rows.append([*self._group])
        elif tag in {"th", "td", "h1", "h2", "h3"}:
            self._cell = ""

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not {name for name, _ in attributes} & LOADS, tag

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, tag
        if tag == "th" and "tbody" in self._open:
            # A row that names the ledger of those below it.
            self.tables[-1].rows.pop()
            self._group = [self._cell or ""]
        elif tag == "th":
            self.tables[-1].head.append(self._cell or "")
        elif tag == "td":
            self.tables[-1].rows[-1].append(self._cell or "")
        elif tag in {"h1", "h2", "h3"}:
            self.headings.append(self._cell or "")
        else:
            return
        self._cell = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._cell is not None:
            self._cell += data

    def table(self, name: str) -> Table:
        """Return the table with this name."""
        (found,) = (table for table in self.tables if table.name == f"table-{name}")
        return found


def number(text: str) -> int:
    """Return what a whole number or an amount of money on a page says, money in millionths."""
    plain = text.replace(",", "").replace("−", "-")
    whole, point, decimals = plain.partition(".")
    if not point:
        return int(plain)
    sign = -1 if plain.startswith("-") else 1
    return int(whole) * 1_000_000 + sign * int(decimals.ljust(6, "0"))


def find_browser() -> str | None:
    """Return the path of Chromium, if there is one."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def browser() -> str:
    """Return the path of Chromium; without one a test is skipped, and fails on CI."""
    path = find_browser()
    if path is not None:
        return path
    text = f"none of {', '.join(BROWSERS)} is installed"
    if os.environ.get("CI") == "true":
        pytest.fail(text)
    pytest.skip(text)


def run_browser(page: Path, *arguments: str) -> str:
    """Let Chromium open a page without a window, and return what it writes."""
    command = [
        browser(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage",
        f"--user-data-dir={page.parent / 'browser'}", *arguments, page.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, timeout=SECONDS_MAX, text=True).stdout


@dataclass(frozen=True)
class Picture:
    """A PNG picture: how large it is, and how many of its rows have anything but the background on them."""

    width: int
    height: int
    inked: int


def screenshot(page: Path, *, width: int = 1_280, height: int = 2_000) -> Picture:
    """Return what Chromium shows of a page in a window of this size."""
    path = page.with_suffix(".png")
    run_browser(page, f"--window-size={width},{height}", f"--screenshot={path}")
    return _picture(path.read_bytes())


def _picture(data: bytes) -> Picture:
    """Read an 8-bit PNG without interlacing (RFC 2083): enough to tell an empty page from a full one."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, depth, colour = (
        int.from_bytes(data[16:20]), int.from_bytes(data[20:24]), data[24], data[25],
    )  # fmt: skip
    assert depth == 8
    channels = {2: 3, 6: 4}[colour]
    position, packed = 8, b""
    while position < len(data):
        length, kind = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8]
        if kind == b"IDAT":
            packed += data[position + 8 : position + 8 + length]
        position += length + 12
    pixels, stride = zlib.decompress(packed), width * channels + 1
    # A row of one colour differs from the filter's prediction nowhere beyond its first pixel.
    inked = sum(any(pixels[at + 1 + channels : at + stride]) for at in range(0, len(pixels), stride))
    return Picture(width, height, inked)


def printed(page: Path) -> bytes:
    """Return the PDF that Chromium prints of a page."""
    path = page.with_suffix(".pdf")
    run_browser(page, "--no-pdf-header-footer", f"--print-to-pdf={path}")
    return path.read_bytes()


def overflow_on_paper(page: Path) -> int:
    """Return by how many pixels anything on a page stands out of the width that A4 leaves it.

    A copy with the styles for print, as wide as the paper between its margins, measures itself.
    """
    measure = (
        "<script>const edges=[...document.querySelectorAll('table,svg,p,td,th')]"
        ".map(e=>Math.max(e.getBoundingClientRect().right,e.getBoundingClientRect().left+e.scrollWidth));"
        "document.title='edge '+Math.floor(Math.max(...edges)-.99)</script></body>"
    )
    text = page.read_text(encoding="utf-8")
    assert "@media print" in text
    copy = page.with_name(f"measured-{page.name}")
    copy.write_text(text.replace("@media print", "@media all").replace("</body>", measure), encoding="utf-8")
    shown = run_browser(copy, f"--window-size={A4_WIDTH},{A4_WIDTH}", "--dump-dom")
    edge = int(shown.partition("<title>edge ")[2].partition("</title>")[0])
    return max(0, edge - A4_WIDTH)


def pages_of(pdf: bytes) -> list[tuple[float, float]]:
    """Return the size of each page of a PDF in points, 72 to the inch."""
    sizes = []
    for part in pdf.split(b"/MediaBox")[1:]:
        left, bottom, right, top = map(float, part[part.index(b"[") + 1 : part.index(b"]")].split())
        sizes.append((right - left, top - bottom))
    return sizes
