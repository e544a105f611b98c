"""Two histories of one log are found as soon as those who saw them meet, and nobody is believed without a signature."""

import pytest

from protocol.audit.kept import LogState, decode_state, encode_state
from protocol.audit.log import LogAudit, audit_log
from protocol.audit.meeting import meet
from tests.support.audits import Half, MemorySource, alliance, signed_checkpoint
from tests.support.documents import AURORA, BLUEBIRD
from tests.support.ledger import open_holder


def grown(*names: str) -> Half:
    half = alliance().source
    for name in names:
        open_holder(half.ledger, name)
    return half


def audited(half: Half) -> LogAudit:
    return audit_log(MemorySource(half.files()))


def state_of(half: Half) -> LogState:
    return decode_state(encode_state(audited(half).state))


def met(ours: Half, theirs: Half, *, with_state: bool) -> list[tuple[str, str]]:
    """Return what the holder of `ours` finds in what the other one holds."""
    audit, other = audited(ours), state_of(theirs)
    meet(audit, other.note, place="theirs", others=[other] if with_state else [])
    return [(finding.verdict.value, finding.code) for finding in audit.findings.listed]


@pytest.mark.parametrize(
    ("ours", "theirs", "with_state", "found"),
    [
        (("zoe",), ("zoe",), True, []),
        (("zoe", "bob"), ("zoe",), False, []),
        (("zoe",), ("zoe", "bob"), True, []),
        (("zoe",), ("zoe", "bob"), False, [("incomplete", "behind")]),
        (("zoe", "bob"), ("eve",), False, [("broken", "forked")]),
        (("zoe",), ("eve",), True, [("broken", "forked")]),
        (("zoe",), ("eve", "bob"), True, [("broken", "forked")]),
        (("zoe",), ("eve", "bob"), False, [("incomplete", "behind")]),
    ],
)
def test_what_two_auditors_find(
    ours: tuple[str, ...], theirs: tuple[str, ...], with_state: bool, found: list[tuple[str, str]]
) -> None:
    assert met(grown(*ours), grown(*theirs), with_state=with_state) == found


def test_a_checkpoint_that_the_log_did_not_sign_proves_nothing() -> None:
    half = grown("zoe")
    entries = [sealed.data for sealed in half.ledger.sealed]
    forged = signed_checkpoint(BLUEBIRD, entries).replace(BLUEBIRD.ledger.encode(), AURORA.ledger.encode())
    audit = audited(half)
    meet(audit, forged, place="theirs")
    assert [finding.code for finding in audit.findings.listed] == ["signature_invalid"]
    assert audit.findings.verdict.value == "incomplete"


def test_what_is_about_another_log_or_about_none_is_left_alone() -> None:
    audit = audited(grown("zoe"))
    for note in (signed_checkpoint(BLUEBIRD, [b"{}"]), b"nonsense"):
        meet(audit, note, place="theirs")
    assert audit.findings.listed == ()
    unread = audit_log(MemorySource({}))
    meet(unread, signed_checkpoint(AURORA, [b"{}"]), place="theirs")
    assert [finding.code for finding in unread.findings.listed] == ["missing"]
