"""Webhooks of a node whose clock jumps: nothing waits for a time that was never meant, and nobody is flooded."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from node.peers.hooks import HttpHooks
from protocol.errors import Refusal
from tests.support.api import ANN, Api, api_of, open_accounts
from tests.support.receivers import Receiver, listening, refuse
from tests.unit.node.services.test_webhooks import HOOK, add, deliver, issue

_YEAR = 366 * 86_400


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    hooks = HttpHooks(private=True, timeout=httpx.Timeout(60.0))
    with api_of(tmp_path / "aurora", hooks=hooks) as made:
        open_accounts(made)
        yield made
    hooks.close()


@pytest.fixture
def receiver(api: Api) -> Iterator[Receiver]:
    made = Receiver()
    with listening(made):
        add(api, made)
        yield made


def set_clock(api: Api, seconds: int) -> None:
    """Set the wall clock to another time, and confirm it."""
    api.clock.jump(seconds)
    with pytest.raises(Refusal):
        api.node.webhooks.resume(HOOK)
    api.done("/v1/clock/confirmation", {})


def test_a_refused_event_is_tried_again_soon_after_the_clock_is_set_back(api: Api, receiver: Receiver) -> None:
    receiver.behave = refuse(ANN)
    issue(api, range(1, 3))
    deliver(api.node.webhooks)
    set_clock(api, -_YEAR)
    receiver.behave = refuse("nobody")
    api.clock.advance(3_600)
    deliver(api.node.webhooks)
    assert receiver.of(ANN) == [1, 2]


def test_an_endpoint_that_was_away_is_tried_soon_after_the_clock_is_set_back(api: Api) -> None:
    receiver = Receiver()
    with listening(receiver):
        add(api, receiver)
    issue(api, range(1, 3))
    deliver(api.node.webhooks)
    set_clock(api, -_YEAR)
    api.clock.advance(3_600)
    with listening(receiver, port=int(receiver.url.rpartition(":")[2].partition("/")[0])):
        deliver(api.node.webhooks)
    assert receiver.of(ANN) == [1, 2]


def test_nothing_is_sent_again_while_nothing_can_be_written(api: Api, receiver: Receiver) -> None:
    issue(api, range(1, 3))
    api.clock.jump(86_400)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            with pytest.raises(Refusal):
                api.node.webhooks.deliver(HOOK, pool)
    assert len(receiver.tried) == len(receiver.ids)
    api.done("/v1/clock/confirmation", {})
    issue(api, range(3, 5))
    deliver(api.node.webhooks)
    assert receiver.of(ANN) == [1, 2, 3, 4]
    # What was sent when nobody could write it down is sent once more, and nothing is after that.
    assert len(receiver.tried) == 6
