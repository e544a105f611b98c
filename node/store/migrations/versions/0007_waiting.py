"""The column that counts the lines of a window which came with numbers beyond a gap."""

from typing import Final, Literal

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import sqlite

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_COUNT: Final = """
    UPDATE windows SET waiting = (
        SELECT count(*) FROM settlement_lines AS line
        WHERE line.partner = windows.partner AND line."window" = windows."window" AND line.direction = 'out'
        AND line.dec_seq > coalesce((SELECT summed FROM settlements WHERE settlements.partner = windows.partner), 0)
    )
"""
_INTEGER: Final = sa.BigInteger().with_variant(sqlite.INTEGER(), "sqlite")


def upgrade() -> None:
    recreate: Literal["always", "never"] = "always" if op.get_context().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("windows", recreate=recreate) as table:
        table.add_column(sa.Column("waiting", _INTEGER, nullable=False, server_default="0"))
    with op.batch_alter_table("windows", recreate=recreate) as table:
        table.alter_column("waiting", server_default=None)
    op.execute(_COUNT)


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart")
