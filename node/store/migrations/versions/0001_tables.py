"""The tables of the first release."""

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql, sqlite

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_INTEGER: Final = sa.BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
_TEXT: Final = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
_OPEN: Final = sa.text("remaining > 0")


def upgrade() -> None:
    _create_log()
    _create_accounts()
    _create_partners()
    _create_conversions()
    _create_messages()
    _create_operational()


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart")


def _create_log() -> None:
    _create(
        "entries",
        _number("seq"),
        _bytes("leaf"),
        _bytes("data"),
        sa.CheckConstraint("length(leaf) = 32", name=op.f("entries_leaf_check")),
    )
    _create(
        "tiles",
        _number("generation"),
        _number("level"),
        _number("tile_index"),
        _bytes("hashes"),
        sa.CheckConstraint(
            "length(hashes) BETWEEN 32 AND 8192 AND length(hashes) % 32 = 0", name=op.f("tiles_hashes_check")
        ),
    )
    _create(
        "checkpoints",
        _number("number"),
        _integer("generation"),
        _integer("size"),
        _text("root"),
        _bytes("note"),
        sa.UniqueConstraint("generation", "size", name=op.f("checkpoints_generation_key")),
    )
    _create("head", _key("name"), _integer("size"), _text("leaf"), _text("time"))
    _create(
        "ledger",
        _key("name"),
        _text("ledger"),
        _text("points"),
        _text("currencies"),
        _text("keys"),
        _text("log"),
        _integer("first_seq"),
        _text("predecessor", null=True),
        _text("partners"),
        _text("recovering"),
    )
    _create("ids", _key("id"), _integer("seq"), _bytes("request", null=True), clustered=True)


