"""Pages of transfers and reviews are read in their order: before, each page sorted all that there are."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("transfers_offered_idx", "transfers", ["offered_seq"])
    op.create_index("transfers_page_idx", "transfers", ["state", "offered_seq"])
    op.create_index("reviews_opened_idx", "reviews", ["opened_seq"])


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart")
