"""The evidence table of what partners have signed that proves misconduct: whole files, each of which stands alone."""

from typing import Final

from sqlalchemy import UniqueConstraint

from node.store.columns import TableClass, binary, number, table, text

ACCUSATIONS: Final = table(
    "accusations",
    TableClass.EVIDENCE,
    number("number"),
    text("digest"),
    text("partner"),
    text("kind"),
    text("subject"),
    text("name"),
    text("conversion", null=True),
    text("found_at"),
    binary("evidence"),
    UniqueConstraint("partner", "subject", "name"),
)
