"""A partner that signs what no honest one does: the node keeps both words, tells its operator, and gives out a file."""

from pathlib import Path

import msgspec
import pytest

from node.cli.main import run
from node.services.channel.misconduct import TO_DO
from node.services.operating.exceptions import ExceptionView
from protocol.__main__ import main
from protocol.agreement import encode_signed_agreement
from protocol.audit.evidence import Subject
from protocol.audit.findings import Verdict
from protocol.audit.verify import verify_file
from protocol.checkpoint import Checkpoint, sign_checkpoint
from protocol.identifiers import Alias
from protocol.keys import Role
from protocol.merkle import Hash
from protocol.messages import EntryReference, Fulfil, Prepare, decode_body, encode_body
from protocol.note import Verifier, format_vkey
from tests.support.documents import AURORA, digest, fulfil, hex_16, query, reject
from tests.support.nodes import Alliance, LocalNode, convert
from tests.support.operator import operator_of
from tests.support.puppet import PUPPET_EPOCH, Puppet
from tests.unit.node.services.words import SECONDS_MAX, asked, gained, taken_in, writer_held

VKEYS = [
    option
    for role in (Role.LOG, Role.CHANNEL)
    for option in ("--vkey", format_vkey(Verifier(AURORA.ledger, AURORA.signing_keys[role].public)))
]
STRIDE = 11


def checkpoint(size: int, *, root: bytes = bytes(32)) -> str:
    note = sign_checkpoint(
        Checkpoint(origin=AURORA.ledger, size=size, root=Hash(root)), key=AURORA.signing_keys[Role.LOG]
    )
    return note.decode()


def check_file(node: LocalNode, directory: Path, *, subject: Subject, kind: str) -> ExceptionView:
    """Hold that the node accuses AURORA of this one thing, and that the file proves it to anybody; return the row."""
    operator = operator_of(node)
    (row,) = operator.accused()
    assert (row.partner, row.reason, row.to_do) == (AURORA.ledger, subject.value, TO_DO[subject])
    data = operator.file(row)
    file, paper = directory / "evidence.json", directory / "agreement.json"
    file.write_bytes(data)
    ((_, record),) = node.reader.agreements(AURORA.ledger)
    paper.write_bytes(encode_signed_agreement(record.signed))
    for keys in (VKEYS, ["--agreement", str(paper)]):
        assert main(["verify", str(file), *keys]) == 0
        assert run(["verify", str(file), *keys]) == 0
    assert main(["verify", str(file)]) == 3
    found = verify_file(data, agreements=[record.signed])
    assert (found.verdict, found.kind) == (Verdict.HELD, kind)
    for place in range(0, len(data), STRIDE):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        assert verify_file(changed, agreements=[record.signed]).verdict is not Verdict.HELD, place
    return row


def ordered(two: Alliance, node: LocalNode, puppet: Puppet) -> Prepare:
    """Order a conversion at `node`, and return the PREPARE as the puppet gets it."""
    convert(node, two.nodes[0], amount=250)
    (sent,) = puppet.say()
    assert isinstance(sent, Prepare)
    return sent


