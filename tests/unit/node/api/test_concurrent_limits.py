"""Sixty-four threads aim at the last free point of a limit: as many get through as there is room for, on each database.

The commands meet in the writer, in few commits or in many; what decides is `apply`, within one commit too.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Final, Literal, TypeAlias

import pytest

from node.services.members.transfers import DeclineRequest, OfferRequest
from node.services.requests import OrderRequest, RedeemRequest
from protocol.errors import Refusal
from protocol.identifiers import Account, Id
from protocol.ledger.program_state import LIMIT_USE, LimitUse
from protocol.program import Activity
from tests.support.api import ANN, BOB, POINTS, Api, request_id
from tests.support.documents import BLUEBIRD

THREADS: Final = 64
WAIT_SECONDS: Final = 120

Act: TypeAlias = Callable[[Api, str], object]


def redeem(api: Api, name: str) -> object:
    return api.node.points.transact(RedeemRequest(id=Id(request_id(name)), account=Account(ANN), amount=1))


def give(api: Api, name: str) -> object:
    return api.node.transfers.offer(
        OfferRequest(id=Id(request_id(name)), account=Account(ANN), to=Account(BOB), amount=1)
    )


def convert(api: Api, name: str) -> object:
    order = OrderRequest(
        id=Id(request_id(name)),
        account=Account(ANN),
        partner=BLUEBIRD.ledger,
        amount=800,
        accept_within_seconds=3_600,
    )
    return api.node.conversions.order(order)


def terms(api: Api, name: str, activity: Activity, scope: str, *, measure: str, most: int) -> None:
    limit = {"activity": activity, "scope": scope, "per": "day", "measure": measure, "most": most}
    body = {"id": request_id(name), "terms": {"limits": [limit]}, "reason": "opening"}
    assert api.call("PUT", "/v1/program", body=body).status_code == 200


def together(api: Api, act: Act, name: str) -> Counter[str]:
    """Let all threads act at once, and return how many were done or refused with which code."""
    barrier = Barrier(THREADS)

    def one(number: int) -> str:
        barrier.wait(WAIT_SECONDS)
        try:
            act(api, f"{name} {number}").result(WAIT_SECONDS)  # type: ignore[attr-defined]
        except Refusal as refusal:
            return refusal.code
        return "done"

    with ThreadPoolExecutor(THREADS) as pool:
        return Counter(pool.map(one, range(THREADS)))


def use_of(api: Api, subject: str, activity: Activity) -> LimitUse:
    use = api.node.reader.record(LIMIT_USE, (subject, activity))
    assert use is not None
    return use


@pytest.mark.parametrize(
    ("activity", "act", "scope", "subject", "measure", "most", "room"),
    [
        ("redeem", redeem, "account", ANN, "points", 1, 1),
        ("transfer_out", give, "program", "program", "count", 7, 7),
        ("convert_out", convert, "partner", BLUEBIRD.ledger, "points", 2_000, 2),
    ],
)
def test_no_more_get_through_than_there_is_room_for(
    api: Api,
    *,
    activity: Activity,
    act: Act,
    scope: Literal["account", "program", "partner"],
    subject: str,
    measure: str,
    most: int,
    room: int,
) -> None:
    terms(api, f"limit {activity}", activity, scope, measure=measure, most=most)
    assert together(api, act, activity) == {"done": room, "limit_reached": THREADS - room}
    use = use_of(api, subject, activity)
    assert (use.day_points if measure == "points" else use.day_count) <= most
    assert use.day_count == room


def test_a_screen_sees_what_comes_before_in_the_same_commit(api: Api) -> None:
    screen = {"name": "velocity", "activity": "transfer", "window_minutes": 5, "most": 3}
    body = {"id": request_id("screen"), "terms": {"screens": [screen]}, "reason": "opening"}
    assert api.call("PUT", "/v1/program", body=body).status_code == 200
    api.clock.advance(600)
    assert together(api, give, "screened") == {"done": THREADS}
    reviews = api.node.reviews.page(state=None, before=None, limit=200).reviews
    assert len(reviews) == THREADS - 3
    assert {each.screen for each in reviews} == {"velocity"}


def test_what_is_given_back_while_others_wait_is_given_once(api: Api) -> None:
    terms(api, "limit both", "transfer_out", "account", measure="count", most=32)
    assert together(api, give, "first")["done"] == 32
    offered = api.node.transfers.page(account=Account(ANN), state=None, before=None, limit=200).transfers
    ours = [each for each in offered if each.state == "offered"][:32]

    def cancel(api: Api, name: str) -> object:
        number = int(name.rpartition(" ")[2])
        if number % 2:
            return give(api, name)
        taken = DeclineRequest(id=Id(request_id(name)), transfer=Id(ours[number // 2].id), by="sender")
        return api.node.transfers.decline(taken)

    outcomes = together(api, cancel, "second")
    use = use_of(api, ANN, "transfer_out")
    assert outcomes["done"] - 32 == use.day_count <= 32
    posted = api.read(f"/v1/accounts/{ANN}")["posted"]
    assert isinstance(posted, int)
    assert posted <= POINTS
