"""A state is what an audit knows: going on from any prefix of a log comes to the same as reading all of it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.audit.findings import Verdict
from protocol.audit.kept import FORMAT, LogState, StateInvalid, decode_state, encode_state
from protocol.audit.kept_rows import KeptRows
from protocol.audit.log import Keeping, LogAudit, audit_log
from protocol.audit.matching import match_pair
from protocol.audit.outcome import audit_of_state
from protocol.audit.report import Report, make_report
from protocol.checkpoint import Checkpoint
from protocol.ledger.state import TABLES
from protocol.tiles import encode_bundle
from tests.support.audits import Alliance, Files, Half, MemorySource, alliance, answer, busy_alliance, files_of
from tests.support.documents import AURORA, BLUEBIRD
from tests.support.ledger import give_notice, open_holder
from tests.support.settled_logs import settled_alliance
from tests.support.successions import all_files, succession


def files_at(half: Half, size: int, received: int) -> Files:
    """Return the files of a log as they were with so many entries and messages."""
    return files_of(half.ledger.side, [sealed.data for sealed in half.ledger.sealed[:size]], half.received[:received])


def kept(audit: LogAudit) -> Keeping:
    """Return what `audit` keeps, from its bytes."""
    data = encode_state(audit.state)
    return Keeping(find=lambda _checkpoint: decode_state(data))


def plain(report: Report) -> bytes:
    """Return a report without what tells how it was come by."""
    logs = tuple(msgspec.structs.replace(log, resumed=0) for log in report.logs)
    return msgspec.structs.replace(report, logs=logs).json()


def noticed_alliance() -> Alliance:
    made = busy_alliance()
    notice = made.source.ledger.body(give_notice(made.source.ledger, made.pair.signed))
    answer(made.source, made.destination, notice)
    return made


STORIES = {
    "conversions": busy_alliance,
    "notice": noticed_alliance,
    "settlement": settled_alliance,
}


@pytest.fixture(scope="module", params=STORIES)
def made(request: pytest.FixtureRequest) -> Alliance:
    return STORIES[request.param]()


@pytest.mark.parametrize("side", ["source", "destination"])
def test_going_on_from_any_prefix_comes_to_the_same(made: Alliance, side: str) -> None:
    half = made.source if side == "source" else made.destination
    size, received = len(half.ledger.sealed), len(half.received)
    whole = audit_log(MemorySource(half.files()))
    expected, resumed = plain(make_report([whole])), 0
    for begun in range(1, size + 1):
        for heard in range(0, received + 1, 2):
            first = audit_log(MemorySource(files_at(half, begun, heard)))
            if first.findings.verdict is Verdict.HELD:
                later = audit_log(MemorySource(half.files()), keeping=kept(first))
                assert later.resumed == begun
                assert plain(make_report([later])) == expected, (begun, heard)
                assert later.books.registers.rows == whole.books.registers.rows
                assert list(later.books.days.misdated(None)) == list(whole.books.days.misdated(None))
                resumed += 1
    assert resumed > size / 2


def test_what_was_resumed_matches_its_partner(made: Alliance) -> None:
    whole = [audit_log(MemorySource(half.files())) for half in made.halves]
    again = [
        audit_log(MemorySource(half.files()), keeping=kept(audit))
        for half, audit in zip(made.halves, whole, strict=True)
    ]
    assert match_pair(*again) == match_pair(*whole)
    recalled = [audit_of_state(decode_state(encode_state(audit.state)), audit.label) for audit in whole]
    assert plain(make_report(recalled)) == plain(make_report(whole))


@dataclass
class Counting:
    """Serves files and notes which were asked for."""

    files: Mapping[str, bytes]
    label: str = "memory"
    asked: list[str] = field(default_factory=list)

    def fetch(self, path: str) -> bytes | None:
        self.asked.append(path)
        return self.files.get(path)


def long_log(count: int = 600, *, name: str = "filler") -> Half:
    half = alliance(points=count).source
    for number in range(count):
        open_holder(half.ledger, f"{name} {number}")
    return half


def test_only_what_is_new_is_read() -> None:
    half = long_log()
    first = audit_log(MemorySource(half.files()))
    open_holder(half.ledger, "somebody")
    source = Counting(half.files())
    second = audit_log(source, keeping=kept(first))
    assert (second.findings.verdict, second.resumed) == (Verdict.HELD, first.replay.size)
    bundles = [path for path in source.asked if path.startswith("tile/entries/")]
    assert len(bundles) == 1
    assert "tile/0/000" not in source.asked
    nothing_new = Counting(half.files())
    assert audit_log(nothing_new, keeping=kept(second)).findings.verdict is Verdict.HELD
    assert not [path for path in nothing_new.asked if path.startswith("tile/")]


def test_a_rewritten_entry_is_found_and_named_though_everything_is_signed_anew() -> None:
    half, other = long_log(), long_log(name="another")
    first = audit_log(MemorySource(half.files()))
    for changed in (other, long_log(700, name="another")):
        found = audit_log(MemorySource(changed.files()), known=[checkpoint_in(first)], keeping=kept(first))
        assert not found.resumed
        assert [finding.code for finding in found.findings.listed] == ["forked"]


def checkpoint_in(audit: LogAudit) -> Checkpoint:
    assert audit.checkpoint is not None
    return audit.checkpoint


def test_a_rewritten_entry_of_the_last_bundle_is_seen_in_its_bytes() -> None:
    half = long_log(20)
    first = audit_log(MemorySource(half.files()))
    entries = [sealed.data for sealed in half.ledger.sealed]
    open_holder(half.ledger, "somebody")
    files = half.files()
    size = len(entries) + 1
    files[f"tile/entries/000.p/{size}"] = encode_bundle(
        [*entries[:3], b"{}", *entries[4:], half.ledger.sealed[-1].data]
    )
    found = audit_log(MemorySource(files), keeping=kept(first))
    # All entries are read again, and the one that was changed is named.
    assert (found.resumed, found.findings.listed[0].code) == (0, "tile_differs")
    assert "entry 3" in found.findings.listed[0].detail


def test_an_older_log_and_another_log_are_read_from_the_first_entry() -> None:
    half = long_log(20)
    older = MemorySource(half.files())
    open_holder(half.ledger, "somebody")
    first = audit_log(MemorySource(half.files()))
    for source in (older, MemorySource(alliance().destination.files())):
        found = audit_log(source, keeping=kept(first))
        assert (found.resumed, found.findings.verdict) == (0, Verdict.HELD)


def test_messages_that_are_gone_are_missed() -> None:
    half = busy_alliance().source
    first = audit_log(MemorySource(half.files()))
    half.received = half.received[:2]
    found = audit_log(MemorySource(half.files()), keeping=kept(first))
    assert not found.resumed
    assert {finding.code for finding in found.findings.listed} == {"message_missing"}


def test_a_long_audit_keeps_what_it_has_verified() -> None:
    half, states = long_log(1_200), list[LogState]()
    sizes = list[int]()

    def keep(state: LogState) -> None:
        states.append(decode_state(encode_state(state)))
        sizes.append(states[-1].replay.size)

    whole = audit_log(MemorySource(half.files()), keeping=Keeping(keep=keep, every=256))
    assert sizes == [256, 512, 768, 1_024]
    source = Counting(half.files())
    again = audit_log(source, keeping=Keeping(find=lambda _checkpoint: states[2]))
    assert (again.resumed, again.findings.verdict) == (768, Verdict.HELD)
    assert plain(make_report([again])) == plain(make_report([whole]))
    assert [path for path in source.asked if path.startswith("tile/entries/")] == [
        "tile/entries/003",
        f"tile/entries/004.p/{whole.replay.size - 1_024}",
    ]


@pytest.mark.parametrize("fault", ["unsigned", "no tile", "bad entry"])
def test_nothing_is_kept_before_it_is_verified(fault: str) -> None:
    half = long_log(1_000)
    files = half.files()
    if fault == "unsigned":
        files["checkpoint"] = files["checkpoint"].replace(AURORA.ledger.encode(), BLUEBIRD.ledger.encode(), 1)
    elif fault == "no tile":
        files = {path: data for path, data in files.items() if not path.startswith("tile/1/")}
    else:
        files["tile/0/000"] = bytes(8_192)
    kept_states: list[LogState] = []
    found = audit_log(MemorySource(files), keeping=Keeping(keep=kept_states.append, every=256))
    assert found.findings.verdict is not Verdict.HELD
    assert kept_states == []


def test_a_state_of_a_ledger_of_many_logs_is_taken_up() -> None:
    half = succession().ledger
    whole = audit_log(MemorySource(all_files(half)))
    assert whole.replay.past
    again = audit_log(MemorySource(all_files(half)), keeping=kept(whole))
    assert again.resumed == whole.replay.size
    assert plain(make_report([again])) == plain(make_report([whole]))
    recalled = audit_of_state(decode_state(encode_state(whole.state)), whole.label)
    assert plain(make_report([recalled])) == plain(make_report([whole]))


def sealed_body(body: bytes) -> bytes:
    return f"{FORMAT} {sha256(body).hexdigest()}\n".encode() + body


def damaged(data: bytes) -> dict[str, bytes]:
    head, _, body = data.partition(b"\n")
    document = msgspec.json.decode(body)
    no_rows = {**document, "rows": {**document["rows"], "head": []}}
    other_head = {
        **document,
        "rows": {**document["rows"], "head": [["only", {"size": 3, "leaf": "0" * 64, "time": ""}]]},
    }
    other = audit_log(MemorySource(long_log(5).files()))
    assert other.note is not None
    other_note = {**document, "note": msgspec.to_builtins(other.note)}
    other_total = {**document, "books": {**document["books"], "tally": document["books"]["tally"][1:]}}
    no_leaf = {**document, "logs": [{**document["logs"][0], "leaves": ""}]}
    return {
        "empty": b"",
        "another format": b"tallystick audit state 0" + data[24:],
        "a bit": data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
        "cut": head + b"\n" + body[:-5],
        "no JSON": sealed_body(b"{"),
        "another document": sealed_body(b'{"v":1}'),
        "no log": sealed_body(msgspec.json.encode({**document, "logs": []})),
        "no leaf": sealed_body(msgspec.json.encode(no_leaf)),
        "half a leaf": sealed_body(
            msgspec.json.encode({**document, "logs": [{**document["logs"][0], "leaves": "AAAA"}]})
        ),
        "no head": sealed_body(msgspec.json.encode(no_rows)),
        "another head": sealed_body(msgspec.json.encode(other_head)),
        "another note": sealed_body(msgspec.json.encode(other_note)),
        "another total": sealed_body(msgspec.json.encode(other_total)),
        "no note": sealed_body(msgspec.json.encode({**document, "note": ""})),
    }


def test_a_state_that_is_damaged_or_foreign_is_refused() -> None:
    data = encode_state(audit_log(MemorySource(busy_alliance().source.files())).state)
    assert encode_state(decode_state(data)) == data
    for what, wrong in damaged(data).items():
        with pytest.raises(StateInvalid) as refused:
            decode_state(wrong)
        assert refused.value.code == "state_invalid", what


def test_every_table_is_kept() -> None:
    assert set(KeptRows.__struct_fields__) == {table.name for table in TABLES}


def test_a_state_that_cannot_be_used_leaves_the_log_unchecked() -> None:
    def refuse(_checkpoint: Checkpoint) -> LogState | None:
        raise StateInvalid("damaged")

    found = audit_log(MemorySource(busy_alliance().source.files()), keeping=Keeping(find=refuse))
    assert [(each.verdict, each.code) for each in found.findings.listed] == [(Verdict.INCOMPLETE, "state_invalid")]


@cache
def a_state() -> bytes:
    return encode_state(audit_log(MemorySource(settled_alliance().source.files())).state)


@given(data=st.data())
@settings(max_examples=60)
def test_whatever_stands_in_a_state_it_is_read_or_refused(data: st.DataObject) -> None:
    body = a_state().partition(b"\n")[2]
    at = data.draw(st.integers(0, len(body) - 1))
    put = data.draw(st.sampled_from([b"", b"0", b"9", b"-", b'"', b"[", b"]", b"{}", b"null", b"a"]))
    taken = data.draw(st.integers(0, 3))
    with suppress(StateInvalid):
        decode_state(sealed_body(body[:at] + put + body[at + taken :]))


@given(body=st.binary(max_size=64))
@settings(max_examples=50)
def test_no_bytes_are_taken_for_a_state(body: bytes) -> None:
    for data in (body, sealed_body(body)):
        with pytest.raises(StateInvalid):
            decode_state(data)
