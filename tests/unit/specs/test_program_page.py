"""The tables in `specs/program.md` are those of the code."""

import re
from typing import get_args

import msgspec
import pytest

from protocol.ledger.lifecycle import MERGES_MAX
from protocol.ledger.program_state import TransferState
from protocol.ledger.state import AccountStatus
from protocol.program import (
    LIMITS_MAX,
    SCREENS_MAX,
    TERMS_BYTES_MAX,
    Activity,
    ExpiryRule,
    KindPolicy,
    Limit,
    ProgramTerms,
    Screen,
    TransferTerms,
    ZoneOffset,
)
from tests.support.pages import code, page, table


@pytest.mark.parametrize(
    ("heading", "part"),
    [
        ("1. ProgramTerms", ProgramTerms),
        ("ZoneOffset", ZoneOffset),
        ("ExpiryRule", ExpiryRule),
        ("KindPolicy", KindPolicy),
        ("Limit", Limit),
        ("TransferTerms", TransferTerms),
        ("Screen", Screen),
    ],
)
def test_every_part_has_the_fields_of_its_table(heading: str, part: type[msgspec.Struct]) -> None:
    listed = [name for row in table("program", heading) for name in re.findall(r"`([a-z_]+)`", row["field"])]
    assert listed == list(part.__struct_fields__)


def test_every_activity_is_listed() -> None:
    row = next(row for row in table("program", "Limit") if code(row["field"]) == "activity")
    assert re.findall(r"`([a-z_]+)`", row["type"]) == list(get_args(Activity))


def test_every_status_and_state_is_listed() -> None:
    assert [code(row["status"]) for row in table("program", "3. Accounts")] == [each.value for each in AccountStatus]
    rows = table("program", "5. Transfers between members")
    assert [code(row["becomes"]) for row in rows] == [each.value for each in TransferState]


def test_bounds_are_stated() -> None:
    text = page("program")
    assert f"at most {TERMS_BYTES_MAX:,} bytes" in text
    assert f"list of Limit, at most {LIMITS_MAX}" in text
    assert f"list of Screen, at most {SCREENS_MAX}" in text
    assert f"at most {MERGES_MAX}" in text
