"""The tables of members' links, consents and erasable personal data."""

import json
from typing import Final, Literal

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql, sqlite

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_INTEGER: Final = sa.BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
_TEXT: Final = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


_ACCEPTED: Final = sa.text(
    "SELECT l.account, l.partner, e.data FROM accepted_links l JOIN entries e ON e.seq = l.accepted_seq"
)
_SET: Final = sa.text("UPDATE accepted_links SET accepted_at = :at WHERE account = :account AND partner = :partner")


def upgrade() -> None:
    _links()
    _create(
        "personal",
        _text("account"),
        _text("external_ref", null=True),
        _text("display_name", null=True),
        _text("email", null=True),
        _text("locale"),
        _text("created_at"),
        _text("updated_at"),
        sa.UniqueConstraint("external_ref", name=op.f("personal_external_ref_key")),
    )
    _create("link_pages", _text("partner"), _text("consent_url", null=True), _text("redirect_url", null=True))
    _create(
        "link_consents",
        _text("code"),
        _text("id"),
        _text("account"),
        _text("partner"),
        _text("challenge", null=True),
        _text("expires_at"),
        _text("link_until", null=True),
        sa.Column("link_conversions", _INTEGER, nullable=True),
        sa.Column("link_points", _INTEGER, nullable=True),
        _text("spent_by", null=True),
    )
    op.create_index("link_consents_account_idx", "link_consents", ["account"])
    _create(
        "link_requests",
        _text("state"),
        _text("id"),
        _text("account"),
        _text("partner"),
        _text("verifier"),
        _text("expires_at"),
    )
    op.create_index("link_requests_account_idx", "link_requests", ["account"])


def _links() -> None:
    sqlite_ = op.get_context().dialect.name == "sqlite"
    recreate: Literal["always", "never"] = "always" if sqlite_ else "never"
    kept = {"sqlite_with_rowid": False} if sqlite_ else {}
    with op.batch_alter_table("issued_links", recreate=recreate, table_kwargs=kept) as table:
        table.add_column(_text("until", null=True))
        for name in ("conversions_left", "points_left", "revoked_seq"):
            table.add_column(sa.Column(name, _INTEGER, nullable=True))
    with op.batch_alter_table("accepted_links", recreate=recreate, table_kwargs=kept) as table:
        table.add_column(sa.Column("accepted_at", _TEXT, nullable=False, server_default=""))
        table.add_column(_text("until", null=True))
        table.add_column(sa.Column("revoked_seq", _INTEGER, nullable=True))
    with op.batch_alter_table("accepted_links", recreate=recreate, table_kwargs=kept) as table:
        table.alter_column("accepted_at", server_default=None)
    op.create_index("accepted_aliases_account_idx", "accepted_aliases", ["account"])
    connection = op.get_bind()
    for account, partner, data in connection.execute(_ACCEPTED).fetchall():
        at = json.loads(bytes(data))["time"]
        connection.execute(_SET, {"at": at, "account": account, "partner": partner})


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart")


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, _TEXT, nullable=null)


def _create(name: str, key: sa.Column[str], *rest: sa.Column[str] | sa.Column[int] | sa.UniqueConstraint) -> None:
    op.create_table(name, key, *rest, sa.PrimaryKeyConstraint(key.name, name=op.f(f"{name}_pk")))
