"""Conversions as a programme sees them: quoted, ordered, pending, waited for, completed or returned."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Final

import httpx
import pytest

from node.engine.work import CommandWork
from protocol.identifiers import Digest, Id
from protocol.ledger import names
from protocol.ledger.commands import ConcludeFulfil, ConcludeReject
from protocol.messages import EntryReference, Fulfil, Reject, body_digest, encode_body
from tests.support.api import ANN, Api, Json, request_id
from tests.support.documents import AURORA, BLUEBIRD, NETWORK, NOW, digest

NUMBERS: Final = count(1)
"""How many conversions Bluebird has credited, on whichever node: each has a number of its own."""

THEIRS: Final = EntryReference(seq=7, leaf=digest("theirs"))


def order(api: Api, name: str, amount: int = 900) -> Json:
    body = {"id": request_id(name), "account": ANN, "partner": BLUEBIRD.ledger, "amount": amount}
    return api.done("/v1/conversions", body)


def answered_by_bluebird(api: Api, name: str, *, credited: bool) -> None:
    conversion = request_id(name)
    prepare = api.node.reader.sent_of_conversion(conversion)[0]
    conclude(api, conversion, fulfil(conversion, prepare.digest) if credited else reject(conversion, prepare.digest))


def fulfil(conversion: Id, prepare: Digest) -> Fulfil:
    return Fulfil(
        network=NETWORK,
        source=AURORA.ledger,
        destination=BLUEBIRD.ledger,
        id=conversion,
        prepare=prepare,
        decided_at=NOW,
        window=1,
        dec_seq=next(NUMBERS),
        destination_points=500,
        value=5_000_000,
        expires_on="2027-03-01",
        entry=THEIRS,
    )


def reject(conversion: Id, prepare: Digest) -> Reject:
    return Reject(
        network=NETWORK,
        source=AURORA.ledger,
        destination=BLUEBIRD.ledger,
        id=conversion,
        prepare=prepare,
        cancel=None,
        reason="account_closed",
        decided_at=NOW,
        entry=THEIRS,
    )


def conclude(api: Api, conversion: Id, body: Fulfil | Reject) -> None:
    known, entry_id = body_digest(encode_body(body)), names.conclusion_id(conversion)
    command = (
        ConcludeFulfil(id=entry_id, request=known, fulfil=body, digest=known)
        if isinstance(body, Fulfil)
        else ConcludeReject(id=entry_id, request=known, reject=body, digest=known)
    )
    api.node.submit(CommandWork([command])).result()


def test_a_quote_is_whole_steps_and_what_stays(api: Api) -> None:
    quote = api.done("/v1/quotes", {"account": ANN, "partner": BLUEBIRD.ledger, "amount": 900})
    agreement = quote.pop("agreement")
    assert quote == {
        "partner": BLUEBIRD.ledger,
        "steps": 2,
        "used": 800,
        "stays": 100,
        "fee": 12,
        "gives": 500,
        "value": 5_000_000,
        "currency": "USD",
        "rate": {"source": 400, "destination": 250},
        "promotion": None,
        "expires_days": 365,
        "expires_on": "2027-03-01",
        "valid_until": quote["valid_until"],
    }
    assert str(quote["valid_until"]) > NOW
    anonymous = api.done("/v1/quotes", {"partner": BLUEBIRD.ledger, "amount": 900})
    assert anonymous["agreement"] == agreement


def test_an_order_is_what_was_quoted_and_pending(api: Api) -> None:
    before = api.read(f"/v1/accounts/{ANN}")
    answer = order(api, "pending")
    names_of_amounts = ("source_points", "destination_points", "fee_points", "value", "state", "kind")
    assert [answer[name] for name in names_of_amounts] == [800, 500, 12, 5_000_000, "pending", "conversion_held"]
    after = api.read(f"/v1/accounts/{ANN}")
    assert after["posted"] == before["posted"]
    assert isinstance(before["held"], int)
    assert after["held"] == before["held"] + 812
    state = api.read(f"/v1/conversions/{request_id('pending')}")
    assert (state["state"], state["direction"], state["concluded_at"], state["reason"]) == (
        "pending",
        "out",
        None,
        None,
    )
    assert "bluebird.example" in str(state["waiting_for"])


def test_a_credited_conversion_is_completed(api: Api) -> None:
    order(api, "credited")
    answered_by_bluebird(api, "credited", credited=True)
    state = api.read(f"/v1/conversions/{request_id('credited')}")
    assert (state["state"], state["expires_on"], state["waiting_for"]) == ("completed", "2027-03-01", None)
    assert str(state["concluded_at"]) > str(state["since"])
    history = api.read(f"/v1/accounts/{ANN}/history?limit=1")["entries"]
    assert isinstance(history, list)
    assert history[0]["kind"] == "conversion_captured"


def test_a_refused_conversion_is_returned(api: Api) -> None:
    order(api, "refused")
    answered_by_bluebird(api, "refused", credited=False)
    state = api.read(f"/v1/conversions/{request_id('refused')}")
    assert (state["state"], state["reason"], state["expires_on"]) == ("returned", "account_closed", None)


def test_a_cancelled_conversion_waits_for_the_partner(api: Api) -> None:
    order(api, "cancelled")
    path = f"/v1/conversions/{request_id('cancelled')}"
    first = api.post(f"{path}/cancel", {})
    assert (first.status_code, first.json()["state"]) == (202, "pending")
    before = api.rows()
    assert api.call("POST", f"{path}/cancel").content == first.content
    assert api.rows() == before
    answered_by_bluebird(api, "cancelled", credited=False)
    assert api.read(path)["state"] == "returned"
    late = api.post(f"/v1/conversions/{request_id('credited late')}/cancel", {})
    assert late.status_code == 404


def test_a_decided_conversion_cannot_be_cancelled(api: Api) -> None:
    order(api, "decided")
    answered_by_bluebird(api, "decided", credited=False)
    response = api.post(f"/v1/conversions/{request_id('decided')}/cancel", {})
    assert (response.status_code, response.json()["code"]) == (409, "conversion_decided")


def watched(api: Api, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Return an event that is set once somebody waits for a conversion."""
    event, watch = asyncio.Event(), api.node.conversions.watch

    def noted(conversion: Id, wake: Callable[[], None]) -> Callable[[], None]:
        event.set()
        return watch(conversion, wake)

    monkeypatch.setattr(api.node.conversions, "watch", noted)
    return event


