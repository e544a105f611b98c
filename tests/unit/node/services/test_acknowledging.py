"""`ack_after_witness`: a request is answered once enough witnesses have cosigned the log that holds its entry."""

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from node.services.context import WriteWork
from node.services.logs.acknowledging import WAIT_SECONDS, WitnessedWriter
from node.services.logs.publication import Publication
from node.services.refusals import NodeCode, NodeRefusal
from node.store.rows import PutSetting
from protocol.checkpoint import parse_checkpoint, sign_cosignature
from protocol.note import NoteSignature, parse_note
from tests.support.api import Api, api_of
from tests.support.documents import uuid
from tests.unit.node.services.test_cosigning import Scene

WORK = WriteWork([PutSetting("a name", "a text")])


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with api_of(tmp_path / "aurora") as api:
        yield Scene(api)


def writer_of(scene: Scene, count: int) -> WitnessedWriter:
    made = WitnessedWriter(scene.context.writer, scene.publication, scene.context.clock, count=count)
    made.begin()
    return made


def written(writer: WitnessedWriter) -> "Future[None]":
    """Return the answer to a work, which is durable by now."""
    answer = writer.submit(WORK)
    writer._writer.submit(WORK).result()
    return answer


def cosign(scene: Scene, count: int) -> None:
    newest = scene.publication.newest()
    checkpoint = parse_checkpoint(parse_note(newest.note).text)
    lines: list[NoteSignature] = [
        sign_cosignature(checkpoint, name=each.name, key=each.key, time_seconds=1) for each in scene.witnesses[:count]
    ]
    scene.publication.publish(newest, lines)


def test_an_answer_waits_for_as_many_witnesses(scene: Scene) -> None:
    writer = writer_of(scene, 2)
    answer = written(writer)
    assert not answer.done()
    for count in (0, 1):
        cosign(scene, count)
        assert not answer.done()
    cosign(scene, 2)
    assert answer.result(0) is None


def test_what_is_cosigned_already_is_answered_at_once(scene: Scene) -> None:
    writer = writer_of(scene, 1)
    cosign(scene, 3)
    assert written(writer).done()
    scene.grow("ann")
    assert not written(writer).done()


def test_cosignatures_of_an_earlier_log_do_not_count(scene: Scene) -> None:
    writer = writer_of(scene, 1)
    earlier = scene.publication.newest()
    scene.grow("ann")
    answer = written(writer)
    scene.publication.publish(earlier, [])
    checkpoint = parse_checkpoint(parse_note(earlier.note).text)
    one = scene.witnesses[0]
    scene.publication.publish(earlier, [sign_cosignature(checkpoint, name=one.name, key=one.key, time_seconds=1)])
    assert not answer.done()


def test_a_refusal_is_told_at_once(scene: Scene) -> None:
    class Refused(WriteWork):
        def run(self, desk: object) -> None:
            raise NodeRefusal(NodeCode.NOT_FOUND, "no")

    writer = writer_of(scene, 1)
    answer = writer.submit(Refused([]))
    with pytest.raises(NodeRefusal):
        answer.result(20)


def test_who_waits_too_long_is_told_to_ask_again(scene: Scene) -> None:
    writer = writer_of(scene, 1)
    answers = [written(writer), written(writer)]
    answers[1].cancel()
    scene.api.clock.advance(WAIT_SECONDS - 1)
    writer.expire()
    assert not answers[0].done()
    scene.api.clock.advance(1)
    writer.expire()
    with pytest.raises(NodeRefusal) as caught:
        answers[0].result(0)
    assert caught.value.code == NodeCode.UNWITNESSED
    again = written(writer)
    cosign(scene, 1)
    assert again.done()


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_waits_that_nobody_would_end(scene: Scene, count: int) -> None:
    writer = WitnessedWriter(scene.context.writer, scene.publication, scene.context.clock, count=count)
    if count == 0:
        writer.begin()
    assert not writer.waits
    assert written(writer).done()


def test_the_requests_of_a_program_wait_and_a_witness_does_not(tmp_path: Path) -> None:
    with api_of(tmp_path / "aurora", settings={"ack_after_witness": 1}) as api:
        check(api)


def check(api: Api) -> None:
    acknowledging = api.node.acknowledging
    acknowledging.begin()
    assert acknowledging.waits
    publication: Publication = api.node.log.publication
    witness = Scene(api).witnesses[0]

    def publish() -> None:
        newest = publication.newest()
        checkpoint = parse_checkpoint(parse_note(newest.note).text)
        line = sign_cosignature(checkpoint, name=witness.name, key=witness.key, time_seconds=1)
        publication.publish(newest, [line])

    api.node._writer.listen(lambda committed: publish() if committed.sealed else None)
    assert api.done("/v1/accounts", {"id": uuid("ann"), "kind": "member"})["kind"] == "account_opened"
    assert api.node.witness.add_checkpoint(b"") is not None