class TestTwoBodiesAtOnePosition:
    def test_a_second_body_in_a_frame_changes_nothing_and_both_are_kept(
        self, node: LocalNode, puppet: Puppet, tmp_path: Path
    ) -> None:
        seq = puppet.outgoing.end_seq
        puppet.say(asked(node))
        assert gained(node) == 500
        assert taken_in(node, puppet.parcel_of(seq, [encode_body(asked(node, name="another"))])) == 0
        assert gained(node) == 500
        row = check_file(node, tmp_path, subject=Subject.PLACE, kind="contradiction")
        assert row.conversion == asked(node).id
        # Whatever else is put there says nothing new.
        assert taken_in(node, puppet.parcel_of(seq, [encode_body(asked(node, name="a third"))])) == 0
        assert len(operator_of(node).accused()) == 1

    def test_in_one_commit(self, node: LocalNode, puppet: Puppet, tmp_path: Path) -> None:
        seq = puppet.outgoing.end_seq
        parcels = [puppet.parcel_of(seq, [encode_body(asked(node, name=name))]) for name in ("one", "other")]
        with writer_held(node):
            taken = [node.exchange.receive(each)[1] for each in parcels]
        assert [future.result(SECONDS_MAX) for future in taken] == [1, 0]
        check_file(node, tmp_path, subject=Subject.PLACE, kind="contradiction")

    def test_in_a_stale_epoch_and_beside_bodies_that_are_due(
        self, node: LocalNode, puppet: Puppet, tmp_path: Path
    ) -> None:
        seq = puppet.outgoing.end_seq
        puppet.say(asked(node))
        changed = puppet.parcel_of(
            seq, [encode_body(asked(node, name="another")), encode_body(asked(node, name="due", steps=1))]
        )
        late = puppet.parcel_of(seq, [encode_body(query())])
        assert taken_in(node, changed) == 1
        assert gained(node) == 750
        check_file(node, tmp_path, subject=Subject.PLACE, kind="contradiction")
        puppet.open(PUPPET_EPOCH + 100)
        puppet.say()
        assert taken_in(node, late) == 0
        assert len(operator_of(node).accused()) == 1

    def test_a_hello_that_says_something_else_is_one(self, node: LocalNode, puppet: Puppet, tmp_path: Path) -> None:
        (hello,) = map(decode_body, Puppet(AURORA, node).outgoing.frames.values())
        other = encode_body(msgspec.structs.replace(hello, bodies_sent=9))
        assert taken_in(node, puppet.parcel_of(0, [other])) == 0
        check_file(node, tmp_path, subject=Subject.PLACE, kind="contradiction")

    def test_repetition_is_none(self, node: LocalNode, puppet: Puppet) -> None:
        first = puppet.outgoing.end_seq
        bodies = [encode_body(asked(node, name=f"{number}", steps=1)) for number in range(3)]
        for parcel in (
            puppet.parcel_of(first, bodies[:2]),
            puppet.parcel_of(first, bodies),
            puppet.parcel_of(first, bodies),
        ):
            taken_in(node, parcel)
        puppet.open(PUPPET_EPOCH + 100)
        puppet.say(*(asked(node, name=f"{number}", steps=1) for number in range(3)))
        assert operator_of(node).accused() == []


class TestTwoDecisions:
    @pytest.mark.parametrize("fulfil_first", [True, False])
    def test_fulfil_and_reject_of_one_prepare(
        self, two: Alliance, node: LocalNode, puppet: Puppet, *, tmp_path: Path, fulfil_first: bool
    ) -> None:
        sent = ordered(two, node, puppet)
        if fulfil_first:
            puppet.say(fulfil(sent), reject(sent))
        else:
            puppet.say(reject(sent), fulfil(sent))
        assert node.account().posted == 10_000 - (250 if fulfil_first else 0)
        row = check_file(node, tmp_path, subject=Subject.DECISION, kind="contradiction")
        assert (row.conversion, row.points, row.value, row.currency) == (sent.id, 250, sent.value, "USD")

    def test_a_false_fulfil_and_then_the_true_one(
        self, two: Alliance, node: LocalNode, puppet: Puppet, tmp_path: Path
    ) -> None:
        sent = ordered(two, node, puppet)
        true = fulfil(sent)
        puppet.say(msgspec.structs.replace(true, destination_points=true.destination_points + 1))
        assert operator_of(node).accused() == []
        puppet.say(msgspec.structs.replace(true, prepare=digest("another")), true)
        assert node.account().posted == 10_000 - 250
        check_file(node, tmp_path, subject=Subject.DECISION, kind="contradiction")

    def test_one_decision_said_again_is_none(self, two: Alliance, node: LocalNode, puppet: Puppet) -> None:
        sent = ordered(two, node, puppet)
        puppet.say(fulfil(sent))
        puppet.open(PUPPET_EPOCH + 100)
        puppet.say(fulfil(sent))
        assert operator_of(node).accused() == []


class TestTwoOrders:
    def test_two_prepares_under_one_id(self, node: LocalNode, puppet: Puppet, tmp_path: Path) -> None:
        puppet.say(asked(node), asked(node, steps=3))
        assert gained(node) == 500
        row = check_file(node, tmp_path, subject=Subject.ORDER, kind="contradiction")
        assert row.conversion == asked(node).id

    def test_other_terms_that_were_refused_first(self, node: LocalNode, puppet: Puppet, tmp_path: Path) -> None:
        puppet.say(msgspec.structs.replace(asked(node), alias=Alias(hex_16("nobody"))))
        puppet.say(asked(node))
        assert gained(node) == 0
        check_file(node, tmp_path, subject=Subject.ORDER, kind="contradiction")