def test_waiting_ends_with_the_conclusion(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    order(api, "awaited")
    path = f"/v1/conversions/{request_id('awaited')}?wait=30"

    async def wait_for_it() -> httpx.Response:
        begun = watched(api, monkeypatch)
        waiting = asyncio.create_task(api.client.get(path, headers={"authorization": f"Bearer {api.token()}"}))
        await begun.wait()
        await asyncio.to_thread(answered_by_bluebird, api, "awaited", credited=True)
        async with asyncio.timeout(20):
            return await waiting

    assert api.runner.run(wait_for_it()).json()["state"] == "completed"
    assert api.node.conversions.watchers == 0


def test_waiting_ends_without_a_conclusion_too(api: Api) -> None:
    order(api, "slow")
    response = api.get(f"/v1/conversions/{request_id('slow')}?wait=1")
    assert (response.status_code, response.json()["state"]) == (200, "pending")


def test_waiting_ends_when_the_node_stops(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    order(api, "interrupted")
    path = f"/v1/conversions/{request_id('interrupted')}?wait=30"

    async def stop() -> httpx.Response:
        begun = watched(api, monkeypatch)
        waiting = asyncio.create_task(api.client.get(path, headers={"authorization": f"Bearer {api.token()}"}))
        await begun.wait()
        api.node.conversions.wake_all()
        async with asyncio.timeout(20):
            return await waiting

    assert api.runner.run(stop()).json()["state"] == "pending"


def test_conversions_are_listed_newest_first_by_page(api: Api) -> None:
    for number in range(5):
        order(api, f"listed {number}")
    first = api.read("/v1/conversions?state=pending&limit=3")
    second = api.read(f"/v1/conversions?state=pending&limit=3&after={first['next']}")
    assert isinstance(first["conversions"], list)
    assert isinstance(second["conversions"], list)
    ids = [one["id"] for one in first["conversions"] + second["conversions"]]
    assert ids[:5] == [request_id(f"listed {number}") for number in reversed(range(5))]
    everything = api.read("/v1/conversions?limit=256")
    assert everything["next"] is None


@pytest.mark.parametrize("state", ["completed", "returned"])
def test_conversions_are_listed_by_state(api: Api, state: str) -> None:
    order(api, f"listed {state}")
    answered_by_bluebird(api, f"listed {state}", credited=state == "completed")
    listed = api.read(f"/v1/conversions?state={state}")["conversions"]
    assert isinstance(listed, list)
    assert {one["state"] for one in listed} == {state}


def test_nothing_came_in_from_a_partner_that_sent_nothing(api: Api) -> None:
    assert api.read("/v1/conversions/incoming") == {"conversions": [], "next": None}
