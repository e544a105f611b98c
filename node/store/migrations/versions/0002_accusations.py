"""The table of evidence against partners."""

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql, sqlite

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INTEGER: Final = sa.BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
_TEXT: Final = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "accusations",
        sa.Column("number", _INTEGER, nullable=False, autoincrement=False),
        *(sa.Column(name, _TEXT, nullable=False) for name in ("digest", "partner", "kind", "subject", "name")),
        sa.Column("conversion", _TEXT, nullable=True),
        sa.Column("found_at", _TEXT, nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("partner", "subject", "name", name=op.f("accusations_partner_key")),
        sa.PrimaryKeyConstraint("number", name=op.f("accusations_pk")),
    )


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart")
