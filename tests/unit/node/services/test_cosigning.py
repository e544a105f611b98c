"""A log and its witnesses: asked in rounds, believed when they have signed, waited for no longer than a moment."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from node.app.key_files import read_keyring
from node.app.open import open_node
from node.ports import WitnessAnswer
from node.services.context import Context, WriteWork
from node.services.logs import cosigning as cosigning_module
from node.services.logs.cosigning import PREFIX, RETRY_SECONDS_MAX, Cosigning, Witnessing
from node.services.logs.package import StoreSource
from node.services.logs.publication import OPEN_SECONDS, PUBLISH_SECONDS, Publication
from node.services.request_digest import RequestDigests
from protocol.agreement import key_of
from protocol.checkpoint import sign_checkpoint, sign_cosignature
from protocol.keys import Role, SigningKey
from protocol.ledger.state import LEDGER, ONLY
from protocol.note import KeyType, Note, Verifier, format_vkey, parse_note, signers_of
from protocol.proof import parse_receipt
from protocol.witness import AddCheckpoint, format_size
from tests.support.api import Api, api_of, meet
from tests.support.documents import BLUEBIRD, uuid
from tests.support.keyrings import SeededRandomness
from tests.support.logs import TestLog
from tests.support.witnesses import PlayedWitness, PlayedWitnesses


class Scene:
    """Aurora's node, three witnesses, and the rounds in which it asks them."""

    def __init__(self, api: Api) -> None:
        record = api.node.reader.record(LEDGER, ONLY)
        assert record is not None
        self.api = api
        self.keyring = read_keyring(api.created.directory)
        self.log = Verifier(record.ledger, key_of(record.keys, Role.LOG))
        self.witnesses = [PlayedWitness(f"w{number}.example", (self.log,)) for number in (1, 2, 3)]
        self.context = Context(
            record=record,
            reader=api.node.reader,
            writer=api.node._writer,
            keyring=self.keyring,
            clock=api.clock,
            randomness=SeededRandomness("cosigning"),
            digests=RequestDigests(b"cosigning"),
        )
        self.publication = api.node.log.publication
        self.start()

    def start(self) -> None:
        """Begin to ask, with nothing remembered of the witnesses."""
        others = tuple(each.cosigner for each in self.witnesses)
        self.cosigning = Cosigning(
            self.context, self.publication, PlayedWitnesses(*self.witnesses), Witnessing(others=others, partners=False)
        )

    def grow(self, *names: str) -> None:
        for name in names:
            self.api.done("/v1/accounts", {"id": uuid(name), "kind": "member"})

    def step(self, seconds: float = PUBLISH_SECONDS) -> None:
        self.api.clock.advance(seconds)
        self.cosigning.step(at_once)

    def settle(self) -> None:
        """Return once what was published is kept."""
        self.context.writer.submit(WriteWork([])).result()

    def shown(self) -> Note:
        return parse_note(self.api.call("GET", "/checkpoint", role=None).content)

    def signers(self, note: Note | None = None) -> list[str]:
        """Return the witnesses whose cosignatures are published."""
        verifiers = [self.log, *(each.cosigner.verifier for each in self.witnesses)]
        log, *names = [each.name for each in signers_of(note or self.shown(), verifiers)]
        assert log == self.log.name
        return names

    def size(self) -> int:
        return int(self.shown().text.split("\n")[1])

    def played_log(self) -> TestLog:
        """Return a log of Aurora's own key with a history that this store does not have."""
        return TestLog(self.log.name, self.keyring.key(Role.LOG))


def at_once(call: Callable[[], None]) -> "Future[None]":
    done: Future[None] = Future()
    call()
    done.set_result(None)
    return done


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with api_of(tmp_path / "aurora") as api:
        yield Scene(api)


ALL = ["w1.example", "w2.example", "w3.example"]


def test_what_is_published_is_cosigned(scene: Scene) -> None:
    scene.grow("ann", "bob")
    scene.step()
    assert scene.size() == 3
    assert scene.signers() == ALL
    receipt = parse_receipt(scene.api.get("/v1/entries/1/receipt").content)
    assert scene.signers(parse_note(receipt.checkpoint)) == ALL


def test_each_round_goes_on_from_what_was_cosigned(scene: Scene) -> None:
    scene.step()
    for name in ("ann", "bob", "cat"):
        scene.grow(name)
        scene.step()
        assert scene.signers() == ALL
    for witness in scene.witnesses:
        assert [(each.old_size, each.checkpoint.size) for each in witness.asked] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    scene.step()
    assert all(len(witness.asked) == 4 for witness in scene.witnesses)


def test_a_receipt_is_refreshed_by_later_cosignatures(scene: Scene) -> None:
    scene.witnesses[1].is_up = scene.witnesses[2].is_up = False
    scene.grow("ann")
    scene.step()
    first = parse_receipt(scene.api.get("/v1/entries/1/receipt").content)
    assert scene.signers(parse_note(first.checkpoint)) == ["w1.example"]
    scene.witnesses[1].is_up = scene.witnesses[2].is_up = True
    scene.step(RETRY_SECONDS_MAX)
    later = parse_receipt(scene.api.get("/v1/entries/1/receipt").content)
    assert (later.extra, later.index) == (first.extra, first.index)
    assert scene.signers(parse_note(later.checkpoint)) == ALL


