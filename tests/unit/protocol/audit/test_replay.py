from collections.abc import Callable, Sequence

import msgspec
import pytest

from protocol.audit.findings import FindingCode, Findings, Verdict
from protocol.audit.log import LogAudit, audit_log
from protocol.audit.replay import LogReplay
from protocol.checkpoint import Checkpoint
from protocol.entries import Entry, PointsIssued, Posting, encode_entry, unseal
from protocol.errors import Code
from protocol.identifiers import Digest
from protocol.keys import Role
from protocol.ledger import rules
from protocol.merkle import EMPTY_ROOT, leaf_hash, root_of
from protocol.note import Verifier
from protocol.tiles import TileId
from tests.support.audits import (
    Files,
    MemorySource,
    alliance,
    busy_alliance,
    files_of,
    leaf_of,
    signed_checkpoint,
    tile_files,
    verifier_of,
)
from tests.support.documents import AURORA, BLUEBIRD, Side
from tests.support.ledger import MemoryLedger, issue, new_ledger, open_holder


def small_ledger() -> MemoryLedger:
    ledger = new_ledger(AURORA, needs=False)
    ann, bob = open_holder(ledger, "ann", points=500), open_holder(ledger, "bob")
    for amount in (10, 20, 30):
        issue(ledger, ann, amount)
        issue(ledger, bob, amount)
    return ledger


def data_of(ledger: MemoryLedger) -> list[bytes]:
    return [sealed.data for sealed in ledger.sealed]


def chained(entries: Sequence[bytes]) -> list[bytes]:
    """Return the entries with `prev` and `seq` made to follow, as a forger with the log key would."""
    made: list[bytes] = []
    for data in entries:
        entry = unseal(data).entry
        prev = leaf_of(made[-1]) if made else entry.prev
        made.append(encode_entry(msgspec.structs.replace(entry, seq=len(made), prev=prev)))
    return made


def richer(data: bytes) -> bytes:
    """Return an entry that issues one point more."""
    entry = unseal(data).entry
    assert isinstance(entry, PointsIssued)
    debit, credit = entry.postings
    more = (
        Posting(debit.account, debit.asset, debit.amount - 1),
        Posting(credit.account, credit.asset, credit.amount + 1),
    )
    return encode_entry(msgspec.structs.replace(entry, postings=more))


def audited(files: Files, *, verifiers: Sequence[Verifier] = ()) -> LogAudit:
    return audit_log(MemorySource(files), verifiers=verifiers)


def found(audit: LogAudit) -> list[tuple[str, str]]:
    return [(finding.place, finding.code) for finding in audit.findings.listed]


def test_a_log_that_is_what_was_signed_holds() -> None:
    ledger = small_ledger()
    audit = audited(files_of(AURORA, data_of(ledger)), verifiers=[verifier_of(AURORA), verifier_of(BLUEBIRD)])
    assert found(audit) == []
    assert audit.findings.verdict is Verdict.HELD
    assert audit.is_whole
    assert audit.key_given
    assert (audit.ledger, audit.name) == (AURORA.ledger, AURORA.ledger)
    assert audit.replay.head == ledger.head


def test_an_entry_that_was_edited_and_signed_anew_breaks_the_chain_after_it() -> None:
    entries = data_of(small_ledger())
    entries[5] = richer(entries[5])
    assert found(audited(files_of(AURORA, entries))) == [("entry 6", Code.CHAIN_BROKEN)]


def test_an_entry_that_was_edited_in_place_differs_from_its_tile_and_from_the_signed_root() -> None:
    entries = data_of(small_ledger())
    files = files_of(AURORA, entries)
    entries[5] = richer(entries[5])
    files |= {path: data for path, data in tile_files(entries).items() if path.startswith("tile/entries")}
    assert found(audited(files)) == [
        ("tile 0/000.p/10", FindingCode.TILE_DIFFERS),
        ("entry 6", Code.CHAIN_BROKEN),
        ("checkpoint", FindingCode.ROOT_DIFFERS),
    ]
    assert "entry 5" in audited(files).findings.listed[0].detail


def test_swapped_and_removed_entries_are_named() -> None:
    entries = data_of(small_ledger())
    swapped = [*entries[:4], entries[5], entries[4], *entries[6:]]
    assert found(audited(files_of(AURORA, swapped))) == [("entry 4", Code.CHAIN_BROKEN)]
    removed = [*entries[:4], *entries[5:]]
    assert found(audited(files_of(AURORA, removed))) == [("entry 4", Code.CHAIN_BROKEN)]


def test_a_forger_with_the_log_key_still_has_to_follow_the_rules() -> None:
    entries = data_of(small_ledger())
    entry = unseal(entries[5]).entry
    assert isinstance(entry, PointsIssued)
    debit, credit = entry.postings
    more = (debit, Posting(credit.account, credit.asset, credit.amount + 1))
    entries[5] = encode_entry(msgspec.structs.replace(entry, postings=more))
    assert found(audited(files_of(AURORA, chained(entries)))) == [("entry 5", Code.POSTINGS_INVALID)]


