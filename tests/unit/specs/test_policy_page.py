"""`specs/policy.md` says what the code does: a policy's lines, its bounds, its example, and what follows from it."""

import re

import pytest

from protocol.audit.findings import FindingCode, Verdict
from protocol.errors import CouldNotCheck, PolicyInvalid, QuorumMissing, SignatureInvalid
from protocol.keys import SigningKey
from protocol.limits import POLICY_BYTES_MAX, POLICY_ITEMS_MAX
from protocol.note import KeyType, Verifier, format_vkey
from protocol.policy import Group, parse_policy
from tests.support.pages import code, page, table

PAGE = page("policy")
LINES = [code(row["line"]) for row in table("policy", "1. The file")]
FOUND = table("policy", "2. What a policy accepts")


@pytest.mark.parametrize("line", LINES)
def test_each_line_of_the_table_is_one_of_a_policy(line: str) -> None:
    with pytest.raises(PolicyInvalid, match="words after the first"):
        parse_policy(f"{line}\nquorum none\n".encode())


def test_no_other_line_is() -> None:
    assert LINES == ["log", "witness", "group", "quorum"]
    with pytest.raises(PolicyInvalid, match="begins no line"):
        parse_policy(b"another\nquorum none\n")


def test_the_bounds_are_those_of_the_code() -> None:
    assert f"at most {POLICY_BYTES_MAX:,} bytes" in PAGE
    assert PAGE.count(f"{POLICY_ITEMS_MAX} ") == 3


def test_what_is_found_leads_to_the_verdict() -> None:
    assert [(code(row["verdict"]), re.findall("`([a-z_]+)`", row["code"])) for row in FOUND] == [
        (Verdict.BROKEN, [SignatureInvalid.code]),
        (Verdict.INCOMPLETE, [CouldNotCheck.code, FindingCode.KEY_UNKNOWN]),
        (Verdict.INCOMPLETE, [QuorumMissing.code]),
    ]
    assert QuorumMissing.code == FindingCode.QUORUM_MISSING


def test_the_example_is_a_policy() -> None:
    lines = [line.strip() for line in PAGE.partition("## 3. Example")[2].splitlines() if line.startswith("    ")]
    text = "".join(f"{line}\n" for line in lines)
    for number, name in enumerate(re.findall(r"(\S+)\+\u2026", text)):
        kind = KeyType.COSIGNATURE if number else KeyType.ED25519
        vkey = format_vkey(Verifier(name, SigningKey(bytes([number]) * 32).public, kind))
        text = text.replace(f"{name}+\u2026", vkey, 1)
    policy = parse_policy(text.encode())
    assert policy.groups == (
        Group("partners", 2, ("bluebird", "copper", "dahlia")),
        Group("enough", 1, ("partners", "auditor")),
    )
    assert policy.quorum == "enough"
