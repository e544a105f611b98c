"""What was posted on an account at a moment, on both databases: as it was told then, whatever came after."""

from collections.abc import Iterator

import pytest

from node.services.members import past_accounts
from protocol.fields import format_time, later
from tests.support.api import ANN, Api, Json, request_id
from tests.support.documents import uuid

DAY_SECONDS = 86_400


def now(api: Api) -> str:
    return format_time(api.clock.now())


def account(api: Api, name: str) -> str:
    api.done("/v1/accounts", {"id": uuid(name), "kind": "member"})
    return f"member/{uuid(name)}"


def transact(api: Api, name: str, **body: object) -> Json:
    return api.done("/v1/transactions", {"id": request_id(name), **body})


def moves(api: Api, one: str, other: str) -> Iterator[None]:
    """Do one thing after the other that changes what two accounts have, a working day between them."""
    transact(api, "first", type="issue", account=one, amount=500)
    yield
    transact(api, "sent", type="transfer", account=one, to=other, amount=120)
    yield
    api.done("/v1/holds", {"id": request_id("kept"), "account": one, "amount": 100})
    yield
    api.done(f"/v1/holds/{request_id('kept')}/capture", {"id": request_id("some"), "amount": 60})
    yield
    transact(api, "second", type="issue", account=other, amount=7)
    yield
    body = {"id": request_id("joined"), "survivor": one, "reason": "joined_twice"}
    api.done(f"/v1/accounts/{other}/merge", body)
    yield


def test_each_moment_is_told_as_it_was(api: Api) -> None:
    one, other = account(api, "one"), account(api, "other")
    seen = []
    for _ in moves(api, one, other):
        newest = api.read(f"/v1/accounts/{one}/balance")
        posted = {name: api.read(f"/v1/accounts/{name}")["posted"] for name in (one, other)}
        assert newest["posted"] == posted[one]
        api.clock.advance(30)
        seen.append((now(api), newest["seq"], posted))
        api.clock.advance(DAY_SECONDS)
    assert [posted[one] for _, _, posted in seen] == [500, 380, 380, 320, 320, 447]
    for time, seq, posted in seen:
        for name, amount in posted.items():
            for moment in (f"at={time}", f"on={time[:10]}", f"seq={seq}"):
                found = api.read(f"/v1/accounts/{name}/balance?{moment}")
                assert (found["account"], found["posted"], found["seq"]) == (name, amount, seq), moment
                assert str(found["time"]) < time


def test_a_moment_begins_before_what_is_written_at_it(api: Api) -> None:
    one = account(api, "early")
    api.clock.advance(1)
    seq = int(str(transact(api, "early points", type="issue", account=one, amount=500)["seq"]))
    api.clock.advance(1)
    assert api.read(f"/v1/accounts/{one}/balance?seq={seq}")["posted"] == 500
    time = str(api.read(f"/v1/accounts/{one}/balance")["time"])
    assert api.read(f"/v1/accounts/{one}/balance?at={later(time, microseconds=1)}")["posted"] == 500
    before = api.read(f"/v1/accounts/{one}/balance?at={time}")
    assert (before["posted"], before["seq"]) == (0, seq - 1)


@pytest.mark.parametrize(
    ("moment", "code"),
    [
        ("at=2999-01-01T00:00:00Z", "request_invalid"),
        ("on=2999-01-01", "request_invalid"),
        ("at=2001-01-01T00:00:00Z", "request_invalid"),
        ("on=2001-01-01", "request_invalid"),
        ("seq=4000000", "not_found"),
        ("seq=0", "account_unknown"),
        ("seq=0&on=2001-01-01", "request_invalid"),
        ("at=yesterday", "request_invalid"),
        ("seq=-1", "request_invalid"),
    ],
)
def test_a_moment_that_cannot_be_told_is_refused(api: Api, moment: str, code: str) -> None:
    assert api.get(f"/v1/accounts/{ANN}/balance?{moment}").json()["code"] == code


def test_today_is_not_over(api: Api) -> None:
    today = now(api)[:10]
    refused = api.get(f"/v1/accounts/{ANN}/balance?on={today}")
    assert refused.json()["code"] == "request_invalid"
    assert "not over" in refused.json()["detail"]
    assert api.get(f"/v1/accounts/member/{uuid('nobody')}/balance").json()["code"] == "account_unknown"


def test_a_moment_that_too_much_has_followed_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    one = account(api, "long")
    first = transact(api, "long ago", type="issue", account=one, amount=1)
    for number in range(3):
        transact(api, f"more {number}", type="issue", account=one, amount=1)
    monkeypatch.setattr(past_accounts, "ENTRIES_MAX", 2)
    refused = api.get(f"/v1/accounts/{one}/balance?seq={first['seq']}")
    assert refused.json()["code"] == "request_invalid"
    assert "later moment" in refused.json()["detail"]