class TestForks:
    def test_two_roots_of_one_size(self, node: LocalNode, puppet: Puppet, tmp_path: Path) -> None:
        for root in (bytes(32), bytes(31) + b"1"):
            puppet.checkpoint = checkpoint(5, root=root)
            puppet.say()
        row = check_file(node, tmp_path, subject=Subject.LOG, kind="fork")
        assert row.conversion is None

    def test_another_root_of_a_size_long_passed(self, node: LocalNode, puppet: Puppet, tmp_path: Path) -> None:
        for size, root in ((5, bytes(32)), (7, bytes(32)), (5, bytes(31) + b"1")):
            puppet.checkpoint = checkpoint(size, root=root)
            puppet.say()
        check_file(node, tmp_path, subject=Subject.LOG, kind="fork")


class TestPromises:
    def test_a_promised_entry_that_the_same_envelope_does_not_show(
        self, two: Alliance, node: LocalNode, puppet: Puppet, tmp_path: Path
    ) -> None:
        sent = ordered(two, node, puppet)
        said = fulfil(sent)
        puppet.checkpoint = checkpoint(said.entry.seq)
        puppet.say(said)
        assert node.account().posted == 10_000 - 250
        row = check_file(node, tmp_path, subject=Subject.PROMISE, kind="missing_entry")
        assert (row.conversion, row.value) == (sent.id, sent.value)

    def test_a_promised_entry_that_the_next_checkpoint_does_not_show(
        self, two: Alliance, node: LocalNode, puppet: Puppet, tmp_path: Path
    ) -> None:
        said = fulfil(ordered(two, node, puppet))
        puppet.say(said)
        puppet.checkpoint = checkpoint(said.entry.seq)
        assert operator_of(node).accused() == []
        puppet.say(query())
        check_file(node, tmp_path, subject=Subject.PROMISE, kind="missing_entry")

    def test_an_order_whose_hold_its_log_does_not_show(self, node: LocalNode, puppet: Puppet, tmp_path: Path) -> None:
        order = asked(node)
        puppet.checkpoint = checkpoint(order.entry.seq)
        puppet.say(order)
        # It is credited all the same: the hold is no business of ours, and the order binds who signed it.
        assert gained(node) == order.destination_points
        row = check_file(node, tmp_path, subject=Subject.PROMISE, kind="missing_entry")
        assert row.conversion == order.id

    def test_a_checkpoint_that_reaches_it_an_older_frame_or_another_epoch_is_none(
        self, two: Alliance, node: LocalNode, puppet: Puppet
    ) -> None:
        said: Fulfil = fulfil(ordered(two, node, puppet))
        puppet.checkpoint = checkpoint(said.entry.seq)
        older = puppet.parcel()
        puppet.say(query())
        puppet.checkpoint = checkpoint(said.entry.seq + 1)
        puppet.say(said)
        taken_in(node, older)
        puppet.open(PUPPET_EPOCH + 100)
        puppet.checkpoint = checkpoint(2)
        puppet.say()
        puppet.say(msgspec.structs.replace(query(), prepare=digest("a question")))
        assert operator_of(node).accused() == []

    def test_what_is_not_the_senders_to_promise_is_none(self, node: LocalNode, puppet: Puppet) -> None:
        puppet.checkpoint = checkpoint(1)
        beyond = EntryReference(seq=90, leaf=digest("leaf"))
        puppet.say(msgspec.structs.replace(fulfil(), entry=beyond))
        assert operator_of(node).accused() == []


def test_what_was_gathered_is_not_gathered_again(node: LocalNode, puppet: Puppet) -> None:
    puppet.say(asked(node), asked(node, steps=3))
    first = operator_of(node)
    assert first.accusations.gather() == 1
    assert first.accusations.gather() == 0
    # After a restart it is looked at again, and known.
    assert operator_of(node).accusations.gather() == 0
    size = len(node.reader.accusations())
    puppet.say(asked(node, steps=4))
    assert first.accusations.gather() == 0
    assert len(node.reader.accusations()) == size == 1
    puppet.say(asked(node, name="another"), asked(node, name="another", steps=1))
    assert first.accusations.gather() == 1


def test_old_evidence_leaves_the_list_and_stays(two: Alliance, node: LocalNode, puppet: Puppet) -> None:
    puppet.say(asked(node), asked(node, steps=3))
    operator = operator_of(node)
    assert len(operator.accused()) == 1
    two.clock.advance(31 * 86_400)
    assert operator.accused() == []
    (kept,) = operator.accusations.page(before=None, limit=10).evidence
    assert verify_file(operator.accusations.file(node.reader.accusations()[0].digest)).kind == kept.kind
