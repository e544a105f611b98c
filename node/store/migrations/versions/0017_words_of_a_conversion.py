"""What a partner said of a conversion is found by both: by the partner alone, all of its words were looked through."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("messages_received_conversion_idx", table_name="messages_received")
    op.create_index("messages_received_conversion_idx", "messages_received", ["conversion", "partner", "number"])


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart")
