"""The tables in `specs/events.md` and `specs/appeals.md` are those of the code."""

import re

from node.peers import hooks
from node.services.events.event_kinds import SILENT, TELLS, EventType
from node.services.events.events import SCAN_ENTRIES_MAX
from node.services.events.webhook_delivery import DeliveryPolicy
from node.services.events.webhooks import WEBHOOKS_MAX
from node.services.program.expiry_notices import DAYS_AHEAD
from protocol.appeal_entries import APPEAL_DAYS_MAX
from protocol.ledger.appeal_records import AppealState
from tests.support.pages import code, page, table, tables

TYPES, QUIET = tables("events")["2. Types"]


def test_every_type_is_listed_with_the_kinds_that_tell_it() -> None:
    assert [code(row["type"]) for row in TYPES] == [each.value for each in EventType]
    listed = [kind for row in TYPES for kind in re.findall(r"`([a-z_]+)`", row["told by"])]
    assert set(listed) == set(TELLS)


def test_every_kind_that_tells_nothing_says_why() -> None:
    assert {code(row["kind"]): row["why"] for row in QUIET} == dict(SILENT)


def test_the_bounds_are_those_of_the_code() -> None:
    text, policy = page("events"), DeliveryPolicy()
    assert f"{SCAN_ENTRIES_MAX:,} entries at most" in text
    assert f"up to {WEBHOOKS_MAX} endpoints" in text
    assert f"At most {policy.waiting_max:,} events wait" in text
    assert f"{hooks.ANSWER_BYTES_MAX:,} bytes of an answer" in text
    assert (DAYS_AHEAD, policy.longest_seconds, policy.disable_after_seconds) == ((30, 7), 3_600, 5 * 86_400)
    assert "after five days it is disabled" in text


def test_the_states_of_an_appeal_are_listed() -> None:
    assert [code(row["state"]) for row in table("appeals", "1. States")] == [each.value for each in AppealState]
    assert f"at most {APPEAL_DAYS_MAX} days ahead" in page("appeals")
