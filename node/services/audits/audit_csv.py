"""The tables of an audit as CSV (RFC 4180): amounts as integers, of money in millionths, times in full."""

import csv
from io import StringIO
from typing import Final

from node.services.audits.audit_tables import Cell, Code, Long, Moment, Money, PaperTable

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula: a name that a partner chose must not become one."""


def csv_of(table: PaperTable) -> bytes:
    """Return a table with its columns' names in the first line."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(table.columns)
    writer.writerows([_plain(cell) for cell in row] for row in table.rows)
    return text.getvalue().encode()


def _plain(cell: Cell) -> str | int:
    match cell:
        case None:
            return ""
        case Money(millionths):
            return millionths
        case Code(text) | Moment(text):
            return text
        case int():
            return cell
        case _:
            text = cell.text if isinstance(cell, Long) else cell
            return f"'{text}" if text.startswith(_FORMULA) else text
