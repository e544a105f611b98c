"""Webhooks to a real receiver: down, slow, answering 500 or losing answers, it gets all of it, in order per account."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from node.app.open import PortOverrides, open_node
from node.peers.hooks import HttpHooks
from node.services.access.credentials import CallerRole
from node.services.events.webhook_delivery import DeliveryPolicy
from node.services.events.webhooks import WebhooksService
from node.workers.send_webhooks import SendWebhooks
from tests.support.api import ANN, BOB, Api, Json, NoTransport, api_of, open_accounts, request_id
from tests.support.documents import uuid
from tests.support.keyrings import SeededRandomness
from tests.support.receivers import Receiver, listening, refuse, until

HOOK = uuid("hook")
POLICY = DeliveryPolicy(waiting_max=8, batch_events=6)


@pytest.fixture
def hooks() -> Iterator[HttpHooks]:
    made = HttpHooks(private=True, timeout=httpx.Timeout(60.0))
    yield made
    made.close()


@pytest.fixture
def api(tmp_path: Path, hooks: HttpHooks) -> Iterator[Api]:
    with api_of(tmp_path / "aurora", hooks=hooks) as made:
        open_accounts(made)
        yield made


@pytest.fixture
def receiver(api: Api) -> Iterator[Receiver]:
    made = Receiver()
    with listening(made):
        add(api, made)
        yield made


def add(api: Api, receiver: Receiver, **more: object) -> dict[str, object]:
    answer = api.done("/v1/webhooks", {"id": HOOK, "url": receiver.url, **more})
    receiver.secret = str(answer["secret"])
    return answer


def issue(api: Api, amounts: range, account: str = ANN) -> None:
    for amount in amounts:
        body = {"id": request_id(f"{account} {amount}"), "type": "issue", "account": account, "amount": amount}
        api.done("/v1/transactions", body)


def deliver(webhooks: WebhooksService, *, rounds: int = 50) -> None:
    """Make rounds until nothing is due."""
    with ThreadPoolExecutor(4) as pool:
        for _ in range(rounds):
            if not any(webhooks.deliver(each, pool) for each in webhooks.due()):
                return


def with_policy(api: Api, hooks: HttpHooks) -> WebhooksService:
    """Return the service of a node that waits with little."""
    return WebhooksService(api.node.webhooks._context, api.node.events, hooks, policy=POLICY)


def exceptions(api: Api) -> list[Json]:
    found = api.read("/v1/exceptions")["exceptions"]
    assert isinstance(found, list)
    return found


def waiting(api: Api) -> int:
    return int(str(api.read(f"/v1/webhooks/{HOOK}")["waiting"]))


def test_everything_arrives_once_signed_and_in_order(api: Api, receiver: Receiver) -> None:
    issue(api, range(1, 6))
    issue(api, range(1, 4), BOB)
    deliver(api.node.webhooks)
    assert receiver.of(ANN) == [1, 2, 3, 4, 5]
    assert receiver.of(BOB) == [1, 2, 3]
    assert (receiver.forged, len(receiver.tried), waiting(api)) == (0, 8, 0)
    deliver(api.node.webhooks)
    assert len(receiver.tried) == 8
    shown = api.read(f"/v1/webhooks/{HOOK}")
    assert (shown["delivered"], shown["failing_since"], shown["state"]) == (8, None, "active")


def test_a_receiver_that_is_down_for_an_hour_misses_nothing(api: Api) -> None:
    receiver = Receiver()
    with listening(receiver):
        add(api, receiver)
    port = int(receiver.url.rpartition(":")[2].partition("/")[0])
    for minute in range(60):
        if minute % 6 == 0:
            issue(api, range(minute, minute + 3) if minute else range(1, 3))
        deliver(api.node.webhooks)
        api.clock.advance(60)
    shown = api.read(f"/v1/webhooks/{HOOK}")
    assert shown["failing_since"] is not None
    assert "ConnectError" in str(shown["last_error"])
    assert (shown["delivered"], shown["waiting"]) == (0, 0)
    with listening(receiver, port=port):
        api.clock.advance(3_600)
        deliver(api.node.webhooks)
    assert receiver.of(ANN) == [1, 2, *(minute + each for minute in range(6, 60, 6) for each in range(3))]
    assert len(receiver.tried) == len(receiver.ids)
    assert api.read(f"/v1/webhooks/{HOOK}")["failing_since"] is None


def test_what_one_account_cannot_deliver_holds_up_nobody_else(api: Api, receiver: Receiver) -> None:
    receiver.behave = refuse(ANN)
    issue(api, range(1, 4))
    issue(api, range(1, 4), BOB)
    deliver(api.node.webhooks)
    assert receiver.of(BOB) == [1, 2, 3]
    assert receiver.of(ANN) == []
    assert {event["data"]["amount"] for event in receiver.tried if event["account"] == ANN} == {1}  # type: ignore[index]
    assert waiting(api) == 3
    issue(api, range(4, 6))
    issue(api, range(4, 5), BOB)
    deliver(api.node.webhooks)
    assert receiver.of(BOB) == [1, 2, 3, 4]
    listed = api.read(f"/v1/webhooks/{HOOK}/deliveries")
    rows = listed["waiting"]
    assert isinstance(rows, list)
    assert [row["attempts"] for row in rows] == [1, 0, 0, 0, 0]
    assert rows[0]["last_error"] == "it answered 500"
    api.clock.advance(3_600)
    (failing,) = (each for each in exceptions(api) if each["kind"] == "webhook_failing")
    assert (failing["about"], failing["reason"], failing["age_seconds"]) == (HOOK, "it answered 500", 3_600)
    receiver.behave = refuse(BOB)
    api.clock.advance(60)
    deliver(api.node.webhooks)
    assert receiver.of(ANN) == [1, 2, 3, 4, 5]
    assert waiting(api) == 0


def test_an_endpoint_that_refuses_everything_lets_a_bounded_number_wait(
    api: Api, receiver: Receiver, hooks: HttpHooks
) -> None:
    webhooks = with_policy(api, hooks)
    receiver.behave = refuse()
    for number in range(6):
        issue(api, range(2 * number + 1, 2 * number + 3))
        issue(api, range(2 * number + 1, 2 * number + 3), BOB)
        deliver(webhooks)
        api.clock.advance(600)
    assert waiting(api) == POLICY.waiting_max
    receiver.behave = refuse("nobody")
    deliver(webhooks)
    assert receiver.of(ANN) == receiver.of(BOB) == list(range(1, 13))
    assert waiting(api) == 0


def test_a_slow_account_holds_up_nobody_else(api: Api, receiver: Receiver) -> None:
    receiver.behave = until(ANN, lambda: receiver.of(BOB) == [1, 2, 3, 4, 5])
    issue(api, range(1, 3))
    issue(api, range(1, 6), BOB)
    deliver(api.node.webhooks, rounds=1)
    told = [str(event["account"]) for event in receiver.seen]
    assert told == [BOB] * 5 + [ANN] * 2
    assert receiver.of(ANN) == [1, 2]


def test_a_lost_answer_is_repeated_under_the_same_id(api: Api, receiver: Receiver) -> None:
    receiver.behave = refuse(status=0)
    issue(api, range(1, 3))
    deliver(api.node.webhooks)
    receiver.behave = refuse("nobody")
    api.clock.advance(60)
    deliver(api.node.webhooks)
    assert receiver.of(ANN) == [1, 2]
    assert len(receiver.seen) == 3
    assert len(receiver.ids) == 2


def test_a_redirection_is_not_followed(api: Api, receiver: Receiver) -> None:
    receiver.behave = refuse(status=302)
    issue(api, range(1, 2))
    deliver(api.node.webhooks)
    assert len(receiver.tried) == 1
    assert waiting(api) == 1


def test_a_node_that_comes_back_goes_on_where_it_was(tmp_path: Path, hooks: HttpHooks) -> None:
    receiver = Receiver()
    with listening(receiver), api_of(tmp_path / "aurora", hooks=hooks) as api:
        open_accounts(api)
        add(api, receiver)
        issue(api, range(1, 4))
        deliver(api.node.webhooks)
        receiver.behave = refuse(ANN)
        issue(api, range(4, 7))
        issue(api, range(1, 3), BOB)
        deliver(api.node.webhooks)
        issue(api, range(7, 9))
        clock = api.clock
    ports = PortOverrides(clock=clock, randomness=SeededRandomness("again"), transport=NoTransport(), hooks=hooks)
    receiver.behave = refuse("nobody")
    port = int(receiver.url.rpartition(":")[2].partition("/")[0])
    with listening(receiver, port=port), open_node(tmp_path / "aurora", ports=ports) as opened:
        clock.advance(60)
        deliver(opened.node.webhooks)
    assert receiver.of(ANN) == list(range(1, 9))
    assert receiver.of(BOB) == [1, 2]
    assert receiver.forged == 0


def test_the_worker_delivers_what_is_committed(api: Api, receiver: Receiver) -> None:
    worker = SendWebhooks(api.node.webhooks, api.node.events)
    issue(api, range(1, 4))
    try:
        for _ in range(400):
            worker.step()
            worker.wait(0.1)
            if len(receiver.seen) == 3:
                break
    finally:
        worker.close()
    assert receiver.of(ANN) == [1, 2, 3]


def test_an_endpoint_that_takes_nothing_for_days_is_disabled_and_told(api: Api) -> None:
    receiver = Receiver()
    with listening(receiver):
        add(api, receiver)
    issue(api, range(1, 3))
    for _ in range(7):
        deliver(api.node.webhooks)
        api.clock.advance(86_400)
    assert api.read(f"/v1/webhooks/{HOOK}")["state"] == "disabled"
    assert "webhook_disabled" in [each["kind"] for each in exceptions(api)]
    port = int(receiver.url.rpartition(":")[2].partition("/")[0])
    with listening(receiver, port=port):
        assert api.done(f"/v1/webhooks/{HOOK}/resume", {})["state"] == "active"
        deliver(api.node.webhooks)
    assert receiver.of(ANN) == [1, 2]


def test_a_replay_sends_again_what_comes_after_a_place(api: Api, receiver: Receiver) -> None:
    issue(api, range(1, 4))
    deliver(api.node.webhooks)
    first = receiver.seen[0]["seq"]
    api.done(f"/v1/webhooks/{HOOK}/replay", {"after": str(first)})
    deliver(api.node.webhooks)
    assert [event["id"] for event in receiver.seen[3:]] == receiver.ids[1:]


def test_no_endpoint_is_put_after_the_end_of_the_feed(api: Api, receiver: Receiver) -> None:
    beyond = {"after": "999999999"}
    assert api.post(f"/v1/webhooks/{HOOK}/replay", beyond).json()["code"] == "request_invalid"
    other = {"id": uuid("other"), "url": receiver.url, **beyond}
    assert api.post("/v1/webhooks", other).json()["code"] == "request_invalid"
    issue(api, range(1, 2))
    deliver(api.node.webhooks)
    assert receiver.of(ANN) == [1]


def test_an_endpoint_is_told_the_types_that_it_wants(api: Api) -> None:
    receiver = Receiver()
    with listening(receiver):
        add(api, receiver, types=["points.redeemed"], after="-1")
        issue(api, range(1, 3))
        redeem = {"id": request_id("redeem"), "type": "redeem", "account": ANN, "amount": 7}
        api.done("/v1/transactions", redeem)
        deliver(api.node.webhooks)
    assert receiver.of(ANN) == [-7]


def test_a_test_event_says_what_came_of_it(api: Api, receiver: Receiver) -> None:
    assert api.done(f"/v1/webhooks/{HOOK}/test", {})["outcome"] == "delivered"
    assert receiver.seen[0]["type"] == "webhook.test"
    assert receiver.forged == 0
    receiver.behave = refuse()
    assert api.done(f"/v1/webhooks/{HOOK}/test", {})["outcome"] == "it answered 500"


def test_a_removed_endpoint_gets_nothing_more(api: Api, receiver: Receiver) -> None:
    receiver.behave = refuse()
    issue(api, range(1, 3))
    deliver(api.node.webhooks)
    assert api.call("DELETE", f"/v1/webhooks/{HOOK}").is_success
    assert api.read("/v1/webhooks")["webhooks"] == []
    rows = api.rows()
    assert rows["webhook_deliveries"] == rows["webhook_attempts"] == rows["webhooks"] == []
    assert api.call("DELETE", f"/v1/webhooks/{HOOK}").json()["code"] == "webhook_unknown"


def test_an_endpoint_is_kept_once_and_with_types_that_there_are(api: Api, receiver: Receiver) -> None:
    again = api.post("/v1/webhooks", {"id": HOOK, "url": receiver.url})
    assert again.json()["code"] == "webhook_exists"
    other = {"id": uuid("other"), "url": receiver.url, "types": ["points.unheard"]}
    assert api.post("/v1/webhooks", other).json()["code"] == "request_invalid"
    assert api.call("GET", "/v1/webhooks", role=CallerRole.AUDITOR).status_code == 403


def test_a_secret_is_shown_once(api: Api) -> None:
    receiver = Receiver()
    with listening(receiver):
        add(api, receiver)
    assert receiver.secret not in api.get(f"/v1/webhooks/{HOOK}").text
    assert receiver.secret not in api.get("/v1/webhooks").text


def rotate(api: Api, **more: object) -> str:
    answer = api.done(f"/v1/webhooks/{HOOK}/rotate-secret", more)
    assert answer["webhook"] == api.read(f"/v1/webhooks/{HOOK}")
    return str(answer["secret"])


def test_a_rotated_secret_signs_beside_the_one_before_until_the_overlap_is_over(api: Api, receiver: Receiver) -> None:
    before, fresh = receiver.secret, rotate(api, overlap_seconds=60)
    assert fresh != before
    issue(api, range(1, 2))
    deliver(api.node.webhooks)
    receiver.secret = fresh
    issue(api, range(2, 3))
    deliver(api.node.webhooks)
    # Whichever of the two the receiver knows, it finds a signature by it.
    assert (receiver.of(ANN), receiver.forged) == ([1, 2], 0)
    api.clock.advance(60)
    issue(api, range(3, 4))
    deliver(api.node.webhooks)
    assert receiver.forged == 0
    receiver.secret = before
    issue(api, range(4, 5))
    deliver(api.node.webhooks)
    assert (receiver.of(ANN), receiver.forged) == ([1, 2, 3, 4], 1)


def test_of_secrets_that_were_rotated_twice_the_oldest_signs_no_more(api: Api, receiver: Receiver) -> None:
    second = rotate(api)
    rotate(api)
    issue(api, range(1, 2))
    deliver(api.node.webhooks)
    assert receiver.forged == 1
    receiver.secret = second
    issue(api, range(2, 3))
    deliver(api.node.webhooks)
    assert receiver.forged == 1
    receiver.secret = rotate(api, overlap_seconds=0)
    issue(api, range(3, 4))
    deliver(api.node.webhooks)
    assert receiver.forged == 1
    assert receiver.secret not in api.get(f"/v1/webhooks/{HOOK}").text


def test_a_secret_that_nobody_has_is_not_rotated(api: Api) -> None:
    assert api.post(f"/v1/webhooks/{HOOK}/rotate-secret", {}).json()["code"] == "webhook_unknown"


def test_a_receiver_that_hangs_does_not_hold_up_the_stop(api: Api, receiver: Receiver, hooks: HttpHooks) -> None:
    reached, let_go = threading.Event(), threading.Event()

    def hang(_event: Json) -> int:
        reached.set()
        let_go.wait(60)
        return 204

    receiver.behave = hang
    issue(api, range(1, 2))
    worker = SendWebhooks(api.node.webhooks, api.node.events)
    worker.step()
    assert reached.wait(60)
    # Were the attempt waited for, this would never end: the receiver is let go only afterwards.
    api.node.webhooks.halt()
    hooks.halt()
    worker.close()
    let_go.set()
    shown = api.read(f"/v1/webhooks/{HOOK}")
    assert (shown["delivered"], shown["failing_since"]) == (0, None)
