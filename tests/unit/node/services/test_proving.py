"""What a partner signs about its log is proved by what it publishes; what cannot be of one log leaves evidence."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from node.ports import TransportFailed
from node.services.channel.shown_checkpoints import ShownCheckpoints
from node.services.operating.exceptions import Delivery, ExceptionsService
from node.services.partner_logs import proving
from node.services.partner_logs.partner_log import PartnerLog
from node.services.partner_logs.proving import PATIENCE_SECONDS, Proving
from node.services.partner_logs.published_logs import PAUSE_SECONDS
from node.services.refusals import NodeCode, NodeRefusal
from node.store.rows import PartnerUrl
from node.store.rows_witness import PutWitnessed
from node.workers.prove_partners import ProvePartners
from protocol.audit.findings import Verdict
from protocol.audit.verify import verify_file
from protocol.checkpoint import sign_cosignature
from protocol.entries import PointsIssued
from protocol.identifiers import Digest, Ledger
from protocol.keys import Role
from protocol.ledger import commands
from protocol.note import Verifier, format_note, parse_note, sign_note
from protocol.statement import CheckpointReference
from protocol.tiles import TileBuilder, TileId, parse_path
from tests.support.documents import AURORA, BLUEBIRD, COPPER, prepare, query, uuid
from tests.support.logs import TestLog, leaves_of
from tests.support.nodes import ANN, Alliance, LocalNode, convert
from tests.support.operator import operator_of
from tests.support.puppet import Puppet
from tests.support.rewriting import Document, rewrite
from tests.support.settling import LocalLogs, context_of

KEY = AURORA.signing_keys[Role.LOG]
LEAVES = 700
TRUE = TestLog(AURORA.ledger, KEY, leaves_of("entry", LEAVES))


def branch(at: int) -> TestLog:
    """Return a log that has another story from leaf `at` on."""
    return TestLog(AURORA.ledger, KEY, [*TRUE.leaves[:at], *leaves_of("lie", LEAVES - at)])


@dataclass
class Published:
    """What AURORA publishes: `log` as far as `size`, unless a test changes what is served."""

    log: TestLog = TRUE
    size: int = 300
    asked: list[str] = field(default_factory=list)
    changed: Callable[[str, bytes], bytes | None] = lambda _, data: data

    def fetch(self, url: str, path: str, *, credential: str | None = None) -> bytes | None:
        assert credential is not None
        self.asked.append(path)
        data = format_note(self.log.note(self.size)) if path == "checkpoint" else self._tile(path)
        return None if data is None else self.changed(path, data)

    def _tile(self, path: str) -> bytes | None:
        builder = TileBuilder()
        for leaf in self.log.leaves[: self.size]:
            builder.append(leaf)
        place = parse_path(path)
        return dict(builder.take_changed()).get(place) if isinstance(place, TileId) else None


@dataclass
class Scene:
    """BLUEBIRD's node, AURORA played by hand, what that publishes, and what BLUEBIRD's worker does about it."""

    node: LocalNode
    puppet: Puppet
    logs: Published

    def __post_init__(self) -> None:
        self.proving = Proving(context_of(self.node), self.logs)
        self.worker = ProvePartners(self.proving)

    def show(self, *sizes: int, log: TestLog = TRUE) -> None:
        for size in sizes:
            self.puppet.checkpoint = format_note(log.note(size)).decode()
            self.puppet.say()

    def work(self) -> list[Ledger]:
        """Let the worker take a step, and return whose log is still to be proved."""
        self.worker.step()
        return self.proving.due()

    def kept(self) -> list[int]:
        return [each.size for each in self.node.reader.partner_checkpoints()]

    def accused(self) -> list[str]:
        """Return about what there is evidence, each file judged by a stranger who has the log's key."""
        rows = self.node.reader.accusations()
        for row in rows:
            found = verify_file(row.evidence, verifiers=[Verifier(AURORA.ledger, KEY.public)])
            assert found.verdict is Verdict.HELD
        return sorted(row.name for row in rows)

    def told(self) -> list[tuple[str, str | None]]:
        """Return what the operator is told about the partner's log."""
        quiet = Delivery(last_contact=None, last_failure=None)
        service = ExceptionsService(
            context_of(self.node), delivery_of=lambda _: quiet, unproved_of=self.proving.unproved
        )
        return [(row.partner, row.reason) for row in service.all(older_than_seconds=600).exceptions]

    def trusts(self) -> bool:
        """Return whether a statement that states AURORA's log would be signed."""
        checkpoint = TRUE.checkpoint(5)
        stated = CheckpointReference(origin=AURORA.ledger, size=5, root=Digest(checkpoint.root.hex()))
        try:
            PartnerLog(context_of(self.node), self.logs).check(AURORA.ledger, stated, None)
        except NodeRefusal as refusal:
            return refusal.code != NodeCode.LOG_INCONSISTENT
        return True


