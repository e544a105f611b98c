"""The table of who writes, for several processes on one store."""

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql, sqlite

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_INTEGER: Final = sa.BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
_TEXT: Final = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "leaders",
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("term", _INTEGER, nullable=False),
        sa.Column("url", _TEXT, nullable=False),
        sa.Column("beat_at", _INTEGER, nullable=False),
        sa.PrimaryKeyConstraint("name", name="leaders_pk"),
    )


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart")
