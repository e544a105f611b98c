"""The tables of the program's terms, of what limits have used, and of transfers and reviews."""

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql, sqlite

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_INTEGER: Final = sa.BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
_TEXT: Final = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "program",
        _text("name"),
        _text("terms"),
        _integer("entered_seq"),
        sa.PrimaryKeyConstraint("name", name=op.f("program_pk")),
    )
    _limits()
    _transfers()
    _reviews()
    op.create_table(
        "client_traces",
        _text("id"),
        _text("account"),
        _text("activity"),
        _text("seen_at"),
        _text("address", null=True),
        _text("device", null=True),
        _text("agent", null=True),
        sa.PrimaryKeyConstraint("id", name=op.f("client_traces_pk")),
    )
    for name in ("account", "address", "device"):
        op.create_index(f"client_traces_{name}_idx", "client_traces", [name, "seen_at"])
    op.create_index("client_traces_seen_idx", "client_traces", ["seen_at"])


def _limits() -> None:
    op.create_table(
        "limit_use",
        _text("subject"),
        _text("activity"),
        _text("day"),
        _text("day_points"),
        _integer("day_count"),
        _text("year"),
        _text("year_points"),
        _integer("year_count"),
        sa.PrimaryKeyConstraint("subject", "activity", name=op.f("limit_use_pk")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reservations",
        _text("id"),
        _text("taken"),
        sa.PrimaryKeyConstraint("id", name=op.f("reservations_pk")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "merges",
        _text("account"),
        _text("survivor", null=True),
        _text("absorbed"),
        sa.PrimaryKeyConstraint("account", name=op.f("merges_pk")),
    )


def _transfers() -> None:
    op.create_table(
        "transfers",
        _text("id"),
        _text("state"),
        _text("account"),
        _text("recipient"),
        _integer("amount"),
        _integer("fee"),
        _text("accept_from"),
        _text("accept_by"),
        _text("offered_at"),
        _integer("offered_seq"),
        _integer("closed_seq", null=True),
        sa.PrimaryKeyConstraint("id", name=op.f("transfers_pk")),
        sqlite_with_rowid=False,
    )
    op.create_index("transfers_account_idx", "transfers", ["account", "offered_seq"])
    op.create_index("transfers_recipient_idx", "transfers", ["recipient", "offered_seq"])
    op.create_index("transfers_state_idx", "transfers", ["state", "accept_by"])
    op.create_table(
        "transfer_pairs",
        _text("account"),
        _text("recipient"),
        _integer("accepted_seq"),
        sa.PrimaryKeyConstraint("account", "recipient", name=op.f("transfer_pairs_pk")),
        sqlite_with_rowid=False,
    )


def _reviews() -> None:
    op.create_table(
        "reviews",
        _text("id"),
        _text("state"),
        _text("account"),
        _text("screen"),
        _text("digest"),
        _integer("points"),
        _text("order"),
        _text("opened_at"),
        _integer("opened_seq"),
        _integer("closed_seq", null=True),
        sa.PrimaryKeyConstraint("id", name=op.f("reviews_pk")),
    )
    op.create_index("reviews_state_idx", "reviews", ["state", "opened_seq"])


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart")


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, _TEXT, nullable=null)


def _integer(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, _INTEGER, nullable=null)
