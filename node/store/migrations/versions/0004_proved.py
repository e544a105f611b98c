"""The table of what is proved: how far the logs of partners are shown to be one."""

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql, sqlite

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INTEGER: Final = sa.BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
_TEXT: Final = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "proved",
        sa.Column("origin", _TEXT, nullable=False),
        sa.Column("next_number", _INTEGER, nullable=False),
        sa.Column("size", _INTEGER, nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("proved_at", _TEXT, nullable=False),
        sa.Column("fault", _TEXT, nullable=True),
        sa.PrimaryKeyConstraint("origin", name=op.f("proved_pk")),
    )


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart")
