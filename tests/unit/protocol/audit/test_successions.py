"""Audits of ledgers with several logs: the story that is told, and what does not fit."""

from functools import cache

import msgspec

from protocol.audit.findings import FindingCode, Verdict
from protocol.audit.log import LogAudit, audit_log
from protocol.audit.matching import match_pair
from protocol.audit.pages import past_folder
from protocol.audit.report import Report, make_report
from protocol.checkpoint import Checkpoint, sign_checkpoint
from protocol.entries import Entry, Genesis, encode_entry, unseal
from protocol.errors import Code
from protocol.identifiers import successor_of
from protocol.keys import Role
from protocol.ledger import commands
from protocol.merkle import EMPTY_ROOT, leaf_hash, root_of
from protocol.note import Verifier
from tests.support.audits import Half, MemorySource, alliance, answer, hand_over, tile_files
from tests.support.documents import AURORA, BLUEBIRD, COPPER, hello, prepare, uuid
from tests.support.ledger import add_partner, ask_cancel, issue, open_holder
from tests.support.returned import returned as given_back
from tests.support.succession import begin, end, waive
from tests.support.successions import (
    EPOCH,
    Copy,
    Succession,
    all_files,
    copy_of,
    give_all_back,
    log_files,
    logs_of,
    note_of,
    put_back,
    succession,
)

SECOND = successor_of(BLUEBIRD.ledger)
PAST = past_folder(1)


@cache
def told() -> Succession:
    return succession()


def audited(half: Half, **files: bytes | None) -> LogAudit:
    found: dict[str, bytes | None] = {**all_files(half), **files}
    return audit_log(MemorySource({path: data for path, data in found.items() if data is not None}, label="memory"))


def found(audit: LogAudit) -> list[tuple[str, str]]:
    return [(finding.place, finding.code) for finding in audit.findings.listed]


def report() -> Report:
    return make_report([audited(told().ledger), audited(told().partner)])


def test_a_ledger_is_audited_through_all_its_logs_and_matched() -> None:
    made = report()
    assert made.verdict is Verdict.HELD
    successor, partner = made.logs
    assert (successor.ledger, successor.log, successor.size) == (BLUEBIRD.ledger, SECOND, 6)
    (story,) = successor.successions
    assert (story.log, story.predecessor, story.restored, story.lost, story.recovered) == (
        SECOND, BLUEBIRD.ledger, 7, 2, 2,
    )  # fmt: skip
    (back,) = story.partners
    assert (back.partner, back.state, back.reason) == (AURORA.ledger, "ended", None)
    assert (back.shortfall, back.unknown, back.unknown_points) == ("0", 0, "0")
    assert [(each.kind, each.count) for each in back.words] == [("fulfil", 2)]
    assert [(each.partner, each.log) for each in partner.partner_logs] == [(BLUEBIRD.ledger, SECOND)]
    (pair,) = made.pairs
    assert [(each.completed, each.pending) for each in pair.directions] == [(0, 0), (4, 0)]


def test_the_story_is_told_in_words() -> None:
    text = "\n".join(report().lines())
    for line in (
        f"6 entries of {SECOND} under",
        f"{SECOND} succeeds {BLUEBIRD.ledger} at ",
        "7 entries were restored, 2 after them were lost",
        "2 of those stand again by what partners gave back; 0 are gone for good",
        "aurora.example/main gave back 2 fulfil: all it had",
        f"{BLUEBIRD.ledger} goes on as {SECOND}, having lost the end of the log before",
    ):
        assert line in text


def test_a_key_that_is_known_of_one_log_is_known_of_the_next() -> None:
    source = MemorySource(all_files(told().ledger))
    for name in (BLUEBIRD.ledger, SECOND):
        verifier = Verifier(name, BLUEBIRD.signing_keys[Role.LOG].public)
        assert audit_log(source, verifiers=[verifier]).key_given
    other = Verifier(BLUEBIRD.ledger, COPPER.signing_keys[Role.LOG].public)
    codes = found(audit_log(source, verifiers=[other]))
    assert ("entry 0", FindingCode.KEYS_DIFFER) in codes
    assert ("entry 9", FindingCode.KEYS_DIFFER) in codes