def _create_accounts() -> None:
    _create(
        "accounts",
        _key("account"),
        _text("status"),
        _integer("posted"),
        _integer("held"),
        _integer("conversions"),
        _integer("opened_seq"),
        sa.CheckConstraint("held >= 0 AND posted >= held AND conversions >= 0", name=op.f("accounts_posted_check")),
        clustered=True,
    )
    _create("balances", _key("account"), _key("asset"), _text("amount"), clustered=True)
    _create(
        "lots",
        _key("account"),
        _number("seq"),
        _number("part"),
        _text("origin"),
        _text("earned_on"),
        _text("expires_on", null=True),
        _integer("remaining"),
        sa.CheckConstraint("remaining > 0", name=op.f("lots_remaining_check")),
        clustered=True,
    )
    _create(
        "holds",
        _key("id"),
        _text("account"),
        _integer("amount"),
        _integer("remaining"),
        _text("expires_at", null=True),
        _flag("conversion"),
        _integer("placed_seq"),
        _text("pieces"),
        sa.CheckConstraint("remaining BETWEEN 0 AND amount", name=op.f("holds_remaining_check")),
    )
    op.create_index("holds_expiring_idx", "holds", ["expires_at"], sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_index("holds_open_idx", "holds", ["account"], sqlite_where=_OPEN, postgresql_where=_OPEN)
    _create("history", _key("account"), _number("seq"), clustered=True)


def _create_partners() -> None:
    _create(
        "partners",
        _key("ledger"),
        _text("network"),
        _text("points"),
        _text("keys"),
        _integer("added_seq"),
        _text("log"),
        _integer("log_first_seq"),
    )
    _create(
        "agreements",
        _key("digest"),
        _text("partner"),
        _bytes("document"),
        _text("entered_at"),
        _integer("entered_seq"),
        _text("superseded_at", null=True),
        _text("ends_at", null=True),
    )
    op.create_index("agreements_partner_idx", "agreements", ["partner", "entered_seq"])
    _create("current_agreements", _key("partner"), _text("digest"), _integer("number"))
    _create("issued_links", _key("partner"), _key("alias"), _text("account"), _integer("issued_seq"), clustered=True)
    op.create_index("issued_links_account_idx", "issued_links", ["account"])
    _create(
        "accepted_links", _key("account"), _key("partner"), _text("alias"), _integer("accepted_seq"), clustered=True
    )
    _create("accepted_aliases", _key("partner"), _key("alias"), _text("account"), clustered=True)


def _create_conversions() -> None:
    _create(
        "outgoing_conversions",
        _key("id"),
        _text("state"),
        _text("network"),
        _text("destination"),
        _text("account"),
        _text("agreement"),
        _text("promotion", null=True),
        _text("refund_of", null=True),
        _integer("steps"),
        _integer("source_points"),
        _integer("destination_points"),
        _integer("fee_points"),
        _integer("value"),
        _text("currency"),
        _text("accept_by"),
        _text("held_at"),
        _integer("held_seq"),
        _text("prepare"),
        _flag("cancel_requested"),
        _integer("concluded_seq", null=True),
        _text("reason", null=True),
        _integer("refunded_steps"),
    )
    op.create_index("outgoing_conversions_held_idx", "outgoing_conversions", ["held_seq"])
    op.create_index("outgoing_conversions_state_idx", "outgoing_conversions", ["state", "held_seq"])
    op.create_index("outgoing_conversions_account_idx", "outgoing_conversions", ["account", "held_seq"])
    _create(
        "incoming_conversions",
        _key("network"),
        _key("source"),
        _key("id"),
        _text("state"),
        _text("prepare"),
        _integer("decided_seq"),
        _text("account", null=True),
        _text("agreement", null=True),
        _text("promotion", null=True),
        _text("refund_of", null=True),
        _integer("steps"),
        _integer("refunded_steps"),
        clustered=True,
    )
    op.create_index("incoming_conversions_decided_idx", "incoming_conversions", ["decided_seq"])
    _create("decision_counters", _key("partner"), _integer("window"), _integer("dec_seq"))
    _create_limits()
    _create_lines()
    _create_windows()


def _create_limits() -> None:
    _create(
        "exposure", _key("partner"), _key("direction"), _integer("conversions"), _text("value"), _text("open_value")
    )
    _create("promotion_use", _key("agreement"), _key("source"), _key("promotion"), _text("points"))
    _create(
        "member_use",
        _key("account"),
        _key("partner"),
        _key("direction"),
        _text("day"),
        _integer("day_points"),
        _text("year"),
        _integer("year_points"),
        clustered=True,
    )


def _create_lines() -> None:
    _create("settlements", _key("partner"), _integer("summed"), _integer("closed"), _integer("agreed"))
    _create(
        "settlement_lines",
        _key("partner"),
        _key("direction"),
        _number("dec_seq"),
        _text("conversion"),
        _integer("window"),
        _text("agreement"),
        _text("currency"),
        _integer("source_points"),
        _integer("destination_points"),
        _integer("fee_points"),
        _integer("value"),
        _bytes("fulfil"),
        _text("dispute", null=True),
        _integer("billed", null=True),
        clustered=True,
    )
    op.create_index("settlement_lines_window_idx", "settlement_lines", ["partner", "window", "direction", "dec_seq"])
    _create(
        "window_totals",
        _key("partner"),
        _key("direction"),
        _number("window"),
        _integer("first_dec_seq"),
        _integer("last_dec_seq"),
        _integer("count"),
        _text("source_points"),
        _text("destination_points"),
        _text("fee_points"),
        _text("value"),
        _text("agreements"),
        _text("tree"),
    )


def _create_windows() -> None:
    _create(
        "windows",
        _key("partner"),
        _number("window"),
        _text("state"),
        _text("opened_at", null=True),
        _text("closed", null=True),
        _text("received", null=True),
        _text("disputed_out"),
        _text("disputed_in"),
        _text("proposed", null=True),
        _text("payment", null=True),
        _integer("confirmed_seq", null=True),
    )
    op.create_index("windows_state_idx", "windows", ["state", "partner", "window"])
    _create(
        "statements", _key("partner"), _number("window"), _text("digest"), _bytes("document"), _integer("agreed_seq")
    )
    op.create_index("statements_digest_idx", "statements", ["digest"])


def _create_messages() -> None:
    _create(
        "messages_sent",
        _number("number"),
        _text("digest"),
        _text("partner"),
        _text("kind"),
        _text("conversion", null=True),
        _bytes("body"),
        _integer("entry_seq", null=True),
        sa.UniqueConstraint("digest", name=op.f("messages_sent_digest_key")),
    )
    op.create_index("messages_sent_conversion_idx", "messages_sent", ["conversion"])
    op.create_index("messages_sent_partner_idx", "messages_sent", ["partner", "number"])
    _create("envelopes_received", _number("number"), _text("partner"), _bytes("envelope"))
    _create(
        "messages_received",
        _number("number"),
        _text("digest"),
        _text("partner"),
        _text("kind"),
        _text("conversion", null=True),
        _bytes("body"),
        _integer("epoch"),
        _text("epoch_nonce"),
        _integer("frame_seq"),
        _text("path"),
        _integer("log_size"),
        _integer("envelope_number"),
        sa.UniqueConstraint("partner", "epoch", "epoch_nonce", "frame_seq", name=op.f("messages_received_partner_key")),
        sa.ForeignKeyConstraint(
            ["envelope_number"], ["envelopes_received.number"], name=op.f("messages_received_envelope_number_fk")
        ),
    )
    op.create_index("messages_received_digest_idx", "messages_received", ["digest"])
    op.create_index("messages_received_conversion_idx", "messages_received", ["conversion"])
    op.create_index("messages_received_partner_idx", "messages_received", ["partner", "number"])
    _create(
        "partner_checkpoints",
        _number("number"),
        _text("ledger"),
        _integer("generation"),
        _integer("size"),
        _bytes("note"),
    )
    op.create_index("partner_checkpoints_ledger_idx", "partner_checkpoints", ["ledger", "generation", "size", "number"])
    _create("evidence_heads", _key("name"), _integer("count"), _text("chain"))


def _create_operational() -> None:
    _create(
        "outbox",
        _number("message_number"),
        _text("partner"),
        sa.ForeignKeyConstraint(["message_number"], ["messages_sent.number"], name=op.f("outbox_message_number_fk")),
    )
    op.create_index("outbox_partner_idx", "outbox", ["partner", "message_number"])
    _create(
        "channels",
        _key("partner"),
        _integer("out_epoch"),
        _text("out_nonce"),
        _integer("in_epoch"),
        _text("in_nonce"),
        _integer("in_next_seq"),
        _integer("in_bodies"),
        _text("in_last_body", null=True),
        _integer("fence_epoch"),
        _integer("fence_next_seq"),
        _integer("fence_bodies"),
        _text("fence_last_body", null=True),
        _integer("answered_epoch"),
        _integer("in_bodies_sent"),
        _integer("back_next", null=True),
    )
    _create("partner_urls", _key("partner"), _text("url"))
    _create("proposals", _key("digest"), _text("partner"), _bytes("document"), _text("received_at"))
    _create(
        "credentials",
        _key("id"),
        _text("role"),
        _text("name"),
        _text("prefix"),
        _text("hash"),
        _text("created_at"),
        _text("revoked_at", null=True),
    )
    op.create_index("credentials_prefix_idx", "credentials", ["prefix"])
    _create("settings", _key("name"), _text("value"))
    _create("metadata_rows", _key("digest"), _bytes("salt"), _bytes("data"))
    _create("writer_terms", _key("name"), _integer("term"))


def _create(name: str, *parts: sa.schema.SchemaItem, clustered: bool = False) -> None:
    keys = [part.name for part in parts if isinstance(part, sa.Column) and part.info.get("key")]
    primary = sa.PrimaryKeyConstraint(*keys, name=op.f(f"{name}_pk"))
    op.create_table(name, *parts, primary, sqlite_with_rowid=not clustered)


def _key(name: str) -> sa.Column[object]:
    return sa.Column(name, _TEXT, nullable=False, info={"key": True})


def _number(name: str) -> sa.Column[object]:
    return sa.Column(name, _INTEGER, nullable=False, autoincrement=False, info={"key": True})


def _text(name: str, *, null: bool = False) -> sa.Column[object]:
    return sa.Column(name, _TEXT, nullable=null)


def _integer(name: str, *, null: bool = False) -> sa.Column[object]:
    return sa.Column(name, _INTEGER, nullable=null)


def _bytes(name: str, *, null: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.LargeBinary(), nullable=null)


def _flag(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Boolean(), nullable=False)