@pytest.fixture
def scene(node: LocalNode, puppet: Puppet) -> Scene:
    return Scene(node, puppet, Published())


def test_what_is_of_one_log_is_proved_once(scene: Scene) -> None:
    scene.show(5, 9, 255, 256, 257, 300, 8)
    assert scene.proving.due() == [AURORA.ledger]
    assert scene.work() == []
    proved = scene.node.reader.proved(AURORA.ledger)
    assert proved is not None
    assert (proved.next_number, proved.size, proved.fault) == (7, 300, None)
    assert (scene.accused(), scene.trusts()) == ([], True)
    asked = len(scene.logs.asked)
    scene.work()
    assert len(scene.logs.asked) == asked
    scene.logs.size = 600
    scene.show(599)
    assert scene.work() == []
    assert scene.accused() == []


@pytest.mark.parametrize("size", [300, 299, 256, 200, 129])
def test_another_history_is_found_whenever_it_was_shown(scene: Scene, size: int) -> None:
    scene.show(100, 300)
    scene.show(size, log=branch(128))
    assert scene.work() == []
    assert scene.accused() == [f"{AURORA.ledger} {size}"]
    assert not scene.trusts()


def test_a_fork_after_all_was_proved_is_found_by_the_next_checkpoint(scene: Scene) -> None:
    scene.show(100, 300)
    assert scene.work() == []
    scene.logs.log, scene.logs.size = branch(280), 400
    scene.show(310, log=scene.logs.log)
    assert scene.work() == []
    # What was proved last stands for all that it was proved to extend.
    assert scene.accused() == [f"{AURORA.ledger} 300"]


def test_what_partners_are_shown_and_what_is_published_are_one_log(scene: Scene) -> None:
    scene.logs.log = branch(10)
    scene.show(5, 30, 20)
    scene.work()
    assert scene.accused() == [f"{AURORA.ledger} {size}" for size in (20, 30)]


def test_what_this_node_cosigned_is_of_the_same_log(scene: Scene) -> None:
    line = sign_cosignature(
        branch(50).checkpoint(60), name=BLUEBIRD.ledger, key=BLUEBIRD.signing_keys[Role.WITNESS], time_seconds=1
    )
    note = format_note(branch(50).note(60).with_signatures([line]))
    scene.node.do(writes=[PutWitnessed(AURORA.ledger, 60, note)])
    scene.show(100)
    scene.work()
    assert scene.accused() == [f"{AURORA.ledger} 60"]
    (row,) = scene.node.reader.accusations()
    assert BLUEBIRD.ledger.encode() not in row.evidence


def test_a_fork_that_was_found_keeps_nothing_else_from_being_proved(scene: Scene) -> None:
    scene.show(100)
    scene.show(120, 130, log=branch(110))
    assert scene.work() == []
    scene.show(140)
    assert scene.work() == []
    assert scene.accused() == [f"{AURORA.ledger} {size}" for size in (120, 130)]


WRONG: dict[str, Callable[[str, bytes], bytes | None]] = {
    "other hashes": lambda path, data: data if path == "checkpoint" else data[::-1],
    "too few hashes": lambda path, data: data if path == "checkpoint" else data[:-32],
    "no hash": lambda path, data: data if path == "checkpoint" else b"",
    "wrong below": lambda path, data: data[::-1] if path.startswith("tile/0/000") else data,
}


