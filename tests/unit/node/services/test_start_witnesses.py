"""After a start nothing is written until every witness that the operator names has answered, or is gone on without."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from node.app.key_files import read_keyring
from node.engine.gate import Gate
from node.ports import TransportFailed, WitnessAnswer
from node.services.logs.cosigning import START_RETRY_SECONDS_MAX
from node.services.logs.publication import PUBLISH_SECONDS
from protocol.identifiers import successor_of
from protocol.keys import Role
from protocol.note import Verifier, format_vkey
from protocol.witness import AddCheckpoint, format_size
from tests.support.api import ANN, Api, Json, api_of, meet, request_id
from tests.support.documents import AURORA, uuid
from tests.support.logs import TestLog
from tests.support.witnesses import PlayedWitness, PlayedWitnesses


def at_once(call: Callable[[], None]) -> "Future[None]":
    done: Future[None] = Future()
    call()
    done.set_result(None)
    return done


class Played(PlayedWitnesses):
    """Witnesses whose monitors can be away while they cosign."""

    monitors_are_up = True

    def latest(self, url: str, path: str, *, credential: str | None = None) -> bytes | None:
        if not self.monitors_are_up:
            raise TransportFailed("connection refused")
        return super().latest(url, path, credential=credential)


class Scene:
    """Aurora's node, which has just started, and two witnesses that its operator names."""

    def __init__(self, api: Api, *witnesses: PlayedWitness) -> None:
        self.api = api
        self.witnesses = witnesses
        self.key = read_keyring(api.created.directory).key(Role.LOG)
        self.gate: Gate = api.node.gate
        for each in witnesses:
            each.trusted = (Verifier(AURORA.ledger, self.key.public),)
        api.done("/v1/accounts", {"id": uuid("ann"), "kind": "member"})
        api.node.start_question.ask()

    def step(self, seconds: float = PUBLISH_SECONDS) -> None:
        self.api.clock.advance(seconds)
        self.api.node.cosigning.step(at_once)

    def write(self, name: str = "write") -> str:
        """Return the code of what the node answers to a request that writes, or nothing where it is done."""
        body = {"id": request_id(name), "type": "issue", "account": ANN, "amount": 1}
        answer: Json = self.api.post("/v1/transactions", body).json()
        return str(answer.get("code", ""))

    def kinds(self) -> list[tuple[str, str]]:
        found = self.api.read("/v1/exceptions")["exceptions"]
        assert isinstance(found, list)
        return [(each["kind"], each["partner"]) for each in found]

    def log(self, origin: str = AURORA.ledger) -> TestLog:
        return TestLog(origin, self.key)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    witnesses = [PlayedWitness(f"w{number}.example", ()) for number in (1, 2)]
    texts = [f"{format_vkey(each.cosigner.verifier)} {each.cosigner.url}" for each in witnesses]
    played = Played(*witnesses)
    with api_of(tmp_path / "aurora", settings={"witnesses": texts}, witnesses=played) as api:
        yield Scene(api, *witnesses)


def test_nothing_is_written_until_all_witnesses_have_answered(scene: Scene) -> None:
    assert scene.write() == "start_unanswered"
    scene.witnesses[1].is_up = False
    scene.step()
    assert scene.write() == "start_unanswered"
    assert scene.kinds() == [("witness_silent", "w2.example")]
    standing = scene.api.read("/v1/ledger/standing")
    assert (standing["condition"], standing["waiting_witnesses"]) == ("starting", ["w2.example"])
    assert str(standing["reason"]).endswith("w2.example")
    scene.witnesses[1].is_up = True
    scene.step(START_RETRY_SECONDS_MAX)
    assert scene.write() == ""
    assert scene.kinds() == []


def test_a_witness_that_is_silent_for_long_is_asked_often_all_the_same(scene: Scene) -> None:
    scene.witnesses[0].is_up = False
    for _ in range(20):
        scene.step(START_RETRY_SECONDS_MAX)
    scene.witnesses[0].is_up = True
    scene.step(START_RETRY_SECONDS_MAX)
    assert scene.write() == ""


def test_a_witness_that_has_cosigned_more_shows_an_older_copy(scene: Scene) -> None:
    scene.witnesses[0].act = lambda _: WitnessAnswer(status=409, body=format_size(9))
    scene.witnesses[0].shown[AURORA.ledger] = scene.log().note(9)
    scene.step()
    assert scene.gate.behind == "the witness w1.example has seen 9 entries, and the store has 2"
    assert scene.gate.seen is not None
    assert scene.gate.seen.size == 9
    assert scene.write() == "store_behind"


