"""The tables, the same on both databases; `table.info["class"]` says what each one's rows are worth.

`lots` and `history`, which have most rows of all, name an account by `account_seq`: its `opened_seq`, the entry that
opened it and no other account. Hashes of hot rows are raw bytes, all other digests are hex as documents carry them.
Totals that may pass 2^53 are decimal text.
"""

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, UniqueConstraint
from sqlalchemy import text as sql_text

from node.store.columns import INTEGER, TableClass, binary, flag, integer, key, number, table, text

# --- Log.

ENTRIES: Final = table(
    "entries",
    TableClass.LOG,
    number("seq"),
    binary("leaf"),
    binary("data"),
    CheckConstraint("length(leaf) = 32", name="leaf"),
)
TILES: Final = table(
    "tiles",
    TableClass.LOG,
    number("generation"),
    number("level"),
    number("tile_index"),
    binary("hashes"),
    CheckConstraint("length(hashes) BETWEEN 32 AND 8192 AND length(hashes) % 32 = 0", name="hashes"),
)
CHECKPOINTS: Final = table(
    "checkpoints",
    TableClass.LOG,
    number("number"),
    integer("generation"),
    integer("size"),
    text("root"),
    binary("note"),
    UniqueConstraint("generation", "size"),
)

_ENDING: Final = sql_text("remaining > 0 AND expires_at IS NOT NULL")
OPEN_OWN_HOLDS: Final = sql_text("remaining > 0 AND NOT conversion")
"""Of `holds`, those that are open and no conversion's: as one text, by which SQLite knows the index over them."""
_DATED: Final = sql_text("expires_on IS NOT NULL")
_CLOCKED: Final = sql_text("clock IS NOT NULL")

# --- Derived: one for each table of the ledger's state, and the history of accounts.

