"""Ledgers of many logs, and what their receipts prove."""

from dataclasses import replace
from functools import cache

import msgspec

from protocol.audit.evidence import BrokenPromise, encode_evidence
from protocol.audit.findings import FindingCode, Verdict
from protocol.audit.log import LogAudit, audit_log
from protocol.audit.pages import GENERATIONS_MAX, past_folder
from protocol.audit.verify import verify_file
from protocol.checkpoint import Checkpoint, sign_checkpoint
from protocol.entries import AgreementEntered
from protocol.envelope import Sighting
from protocol.errors import Code
from protocol.identifiers import Digest, Ledger, successor_of
from protocol.keys import Role
from protocol.merkle import EMPTY_ROOT, leaf_hash, path_of, root_of
from protocol.messages import EntryReference
from protocol.proof import Receipt, format_receipt, parse_receipt
from tests.support.audits import Half, MemorySource, alliance, hand_over, verifier_of
from tests.support.documents import AURORA, BLUEBIRD, digest, fulfil
from tests.support.ledger import issue, open_holder
from tests.support.succession import predecessor_of, restored, successor_command, waive
from tests.support.successions import (
    EPOCH,
    Succession,
    all_files,
    copy_of,
    log_files,
    logs_of,
    note_of,
    put_back,
    succession,
)

SECOND = successor_of(BLUEBIRD.ledger)


@cache
def told() -> Succession:
    return succession()


def audited(half: Half, **files: bytes | None) -> LogAudit:
    found: dict[str, bytes | None] = {**all_files(half), **files}
    return audit_log(MemorySource({path: data for path, data in found.items() if data is not None}, label="memory"))


def found(audit: LogAudit) -> list[tuple[str, str]]:
    return [(finding.place, finding.code) for finding in audit.findings.listed]


def held(half: Half, origin: str, size: int, root: bytes) -> list[tuple[str, str]]:
    """Return what an audit finds where somebody holds a checkpoint."""
    checkpoint = Checkpoint(origin=origin, size=size, root=root)  # type: ignore[arg-type]
    return found(audit_log(MemorySource(all_files(half)), known=[checkpoint]))


def test_a_log_that_was_lost_with_all_its_entries_is_told_by_the_one_after_it() -> None:
    made = alliance()
    copy = copy_of(made.destination)
    made.converted("lost")
    second = put_back(made.destination, copy)
    before = predecessor_of(second.ledger, restored(second.ledger, copy.size))
    oldest = restored(made.destination.ledger, copy.size)
    lost = msgspec.structs.replace(before, ledger=SECOND, first_seq=9, size=3, restored_size=copy.size, root="0" * 64)
    oldest.execute(successor_command(oldest, lost))
    half = Half(oldest, made.destination.received[: copy.received])
    assert found(audited(half)) == []
    (story,) = audited(half).successions.successions
    assert (story.log, story.predecessor, story.restored, story.lost) == (successor_of(SECOND), SECOND, 6, 6)
    assert held(half, BLUEBIRD.ledger, 9, EMPTY_ROOT) == []
    assert held(half, BLUEBIRD.ledger, 10, EMPTY_ROOT) == [("checkpoint of 10, seen before", FindingCode.FORKED)]
    assert held(half, SECOND, 2, EMPTY_ROOT) == []
    assert held(half, SECOND, 4, EMPTY_ROOT) == [("checkpoint of 4, seen before", FindingCode.FORKED)]


def twice() -> Half:
    """Return a ledger that succeeded itself twice."""
    made = succession()
    copy = copy_of(made.ledger)
    issue(made.ledger.ledger, open_holder(made.ledger.ledger, "dot"), 5)
    ledger = put_back(made.ledger, copy)
    waive(ledger.ledger, AURORA.ledger)
    return ledger


def test_a_ledger_of_three_logs_is_audited_through_all() -> None:
    ledger = twice()
    audit = audited(ledger)
    assert found(audit) == []
    assert audit.is_whole
    assert [story.log for story in audit.successions.successions] == [SECOND, successor_of(SECOND)]
    without = dict.fromkeys(path for path in all_files(ledger) if path.startswith(past_folder(2)))
    assert (f"entry {audit.replay.past[1].first_seq - 2}", Code.SUCCESSION_INVALID) in found(audited(ledger, **without))


