"""The tables of a program's terms, of what limits have used, and of transfers and reviews.

Sums that may pass 2^53 are decimal text; what a limit or an order is made of is canonical JSON.
"""

from typing import Final

from sqlalchemy import Index

from node.store.columns import TableClass, integer, key, table, text

PROGRAM: Final = table(
    "program",
    TableClass.DERIVED,
    key("name"),
    text("terms"),
    integer("entered_seq"),
)
LIMIT_USE: Final = table(
    "limit_use",
    TableClass.DERIVED,
    key("subject"),
    key("activity"),
    text("day"),
    text("day_points"),
    integer("day_count"),
    text("year"),
    text("year_points"),
    integer("year_count"),
    clustered=True,
)
RESERVATIONS: Final = table("reservations", TableClass.DERIVED, key("id"), text("taken"), clustered=True)
MERGES: Final = table("merges", TableClass.DERIVED, key("account"), text("survivor", null=True), text("absorbed"))
TRANSFERS: Final = table(
    "transfers",
    TableClass.DERIVED,
    key("id"),
    text("state"),
    text("account"),
    text("recipient"),
    integer("amount"),
    integer("fee"),
    text("accept_from"),
    text("accept_by"),
    text("offered_at"),
    integer("offered_seq"),
    integer("closed_seq", null=True),
    Index("transfers_account_idx", "account", "offered_seq"),
    Index("transfers_recipient_idx", "recipient", "offered_seq"),
    Index("transfers_state_idx", "state", "accept_by"),
    Index("transfers_offered_idx", "offered_seq"),
    Index("transfers_page_idx", "state", "offered_seq"),
    clustered=True,
)
TRANSFER_PAIRS: Final = table(
    "transfer_pairs", TableClass.DERIVED, key("account"), key("recipient"), integer("accepted_seq"), clustered=True
)
REVIEWS: Final = table(
    "reviews",
    TableClass.DERIVED,
    key("id"),
    text("state"),
    text("account"),
    text("screen"),
    text("digest"),
    integer("points"),
    text("order"),
    text("opened_at"),
    integer("opened_seq"),
    integer("closed_seq", null=True),
    Index("reviews_state_idx", "state", "opened_seq"),
    Index("reviews_opened_idx", "opened_seq"),
)
CLIENT_TRACES: Final = table(
    "client_traces",
    TableClass.OPERATIONAL,
    key("id"),
    text("account"),
    text("activity"),
    text("seen_at"),
    text("address", null=True),
    text("device", null=True),
    text("agent", null=True),
    Index("client_traces_account_idx", "account", "seen_at"),
    Index("client_traces_address_idx", "address", "seen_at"),
    Index("client_traces_device_idx", "device", "seen_at"),
    Index("client_traces_seen_idx", "seen_at"),
)