HEAD: Final = table(
    "head",
    TableClass.DERIVED,
    key("name"),
    integer("size"),
    text("leaf"),
    text("time"),
)
LEDGER: Final = table(
    "ledger",
    TableClass.DERIVED,
    key("name"),
    text("ledger"),
    text("points"),
    text("currencies"),
    text("keys"),
    text("log"),
    integer("first_seq"),
    text("predecessor", null=True),
    text("partners"),
    text("recovering"),
    text("log_keys"),
    text("next_log_key"),
    integer("importing_seq", null=True),
)
IDS: Final = table(
    "ids",
    TableClass.DERIVED,
    key("id"),
    integer("seq"),
    binary("request", null=True),
    clustered=True,
)
ACCOUNTS: Final = table(
    "accounts",
    TableClass.DERIVED,
    text("account"),
    text("status"),
    integer("posted"),
    integer("held"),
    integer("conversions"),
    number("opened_seq"),
    text("active_on", null=True),
    integer("imported_seq", null=True),
    UniqueConstraint("account"),
    CheckConstraint("held >= 0 AND posted >= held AND conversions >= 0", name="posted"),
    percent_filled=50,
)
BALANCES: Final = table(
    "balances",
    TableClass.DERIVED,
    key("account"),
    key("asset"),
    text("amount"),
    clustered=True,
)
LOTS: Final = table(
    "lots",
    TableClass.DERIVED,
    number("account_seq"),
    number("seq"),
    number("part"),
    text("origin"),
    text("earned_on"),
    text("expires_on", null=True),
    integer("remaining"),
    text("clock", null=True),
    text("spendable_on", null=True),
    CheckConstraint("remaining > 0", name="remaining"),
    Index("lots_due_idx", "expires_on", "account_seq", sqlite_where=_DATED, postgresql_where=_DATED),
    Index("lots_clock_idx", "clock", "account_seq", sqlite_where=_CLOCKED, postgresql_where=_CLOCKED),
    clustered=True,
)
HOLDS: Final = table(
    "holds",
    TableClass.DERIVED,
    key("id"),
    text("account"),
    integer("amount"),
    integer("remaining"),
    text("expires_at", null=True),
    flag("conversion"),
    integer("placed_seq"),
    text("pieces"),
    CheckConstraint("remaining BETWEEN 0 AND amount", name="remaining"),
    Index("holds_expiring_idx", "expires_at", sqlite_where=_ENDING, postgresql_where=_ENDING),
    Index("holds_placed_idx", "placed_seq", sqlite_where=OPEN_OWN_HOLDS, postgresql_where=OPEN_OWN_HOLDS),
)
PARTNERS: Final = table(
    "partners",
    TableClass.DERIVED,
    key("ledger"),
    text("network"),
    text("points"),
    text("keys"),
    integer("added_seq"),
    text("log"),
    integer("log_first_seq"),
    integer("suspended_seq", null=True),
    text("log_keys"),
    text("next_log_key", null=True),
    integer("ended_seq", null=True),
)
AGREEMENTS: Final = table(
    "agreements",
    TableClass.DERIVED,
    key("digest"),
    text("partner"),
    binary("document"),
    text("entered_at"),
    integer("entered_seq"),
    text("superseded_at", null=True),
    text("ends_at", null=True),
    Index("agreements_partner_idx", "partner", "entered_seq"),
)
CURRENT_AGREEMENTS: Final = table(
    "current_agreements",
    TableClass.DERIVED,
    key("partner"),
    text("digest"),
    integer("number"),
)
OUTGOING_CONVERSIONS: Final = table(
    "outgoing_conversions",
    TableClass.DERIVED,
    key("id"),
    text("state"),
    text("network"),
    text("destination"),
    text("account"),
    text("agreement"),
    text("promotion", null=True),
    text("refund_of", null=True),
    integer("steps"),
    integer("source_points"),
    integer("destination_points"),
    integer("fee_points"),
    integer("value"),
    text("currency"),
    text("accept_by"),
    text("held_at"),
    integer("held_seq"),
    text("prepare"),
    flag("cancel_requested"),
    integer("concluded_seq", null=True),
    text("reason", null=True),
    integer("refunded_steps"),
    Index("outgoing_conversions_held_idx", "held_seq"),
    Index("outgoing_conversions_state_idx", "state", "held_seq"),
    Index("outgoing_conversions_account_idx", "account", "held_seq"),
)
INCOMING_CONVERSIONS: Final = table(
    "incoming_conversions",
    TableClass.DERIVED,
    key("network"),
    key("source"),
    key("id"),
    text("state"),
    text("prepare"),
    integer("decided_seq"),
    text("account", null=True),
    text("agreement", null=True),
    text("promotion", null=True),
    text("refund_of", null=True),
    integer("steps"),
    integer("refunded_steps"),
    Index("incoming_conversions_decided_idx", "decided_seq"),
    clustered=True,
)
DECISION_COUNTERS: Final = table(
    "decision_counters",
    TableClass.DERIVED,
    key("partner"),
    integer("window"),
    integer("dec_seq"),
)
EXPOSURE: Final = table(
    "exposure",
    TableClass.DERIVED,
    key("partner"),
    key("direction"),
    integer("conversions"),
    text("value"),
    text("open_value"),
)
PROMOTION_USE: Final = table(
    "promotion_use",
    TableClass.DERIVED,
    key("agreement"),
    key("source"),
    key("promotion"),
    text("points"),
)
MEMBER_USE: Final = table(
    "member_use",
    TableClass.DERIVED,
    key("account"),
    key("partner"),
    key("direction"),
    text("day"),
    integer("day_points"),
    text("year"),
    integer("year_points"),
    clustered=True,
)
HISTORY: Final = table(
    "history",
    TableClass.DERIVED,
    number("account_seq"),
    number("seq"),
    clustered=True,
)

# --- Evidence.

