"""The table of imports, and the columns that tell what an import has opened and which partners have ended."""

from typing import Final, Literal

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql, sqlite

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_INTEGER: Final = sa.BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
_TEXT: Final = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    recreate: Literal["always", "never"] = "always" if op.get_context().dialect.name == "sqlite" else "never"
    for name, column in (("ledger", "importing_seq"), ("accounts", "imported_seq"), ("partners", "ended_seq")):
        with op.batch_alter_table(name, recreate=recreate) as table:
            table.add_column(sa.Column(column, _INTEGER, nullable=True))
    op.create_table(
        "imports",
        sa.Column("file", _TEXT, nullable=False),
        _integer("rows"),
        _integer("points"),
        sa.Column("day", _TEXT, nullable=False),
        _integer("begun_seq"),
        _integer("rows_done"),
        _integer("points_done"),
        sa.Column("finished_seq", _INTEGER, nullable=True),
        sa.PrimaryKeyConstraint("file", name=op.f("imports_pk")),
        sa.CheckConstraint("rows_done <= rows AND points_done <= points", name=op.f("imports_done_check")),
    )


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart")


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, _INTEGER, autoincrement=False, nullable=False)
