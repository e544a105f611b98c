"""The derived tables of settlement: lines, windows with their totals, and statements.

Totals that may pass 2^53 are decimal text; closes and lines in dispute are canonical JSON.
"""

from typing import Final

from sqlalchemy import Index

from node.store.columns import TableClass, binary, integer, key, number, table, text

SETTLEMENTS: Final = table(
    "settlements",
    TableClass.DERIVED,
    key("partner"),
    integer("summed"),
    integer("closed"),
    integer("agreed"),
)
SETTLEMENT_LINES: Final = table(
    "settlement_lines",
    TableClass.DERIVED,
    key("partner"),
    key("direction"),
    number("dec_seq"),
    text("conversion"),
    integer("window"),
    text("agreement"),
    text("currency"),
    integer("source_points"),
    integer("destination_points"),
    integer("fee_points"),
    integer("value"),
    binary("fulfil"),
    text("dispute", null=True),
    integer("billed", null=True),
    Index("settlement_lines_window_idx", "partner", "window", "direction", "dec_seq"),
    clustered=True,
)
WINDOW_TOTALS: Final = table(
    "window_totals",
    TableClass.DERIVED,
    key("partner"),
    key("direction"),
    number("window"),
    integer("first_dec_seq"),
    integer("last_dec_seq"),
    integer("count"),
    text("source_points"),
    text("destination_points"),
    text("fee_points"),
    text("value"),
    text("agreements"),
    text("tree"),
)
WINDOWS: Final = table(
    "windows",
    TableClass.DERIVED,
    key("partner"),
    number("window"),
    text("state"),
    text("opened_at", null=True),
    text("closed", null=True),
    text("received", null=True),
    text("disputed_out"),
    text("disputed_in"),
    text("proposed", null=True),
    text("payment", null=True),
    integer("confirmed_seq", null=True),
    integer("waiting"),
    Index("windows_state_idx", "state", "partner", "window"),
)
STATEMENTS: Final = table(
    "statements",
    TableClass.DERIVED,
    key("partner"),
    number("window"),
    text("digest"),
    binary("document"),
    integer("agreed_seq"),
    Index("statements_digest_idx", "digest"),
)
