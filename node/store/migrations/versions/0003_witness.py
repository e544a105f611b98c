"""The tables of witnessing: what was cosigned last of each log, and what of our own was published last."""

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql, sqlite

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_INTEGER: Final = sa.BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
_TEXT: Final = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    for name in ("witnessed", "published"):
        op.create_table(
            name,
            sa.Column("origin", _TEXT, nullable=False),
            sa.Column("size", _INTEGER, nullable=False),
            sa.Column("note", sa.LargeBinary(), nullable=False),
            sa.PrimaryKeyConstraint("origin", name=op.f(f"{name}_pk")),
        )


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart")
