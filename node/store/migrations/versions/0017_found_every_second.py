"""What a node looks for every second has an index that leads to it: before, all that a partner ever said was read."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("messages_received_conversion_idx", table_name="messages_received")
    op.create_index("messages_received_conversion_idx", "messages_received", ["conversion", "partner", "number"])
    op.create_index("partner_checkpoints_number_idx", "partner_checkpoints", ["ledger", "generation", "number"])


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart")
