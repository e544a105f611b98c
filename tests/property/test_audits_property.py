"""Whatever is done to the files of a log, an audit ends in a verdict, and never says that they held."""

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.audit.findings import Verdict
from protocol.audit.log import audit_log
from protocol.audit.report import make_report
from protocol.audit.verify import verify_file
from tests.support.audits import Files, MemorySource, busy_alliance
from tests.support.documents import signed_agreement
from tests.support.mutations import damaged

SIGNED = signed_agreement()


@cache
def files() -> Files:
    return busy_alliance().source.files()


@settings(max_examples=150)
@given(st.data())
def test_a_damaged_file_never_holds(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(files())))
    changed = data.draw(damaged(files()[path]))
    report = make_report([audit_log(MemorySource(files() | {path: changed}))])
    assert (report.verdict is Verdict.HELD) == (changed == files()[path])
    assert list(report.lines())
    assert report.json()


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(sorted(files())), st.binary(max_size=64), max_size=4))
def test_bytes_of_any_kind_end_in_a_verdict(replaced: Files) -> None:
    report = make_report([audit_log(MemorySource(files() | replaced)), audit_log(MemorySource(replaced))])
    assert report.verdict is not Verdict.HELD


@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_a_file_of_any_kind_ends_in_a_verdict(data: bytes) -> None:
    assert verify_file(data, agreements=[SIGNED]).verdict is not Verdict.HELD
