"""The operational tables of members: personal data beside the ledger, and links that wait for a consent.

Nothing here moves points, and nothing of it is in an entry. Whoever is erased has no row left in any table that
`erasable` marks.
"""

from typing import Final

from sqlalchemy import Index, Table, UniqueConstraint

from node.store.columns import METADATA, TableClass, integer, key, table, text
from node.store.schema_program import CLIENT_TRACES

_ERASED_BY: Final = "erased_by"


def erasable(made: Table, column: str = "account") -> Table:
    """Mark a table whose rows go when the account that `column` names is erased."""
    made.info[_ERASED_BY] = made.columns[column]
    return made


def erasable_tables() -> list[Table]:
    """Return the tables from which an account is erased."""
    return [each for each in METADATA.sorted_tables if _ERASED_BY in each.info]


def erased_by(made: Table) -> str:
    """Return the column of an erasable table that names the account."""
    return str(made.info[_ERASED_BY].name)


erasable(CLIENT_TRACES)

PERSONAL: Final = erasable(
    table(
        "personal",
        TableClass.OPERATIONAL,
        key("account"),
        text("external_ref", null=True),
        text("display_name", null=True),
        text("email", null=True),
        text("locale"),
        text("created_at"),
        text("updated_at"),
        UniqueConstraint("external_ref"),
    )
)
LINK_PAGES: Final = table(
    "link_pages",
    TableClass.OPERATIONAL,
    key("partner"),
    text("consent_url", null=True),
    text("redirect_url", null=True),
)
LINK_CONSENTS: Final = erasable(
    table(
        "link_consents",
        TableClass.OPERATIONAL,
        key("code"),
        text("id"),
        text("account"),
        text("partner"),
        text("challenge", null=True),
        text("expires_at"),
        text("link_until", null=True),
        integer("link_conversions", null=True),
        integer("link_points", null=True),
        text("spent_by", null=True),
        Index("link_consents_account_idx", "account"),
    )
)
LINK_REQUESTS: Final = erasable(
    table(
        "link_requests",
        TableClass.OPERATIONAL,
        key("state"),
        text("id"),
        text("account"),
        text("partner"),
        text("verifier"),
        text("expires_at"),
        Index("link_requests_account_idx", "account"),
    )
)