def test_after_a_restart_a_witness_says_where_it_is(scene: Scene) -> None:
    scene.grow("ann")
    scene.step()
    scene.grow("bob")
    scene.start()
    scene.step()
    assert scene.signers() == ALL
    asked = [(each.old_size, each.checkpoint.size) for each in scene.witnesses[0].asked]
    assert asked == [(0, 2), (0, 3), (2, 3)]


def test_a_witness_that_is_down_holds_up_nothing_and_is_asked_ever_more_rarely(scene: Scene) -> None:
    scene.witnesses[0].is_up = False
    attempts = 0
    for number in range(20):
        scene.grow(f"member {number}")
        scene.step()
        assert scene.signers() == ALL[1:]
        assert scene.size() == 2 + number
    scene.witnesses[0].is_up = True
    for _ in range(int(RETRY_SECONDS_MAX)):
        scene.step()
        attempts += 1
        if scene.signers() == ALL:
            break
    assert 1 < attempts < RETRY_SECONDS_MAX
    assert scene.signers() == ALL


def test_a_commit_wakes_nobody_where_nobody_is_asked(scene: Scene) -> None:
    idle = Cosigning(scene.context, scene.publication, PlayedWitnesses(), Witnessing(others=(), partners=False))
    for each in (idle, scene.cosigning):
        each.step(at_once)
    scene.grow("ann")
    scene.settle()
    assert (idle._woken.is_set(), scene.cosigning._woken.is_set()) == (False, True)


def test_without_any_witness_what_is_newest_is_published(scene: Scene) -> None:
    for witness in scene.witnesses:
        witness.is_up = False
    scene.grow("ann")
    scene.step()
    assert (scene.size(), scene.signers()) == (2, [])


def no_cosignature(asked: AddCheckpoint) -> WitnessAnswer:
    return WitnessAnswer(status=200, body=b"with pleasure\n")


def by_another_key(asked: AddCheckpoint) -> WitnessAnswer:
    line = sign_cosignature(asked.checkpoint, name="w1.example", key=SigningKey(bytes(32)), time_seconds=1)
    return WitnessAnswer(status=200, body=line.format().encode())


def of_another_checkpoint(asked: AddCheckpoint) -> WitnessAnswer:
    key = PlayedWitness("w1.example", ()).key
    other = TestLog(asked.checkpoint.origin, key).checkpoint(3)
    return WitnessAnswer(
        status=200, body=sign_cosignature(other, name="w1.example", key=key, time_seconds=1).format().encode()
    )


def always_another_size(asked: AddCheckpoint) -> WitnessAnswer:
    return WitnessAnswer(status=409, body=format_size(1 - asked.old_size))


