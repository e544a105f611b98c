"""The columns that say which keys logs have got since their genesis, and which ones they have committed to."""

import json
from typing import Final, Literal

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TEXT: Final = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    committed = op.get_bind().execute(sa.text("SELECT data FROM entries WHERE seq = 0")).scalar()
    next_log_key = "" if committed is None else str(json.loads(bytes(committed))["next_log_key"])
    recreate: Literal["always", "never"] = "always" if op.get_context().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("ledger", recreate=recreate) as table:
        table.add_column(sa.Column("log_keys", _TEXT, nullable=False, server_default="[]"))
        table.add_column(sa.Column("next_log_key", _TEXT, nullable=False, server_default=next_log_key))
    with op.batch_alter_table("ledger", recreate=recreate) as table:
        table.alter_column("log_keys", server_default=None)
        table.alter_column("next_log_key", server_default=None)
    with op.batch_alter_table("partners", recreate=recreate) as table:
        table.add_column(sa.Column("log_keys", _TEXT, nullable=False, server_default="[]"))
        table.add_column(sa.Column("next_log_key", _TEXT, nullable=True))
    with op.batch_alter_table("partners", recreate=recreate) as table:
        table.alter_column("log_keys", server_default=None)


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart")