def test_a_forger_who_keeps_the_rules_is_met_by_a_checkpoint_that_somebody_holds() -> None:
    entries = data_of(small_ledger())
    held = Checkpoint(origin=AURORA.ledger, size=9, root=root_of(map(leaf_hash, entries[:9])))
    other = Checkpoint(origin=BLUEBIRD.ledger, size=9, root=held.root)
    kept = [held, other]
    assert found(audit_log(MemorySource(files_of(AURORA, entries)), known=kept)) == []
    entries[5] = richer(entries[5])
    forged = files_of(AURORA, chained(entries))
    assert found(audited(forged)) == []
    assert found(audit_log(MemorySource(forged), known=kept)) == [("checkpoint of 9, seen before", FindingCode.FORKED)]


def test_a_log_whose_tail_was_cut_is_behind_what_was_seen() -> None:
    entries = data_of(small_ledger())
    held = Checkpoint(origin=AURORA.ledger, size=9, root=root_of(map(leaf_hash, entries[:9])))
    audit = audit_log(MemorySource(files_of(AURORA, entries[:8])), known=[held])
    assert found(audit) == [("checkpoint of 9, seen before", FindingCode.BEHIND)]
    assert audit.findings.verdict is Verdict.INCOMPLETE


def test_an_entry_that_does_not_decode_is_named_and_the_rest_is_still_hashed() -> None:
    entries = data_of(small_ledger())
    entries[5] = entries[5] + b" "
    audit = audited(files_of(AURORA, entries))
    assert found(audit) == [("entry 5", "entry_invalid")]
    assert (audit.replay.size, audit.replay.applied, audit.is_whole) == (10, 5, False)
    assert audit.figures is None


