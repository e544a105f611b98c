"""Events: every kind of entry tells something or says why not, the same for the same log, and no place misses any."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from node.services.events.event_kinds import SILENT, TELLS, EventType, told_by
from node.services.events.events import SCAN_ENTRIES_MAX, Event, EventFeed, Place
from node.services.events.webhook_signing import encode_event
from node.workers.warn_expiry import WarnExpiry
from protocol.entries import AnyEntry, Sealed
from protocol.fields import days_later
from protocol.identifiers import Account, Id
from protocol.ledger.program_state import REVIEWS, TRANSFERS, ReviewRecord, TransferRecord
from protocol.ledger.state import HOLDS, OUTGOING, HoldRecord, OutgoingRecord
from tests.support.api import ANN, BOB, Api, api_of, open_accounts, request_id
from tests.support.documents import uuid
from tests.support.history import examples, history
from tests.support.ledger import MemoryLedger

KINDS = {str(kind.__struct_config__.tag) for kind in get_args(AnyEntry)}


class Looking:
    """The rows of ledgers in memory."""

    def hold(self, hold: Id) -> HoldRecord | None:
        return next((found for each in ledgers() if (found := each.state.get(HOLDS, hold))), None)

    def order(self, conversion: Id) -> OutgoingRecord | None:
        return next((found for each in ledgers() if (found := each.state.get(OUTGOING, conversion))), None)

    def transfer(self, transfer: Id) -> TransferRecord | None:
        return next((found for each in ledgers() if (found := each.state.get(TRANSFERS, transfer))), None)

    def review(self, order: Id) -> ReviewRecord | None:
        return next((found for each in ledgers() if (found := each.state.get(REVIEWS, order))), None)


def ledgers() -> tuple[MemoryLedger, MemoryLedger]:
    return history().source, history().destination


def test_every_kind_of_entry_tells_something_or_says_why_not() -> None:
    assert KINDS - set(TELLS) - set(SILENT) == set()
    assert set(TELLS) | set(SILENT) == KINDS
    assert set(TELLS).isdisjoint(SILENT)
    assert all(SILENT.values())


@pytest.mark.parametrize("kind", sorted(examples()))
def test_what_a_kind_tells_can_be_sent(kind: str) -> None:
    sealed = examples()[kind]
    told = told_by(sealed.entry, Looking())
    assert bool(told) == (kind in TELLS)
    for each in told:
        event = Event(
            id="1", type=each.type.value, time=sealed.entry.time, seq=1, account=each.account, partner=each.partner,
            data=each.data,
        )  # fmt: skip
        sent = msgspec.json.decode(encode_event(event, ledger=history().source.name))
        assert sent["type"] in {each.value for each in EventType}
        assert not {"alias", "metadata", "nonce", "postings"} & set(sent["data"])


def test_every_type_is_told_by_some_kind_or_by_a_warning() -> None:
    told: set[str] = {EventType.POINTS_EXPIRING}
    for ledger in ledgers():
        told |= {each.type for sealed in ledger.sealed for each in told_by(sealed.entry, Looking())}
    told |= {each.type for sealed in examples().values() for each in told_by(sealed.entry, Looking())}
    assert set(EventType) - told == set()


def test_a_conversion_that_was_forced_says_so() -> None:
    told = [each for sealed in history().source.sealed for each in _of(sealed)]
    forced = [each.data for each in told if each.data.get("forced")]
    assert {data["conversion"] for data in forced} == {uuid("forced")}


def _of(sealed: Sealed) -> Iterator[Event]:
    for each in told_by(sealed.entry, Looking()):
        yield Event(id="", type=each.type, time="", seq=0, account=each.account, partner=each.partner, data=each.data)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with api_of(tmp_path / "aurora") as made:
        open_accounts(made)
        yield made


def issue(api: Api, amount: int, *, account: str = ANN, **more: object) -> None:
    body = {"id": request_id(f"{account} {amount}"), "type": "issue", "account": account, "amount": amount}
    api.done("/v1/transactions", {**body, **more})


def read(api: Api, query: str) -> tuple[list[dict[str, object]], str]:
    page = api.read(f"/v1/events?{query}")
    events = page["events"]
    assert isinstance(events, list)
    return events, str(page["next"])


def test_pages_lead_through_all_events_once(api: Api) -> None:
    for amount in range(1, 8):
        issue(api, amount, account=ANN if amount % 2 else BOB)
    whole, end = read(api, "")
    found: list[dict[str, object]] = []
    after = "-1"
    while True:
        events, after = read(api, f"limit=2&after={after}")
        if not events:
            break
        found += events
    assert found == whole
    assert after == end
    assert len({str(event["id"]) for event in whole}) == len(whole)
    seqs = [event["seq"] for event in whole]
    assert seqs == sorted(seqs, key=str) or seqs == sorted(seqs, key=lambda seq: int(str(seq)))


def test_events_of_an_account_and_of_types_alone(api: Api) -> None:
    issue(api, 5)
    body = {"id": request_id("move"), "type": "transfer", "account": ANN, "to": BOB, "amount": 7}
    moved = api.post("/v1/transactions", body)
    bobs, _ = read(api, f"account={BOB}")
    assert [event["type"] for event in bobs][:1] == ["account.opened"]
    assert {event["account"] for event in bobs} == {BOB}
    if moved.is_success:
        both, _ = read(api, "types=points.transferred")
        assert [(event["account"], event["data"]) for event in both] == [(ANN, {"amount": -7}), (BOB, {"amount": 7})]
    issued, _ = read(api, "types=points.issued,points.redeemed")
    assert {event["type"] for event in issued} == {"points.issued"}
    assert api.get("/v1/events?types=points.unheard").json()["code"] == "request_invalid"


def test_a_page_that_waits_returns_when_there_is_something_or_nothing(api: Api) -> None:
    _, end = read(api, "")
    assert read(api, f"after={end}&wait=1") == ([], end)
    issue(api, 9)
    events, end = read(api, f"after={end}&wait=30")
    assert [event["type"] for event in events] == ["points.issued"]
    api.node.events.close()
    assert read(api, f"after={end}&wait=30") == ([], end)


def test_a_place_without_a_warning_stands_before_those_since_its_entry(api: Api) -> None:
    feed = EventFeed(api.node.reader)
    assert feed.place(None) == Place(-1, -1)
    assert feed.place("3.4") == Place(3, 4)
    assert feed.place("3") == Place(3, -1)
    assert feed.end().seq == len(list(feed.walk(Place()))) - 1
    assert feed.part(0, 5) is None
    assert feed.part(10_000, 0) is None
    assert SCAN_ENTRIES_MAX > 256


def test_a_place_after_the_end_is_refused_and_tells_where_that_is(api: Api) -> None:
    _, end = read(api, "")
    beyond = str(int(end.partition(".")[0]) + 1)
    for place in (beyond, f"{beyond}.-1", "999999999"):
        refused = api.get(f"/v1/events?after={place}").json()
        assert (refused["code"], refused["detail"]) == (
            "request_invalid",
            f"after: the feed ends at {end}, before {place}",
        )
    issue(api, 1)
    events, _ = read(api, f"after={end}")
    assert len(events) == 1


def warn(api: Api) -> None:
    """Let a day's warnings be made, as the node does when a day begins."""
    WarnExpiry(api.node.notices, sleep=lambda _: None).step()