@pytest.mark.parametrize("what", WRONG)
def test_what_leads_nowhere_accuses_nobody_and_is_not_trusted(scene: Scene, what: str) -> None:
    scene.show(100, 300)
    scene.logs.changed = WRONG[what]
    assert scene.work() == [AURORA.ledger]
    assert scene.accused() == []
    reason = scene.proving.unproved(AURORA.ledger)
    assert reason is not None
    assert scene.told() == [(AURORA.ledger, reason)]
    assert not scene.trusts()
    before = scene.node.reader.proved(AURORA.ledger)
    scene.work()
    assert scene.node.reader.proved(AURORA.ledger) == before
    scene.logs.changed = lambda _, data: data
    assert scene.work() == []
    assert (scene.proving.unproved(AURORA.ledger), scene.told()) == (None, [])
    assert scene.trusts()


def unreachable(_path: str, _data: bytes) -> bytes:
    raise TransportFailed("connection refused")


UNREAD: dict[str, Callable[[str, bytes], bytes | None]] = {
    "nobody answers": unreachable,
    "no checkpoint": lambda path, data: None if path == "checkpoint" else data,
    "no tile yet": lambda path, data: data if path == "checkpoint" else None,
    "no note": lambda path, data: b"nothing" if path == "checkpoint" else data,
    "another log's": lambda *_: format_note(TestLog(COPPER.ledger, KEY).note(20)),
    "another key's": lambda *_: format_note(TestLog(AURORA.ledger, COPPER.signing_keys[Role.LOG]).note(20)),
    "a later log of the ledger": lambda *_: format_note(TestLog("aurora.example/main.2", KEY).note(20)),
}


@pytest.mark.parametrize("what", UNREAD)
def test_what_cannot_be_read_is_told_after_some_patience(scene: Scene, what: str) -> None:
    scene.show(100)
    scene.logs.changed = UNREAD[what]
    assert scene.work() == [AURORA.ledger]
    assert scene.proving.unproved(AURORA.ledger) is None
    scene.node.clock.advance(PATIENCE_SECONDS)
    scene.work()
    assert scene.proving.unproved(AURORA.ledger) is not None
    scene.logs.changed = lambda _, data: data
    scene.node.clock.advance(PAUSE_SECONDS)
    assert scene.work() == []
    assert scene.proving.unproved(AURORA.ledger) is None


