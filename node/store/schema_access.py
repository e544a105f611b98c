"""The derived table of acts that two people answer for."""

from typing import Final

from sqlalchemy import Index

from node.store.columns import TableClass, integer, key, table, text

ACTIONS: Final = table(
    "actions",
    TableClass.DERIVED,
    key("id"),
    text("action"),
    text("state"),
    text("proposal"),
    text("proposed_by"),
    text("proposed_at"),
    integer("proposed_seq"),
    text("expires_at"),
    text("decided_by", null=True),
    integer("decided_seq", null=True),
    Index("actions_proposed_idx", "proposed_seq"),
    Index("actions_proposal_idx", "proposal"),
)
