"""The columns and tables of expiry, pending points and reversals."""

from typing import Final, Literal

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql, sqlite

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_INTEGER: Final = sa.BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
_TEXT: Final = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    recreate: Literal["always", "never"] = "always" if op.get_context().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("accounts", recreate=recreate) as table:
        table.add_column(_text("active_on", null=True))
    with op.batch_alter_table("lots", recreate=recreate) as table:
        table.add_column(_text("clock", null=True))
        table.add_column(_text("spendable_on", null=True))
    _index("lots_due_idx", "expires_on")
    _index("lots_clock_idx", "clock")
    op.create_table(
        "reversible",
        _integer("seq"),
        _text("kind"),
        _text("account"),
        _integer("amount"),
        _integer("remaining"),
        _text("pieces"),
        sa.PrimaryKeyConstraint("seq", name=op.f("reversible_pk")),
        sa.CheckConstraint("remaining BETWEEN 0 AND amount", name=op.f("reversible_remaining_check")),
    )


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart")


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, _TEXT, nullable=null)


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, _INTEGER, autoincrement=False, nullable=False)


def _index(name: str, column: str) -> None:
    there = sa.text(f"{column} IS NOT NULL")
    op.create_index(name, "lots", [column, "account"], sqlite_where=there, postgresql_where=there)
