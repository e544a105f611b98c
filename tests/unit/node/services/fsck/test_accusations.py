"""A file of evidence in the store is proved again, and its columns are compared with what it proves."""

from hashlib import sha256

import pytest

from node.store.columns import METADATA
from protocol.audit.evidence import encode_evidence
from tests.support.documents import COPPER
from tests.support.evidence import EVERY_KIND, missing_entry
from tests.support.stores import DamagedStore
from tests.unit.node.services.fsck.damages import changing, checked, found

ACCUSATIONS = METADATA.tables["accusations"]


def damaged(store: DamagedStore, **values: object) -> list[str]:
    with store.damaged(ACCUSATIONS, changing(ACCUSATIONS, values)):
        return found(checked(store)).get("accusations", [])


def test_another_partners_evidence_is_none_against_this_one(store: DamagedStore) -> None:
    (line,) = damaged(store, evidence=encode_evidence(EVERY_KIND["two PREPAREs"]))
    assert line.startswith("accusations[2].evidence: no channel key of aurora.example/main.1 is known")


def test_a_partner_whose_keys_are_in_no_entry_cannot_be_accused(store: DamagedStore) -> None:
    assert damaged(store, partner=COPPER.ledger) == [
        f"accusations[2].partner: no entry names the keys of {COPPER.ledger}"
    ]


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"no evidence", "evidence_invalid"), (encode_evidence(missing_entry(size=5)), "evidence_invalid")],
)
def test_a_file_that_proves_nothing_is_found(store: DamagedStore, data: bytes, code: str) -> None:
    (line,) = damaged(store, evidence=data)
    assert line.startswith("accusations[2].evidence: ")
    assert line.endswith(f"({code})")


def test_a_file_that_proves_something_else_is_found(store: DamagedStore) -> None:
    other = encode_evidence(EVERY_KIND["FULFIL and REJECT"])
    lines = damaged(store, evidence=other, digest=sha256(other).hexdigest())
    assert [line.partition(":")[0] for line in lines] == [
        "accusations[2].kind",
        "accusations[2].subject",
        "accusations[2].name",
    ]


def test_a_row_that_nothing_but_the_running_digest_proves(store: DamagedStore) -> None:
    (line,) = damaged(store, found_at="2026-03-02T00:00:00.000000Z")
    assert line == "accusations: 3 rows, which are not those that its head was made of"
