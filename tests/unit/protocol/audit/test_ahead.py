"""Whoever reads ahead, an audit comes to the same: in what it finds, in its words, and in what it keeps."""

import msgspec
import pytest

from protocol.audit.ahead import Stretch, read_ahead, taken_over
from protocol.audit.days import DayBook, DaySums
from protocol.audit.findings import Verdict
from protocol.audit.kept import LogState, decode_state, encode_state
from protocol.audit.log import Keeping, LogAudit, audit_log
from protocol.audit.report import make_report
from protocol.audit.segments import Owner
from protocol.identifiers import Asset
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES
from protocol.tiles import BundleId
from tests.support.audits import MemorySource
from tests.support.helpers import Helpers
from tests.support.long_logs import ENTRIES, faulty_logs, long_half

OWNER = Owner(ledger=long_half().name, points=Asset("AUR"))

SOUND = {
    "nothing",
    "an entry moves too much",
    "the first of a bundle moves too much",
    "an id is taken",
    "a bundle does not follow",
}
"""What can be wrong with a log while each bundle is sound by itself: only the state shows it, or the bundle before."""


def outcome(audit: LogAudit) -> tuple[bytes, bytes, object]:
    state = encode_state(audit.state) if audit.findings.verdict is Verdict.HELD else b""
    return make_report([audit]).json(), state, audit.findings.listed


@pytest.mark.parametrize("fault", faulty_logs())
@pytest.mark.parametrize(("late", "parts"), [(0, 1), (1, 2)])
def test_the_outcome_is_the_same(fault: str, late: int, parts: int) -> None:
    source = MemorySource(faulty_logs()[fault])
    helpers = Helpers(source, late=late, parts=parts)
    alone, helped = audit_log(source), audit_log(source, ahead=helpers)
    assert outcome(helped) == outcome(alone)
    # One that comes later may not see what is wrong.
    assert late or all(helpers.sound) == (fault in SOUND)
    assert (alone.findings.count == 0) == (fault in {"nothing", "the last tile is full"})


def test_what_cannot_be_fetched_is_said_as_it_was() -> None:
    files = faulty_logs()["nothing"]
    for path in ("tile/entries/001", "tile/0/001"):
        source = MemorySource(files, unreachable=frozenset({path}))
        assert outcome(audit_log(source, ahead=Helpers(source))) == outcome(audit_log(source))


def test_helpers_that_end_leave_the_log_unchecked() -> None:
    source = MemorySource(faulty_logs()["nothing"])
    found = audit_log(source, ahead=Helpers(source, ends_after=1))
    assert found.findings.verdict is Verdict.INCOMPLETE
    assert [finding.code for finding in found.findings.listed] == ["unreachable"]


def test_an_audit_that_goes_on_reads_the_first_bundle_by_itself() -> None:
    half = long_half()
    source = MemorySource(half.files())
    kept: list[LogState] = []
    first = audit_log(MemorySource(half.files(size=300)))
    state = encode_state(first.state)

    def keeping() -> Keeping:
        return Keeping(find=lambda _checkpoint: decode_state(state), keep=kept.append)

    helpers = Helpers(source)
    helped, alone = audit_log(source, keeping=keeping(), ahead=helpers), audit_log(source, keeping=keeping())
    assert helped.resumed == alone.resumed == 300
    assert outcome(helped) == outcome(alone)
    assert helpers.sound == [True]


def test_a_stretch_is_dealt_out() -> None:
    dealt = [
        list(Stretch(folder="", first=1, size=ENTRIES, owner=OWNER, part=part, parts=2).bundles()) for part in range(2)
    ]
    assert dealt == [[BundleId(index=1)], [BundleId(index=2, width=ENTRIES - 512)]]


def test_all_of_a_stretch_is_read() -> None:
    source = MemorySource(faulty_logs()["nothing"])
    first, *rest = read_ahead(source, Stretch(folder="", first=0, size=ENTRIES, owner=OWNER))
    # Where a genesis stands, the state tells.
    assert first is None
    assert sum(len(taken_over(data or b"").leaves) for data in rest) == (ENTRIES - TILE_WIDTH) * HASH_BYTES


def test_sums_of_parts_are_those_of_the_whole() -> None:
    entries = [sealed.entry for sealed in long_half().ledger.sealed]
    dated = [
        msgspec.structs.replace(entry, occurred_on="2026-01-05") if entry.seq % 7 == 0 else entry for entry in entries
    ]
    whole, joined = DayBook(), DayBook()
    whole.passed(dated, points=OWNER.points)
    for begin in range(0, len(dated), 100):
        part = DayBook()
        part.passed(dated[begin : begin + 100], points=OWNER.points)
        joined.add(msgspec.msgpack.decode(msgspec.msgpack.encode(part.sums()), type=DaySums))
    assert joined.sums() == whole.sums()
    assert len(list(whole.misdated(None))) > 2