def test_whose_log_it_is_its_genesis_says() -> None:
    (entries,) = logs_of(alliance().destination)
    data = [sealed.data for sealed in entries]
    checkpoint = Checkpoint(origin="log.example", size=len(data), root=root_of(map(leaf_hash, data)))
    note = sign_checkpoint(checkpoint, key=BLUEBIRD.signing_keys[Role.LOG])
    files = log_files(BLUEBIRD, entries) | {"checkpoint": note}
    assert found(audit_log(MemorySource(files))) == [("checkpoint", "signature_invalid")]


def test_an_audit_goes_through_so_many_logs_and_no_more() -> None:
    origin = Ledger(f"bluebird.example/main.{GENERATIONS_MAX + 1}")
    checkpoint = Checkpoint(origin=origin, size=1, root=EMPTY_ROOT)
    note = sign_checkpoint(checkpoint, key=BLUEBIRD.signing_keys[Role.LOG])
    audit = audit_log(MemorySource({"checkpoint": note}))
    assert found(audit) == [("checkpoint", FindingCode.MISSING)]


def receipt_of(half: Half, index: int) -> bytes:
    *_, present = logs_of(half)
    leaves = [leaf_hash(sealed.data) for sealed in present]
    receipt = Receipt(
        extra=present[index].data,
        index=index,
        proof=tuple(path_of(leaves, index)),
        checkpoint=note_of(half.ledger.side, present),
    )
    return format_receipt(receipt)


def test_a_receipt_of_a_successor_is_verified_with_the_key_of_the_ledger() -> None:
    half = told().ledger
    verification = verify_file(receipt_of(half, 1), verifiers=[verifier_of(BLUEBIRD)])
    assert verification.verdict is Verdict.HELD, verification.lines
    assert verification.lines[0].startswith(f"{SECOND} has this entry as number 10, and signed so with 6 entries:")
    genesis = verify_file(receipt_of(half, 0), verifiers=[verifier_of(BLUEBIRD)])
    assert genesis.lines[2] == "bluebird.example/main.1 had 9 entries that somebody saw; 7 were restored"
    word = verify_file(receipt_of(half, 2), verifiers=[verifier_of(BLUEBIRD)])
    assert any(line.startswith(f"given back by {AURORA.ledger}: conversion ") for line in word.lines)


def promise(made: Succession, seq: int) -> tuple[Sighting, bytes]:
    """Return a message in which the successor names another leaf of its entry `seq`, and the receipt of that entry."""
    body = fulfil()
    wrong = msgspec.structs.replace(body, entry=EntryReference(seq=seq, leaf=digest("another")))
    hand_over(made.ledger, made.partner, [wrong], epoch=EPOCH)
    return made.partner.received[-1], receipt_of(made.ledger, seq - 9)


def test_a_successors_broken_promise_is_proved_by_a_receipt_that_carries_the_entry() -> None:
    made = succession()
    sighting, receipt = promise(made, 11)
    leaf = leaf_hash(logs_of(made.ledger)[1][2].data).hex()
    evidence = BrokenPromise(promise=sighting, leaf=Digest(leaf), receipt=receipt.decode())
    agreed = made.partner.ledger.sealed[2].entry
    assert isinstance(agreed, AgreementEntered)
    found = verify_file(encode_evidence(evidence), agreements=[agreed.signed])
    assert found.verdict is Verdict.HELD, found.lines
    for other in (receipt_of(made.ledger, 3), without_entry(receipt)):
        wrong = BrokenPromise(promise=sighting, leaf=Digest(leaf), receipt=other.decode())
        assert verify_file(encode_evidence(wrong), agreements=[agreed.signed]).code == "evidence_invalid"


def without_entry(receipt: bytes) -> bytes:
    return format_receipt(replace(parse_receipt(receipt), extra=None))