ANSWERS: dict[str, Callable[[AddCheckpoint], WitnessAnswer]] = {
    "no cosignature": no_cosignature,
    "another key's": by_another_key,
    "another checkpoint's": of_another_checkpoint,
    "another size each time": always_another_size,
    "no size": lambda _: WitnessAnswer(status=409, body=b"many\n"),
    "unknown": lambda _: WitnessAnswer(status=404, body=b""),
    "not trusted": lambda _: WitnessAnswer(status=403, body=b""),
    "malformed": lambda _: WitnessAnswer(status=400, body=b""),
    "not proved": lambda _: WitnessAnswer(status=422, body=b""),
    "a page of something else": lambda _: WitnessAnswer(status=500, body=b"<html>"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_is_no_cosignature_is_not_published(scene: Scene, answer: str) -> None:
    scene.witnesses[0].act = ANSWERS[answer]
    scene.grow("ann", "bob")
    scene.step()
    assert (scene.size(), scene.signers()) == (3, ALL[1:])
    assert scene.api.node.gate.is_open
    assert len(scene.witnesses[0].asked) <= 3


def test_a_bug_in_asking_holds_up_nothing(scene: Scene) -> None:
    def stumble(_: AddCheckpoint) -> WitnessAnswer:
        raise ZeroDivisionError

    scene.witnesses[0].act = stumble
    scene.step()
    assert scene.signers() == ALL[1:]


def claims(scene: Scene, size: int, note: Note | None) -> None:
    """Let the first witness say that it has cosigned so many entries, and show `note` for it."""
    scene.witnesses[0].act = lambda _: WitnessAnswer(status=409, body=format_size(size))
    if note is not None:
        scene.witnesses[0].shown[scene.log.name] = note


def test_a_witness_that_has_seen_more_shows_that_the_store_is_an_older_copy(scene: Scene) -> None:
    claims(scene, 9, scene.played_log().note(9))
    scene.step()
    assert scene.api.node.gate.behind == "the witness w1.example has seen 9 entries, and the store has 1"
    refused = scene.api.post("/v1/accounts", {"id": uuid("ann"), "kind": "member"})
    assert refused.json()["code"] == "store_behind"
    asked = len(scene.witnesses[1].asked)
    scene.step()
    assert len(scene.witnesses[1].asked) == asked


def test_a_witness_that_has_seen_another_history_shows_it_too(scene: Scene) -> None:
    scene.grow("ann", "bob")
    scene.witnesses[0].act = lambda _: WitnessAnswer(status=422, body=b"")
    scene.witnesses[0].shown[scene.log.name] = scene.played_log().note(2)
    scene.step()
    assert scene.api.node.gate.behind == (
        "the witness w1.example has seen another history of 2 entries than the store holds"
    )


def test_a_witness_that_only_says_so_is_not_believed(scene: Scene) -> None:
    other = parse_note(sign_checkpoint(scene.played_log().checkpoint(9), key=SigningKey(bytes(32))))
    for note in (None, other, TestLog(BLUEBIRD.ledger, scene.keyring.key(Role.LOG)).note(9)):
        claims(scene, 9, note)
        scene.step(RETRY_SECONDS_MAX)
        assert scene.api.node.gate.is_open
        assert scene.signers() == ALL[1:]


def test_a_witness_that_is_right_about_this_log_shows_nothing(scene: Scene) -> None:
    scene.grow("ann", "bob")
    scene.step()
    scene.witnesses[0].act = lambda _: WitnessAnswer(status=422, body=b"")
    scene.grow("cat")
    scene.step()
    assert scene.api.node.gate.is_open
    assert scene.signers() == ALL[1:]


def test_a_slow_witness_is_not_waited_for_and_its_line_comes_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosigning_module, "ROUND_SECONDS", 0.01)
    late: list[Callable[[], None]] = []

    def submit(call: Callable[[], None]) -> "Future[None]":
        if not late:
            late.append(call)
            return Future()
        return at_once(call)

    scene.grow("ann")
    scene.cosigning.step(submit)
    assert scene.signers() == ALL[1:]
    scene.step()
    assert scene.witnesses[0].asked == []
    late[0]()
    scene.step()
    assert scene.signers() == ALL


def test_nothing_waits_for_witnesses_that_are_never_asked(scene: Scene) -> None:
    scene.step()
    scene.grow("ann")
    for _ in range(2):
        scene.api.clock.advance(PUBLISH_SECONDS)
        assert scene.size() == 1
    scene.api.clock.advance(OPEN_SECONDS)
    assert (scene.size(), scene.signers()) == (2, [])
    first = scene.context.reader.checkpoint(0)
    assert first is not None
    scene.publication.publish(first, [])
    assert scene.size() == 2


def test_cosignatures_outlive_a_restart(scene: Scene) -> None:
    scene.grow("ann")
    scene.step()
    shown = scene.shown()
    scene.settle()
    again = Publication(scene.context)
    assert parse_note(again.current().note) == shown
    scene.grow("bob")
    assert parse_note(Publication(scene.context).current().note) != shown
    scene.api.clock.advance(PUBLISH_SECONDS)
    assert again.current().size == 3


def test_partners_that_are_dialled_are_witnesses(scene: Scene) -> None:
    assert scene.api.node.cosigning.cosigners() == ()
    meet(scene.api)
    scene.api.clock.advance(10)
    (cosigner,) = scene.api.node.cosigning.cosigners()
    key = BLUEBIRD.signing_keys[Role.WITNESS].public
    assert cosigner.verifier == Verifier(BLUEBIRD.ledger, key, KeyType.COSIGNATURE)
    assert cosigner.url.endswith(f"/{PREFIX}")


def test_an_operator_names_the_witnesses(tmp_path: Path) -> None:
    witness = PlayedWitness("w.example", ()).cosigner
    with api_of(tmp_path / "aurora") as api:
        meet(api)
        directory = api.created.directory
    settings = {"witnesses": [f"{format_vkey(witness.verifier)} {witness.url}"], "partners_are_witnesses": False}
    with open_node(directory, settings=settings) as opened:
        assert opened.node.cosigning.cosigners() == (witness,)


def test_an_operator_sees_how_it_goes_with_each_witness(scene: Scene) -> None:
    scene.witnesses[0].is_up = False
    scene.grow("ann")
    scene.step()
    down, up, _ = scene.cosigning.all().witnesses
    assert (down.name, down.cosigned_size, down.last_failure) == ("w1.example", None, "connection refused")
    assert (up.name, up.cosigned_size, up.last_failure) == ("w2.example", 2, None)
    assert up.vkey == format_vkey(scene.witnesses[1].cosigner.verifier)
    meet(scene.api)
    scene.api.clock.advance(10)
    listed = scene.api.read("/v1/witnesses")["witnesses"]
    assert isinstance(listed, list)
    assert [(each["name"], each["cosigned_size"]) for each in listed] == [(BLUEBIRD.ledger, None)]


def test_an_exported_log_has_the_cosignatures_that_it_was_published_with(scene: Scene) -> None:
    scene.grow("ann")
    scene.step()
    scene.settle()
    note = StoreSource(scene.api.node.reader).fetch("checkpoint")
    assert note is not None
    assert parse_note(note) == scene.shown()
