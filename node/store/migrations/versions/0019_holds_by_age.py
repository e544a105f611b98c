"""A monitor counts open holds of the brand's own by how old they are: before, that read all that were ever placed."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_OWN = sa.text("remaining > 0 AND NOT conversion")


def upgrade() -> None:
    op.create_index("holds_placed_idx", "holds", ["placed_seq"], sqlite_where=_OWN, postgresql_where=_OWN)


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart")
