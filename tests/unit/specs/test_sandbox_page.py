"""The table of `specs/sandbox.md` is the sandbox's script, and names every reason that a destination can give."""

from node.app.sandbox import CURRENCIES, LEDGER, POINTS
from node.app.sandbox_script import SCRIPT
from protocol.errors import Code
from tests.support.pages import code, page, table

OWN_FAULTS = {
    Code.CONVERSION_DECIDED,  # Tells of a decision that there is already.
    Code.DATE_INVALID,  # These four are about the entry, which the destination makes itself.
    Code.DECISION_MISMATCH,
    Code.EXPIRY_MISMATCH,
    Code.POSTINGS_INVALID,
}
"""What an auditor finds in an entry that a destination should not have made."""


def test_the_table_is_the_script() -> None:
    listed = [(row["steps end in"], row["the sandbox"], row["leads to"]) for row in table("sandbox", "2. The script")]
    assert listed == [(f"{row.ending:02d}", row.does, row.leads_to) for row in SCRIPT]


def test_every_reason_that_a_rule_gives_can_be_had() -> None:
    known = {str(each) for each in Code}
    rules = {code(row["code"]) for row in table("ledger", "conversion_credited")} & known
    assert rules - OWN_FAULTS <= {row.code for row in SCRIPT}


def test_the_page_names_what_is_made() -> None:
    for word in (LEDGER, POINTS, *CURRENCIES):
        assert word in page("sandbox")