def test_what_a_witness_shows_of_the_log_that_ends_meanwhile_closes_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    latest = Played.latest

    def latest_as_a_successor_begins(
        self: Played, url: str, path: str, *, credential: str | None = None
    ) -> bytes | None:
        monkeypatch.setattr(Played, "latest", latest)
        scene.gate.restored()
        return latest(self, url, path, credential=credential)

    monkeypatch.setattr(Played, "latest", latest_as_a_successor_begins)
    scene.witnesses[0].act = lambda _: WitnessAnswer(status=409, body=format_size(9))
    scene.witnesses[0].shown[AURORA.ledger] = scene.log().note(9)
    scene.step()
    assert scene.gate.behind is None


def test_a_witness_whose_monitor_is_away_is_asked_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Played, "monitors_are_up", False)
    scene.step()
    assert set(scene.gate.witnesses) == {"w1.example", "w2.example"}
    monkeypatch.undo()
    scene.step(START_RETRY_SECONDS_MAX)
    assert scene.write() == ""


def test_a_witness_of_the_log_that_came_after_shows_it_too(scene: Scene) -> None:
    after = successor_of(AURORA.ledger)
    scene.witnesses[1].shown[after] = scene.log(after).note(3)
    scene.step()
    assert scene.gate.behind == f"the witness w2.example has seen the log {after}, of which the store has nothing"
    assert set(scene.gate.witnesses) == {"w2.example"}


def test_an_older_copy_looks_at_what_the_others_have_cosigned_and_asks_for_nothing(scene: Scene) -> None:
    scene.gate.found_behind("a partner has seen 3 entries", scene.log().checkpoint(3))
    scene.witnesses[0].shown[AURORA.ledger] = scene.log().note(9)
    scene.witnesses[1].is_up = False
    scene.step()
    assert scene.gate.seen == scene.log().checkpoint(9)
    assert set(scene.gate.witnesses) == {"w2.example"}
    assert [each.asked for each in scene.witnesses] == [[], []]
    assert scene.write() == "store_behind"


NO_ANSWERS: dict[str, Callable[[AddCheckpoint], WitnessAnswer]] = {
    "more than it can show": lambda _: WitnessAnswer(status=409, body=format_size(9)),
    "no cosignature": lambda _: WitnessAnswer(status=200, body=b"with pleasure\n"),
    "not trusted": lambda _: WitnessAnswer(status=403, body=b""),
    "a page": lambda _: WitnessAnswer(status=500, body=b"<html>"),
}


@pytest.mark.parametrize("what", NO_ANSWERS)
def test_what_is_no_answer_keeps_the_gate_closed(scene: Scene, what: str) -> None:
    scene.witnesses[0].act = NO_ANSWERS[what]
    for _ in range(3):
        scene.step(START_RETRY_SECONDS_MAX)
    assert scene.gate.behind is None
    assert set(scene.gate.witnesses) == {"w1.example"}
    assert scene.write() == "start_unanswered"


def test_a_witness_that_does_not_know_the_log_holds_up_nothing(scene: Scene) -> None:
    scene.witnesses[0].act = lambda _: WitnessAnswer(status=404, body=b"")
    scene.step()
    assert scene.write() == ""


def test_an_operator_goes_on_without_and_the_log_says_so_first(scene: Scene) -> None:
    scene.witnesses[0].is_up = scene.witnesses[1].is_up = False
    scene.step()
    one = {"id": request_id("one"), "witnesses": ["w1.example"], "reason": "witness_gone"}
    assert scene.api.post("/v1/ledger/start", one).json()["code"] == "start_unanswered"
    both = {"id": request_id("both"), "witnesses": ["w1.example", "w2.example"], "reason": "witness_gone"}
    answer = scene.api.done("/v1/ledger/start", both)
    assert scene.write() == ""
    entries = scene.api.node.reader.entries_from(2, 2)
    assert b"points_issued" in entries[1]
    (overridden,) = [each for each in entries if b"start_overridden" in each]
    assert (answer["seq"], b'"witnesses":["w1.example","w2.example"]' in overridden) == (2, True)
    assert scene.api.done("/v1/ledger/start", both) == answer


def test_nobody_is_named(scene: Scene) -> None:
    refused = scene.api.post("/v1/ledger/start", {"id": request_id("nobody"), "reason": "witness_gone"})
    assert refused.json()["code"] == "request_invalid"


def test_a_node_that_nobody_watches_says_so(tmp_path: Path) -> None:
    with api_of(tmp_path / "aurora") as api:
        scene = Scene(api)
        assert scene.write() == ""
        assert scene.kinds() == [("unwatched", AURORA.ledger)]
        meet(api)
        assert scene.kinds() == []
