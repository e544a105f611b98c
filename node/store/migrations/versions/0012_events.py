"""The tables of events, webhooks and appeals."""

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql, sqlite

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_INTEGER: Final = sa.BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
_TEXT: Final = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "appeals",
        _text("id"),
        _text("account"),
        _text("state"),
        _text("reason"),
        _text("about", null=True),
        _text("deadline"),
        _text("opened_at"),
        _integer("opened_seq"),
        _text("entries"),
        _integer("decided_seq", null=True),
        _text("adjustment", null=True),
        sa.PrimaryKeyConstraint("id", name=op.f("appeals_pk")),
    )
    op.create_index("appeals_opened_idx", "appeals", ["opened_seq"])
    op.create_index("appeals_account_idx", "appeals", ["account", "opened_seq"])
    op.create_index("appeals_state_idx", "appeals", ["state", "deadline"])
    op.create_table(
        "expiry_notices",
        _integer("number"),
        _text("account"),
        _text("expires_on"),
        _integer("days"),
        _integer("amount"),
        _integer("after_seq"),
        _text("made_at"),
        sa.PrimaryKeyConstraint("number", name=op.f("expiry_notices_pk")),
        sa.UniqueConstraint("account", "expires_on", "days", name=op.f("expiry_notices_account_key")),
    )
    op.create_index("expiry_notices_after_idx", "expiry_notices", ["after_seq"])
    _webhooks()


def _webhooks() -> None:
    op.create_table(
        "webhooks",
        *(_text(name) for name in ("id", "url", "secret", "types", "state", "created_at")),
        *(_integer(name) for name in ("after_seq", "after_notice", "numbered", "attempted", "delivered", "failures")),
        *(_text(name, null=True) for name in ("failing_since", "retry_at", "last_error", "last_delivered_at")),
        sa.PrimaryKeyConstraint("id", name=op.f("webhooks_pk")),
    )
    op.create_table(
        "webhook_deliveries",
        _text("id"),
        _text("webhook"),
        _integer("number"),
        *(_text(name) for name in ("lane", "event", "type")),
        _integer("seq", null=True),
        _integer("part"),
        _integer("notice", null=True),
        _integer("attempts"),
        *(_text(name) for name in ("waits_since", "retry_at")),
        _text("last_error", null=True),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_deliveries_pk")),
    )
    op.create_index("webhook_deliveries_number_idx", "webhook_deliveries", ["webhook", "number"])
    op.create_table(
        "webhook_attempts",
        _text("id"),
        _text("webhook"),
        _integer("number"),
        *(_text(name) for name in ("event", "type", "at", "outcome")),
        _integer("milliseconds"),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_attempts_pk")),
    )
    op.create_index("webhook_attempts_number_idx", "webhook_attempts", ["webhook", "number"])


def _text(name: str, *, null: bool = False) -> "sa.Column[object]":
    return sa.Column(name, _TEXT, nullable=null)


def _integer(name: str, *, null: bool = False) -> "sa.Column[object]":
    return sa.Column(name, _INTEGER, autoincrement=False, nullable=null)


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart")
