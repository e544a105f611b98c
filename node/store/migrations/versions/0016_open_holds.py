"""Open holds are found by the day on which they end, and no index is kept that nobody reads."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_ENDING = sa.text("remaining > 0 AND expires_at IS NOT NULL")


def upgrade() -> None:
    op.drop_index("holds_open_idx", table_name="holds")
    op.drop_index("holds_expiring_idx", table_name="holds")
    op.create_index("holds_expiring_idx", "holds", ["expires_at"], sqlite_where=_ENDING, postgresql_where=_ENDING)


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart")