def test_a_log_whose_past_is_not_given_cannot_be_checked() -> None:
    assert found(audited(told().ledger, **{f"{PAST}checkpoint": None})) == [(f"{PAST}checkpoint", FindingCode.MISSING)]
    bundle = f"{PAST}tile/entries/000.p/7"
    assert found(audited(told().ledger, **{bundle: None})) == [(bundle, FindingCode.MISSING)]
    audit = audited(told().ledger, **{f"{PAST}checkpoint": b"x"})
    assert [place for place, _ in found(audit)] == [f"{PAST}checkpoint"]
    assert not audit.is_whole


def test_an_entry_of_the_past_that_was_changed_is_named_in_its_log() -> None:
    past, _ = logs_of(told().ledger)
    entries = [sealed.data for sealed in past]
    entry = msgspec.structs.replace(unseal(entries[5]).entry, nonce="0" * 32)
    entries[5] = encode_entry(entry)
    changed = {f"{PAST}{path}": data for path, data in tile_files(entries).items() if "entries" in path}
    assert found(audited(told().ledger, **changed)) == [
        (f"{PAST}tile 0/000.p/7", FindingCode.TILE_DIFFERS),
        ("entry 6", Code.CHAIN_BROKEN),
        (f"{PAST}checkpoint", FindingCode.ROOT_DIFFERS),
    ]
    tile = f"{PAST}tile/0/000.p/7"
    assert found(audited(told().ledger, **{tile: None})) == [(f"{PAST}tile 0/000.p/7", FindingCode.MISSING)]
    ledger = f"{PAST}ledger.json"
    assert found(audited(told().ledger, **{ledger: b"{}"})) == [(ledger, "evidence_invalid")]


def test_a_past_that_ends_elsewhere_is_not_what_was_restored() -> None:
    past, _ = logs_of(told().ledger)
    shorter = {PAST + path: data for path, data in log_files(BLUEBIRD, past[:6]).items()}
    assert ("entry 6", Code.SUCCESSION_INVALID) in found(audited(told().ledger, **shorter))


def judged(half: Half, change: dict[str, object]) -> list[tuple[str, str]]:
    """Return what an audit finds where the successor's genesis says something else, and all after it follows."""
    *_, present = logs_of(half)
    entries: list[bytes] = []
    for sealed in present:
        entry: Entry = sealed.entry
        if isinstance(entry, Genesis):
            assert entry.predecessor is not None
            entry = msgspec.structs.replace(entry, predecessor=msgspec.structs.replace(entry.predecessor, **change))
        prev = leaf_hash(entries[-1]).hex() if entries else entry.prev
        entries.append(encode_entry(msgspec.structs.replace(entry, prev=prev)))  # type: ignore[arg-type]
    files = log_files(BLUEBIRD, [unseal(data) for data in entries])
    return found(audited(half, **files))


def test_what_was_restored_is_compared_with_the_log_before() -> None:
    assert ("entry 9", FindingCode.ROOT_DIFFERS) in judged(told().ledger, {"restored_root": "0" * 64})


def test_a_log_after_another_begins_with_its_genesis_and_no_log_has_two() -> None:
    past, present = logs_of(told().ledger)
    joined = log_files(BLUEBIRD, [*past, *present])
    assert ("entry 7", Code.CHAIN_BROKEN) in found(audit_log(MemorySource(joined)))
    data = [sealed.data for sealed in present[1:]]
    checkpoint = Checkpoint(origin=SECOND, size=len(data), root=root_of(map(leaf_hash, data)))
    note = sign_checkpoint(checkpoint, key=BLUEBIRD.signing_keys[Role.LOG])
    headless = audited(told().ledger, **tile_files(data), checkpoint=note)
    assert ("entry 7", Code.CHAIN_BROKEN) in found(headless)


def held(half: Half, origin: str, size: int, root: bytes) -> list[tuple[str, str]]:
    """Return what an audit finds where somebody holds a checkpoint."""
    checkpoint = Checkpoint(origin=origin, size=size, root=root)  # type: ignore[arg-type]
    return found(audit_log(MemorySource(all_files(half)), known=[checkpoint]))


