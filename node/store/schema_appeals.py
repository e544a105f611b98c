"""The derived table of appeals (specs/appeals.md)."""

from typing import Final

from sqlalchemy import Index

from node.store.columns import TableClass, integer, key, table, text

APPEALS: Final = table(
    "appeals",
    TableClass.DERIVED,
    key("id"),
    text("account"),
    text("state"),
    text("reason"),
    text("about", null=True),
    text("deadline"),
    text("opened_at"),
    integer("opened_seq"),
    text("entries"),
    integer("decided_seq", null=True),
    text("adjustment", null=True),
    Index("appeals_opened_idx", "opened_seq"),
    Index("appeals_account_idx", "account", "opened_seq"),
    Index("appeals_state_idx", "state", "deadline"),
)
