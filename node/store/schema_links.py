"""The derived tables of account links: which of our accounts partners know, and what ours are linked with."""

from typing import Final

from sqlalchemy import Index

from node.store.columns import TableClass, integer, key, table, text

ISSUED_LINKS: Final = table(
    "issued_links",
    TableClass.DERIVED,
    key("partner"),
    key("alias"),
    text("account"),
    integer("issued_seq"),
    text("until", null=True),
    integer("conversions_left", null=True),
    integer("points_left", null=True),
    integer("revoked_seq", null=True),
    Index("issued_links_account_idx", "account"),
    clustered=True,
)
ACCEPTED_LINKS: Final = table(
    "accepted_links",
    TableClass.DERIVED,
    key("account"),
    key("partner"),
    text("alias"),
    integer("accepted_seq"),
    text("accepted_at"),
    text("until", null=True),
    integer("revoked_seq", null=True),
    clustered=True,
)
ACCEPTED_ALIASES: Final = table(
    "accepted_aliases",
    TableClass.DERIVED,
    key("partner"),
    key("alias"),
    text("account"),
    Index("accepted_aliases_account_idx", "account"),
    clustered=True,
)
