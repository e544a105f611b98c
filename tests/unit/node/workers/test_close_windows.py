"""The worker of settlement: what cannot be done is told once and tried again; a proposal is not believed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from node.engine.work import Desk
from node.services.channel.waiting import newest_waiting, note_waiting
from node.services.refusals import NodeCode
from node.services.settlement.signing import StatementSigner
from protocol.errors import Code, TallystickError
from protocol.identifiers import Digest
from protocol.ledger.view import Need, Overlay
from protocol.messages import StatementSigned, decode_body
from protocol.statement import CheckpointReference
from tests.support.documents import AURORA, BLUEBIRD
from tests.support.nodes import Alliance, alliance, convert, make_alliance
from tests.support.settling import Settler, settlers, work

SIDES = (AURORA, BLUEBIRD)
Changed = Callable[[CheckpointReference], CheckpointReference]


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Alliance]:
    make_alliance(tmp_path, SIDES)
    with alliance(tmp_path, SIDES) as made:
        yield made


def proposed(nodes: Alliance) -> tuple[Settler, Settler]:
    """Bring two nodes to where the first party has proposed and the second has not looked."""
    one, other = settlers(nodes)
    convert(one.node, other.node)
    nodes.talk()
    one.service.close(other.node.ledger, 1).result()
    nodes.talk()
    one.worker.step()
    nodes.talk()
    return one, other


def received_by(other: Settler) -> tuple[StatementSigned, Digest]:
    """Return the proposal that the second party has received."""
    digest = newest_waiting(other.node.reader, "statement", AURORA.ledger)
    assert digest is not None
    received = other.node.reader.message_received(digest)
    assert received is not None
    body = decode_body(received.body)
    assert isinstance(body, StatementSigned)
    return body, digest


class NoteWork:
    """Notes the partner's statements as if each had just come, in one commit."""

    def __init__(self, settler: Settler, *came: tuple[StatementSigned, Digest]) -> None:
        self._reader = settler.node.reader
        self._came = came

    def needs(self, _view: Overlay) -> Iterator[Need]:
        yield from ()

    def run(self, desk: Desk) -> None:
        for body, digest in self._came:
            note_waiting(desk, self._reader, body, digest)


def test_the_statement_that_was_signed_last_waits_whichever_comes_last(nodes: Alliance) -> None:
    _, other = proposed(nodes)
    body, digest = received_by(other)
    older, newer = (
        msgspec.structs.replace(body, entry=msgspec.structs.replace(body.entry, seq=body.entry.seq + step))
        for step in (-1, 1)
    )
    old, new = Digest("00" * 32), Digest("ff" * 32)
    other.node.writer.submit(NoteWork(other, (older, old))).result()
    assert newest_waiting(other.node.reader, "statement", AURORA.ledger) == digest
    other.node.writer.submit(NoteWork(other, (newer, new), (body, digest))).result()
    assert newest_waiting(other.node.reader, "statement", AURORA.ledger) == new


def test_a_failure_is_told_once_and_tried_again(nodes: Alliance, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = proposed(nodes)

    def fail(_partner: object) -> None:
        raise TallystickError("the disk is full")

    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(other.service, "sign_due", fail)
        other.worker.step()
        other.worker.step()
    assert [log["event"] for log in logs] == ["settlement_waits"]
    work(nodes, one, other)
    assert [row.state for row in other.service.statements().statements] == ["agreed"]


def test_the_second_party_signs_no_other_lines_than_its_own(nodes: Alliance, monkeypatch: pytest.MonkeyPatch) -> None:
    _, other = proposed(nodes)
    body, digest = received_by(other)
    statement = msgspec.structs.replace(body.signed.statement, minor_unit=1, minor_units="5000000", carry="0")
    changed = msgspec.structs.replace(body, signed=msgspec.structs.replace(body.signed, statement=statement))
    monkeypatch.setattr(StatementSigner, "_proposal", lambda *_: (changed, digest))
    with pytest.raises(TallystickError) as refused:
        other.service.sign(AURORA.ledger, 1)
    assert refused.value.code == Code.STATEMENT_MISMATCH


@pytest.mark.parametrize(
    ("place", "change", "code"),
    [
        (0, lambda one: msgspec.structs.replace(one, root=Digest("00" * 32)), NodeCode.LOG_INCONSISTENT),
        (1, lambda one: msgspec.structs.replace(one, root=Digest("00" * 32)), Code.STATEMENT_MISMATCH),
        (1, lambda one: msgspec.structs.replace(one, size=1_000), Code.STATEMENT_MISMATCH),
    ],
)
def test_checkpoints_must_be_those_that_were_signed(
    nodes: Alliance, monkeypatch: pytest.MonkeyPatch, *, place: int, change: Changed, code: str
) -> None:
    _, other = proposed(nodes)
    body, digest = received_by(other)
    checkpoints = list(body.signed.statement.checkpoints)
    seen = other.node.reader.latest_partner_checkpoint(AURORA.ledger)
    assert seen is not None
    checkpoints[0] = msgspec.structs.replace(checkpoints[0], size=seen.size)
    checkpoints[place] = change(checkpoints[place])
    statement = msgspec.structs.replace(body.signed.statement, checkpoints=(checkpoints[0], checkpoints[1]))
    changed = msgspec.structs.replace(body, signed=msgspec.structs.replace(body.signed, statement=statement))
    monkeypatch.setattr(StatementSigner, "_proposal", lambda *_: (changed, digest))
    with pytest.raises(TallystickError) as refused:
        other.service.sign(AURORA.ledger, 1)
    assert refused.value.code == code
