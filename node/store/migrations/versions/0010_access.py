"""The table of acts that two people answer for, and the columns of credentials with an end, an issuer and a rate."""

from typing import Final, Literal

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql, sqlite

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_INTEGER: Final = sa.BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
_TEXT: Final = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "actions",
        _text("id"),
        _text("action"),
        _text("state"),
        _text("proposal"),
        _text("proposed_by"),
        _text("proposed_at"),
        _integer("proposed_seq"),
        _text("expires_at"),
        _text("decided_by", null=True),
        _integer("decided_seq", null=True),
        sa.PrimaryKeyConstraint("id", name=op.f("actions_pk")),
    )
    op.create_index("actions_proposed_idx", "actions", ["proposed_seq"])
    op.create_index("actions_proposal_idx", "actions", ["proposal"])
    recreate: Literal["always", "never"] = "always" if op.get_context().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("credentials", recreate=recreate) as table:
        table.add_column(_text("expires_at", null=True))
        table.add_column(_text("issued_by", null=True))
        table.add_column(_text("partner", null=True))
        table.add_column(_integer("per_minute", null=True))
    # The administrator's role was called the operator's while there was no other.
    op.execute("UPDATE credentials SET role = 'administrator' WHERE role = 'operator'")


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart")


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, _TEXT, nullable=null)


def _integer(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, _INTEGER, nullable=null)
