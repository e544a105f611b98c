"""The column that says since when a partner is suspended."""

from typing import Final, Literal

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import sqlite

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_INTEGER: Final = sa.BigInteger().with_variant(sqlite.INTEGER(), "sqlite")


def upgrade() -> None:
    recreate: Literal["always", "never"] = "always" if op.get_context().dialect.name == "sqlite" else "never"
    # SQLite would write the column behind the last one in the table's own text; made anew, it is as the code makes it.
    with op.batch_alter_table("partners", recreate=recreate) as table:
        table.add_column(sa.Column("suspended_seq", _INTEGER, nullable=True))


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart")