MESSAGES_SENT: Final = table(
    "messages_sent",
    TableClass.EVIDENCE,
    number("number"),
    text("digest"),
    text("partner"),
    text("kind"),
    text("conversion", null=True),
    binary("body"),
    integer("entry_seq", null=True),
    UniqueConstraint("digest"),
    Index("messages_sent_conversion_idx", "conversion"),
    Index("messages_sent_partner_idx", "partner", "number"),
)
ENVELOPES_RECEIVED: Final = table(
    "envelopes_received",
    TableClass.EVIDENCE,
    number("number"),
    text("partner"),
    binary("envelope"),
)
MESSAGES_RECEIVED: Final = table(
    "messages_received",
    TableClass.EVIDENCE,
    number("number"),
    text("digest"),
    text("partner"),
    text("kind"),
    text("conversion", null=True),
    binary("body"),
    integer("epoch"),
    text("epoch_nonce"),
    integer("frame_seq"),
    text("path"),
    integer("log_size"),
    Column("envelope_number", INTEGER, ForeignKey("envelopes_received.number"), nullable=False),
    UniqueConstraint("partner", "epoch", "epoch_nonce", "frame_seq"),
    Index("messages_received_digest_idx", "digest"),
    Index("messages_received_conversion_idx", "conversion", "partner", "number"),
    Index("messages_received_partner_idx", "partner", "number"),
)
PARTNER_CHECKPOINTS: Final = table(
    "partner_checkpoints",
    TableClass.EVIDENCE,
    number("number"),
    text("ledger"),
    integer("generation"),
    integer("size"),
    binary("note"),
    Index("partner_checkpoints_ledger_idx", "ledger", "generation", "size", "number"),
    Index("partner_checkpoints_number_idx", "ledger", "generation", "number"),
)
EVIDENCE_HEADS: Final = table(
    "evidence_heads",
    TableClass.EVIDENCE,
    key("name"),
    integer("count"),
    text("chain"),
)

# --- Operational.

OUTBOX: Final = table(
    "outbox",
    TableClass.OPERATIONAL,
    Column("message_number", INTEGER, ForeignKey("messages_sent.number"), primary_key=True, autoincrement=False),
    text("partner"),
    Index("outbox_partner_idx", "partner", "message_number"),
)
CHANNELS: Final = table(
    "channels",
    TableClass.OPERATIONAL,
    key("partner"),
    integer("out_epoch"),
    text("out_nonce"),
    integer("in_epoch"),
    text("in_nonce"),
    integer("in_next_seq"),
    integer("in_bodies"),
    text("in_last_body", null=True),
    integer("fence_epoch"),
    integer("fence_next_seq"),
    integer("fence_bodies"),
    text("fence_last_body", null=True),
    integer("answered_epoch"),
    integer("in_bodies_sent"),
    integer("back_next", null=True),
)
PARTNER_URLS: Final = table("partner_urls", TableClass.OPERATIONAL, key("partner"), text("url"))
PROPOSALS: Final = table(
    "proposals",
    TableClass.OPERATIONAL,
    key("digest"),
    text("partner"),
    binary("document"),
    text("received_at"),
)
CREDENTIALS: Final = table(
    "credentials",
    TableClass.OPERATIONAL,
    key("id"),
    text("role"),
    text("name"),
    text("prefix"),
    text("hash"),
    text("created_at"),
    text("revoked_at", null=True),
    text("expires_at", null=True),
    text("issued_by", null=True),
    text("partner", null=True),
    integer("per_minute", null=True),
    Index("credentials_prefix_idx", "prefix"),
)
SETTINGS: Final = table("settings", TableClass.OPERATIONAL, key("name"), text("value"))
METADATA_ROWS: Final = table("metadata_rows", TableClass.OPERATIONAL, key("digest"), binary("salt"), binary("data"))
WRITER_TERMS: Final = table("writer_terms", TableClass.OPERATIONAL, key("name"), integer("term"))
LEADERS: Final = table("leaders", TableClass.OPERATIONAL, key("name"), integer("term"), text("url"), integer("beat_at"))
