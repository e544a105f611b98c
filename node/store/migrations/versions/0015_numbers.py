"""Lots and histories by the number of their account, which is the entry that opened it."""

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql, sqlite

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_INTEGER: Final = sa.BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
_TEXT: Final = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")

_MOVE_ACCOUNTS: Final = """
    INSERT INTO accounts (account, status, posted, held, conversions, opened_seq, active_on, imported_seq)
    SELECT account, status, posted, held, conversions, opened_seq, active_on, imported_seq
    FROM old_accounts ORDER BY opened_seq
"""
_MOVE_LOTS: Final = """
    INSERT INTO lots (account_seq, seq, part, origin, earned_on, expires_on, remaining, clock, spendable_on)
    SELECT a.opened_seq, l.seq, l.part, l.origin, l.earned_on, l.expires_on, l.remaining, l.clock, l.spendable_on
    FROM old_lots l JOIN accounts a ON a.account = l.account ORDER BY 1, 2, 3
"""
_MOVE_HISTORY: Final = """
    INSERT INTO history (account_seq, seq)
    SELECT a.opened_seq, h.seq FROM old_history h JOIN accounts a ON a.account = h.account ORDER BY 1, 2
"""


def upgrade() -> None:
    for name in ("accounts", "lots", "history"):
        # The names of keys and indexes are free again only when the old table is gone.
        op.execute(f"CREATE TABLE old_{name} AS SELECT * FROM {name}")  # noqa: S608 - one of three names
        op.drop_table(name)
    _create()
    for statement in (_MOVE_ACCOUNTS, _MOVE_LOTS, _MOVE_HISTORY):
        op.execute(statement)
    for name in ("accounts", "lots", "history"):
        op.drop_table(f"old_{name}")


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart")


def _create() -> None:
    op.create_table(
        "accounts",
        _text("account"),
        _text("status"),
        _integer("posted"),
        _integer("held"),
        _integer("conversions"),
        _integer("opened_seq"),
        _text("active_on", null=True),
        _integer("imported_seq", null=True),
        sa.PrimaryKeyConstraint("opened_seq", name=op.f("accounts_pk")),
        sa.UniqueConstraint("account", name=op.f("accounts_account_key")),
        sa.CheckConstraint("held >= 0 AND posted >= held AND conversions >= 0", name=op.f("accounts_posted_check")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "lots",
        _integer("account_seq"),
        _integer("seq"),
        _integer("part"),
        _text("origin"),
        _text("earned_on"),
        _text("expires_on", null=True),
        _integer("remaining"),
        _text("clock", null=True),
        _text("spendable_on", null=True),
        sa.PrimaryKeyConstraint("account_seq", "seq", "part", name=op.f("lots_pk")),
        sa.CheckConstraint("remaining > 0", name=op.f("lots_remaining_check")),
        sqlite_with_rowid=False,
    )
    _index("lots_due_idx", "expires_on")
    _index("lots_clock_idx", "clock")
    op.create_table(
        "history",
        _integer("account_seq"),
        _integer("seq"),
        sa.PrimaryKeyConstraint("account_seq", "seq", name=op.f("history_pk")),
        sqlite_with_rowid=False,
    )


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, _TEXT, nullable=null)


def _integer(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, _INTEGER, autoincrement=False, nullable=null)


def _index(name: str, column: str) -> None:
    there = sa.text(f"{column} IS NOT NULL")
    op.create_index(name, "lots", [column, "account_seq"], sqlite_where=there, postgresql_where=there)