def test_points_that_expire_soon_are_told_once_for_each_warning(api: Api) -> None:
    today = api.clock.now().date().isoformat()
    issue(api, 11, expires_on=days_later(today, days=20))
    issue(api, 12, expires_on=days_later(today, days=20))
    issue(api, 13, account=BOB, expires_on=days_later(today, days=200))
    warn(api)
    warn(api)
    events, _ = read(api, "types=points.expiring")
    expected = {"amount": 23, "expires_on": days_later(today, days=20), "days": 30}
    assert [(event["account"], event["data"]) for event in events] == [(ANN, expected)]
    assert events[0]["seq"] is None
    api.clock.advance(14 * 86_400)
    api.node.confirm_clock()
    warn(api)
    events, end = read(api, "types=points.expiring")
    assert [event["data"]["days"] for event in events] == [30, 7]  # type: ignore[index]
    assert read(api, f"after={end}") == ([], end)
    assert len({event["id"] for event in events}) == 2
    assert len(list(EventFeed(api.node.reader).walk(Place(), account=Account(BOB)))) > 0


def test_points_whose_day_has_come_are_warned_of_once_with_the_shortest_warning(api: Api) -> None:
    today = api.clock.now().date().isoformat()
    issue(api, 11, expires_on=today)
    warn(api)
    events, _ = read(api, "types=points.expiring")
    assert [event["data"]["days"] for event in events] == [7]  # type: ignore[index]


def test_points_that_follow_a_clock_are_warned_of_by_the_day_on_which_it_runs_out(api: Api) -> None:
    terms = {"expiry": {"kind": "rolling", "months": 1}}
    body = {"id": request_id("rolling"), "terms": terms, "reason": "new_terms"}
    assert api.call("PUT", "/v1/program", body=body).is_success
    issue(api, 40)
    today = api.clock.now().date().isoformat()
    api.clock.advance(5 * 86_400)
    api.node.confirm_clock()
    warn(api)
    warn(api)
    events, _ = read(api, f"types=points.expiring&account={ANN}")
    (told,) = (event["data"] for event in events)
    assert isinstance(told, dict)
    assert (told["amount"], told["days"]) == (40, 30)
    assert days_later(today, days=27) < str(told["expires_on"]) < days_later(today, days=32)


def test_a_warning_is_told_though_those_before_it_were_erased(api: Api) -> None:
    soon = days_later(api.clock.now().date().isoformat(), days=20)
    issue(api, 11, expires_on=soon)
    warn(api)
    _, place = read(api, "")
    api.clock.advance(1)
    api.done(f"/v1/accounts/{ANN}/erase", {"id": request_id("erase"), "forfeit": True})
    _, place = read(api, f"after={place}")
    issue(api, 13, account=BOB, expires_on=soon)
    warn(api)
    events, _ = read(api, f"after={place}")
    assert [event["type"] for event in events] == ["points.issued", "points.expiring"]
