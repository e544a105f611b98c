"""How commands speak: a person gets sentences and tables, a program gets the node's own bytes."""

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from node.client import Reply
from node.client.answers import Written

MILLIONTHS: Final = 1_000_000
WIDE: Final = 1_000_000
"""Columns of what is no terminal: more than any row has."""


def print_json(data: bytes) -> None:
    """Print a JSON document on one line, exactly as it is."""
    sys.stdout.write(data.decode("utf-8").rstrip("\n") + "\n")


def print_line(text: str) -> None:
    """Print one line for a person."""
    sys.stdout.write(text + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | int | None]]) -> None:
    """Print a table; integers stand at the right with their thousands apart, None is a dash.

    On a terminal that is narrower than the table each row is printed as its facts: an id or a digest is for copying,
    and nothing is ever cut.
    """
    listed = [list(row) for row in rows]
    table = _table(columns, listed)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    room = console.width if console.is_terminal else WIDE
    console.width = WIDE
    if listed and console.measure(table).maximum > room:
        _print_records(columns, listed)
        return
    # Written by rich itself, a table that nobody reads would end the process on the spot.
    with console.capture() as written:
        console.print(table)
    sys.stdout.write(written.get())


def _table(columns: Sequence[str], listed: Sequence[Sequence[str | int | None]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        numeric = bool(listed) and all(isinstance(row[position], int | None) for row in listed)
        table.add_column(column, justify="right" if numeric else "left", no_wrap=True)
    for row in listed:
        table.add_row(*(_cell(value) for value in row))
    return table


def _print_records(columns: Sequence[str], listed: Sequence[Sequence[str | int | None]]) -> None:
    for position, row in enumerate(listed):
        if position:
            print_line("")
        print_facts(list(zip(columns, row, strict=True)))


def print_facts(facts: Sequence[tuple[str, str | int | None]]) -> None:
    """Print named facts, one a line, under each other."""
    width = max(len(name) for name, _ in facts) + 2
    for name, value in facts:
        print_line(f"{name + ':':<{width}}{_cell(value)}")


def print_written(reply: Reply, *, as_json: bool, said: str) -> None:
    """Print that an entry was written: `said` in words, its id for a retry, its place in the log."""
    if as_json:
        print_json(reply.data)
        return
    written = reply.read(Written)
    print_line(f"{said} (entry {written.seq}, id {written.id})")


def show_progress(text: str) -> None:
    """Show on a terminal how far a command has come, in place of what it showed before; nothing wipes the line."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()


def money(millionths: int, currency: str) -> str:
    """Return an amount in millionths of a currency unit, exactly, with at least two decimals."""
    whole, rest = divmod(abs(millionths), MILLIONTHS)
    decimals = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{'−' if millionths < 0 else ''}{whole:,}.{decimals} {currency}"


def _cell(value: str | int | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else value
