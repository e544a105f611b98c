"""The derived table of files of balances that came into the ledger (specs/import.md)."""

from typing import Final

from sqlalchemy import CheckConstraint

from node.store.columns import TableClass, integer, key, table, text

IMPORTS: Final = table(
    "imports",
    TableClass.DERIVED,
    key("file"),
    integer("rows"),
    integer("points"),
    text("day"),
    integer("begun_seq"),
    integer("rows_done"),
    integer("points_done"),
    integer("finished_seq", null=True),
    CheckConstraint("rows_done <= rows AND points_done <= points", name="done"),
)
