"""`specs/access.md` says what the code does: roles, bounds of tokens, rates, actions and settings."""

import re
from typing import get_args

from node.api.edges import PARTNER_PATHS
from node.app.tls import WARN_DAYS
from node.config import STRANGER, NodeConfig
from node.services.access import api_keys, issuer_keys, member_tokens, rates
from node.services.access.credentials import CallerRole
from node.services.conversions.approvals import APPROVE_WITHIN_HOURS, APPROVE_WITHIN_HOURS_MAX
from protocol.approval_entries import Action
from tests.support.pages import code, page, table
from tests.support.schemas import schema

TEXT = page("access")


def section(number: int) -> str:
    found = re.search(rf"^## {number}\. .*?(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    return " ".join(found[0].split())


def test_the_roles_are_those_of_the_code() -> None:
    listed = table("access", "1. Roles")
    assert [code(row["role"]) for row in listed] == [role.value for role in CallerRole]
    assert all(row["who"] and row["what for"] for row in listed)


def test_the_bounds_of_keys_are_those_of_the_code() -> None:
    said = section(2)
    assert f"({api_keys.OVERLAP_HOURS} unless stated, {api_keys.OVERLAP_HOURS_MAX} at most)" in said
    assert f"for {api_keys.REMEMBERED_SECONDS:.0f} seconds more" in said


def test_the_bounds_of_members_tokens_are_those_of_the_code() -> None:
    said = section(3)
    for text in (
        f"{member_tokens.TOKEN_CHARACTERS_MAX:,} characters",
        f"{member_tokens.SKEW_SECONDS} seconds, and for {member_tokens.LIFETIME_SECONDS_MAX:,} seconds at most",
        f"{member_tokens.REFERENCE_CHARACTERS_MAX} characters at most",
        f"{issuer_keys.RSA_BITS_MIN:,} bits",
        f"{issuer_keys.KEYS_MAX} keys",
        f"after {issuer_keys.REFRESH_SECONDS:.0f} seconds",
        f"within {issuer_keys.RETRY_SECONDS:.0f} seconds",
        f"for {issuer_keys.STALE_SECONDS:,.0f} seconds are used no more",
        " or ".join(
            [", ".join(f"`{each}`" for each in issuer_keys.ALGORITHMS[:-1]), f"`{issuer_keys.ALGORITHMS[-1]}`"]
        ),
    ):
        assert text in said, text


def test_the_rates_are_those_of_the_code() -> None:
    listed = {code(row["who"]): int(row["requests a minute"].replace(",", "")) for row in table("access", "4. Rates")}
    known = {role.value: number for role, number in rates.PER_MINUTE.items()}
    assert listed == {**known, STRANGER: rates.STRANGER_PER_MINUTE}
    assert f"{rates.BUCKETS_MAX:,} of them" in section(4)


def test_the_actions_are_those_of_the_code() -> None:
    listed = [
        (code(row["of"]), code(row["field"]), row["type"])
        for row in table("access", "5. Four eyes")
        if row["of"] != "all"
    ]
    types = {"<class 'bool'>": "true or false"}
    assert listed == [
        (str(action.__struct_config__.tag), name, types.get(written, written))
        for action in get_args(Action)
        for name, written in schema(action).items()
    ]
    assert f"{APPROVE_WITHIN_HOURS} hours, {APPROVE_WITHIN_HOURS_MAX} at most" in section(5)


def test_the_settings_are_keys_of_the_configuration() -> None:
    for row in table("access", "7. Settings"):
        default = NodeConfig.model_fields[code(row["key of `node.toml`"])].default
        assert row["default"].strip("`") == (default or "")
    assert f"warns {WARN_DAYS} days ahead" in section(6)
    assert all(f"`{path}`" in section(6) for path in PARTNER_PATHS)