def test_what_a_replaced_key_alone_has_signed_accuses_nobody(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    later = COPPER.signing_keys[Role.LOG]
    monkeypatch.setattr(proving, "log_keys", lambda _: (KEY.public, later.public))
    scene.show(100)
    scene.logs.log = branch(50)
    assert scene.work() == [AURORA.ledger]
    assert scene.accused() == []
    scene.logs.log = TRUE
    both = sign_note(TRUE.note(300).text, name=AURORA.ledger, key=later).signatures
    signed = format_note(TRUE.note(300).with_signatures(both))
    scene.logs.changed = lambda path, data: signed if path == "checkpoint" else data
    assert scene.work() == []
    proved = scene.node.reader.proved(AURORA.ledger)
    assert proved is not None
    assert proved.note == signed


def test_what_is_signed_and_never_published_is_told(scene: Scene) -> None:
    scene.show(310)
    for _ in range(2):
        # The log goes on otherwise, and what it publishes is proved.
        scene.show(scene.logs.size)
        assert scene.work() == [AURORA.ledger]
        assert scene.proving.unproved(AURORA.ledger) is None
        scene.logs.size += 1
    scene.node.clock.advance(PATIENCE_SECONDS)
    scene.work()
    assert "310" not in str(scene.accused())
    assert scene.proving.unproved(AURORA.ledger) == "it publishes 302 entries, and has signed more"


def test_a_log_that_goes_back_is_not_proved(scene: Scene) -> None:
    scene.show(300)
    assert scene.work() == []
    scene.logs.size = 290
    scene.show(280)
    assert scene.work() == [AURORA.ledger]
    scene.node.clock.advance(PATIENCE_SECONDS)
    assert "and showed 300 before" in str(scene.proving.unproved(AURORA.ledger))


def test_what_is_cosigned_and_not_published_yet_holds_up_no_evidence(scene: Scene) -> None:
    scene.node.do(writes=[PutWitnessed(AURORA.ledger, 301, format_note(TRUE.note(301)))])
    scene.show(100)
    scene.show(200, log=branch(150))
    assert scene.work() == [AURORA.ledger]
    assert scene.accused() == [f"{AURORA.ledger} 200"]
    assert scene.node.reader.proved(AURORA.ledger) is None
    scene.logs.size = 301
    assert scene.work() == []


def test_a_partner_without_an_address_is_kept_and_not_asked(scene: Scene) -> None:
    scene.show(100)
    scene.node.do(writes=[PartnerUrl(AURORA.ledger, "")])
    assert scene.proving.due() == []
    scene.proving.prove(AURORA.ledger)
    assert scene.proving.unproved(AURORA.ledger) is None
    assert scene.proving.unproved(COPPER.ledger) is None
    assert (scene.kept(), scene.logs.asked) == ([100], [])


class TestThinning:
    """What is proved already, in an envelope that says nothing, is not kept once more."""

    def cosign(self, scene: Scene, size: int, log: TestLog = TRUE) -> None:
        scene.node.do(writes=[PutWitnessed(AURORA.ledger, size, format_note(log.note(size)))])

    def test_what_was_just_cosigned_adds_nothing(self, scene: Scene) -> None:
        scene.show(100)
        self.cosign(scene, 200)
        scene.show(200)
        assert scene.kept() == [100]
        assert ShownCheckpoints(scene.node.reader).newest(AURORA.ledger, AURORA.ledger) == format_note(TRUE.note(200))
        scene.show(201)
        assert scene.kept() == [100, 201]
        assert ShownCheckpoints(scene.node.reader).newest(AURORA.ledger, AURORA.ledger) == format_note(TRUE.note(201))

    def test_what_was_just_proved_adds_nothing(self, scene: Scene) -> None:
        scene.show(100)
        scene.work()
        scene.show(300)
        assert scene.kept() == [100]

    def test_the_first_of_a_log_is_kept(self, scene: Scene) -> None:
        self.cosign(scene, 100)
        scene.show(100)
        assert scene.kept() == [100]

    def test_another_root_at_that_size_is_kept(self, scene: Scene) -> None:
        scene.show(100)
        self.cosign(scene, 200)
        scene.show(200, log=branch(150))
        assert scene.kept() == [100, 200]
        scene.work()
        assert scene.accused() == [f"{AURORA.ledger} 200"]

    def test_what_covers_words_is_kept(self, scene: Scene) -> None:
        scene.show(100)
        self.cosign(scene, 200)
        scene.puppet.checkpoint = format_note(TRUE.note(200)).decode()
        scene.puppet.say(query(prepare(conversion=uuid("unknown"))))
        assert scene.kept() == [100, 200]


def doubled(document: Document) -> Document:
    """Return an entry that issues points with twice as many."""
    assert document["kind"] == "points_issued"
    postings = document["postings"]
    assert isinstance(postings, list)
    twice = [[*each[:2], 2 * int(str(each[2]))] for each in postings if isinstance(each, list)]
    return {**document, "postings": twice}


@pytest.mark.parametrize("grows", [False, True])
def test_a_brand_that_rewrites_an_old_entry_is_found_by_its_next_request(two: Alliance, grows: bool) -> None:
    liar, partner = two.pair
    two.talk()
    convert(liar, partner)
    two.talk()
    logs = LocalLogs(two.network)
    worker = ProvePartners(Proving(context_of(partner), logs))
    worker.step()
    before = partner.reader.latest_partner_checkpoint(liar.ledger)
    assert before is not None
    (seq,) = [entry.seq for entry in liar.entries() if isinstance(entry, PointsIssued)][:1]
    rewrite(liar, seq, doubled)
    if grows:
        liar.do(commands.IssuePoints(id=uuid("as if nothing had happened"), account=ANN, amount=1))
    two.talk()
    worker.step()
    operator = operator_of(partner)
    (row,) = operator.accused()
    assert (row.partner, row.reason) == (liar.ledger, "log")
    verifier = Verifier(liar.ledger, liar.side.signing_keys[Role.LOG].public)
    judged = verify_file(operator.file(row), verifiers=[verifier])
    assert judged.verdict is Verdict.HELD
    assert judged.lines[0] == f"{liar.ledger} signed two logs that contradict each other"
    stated = parse_note(before.note).text.split("\n")[1]
    assert any(stated in line for line in judged.lines)
    reference = CheckpointReference(origin=liar.ledger, size=before.size, root=Digest("11" * 32))
    with pytest.raises(NodeRefusal) as refused:
        PartnerLog(context_of(partner), logs).check(liar.ledger, reference, None)
    assert refused.value.code == NodeCode.LOG_INCONSISTENT