@pytest.mark.parametrize("fault", [OverflowError("far away"), ValueError("no date"), KeyError("row"), AssertionError()])
def test_an_entry_that_no_rule_can_judge_is_named(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    entries = data_of(small_ledger())

    def apply(*_arguments: object) -> None:
        raise fault

    monkeypatch.setattr(rules, "apply", apply)
    assert found(audited(files_of(AURORA, entries))) == [
        ("entry 0", FindingCode.RULE_FAILED),
        ("checkpoint", FindingCode.KEY_UNKNOWN),
    ]


def test_what_a_refused_entry_changed_is_undone() -> None:
    ledger = small_ledger()
    entries = data_of(ledger)
    again = msgspec.structs.replace(
        unseal(entries[5]).entry, seq=10, prev=ledger.head.leaf, time="2027-01-01T00:00:00.000000Z"
    )
    replay = LogReplay(findings=Findings())
    replay.add([*entries, encode_entry(again)])
    assert [(finding.place, finding.code) for finding in replay.findings.listed] == [("entry 10", Code.ID_REUSED)]
    assert replay.head == ledger.head


def test_a_checkpoint_by_another_key_or_of_another_log_does_not_hold() -> None:
    entries = data_of(small_ledger())
    files = files_of(AURORA, entries)
    impostor = Side(
        ledger=AURORA.ledger,
        points=AURORA.points,
        signing_keys={**AURORA.signing_keys, Role.LOG: AURORA.signing_keys[Role.CHANNEL]},
    )
    forged = files | {"checkpoint": signed_checkpoint(impostor, entries)}
    assert found(audited(forged)) == [("checkpoint", "signature_invalid")]
    other = files | {"checkpoint": signed_checkpoint(BLUEBIRD, entries)}
    assert found(audited(other)) == [("checkpoint", "signature_invalid")]
    # A whole log by an impostor is only found out by whoever knows the right key.
    assert found(audited(files, verifiers=[verifier_of(impostor)])) == [("entry 0", FindingCode.KEYS_DIFFER)]


def test_a_root_that_is_not_that_of_the_entries_does_not_hold() -> None:
    entries = data_of(small_ledger())
    files = files_of(AURORA, entries)
    files["checkpoint"] = signed_checkpoint(AURORA, [*entries[:-1], b"{}"])
    assert found(audited(files)) == [("checkpoint", FindingCode.ROOT_DIFFERS)]


@pytest.mark.parametrize(
    ("note", "code"),
    [
        (b"no note", "note_invalid"),
        ("aurora.example/main.1\nx\n\n\u2014 aurora.example/main.1 AAAAAAAA\n".encode(), "checkpoint_invalid"),
    ],
)
def test_a_checkpoint_that_is_none_is_named(note: bytes, code: str) -> None:
    files = files_of(AURORA, data_of(small_ledger())) | {"checkpoint": note}
    audit = audited(files)
    assert found(audit) == [("checkpoint", code)]
    assert (audit.ledger, audit.name) == (None, "memory")


def test_an_empty_log_shows_nothing() -> None:
    audit = audited(files_of(AURORA, []))
    assert found(audit) == [("checkpoint", FindingCode.KEY_UNKNOWN)]
    assert audit.replay.head.size == 0
    assert found(audited(files_of(AURORA, []), verifiers=[verifier_of(AURORA)])) == []


def flip_last(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    ("path", "change", "finding"),
    [
        ("tile/0/000", flip_last, ("tile 0/000", "tile_differs", "entry 255")),
        ("tile/0/001.p/44", flip_last, ("tile 0/001.p/44", "tile_differs", "entry 299")),
        ("tile/0/001.p/44", lambda data: data[:-1], ("tile 0/001.p/44", "tile_differs", "1407 bytes")),
        ("tile/1/000.p/1", flip_last, ("tile 1/000.p/1", "tile_differs", "hash 0")),
        ("tile/0/001.p/44", lambda _data: None, ("tile 0/001.p/44", "missing", "no such tile")),
        ("tile/1/000.p/1", lambda _data: None, ("tile 1/000.p/1", "missing", "no such tile")),
        ("tile/0/000", lambda _data: None, ("tile 0/000", "missing", "no such tile")),
        ("tile/entries/000", lambda _data: None, ("tile/entries/000", "missing", "no such file")),
        ("tile/entries/001.p/44", lambda _data: None, ("tile/entries/001.p/44", "missing", "no such file")),
        ("tile/entries/001.p/44", lambda data: data + b"x", ("tile/entries/001.p/44", "tile_invalid", "44 entries")),
        ("checkpoint", lambda _data: None, ("checkpoint", "missing", "no such file")),
    ],
)
def test_each_file_is_compared_and_named(
    path: str, change: Callable[[bytes], bytes | None], finding: tuple[str, str, str]
) -> None:
    files = long_files()
    data = change(files.pop(path))
    if data is not None:
        files[path] = data
    place, code, detail = finding
    audit = audited(files)
    assert found(audit)[0] == (place, code)
    assert detail in audit.findings.listed[0].detail
    assert audit.findings.verdict is (Verdict.INCOMPLETE if data is None else Verdict.BROKEN)


def long_ledger() -> MemoryLedger:
    ledger = new_ledger(AURORA, needs=False)
    ann = open_holder(ledger, "ann")
    while len(ledger.sealed) < 300:
        issue(ledger, ann, len(ledger.sealed))
    return ledger


def long_files() -> Files:
    return files_of(AURORA, data_of(long_ledger()))


def test_a_partial_file_may_have_become_a_full_one() -> None:
    ledger = long_ledger()
    grown = data_of(ledger)
    ann = open_holder(ledger, "more")
    while len(ledger.sealed) < 512:
        issue(ledger, ann, 1)
    files = files_of(AURORA, grown)
    full = tile_files(data_of(ledger))
    for path in ("tile/0/001", "tile/entries/001"):
        del files[f"{path}.p/44"]
        files[path] = full[path]
    assert found(audited(files)) == []
    files["tile/entries/001"] += b"x"
    assert found(audited(files)) == [("tile/entries/001.p/44", "tile_invalid")]


def test_progress_is_told_bundle_by_bundle() -> None:
    seen: list[tuple[str, int, int]] = []
    audit_log(MemorySource(long_files(), label="here"), progress=lambda *told: seen.append(told))
    assert seen == [("here", 256, 300), ("here", 300, 300)]


@pytest.mark.parametrize("path", ["checkpoint", "tile/entries/000", "tile/0/001.p/44", "tile/1/000.p/1"])
def test_a_place_that_does_not_answer_leaves_the_check_incomplete(path: str) -> None:
    audit = audit_log(MemorySource(long_files(), unreachable=frozenset({path})))
    assert found(audit) == [(path, FindingCode.UNREACHABLE)]
    assert audit.findings.verdict is Verdict.INCOMPLETE


def test_roots_at_every_size_are_those_of_the_entries() -> None:
    replay = LogReplay(findings=Findings())
    entries = data_of(long_ledger())
    replay.add(entries[:256])
    replay.add(entries[256:])
    leaves = list(map(leaf_hash, entries))
    for size in (0, 1, 2, 3, 255, 256, 257, 299, 300):
        assert replay.tree.root_at(size) == root_of(leaves[:size])
    assert replay.tree.root_at(0) == EMPTY_ROOT
    assert [replay.tree.leaf(seq) for seq in (0, 255, 256, 299)] == [
        Digest(leaves[seq].hex()) for seq in (0, 255, 256, 299)
    ]
    assert replay.tree.tile(TileId(level=0, index=1, width=2)) == leaves[256] + leaves[257]


def test_collectors_see_accepted_entries_only() -> None:
    seen: list[Entry] = []

    class Reader:
        def add(self, sealed: object, view: object) -> None:
            seen.append(getattr(sealed, "entry"))  # noqa: B009 - the test needs no more of a sealed entry

    entries = data_of(small_ledger())
    replay = LogReplay(findings=Findings(), collectors=[Reader()])
    replay.add([*entries[:4], entries[5]])
    assert [entry.seq for entry in seen] == [0, 1, 2, 3]


def test_ledger_json_must_say_what_genesis_says() -> None:
    files = busy_alliance().source.files()
    theirs = alliance().destination.files()
    assert found(audited(files | {"ledger.json": theirs["ledger.json"]})) == [
        ("ledger.json", FindingCode.LEDGER_DIFFERS)
    ]
    assert found(audited(files | {"ledger.json": b"{}"})) == [("ledger.json", "evidence_invalid")]
    del files["ledger.json"]
    assert found(audited(files)) == []
