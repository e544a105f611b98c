"""The operational tables of events: warnings of expiry, and where webhooks go, what waits for them, what was tried.

A waiting delivery names its event by the entry or the notice that it comes from: its body is made anew each time.
"""

from typing import Final

from sqlalchemy import Index, UniqueConstraint

from node.store.columns import TableClass, integer, key, number, table, text
from node.store.schema_members import erasable

EXPIRY_NOTICES: Final = erasable(
    table(
        "expiry_notices",
        TableClass.OPERATIONAL,
        number("number"),
        text("account"),
        text("expires_on"),
        integer("days"),
        integer("amount"),
        integer("after_seq"),
        text("made_at"),
        UniqueConstraint("account", "expires_on", "days"),
        Index("expiry_notices_after_idx", "after_seq"),
    )
)
WEBHOOKS: Final = table(
    "webhooks",
    TableClass.OPERATIONAL,
    key("id"),
    text("url"),
    text("secret"),
    text("types"),
    text("state"),
    text("created_at"),
    integer("after_seq"),
    integer("after_notice"),
    integer("numbered"),
    integer("attempted"),
    integer("delivered"),
    integer("failures"),
    text("failing_since", null=True),
    text("retry_at", null=True),
    text("last_error", null=True),
    text("last_delivered_at", null=True),
)
WEBHOOK_DELIVERIES: Final = table(
    "webhook_deliveries",
    TableClass.OPERATIONAL,
    key("id"),
    text("webhook"),
    integer("number"),
    text("lane"),
    text("event"),
    text("type"),
    integer("seq", null=True),
    integer("part"),
    integer("notice", null=True),
    integer("attempts"),
    text("waits_since"),
    text("retry_at"),
    text("last_error", null=True),
    Index("webhook_deliveries_number_idx", "webhook", "number"),
)
WEBHOOK_ATTEMPTS: Final = table(
    "webhook_attempts",
    TableClass.OPERATIONAL,
    key("id"),
    text("webhook"),
    integer("number"),
    text("event"),
    text("type"),
    text("at"),
    text("outcome"),
    integer("milliseconds"),
    Index("webhook_attempts_number_idx", "webhook", "number"),
)