def test_a_checkpoint_that_somebody_holds_is_compared_with_its_own_log() -> None:
    lost, ledger = told().lost, told().ledger
    data = [sealed.data for sealed in lost.ledger.sealed]
    for size in (1, 7, 8, 9):
        root = root_of(map(leaf_hash, data[:size]))
        assert held(ledger, BLUEBIRD.ledger, size, root) == []
    assert held(ledger, SECOND, 1, root_of([leaf_hash(logs_of(ledger)[1][0].data)])) == []
    for size, origin, code in (
        (3, BLUEBIRD.ledger, FindingCode.FORKED),
        (9, BLUEBIRD.ledger, FindingCode.FORKED),
        (10, BLUEBIRD.ledger, FindingCode.FORKED),
        (3, SECOND, FindingCode.FORKED),
        (7, SECOND, FindingCode.BEHIND),
        (1, successor_of(SECOND), FindingCode.BEHIND),
    ):
        assert held(ledger, origin, size, EMPTY_ROOT) == [(f"checkpoint of {size}, seen before", code)]


def test_a_log_that_was_signed_on_after_its_succession_is_found_out_by_its_partner() -> None:
    made = succession()
    issue(made.lost.ledger, open_holder(made.lost.ledger, "dot"), 5)
    note = note_of(BLUEBIRD, made.lost.ledger.sealed)
    hand_over(made.ledger, made.partner, [hello(BLUEBIRD, AURORA)], checkpoint=note, epoch=3)
    pair = match_pair(audited(made.ledger), audited(made.partner))
    assert (pair.verdict, pair.findings[0].code) == (Verdict.BROKEN, FindingCode.FORKED)
    assert pair.findings[0].place.startswith(f"{BLUEBIRD.ledger} checkpoint of 11, held by {AURORA.ledger}")


def test_a_checkpoint_of_another_ledger_is_no_checkpoint_of_a_partner() -> None:
    made = succession()
    note = note_of(AURORA, made.partner.ledger.sealed)
    hand_over(made.ledger, made.partner, [hello(BLUEBIRD, AURORA)], checkpoint=note, epoch=3)
    (finding,) = audited(made.partner).findings.listed
    assert finding.code == "checkpoint_invalid"


def test_words_without_the_evidence_that_they_were_ours_cannot_be_checked() -> None:
    made = succession()
    missing = all_files(made.ledger, made.ledger.received[:4])
    audit = audit_log(MemorySource(missing))
    assert {code for _, code in found(audit)} == {FindingCode.MESSAGE_MISSING}
    places = {place for place, _ in found(audit)}
    assert {"entry 11", "entry 12"} <= places


def test_evidence_that_is_none_proves_no_word() -> None:
    made = alliance()
    copy = copy_of(made.destination)
    made.converted("lost")
    ledger = put_back(made.destination, copy)
    give_all_back(made.destination, copy, ledger, made.source)
    kept = [each for each in ledger.received if b'"returned"' not in each.body_bytes]
    assert len(kept) < len(ledger.received)
    for wrong in (
        returned_as(made.source, ledger, forged=True),
        returned_as(made.source, ledger, forged=False),
    ):
        half = Half(ledger.ledger, list(kept), {})
        hand_over(made.source, half, [wrong], epoch=EPOCH + 1)  # type: ignore[list-item]
        assert {code for _, code in found(audited(half))} == {FindingCode.MESSAGE_MISSING}


def returned_as(partner: Half, owner: Half, *, forged: bool) -> object:
    """Return what gives back a message of the partner's own, or one to somebody else."""
    body = prepare(source=BLUEBIRD, destination=COPPER)
    if forged:
        return msgspec.structs.replace(given_back(body, owner=COPPER, partner=partner.ledger.side), receiver=owner.name)
    return msgspec.structs.replace(given_back(body, owner=BLUEBIRD, partner=COPPER), sender=partner.name)


