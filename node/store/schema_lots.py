"""The table of what reversals can return; derived, as all that the rules keep."""

from typing import Final

from sqlalchemy import CheckConstraint

from node.store.columns import TableClass, integer, number, table, text

REVERSIBLE: Final = table(
    "reversible",
    TableClass.DERIVED,
    number("seq"),
    text("kind"),
    text("account"),
    integer("amount"),
    integer("remaining"),
    text("pieces"),
    CheckConstraint("remaining BETWEEN 0 AND amount", name="remaining"),
)
