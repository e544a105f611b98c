"""A member's day over its own routes: what it has, what happened, what a conversion gives, and all in its language."""

import asyncio
import csv
import io
import json
from collections.abc import Callable
from itertools import islice

import httpx
import pytest

from node.api.my_events import EventStream
from node.services.access.callers import CallersService
from node.services.access.credentials import Caller, CallerRole
from node.services.members import member_statement
from node.services.members.accounts import AccountsService, AccountView
from node.services.members.member_events import STREAMS_MAX
from node.services.requests import IssueRequest, OrderRequest
from protocol.identifiers import Account
from tests.support.api import ANN, BOB, POINTS, Api, request_id
from tests.support.documents import BLUEBIRD, uuid

Call = Callable[..., httpx.Response]


@pytest.fixture
def api(linked: Api) -> Api:
    return linked


@pytest.fixture
def ann(api: Api, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return what calls with the token of a member; tokens themselves are tested elsewhere."""

    def recognise(_self: CallersService, token: str, *, address: str) -> Caller:
        account = Account(token)
        return Caller(account, CallerRole.MEMBER, account=account)

    def call(
        method: str, path: str, body: object = None, *, as_: str = ANN, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        with monkeypatch.context() as patched:
            patched.setattr(CallersService, "recognise", recognise)
            sent = {"authorization": f"Bearer {as_}", **(headers or {})}
            return api.call(method, f"/v1/me{path}", body=body, headers=sent, role=None)

    return call


def test_a_member_sees_its_balance(ann: Call) -> None:
    shown = ann("GET", "").json()
    assert (shown["account"], shown["points"], shown["available"], shown["held"]) == (ANN, "AUR", POINTS, 0)
    assert (shown["pending"], shown["next_expiry"], shown["open_conversions"]) == (0, None, 0)


def test_history_is_told_in_words_by_cursor(api: Api, ann: Call) -> None:
    first = ann("GET", "/history?limit=2").json()
    assert [line["kind"] for line in first["lines"]] == ["link_accepted", "points_issued"]
    assert [line["text"] for line in first["lines"]] == [
        "This account can now convert points to Bluebird.",
        "You earned 10,000 points.",
    ]
    rest = ann("GET", f"/history?limit=2&before={first['next']}").json()
    assert [line["kind"] for line in rest["lines"]] == ["account_opened"]
    assert rest["next"] is None
    numbers = [line["confirmation"] for line in [*first["lines"], *rest["lines"]]]
    confirmed = api.read(f"/v1/confirmations/{numbers[1]}")
    assert (confirmed["kind"], confirmed["seq"]) == ("points_issued", first["lines"][1]["seq"])
    mistyped = numbers[1][:-1] + ("2" if numbers[1][-1] != "2" else "3")
    assert api.get(f"/v1/confirmations/{mistyped}").status_code == 404
    assert api.get("/v1/confirmations/ZZZZZZZZ-2222").status_code == 404
    assert len(set(numbers)) == 3
    assert all(len(number.partition("-")[0]) >= 4 for number in numbers)


def test_a_quote_says_what_stays(ann: Call) -> None:
    quoted = ann("POST", "/quotes", {"partner": BLUEBIRD.ledger, "amount": 1_001}).json()
    assert quoted["texts"][0] == "800 of 1,001 used, 201 stay."
    assert quoted["texts"][1] == "You get 500 points at Bluebird."
    assert quoted["texts"][2] == "A fee of 12 points is taken as well."
    assert quoted["texts"][-1] == "A conversion cannot be undone."
    quoted = ann("POST", "/quotes?locale=zh", {"partner": BLUEBIRD.ledger, "amount": 801}).json()
    assert quoted["texts"][0].startswith("801 中使用 800")


def order(ann: Call, name: str = "order") -> dict[str, object]:
    body = {"id": request_id(name), "partner": BLUEBIRD.ledger, "amount": 1_000}
    answer = ann("POST", "/conversions", body)
    assert answer.status_code == 201, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_a_pending_conversion_says_honestly_what_it_waits_for(api: Api, ann: Call) -> None:
    ordered = order(ann)
    state = ann("GET", f"/conversions/{ordered['id']}").json()
    clock = str(ordered["time"])[11:16]
    assert state["state"] == "pending"
    assert state["text"] == f"Pending: waiting for Bluebird since {clock}; 812 points safe on hold."
    assert ann("GET", "/conversions").json()["conversions"] == [state]
    api.clock.advance(86_400)
    text = ann("GET", f"/conversions/{ordered['id']}").json()["text"]
    assert f", {clock}; " in text
    assert (
        ann("GET", f"/conversions/{ordered['id']}", headers={"accept-language": "zh-CN,en;q=0.5"})
        .json()["text"]
        .startswith("处理中")
    )


def test_nobody_sees_another_members_conversions_or_receipts(ann: Call) -> None:
    ordered = order(ann)
    refused = ann("GET", f"/conversions/{ordered['id']}", as_=BOB)
    assert (refused.status_code, refused.json()["code"]) == (404, "conversion_unknown")
    assert ann("GET", "/conversions", as_=BOB).json()["conversions"] == []
    refused = ann("GET", f"/receipts/{ordered['seq']}", as_=BOB)
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    receipt = ann("GET", f"/receipts/{ordered['seq']}")
    assert receipt.headers["content-disposition"].startswith("attachment")
    assert receipt.text.startswith("c2sp.org/tlog-proof@v1")


def test_a_statement_adds_up(api: Api, ann: Call) -> None:
    for name, amount in (("a", 100), ("b", 23)):
        body = {"id": request_id(f"spend {name}"), "type": "redeem", "account": ANN, "amount": amount}
        api.done("/v1/transactions", body)
    month = api.node.program.today[:7]
    shown = ann("GET", f"/statements/{month}").json()
    assert [line["change"] for line in shown["movements"]] == [POINTS, -100, -23]
    assert [line["balance"] for line in shown["movements"]] == [10_000, 9_900, 9_877]
    assert (shown["opening"], shown["closing"]) == (0, 9_877)
    rows = list(csv.reader(io.StringIO(ann("GET", f"/statements/{month}?format=csv").text)))
    assert rows[0] == ["Day", "What", "Confirmation number", "Points", "Balance"]
    assert [row[4] for row in rows[1:]] == ["0", "10000", "9900", "9877", "9877"]
    page = ann("GET", f"/statements/{month}?format=html&locale=zh")
    assert page.headers["content-language"] == "zh"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "期末余额: 9,877 积分" in page.text
    # On a telephone the page is as wide as that, and the table alone is moved where its numbers are long.
    assert '<div class="wide"><table>' in page.text
    assert ".wide{overflow-x:auto}" in page.text
    later = ann("GET", "/statements/2099-01").json()
    assert (later["opening"], later["closing"], later["movements"]) == (9_877, 9_877, [])
    earlier = ann("GET", "/statements/2001-01").json()
    assert (earlier["opening"], earlier["closing"]) == (0, 0)
    assert "Nothing moved in this month." in ann("GET", "/statements/2001-01?format=html").text


@pytest.mark.parametrize(
    "path",
    [
        "", "/history", "/conversions", "/data", "/links", "/transfers", "/appeals", "/events?seconds=0", "/receipts/4",
        "/statements/2001-01", "/statements/2001-01?format=csv", "/statements/2001-01?format=html",
    ],
)  # fmt: skip
def test_no_browser_keeps_what_a_member_was_shown(ann: Call, path: str) -> None:
    assert ann("GET", path).headers["cache-control"] == "no-store"


def test_a_statement_that_lies_too_far_back_is_refused(ann: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member_statement, "ENTRIES_MAX", 1)
    refused = ann("GET", "/statements/2001-01")
    assert refused.json()["code"] == "request_invalid"
    assert "entries of the account back" in refused.json()["detail"]


def test_a_field_of_another_form_is_told_in_words(ann: Call) -> None:
    refused = ann("GET", "/statements/January").json()
    assert refused["detail"] == "month: a text like 2026-01 is expected"
    assert refused["errors"] == [{"field": "month", "reason": "a text like 2026-01 is expected"}]


def test_a_statement_is_of_one_moment(api: Api, ann: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    month = api.node.program.today[:7]
    before = ann("GET", f"/statements/{month}").json()
    show, meanwhile = AccountsService.show, iter(("first", "second"))

    def show_and_earn(self: AccountsService, account: Account) -> AccountView:
        view = show(self, account)
        for name in islice(meanwhile, 1):
            earned = IssueRequest(id=request_id(f"meanwhile {name}"), account=account, amount=5)
            api.node.points.transact(earned).result()
        return view

    monkeypatch.setattr(AccountsService, "show", show_and_earn)
    shown = ann("GET", f"/statements/{month}").json()
    assert (shown["opening"], shown["closing"]) == (before["opening"], before["closing"] + 10)
    assert shown["closing"] == shown["movements"][-1]["balance"]


def test_a_statement_tells_what_expires_soon(api: Api, ann: Call) -> None:
    day = api.node.program.today
    body = {"id": request_id("soon"), "type": "issue", "account": ANN, "amount": 7, "expires_on": day}
    api.done("/v1/transactions", body)
    shown = ann("GET", f"/statements/{day[:7]}").json()
    assert shown["expiring"] == [{"date": day, "amount": 7}]
    assert "<li>7 points on " in ann("GET", f"/statements/{day[:7]}?format=html").text


def test_all_that_is_held_can_be_downloaded(api: Api, ann: Call) -> None:
    who = {"external_ref": "CRM-9", "display_name": "Ann", "email": "ann@example.com", "locale": "zh"}
    assert api.call("PUT", f"/v1/accounts/{ANN}/personal", body=who).is_success
    issue = {"id": request_id("meta"), "type": "issue", "account": ANN, "amount": 1, "metadata": {"shop": "A-1"}}
    api.done("/v1/transactions", issue)
    api.done("/v1/links/codes", {"account": ANN, "partner": BLUEBIRD.ledger})
    held = ann("GET", "/data").json()
    assert held["complete"]
    assert held["personal"]["email"] == "ann@example.com"
    assert {entry["kind"] for entry in held["entries"]} == {"account_opened", "points_issued", "link_accepted"}
    assert list(held["metadata"].values()) == [{"shop": "A-1"}]
    assert held["rows"]["personal"][0]["external_ref"] == "CRM-9"
    assert not {"code", "challenge", "spent_by"} & set(held["rows"]["link_consents"][0])
    # The member's own language is the default.
    assert ann("GET", "/history").json()["lines"][0]["text"] == "您获得 1 积分。"
    assert ann("GET", "/data", as_=BOB).json()["personal"] is None


def events_of(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = [block.splitlines() for block in answer.text.split("\n\n") if block.strip()]
    return [dict(line.partition(": ")[::2] for line in block) for block in blocks]


def test_events_are_pushed_and_resumed(api: Api, ann: Call) -> None:
    begun = events_of(ann("GET", "/events?seconds=0"))
    assert [list(event) for event in begun] == [["retry", "id"]]
    order(ann)
    last = begun[0]["id"]
    pushed = events_of(ann("GET", "/events?seconds=0", headers={"last-event-id": last}))[1:]
    assert [event["event"] for event in pushed] == ["conversion.pending"]
    told = json.loads(pushed[0]["data"])
    assert told["text"] == "We set aside 812 points for a conversion to Bluebird."
    assert told["confirmation"]
    # Whoever has seen it is not told again, and nobody else is told at all.
    again = events_of(ann("GET", "/events?seconds=0", headers={"last-event-id": pushed[0]["id"]}))
    assert len(again) == 1
    others = events_of(ann("GET", "/events?seconds=0", headers={"last-event-id": last}, as_=BOB))
    assert [event.get("event") for event in others] == [None]
    assert ann("GET", "/events?seconds=0", headers={"last-event-id": "x"}).status_code == 422
    # A browser gives a refused stream up for good: a place of a log that ended sooner is taken for now.
    beyond = events_of(ann("GET", "/events?seconds=0", headers={"last-event-id": "999999999"}))
    assert [event["id"] for event in beyond] == [pushed[0]["id"]]


def test_what_happens_is_pushed_while_somebody_listens(api: Api) -> None:
    node, account = api.node, Account(ANN)
    request = OrderRequest(
        id=request_id("pushed"), account=account, partner=BLUEBIRD.ledger, amount=1_000, accept_within_seconds=60
    )

    async def listen() -> list[bytes]:
        place, speech = node.member_events.place(None), node.members.speech(account, "en")
        told = EventStream(node.member_events, account, speech, place=place, seconds=120).told()
        begun = await anext(told)
        pushed = asyncio.ensure_future(anext(told))
        await asyncio.sleep(0)
        await node.conversions.order(request).wait()
        chunks = [begun, await pushed]
        node.events.close()
        return [*chunks, *[chunk async for chunk in told]]

    begun, pushed, *rest = api.runner.run(listen())
    assert begun.startswith(b"retry: ")
    assert b"event: conversion.pending" in pushed
    assert rest == []


def test_streams_are_bounded(api: Api, ann: Call) -> None:
    events = api.node.member_events
    account = Account(ANN)
    with events.listening(account), events.listening(account), events.listening(account), events.listening(account):
        refused = ann("GET", "/events?seconds=0")
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert ann("GET", "/events?seconds=0", as_=BOB).status_code == 200
    assert ann("GET", "/events?seconds=0").status_code == 200


def test_streams_that_are_asked_for_at_once_are_bounded(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    member = Caller(ANN, CallerRole.MEMBER, account=Account(ANN))
    monkeypatch.setattr(CallersService, "recognise", lambda *_, **_named: member)

    async def many() -> list[int]:
        asked = (api.client.get("/v1/me/events?seconds=1", headers={"authorization": "Bearer ann"}) for _ in range(24))
        return sorted(each.status_code for each in await asyncio.gather(*asked))

    assert api.runner.run(many()) == [200] * STREAMS_MAX + [429] * (24 - STREAMS_MAX)


def test_links_are_the_members_own(ann: Call) -> None:
    links = ann("GET", "/links").json()["links"]
    assert [(link["direction"], link["state"]) for link in links] == [("accepted", "active")]
    code = ann("POST", "/links/codes", {"partner": BLUEBIRD.ledger, "conversions_max": 1}).json()
    assert len(code["code"]) == 9
    body = {"id": request_id("typed"), "partner": BLUEBIRD.ledger, "code": "2222-2222"}
    refused = ann("POST", "/links/typed", body, as_=BOB)
    assert (refused.status_code, refused.json()["code"]) == (409, "partner_unreachable")
    refused = ann("POST", "/links/completions", {"state": "x", "code": "a" * 43})
    assert (refused.status_code, refused.json()["code"]) == (404, "link_request_unknown")
    wanted = {"id": uuid("begin"), "partner": BLUEBIRD.ledger, "redirect_url": "https://app.example/back"}
    refused = ann("POST", "/links/requests", wanted)
    assert (refused.status_code, refused.json()["code"]) == (422, "redirect_unregistered")
    asked = {**wanted, "state": "s", "code_challenge": "a" * 43}
    del asked["id"]
    assert ann("POST", "/links/consents", asked).json()["code"] == "redirect_unregistered"
    revoked = ann("POST", "/links/revocations", {key: links[0][key] for key in ("partner", "alias", "direction")})
    assert revoked.json()["kind"] == "link_revoked"
    wish = {"id": request_id("order"), "partner": BLUEBIRD.ledger, "amount": 1_000}
    assert ann("POST", "/conversions", wish).json()["code"] == "link_revoked"


def test_a_member_transfers_to_another(ann: Call) -> None:
    offer = {"id": request_id("gift"), "to": BOB, "amount": 300}
    assert ann("POST", "/transfers", offer).status_code == 201
    shown = ann("GET", f"/transfers/{offer['id']}", as_=BOB).json()
    assert (shown["state"], shown["amount"]) == ("offered", 300)
    assert (
        ann("GET", "/history", as_=BOB).json()["lines"][0]["text"].startswith("Another member offers you 300 points.")
    )
    answer = {"id": request_id("take")}
    refused = ann("POST", f"/transfers/{offer['id']}/accept", answer)
    assert (refused.status_code, refused.json()["code"]) == (404, "transfer_unknown")
    assert ann("POST", f"/transfers/{offer['id']}/accept", answer, as_=BOB).status_code == 201
    assert ann("GET", "", as_=BOB).json()["available"] == 300
    assert ann("GET", "/history", as_=BOB).json()["lines"][0]["text"] == "You accepted 300 points from another member."
    assert ann("GET", "/history").json()["lines"][0]["text"] == "Another member accepted 300 points from you."
    another = {"id": request_id("another gift"), "to": BOB, "amount": 1}
    ann("POST", "/transfers", another)
    declined = ann("POST", f"/transfers/{another['id']}/decline", {"id": request_id("no")}, as_=BOB)
    assert declined.status_code == 201
    listed = ann("GET", "/transfers").json()["transfers"]
    assert [each["state"] for each in listed] == ["declined", "accepted"]
    assert ann("GET", "/history").json()["lines"][0]["kind"] == "transfer_declined"


def test_nobody_but_a_member_has_a_day(api: Api) -> None:
    assert api.get("/v1/me").status_code == 403