def test_a_word_that_was_lost_and_did_not_come_back_is_a_broken_promise() -> None:
    made = alliance()
    copy = copy_of(made.destination)
    made.converted("lost")
    ledger = put_back(made.destination, copy)
    pairs = [match_pair(audited(ledger), audited(made.source))]
    begin(ledger.ledger, made.source.name)
    end(ledger.ledger, made.source.name)
    pairs.append(match_pair(audited(ledger), audited(made.source)))
    waiting, broken = (sorted({finding.code for finding in pair.findings}) for pair in pairs)
    assert waiting == [FindingCode.BEHIND]
    assert broken == [FindingCode.DECISION_MISSING, FindingCode.PROMISE_BROKEN]
    assert "was lost" in "".join(finding.detail for finding in pairs[1].findings)


def test_an_order_that_was_lost_and_did_not_come_back_is_missing() -> None:
    made = alliance()
    copy = copy_of(made.source)
    made.decided("lost")
    ledger = put_back(made.source, copy)
    waiting = match_pair(audited(ledger), audited(made.destination))
    assert {finding.code for finding in waiting.findings} == {FindingCode.BEHIND}
    waive(ledger.ledger, made.destination.name)
    gone = match_pair(audited(ledger), audited(made.destination))
    assert {finding.code for finding in gone.findings} == {FindingCode.ORDER_MISSING, FindingCode.PROMISE_BROKEN}


def test_an_order_that_came_back_is_matched_by_the_entry_that_repeats_it() -> None:
    made = alliance(points=500)
    copy = copy_of(made.source)
    issue(made.source.ledger, made.pair.sender, 5_000)
    made.converted("lost")
    hand_over(made.source, made.destination, [made.ordered("wished")])
    wish = made.source.ledger.body(ask_cancel(made.source.ledger, name="wished"))
    refusal = made.destination.ledger.body(answer(made.source, made.destination, wish))
    answer(made.destination, made.source, refusal)
    ledger = put_back(made.source, copy)
    give_all_back(made.source, copy, ledger, made.destination)
    report = make_report([audited(ledger), audited(made.destination)])
    assert report.verdict is Verdict.HELD
    (story,) = report.logs[0].successions
    (back,) = story.partners
    assert (back.shortfall, back.unknown) == ("1900", 0)
    assert "1,900 points were given to accounts that lacked them" in "\n".join(report.lines())


def test_accounts_that_are_not_known_any_more_are_counted() -> None:
    for brand, points in (("source", "1200"), ("destination", "750")):
        made = alliance()
        made.converted("lost")
        one, other = made.halves if brand == "source" else made.halves[::-1]
        copy = Copy(4, 1)
        ledger = put_back(one, copy)
        give_all_back(one, copy, ledger, other)
        report = make_report([audited(ledger)])
        (back,) = report.logs[0].successions[0].partners
        assert (back.unknown, back.unknown_points) == (1, points)
        line = f"{int(points):,} points of 1 conversions belong to accounts that are not known any more"
        assert line in "\n".join(report.lines())


def test_a_partner_that_was_waived_and_a_start_without_answers_are_told() -> None:
    made = alliance()
    add_partner(made.destination.ledger, COPPER)
    copy = copy_of(made.destination)
    made.converted("lost")
    ledger = put_back(made.destination, copy)
    unfinished = "\n".join(make_report([audited(ledger)]).lines())
    assert "copper.example/main gave back nothing: not all of it yet" in unfinished
    waive(ledger.ledger, COPPER.ledger)
    give_all_back(made.destination, copy, ledger, made.source)
    command = commands.OverrideStart(id=uuid("override"), partners=(COPPER.ledger,), reason="partner_gone")
    ledger.ledger.execute(command)
    report = make_report([audited(ledger)])
    assert report.verdict is Verdict.HELD
    text = "\n".join(report.lines())
    assert "copper.example/main gave back nothing: not waited for (partner_gone)" in text
    assert f"an operator did not wait for {COPPER.ledger} at the start before " in text
    (override,) = report.logs[0].overrides
    assert (override.partners, override.reason) == ((COPPER.ledger,), "partner_gone")


def test_recovery_mismatch_where_a_recovery_ended_before_all_was_back() -> None:
    made = alliance()
    copy = copy_of(made.destination)
    made.converted("lost")
    ledger = put_back(made.destination, copy)
    begin(ledger.ledger, made.source.name, words=2)
    end(ledger.ledger, made.source.name, words=1)
    assert found(audited(ledger)) == [("entry 9", Code.RECOVERY_MISMATCH)]
