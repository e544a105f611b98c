"""An audit of a log whose key was rotated: the new key must have signed, whichever of its keys is known."""

import pytest

from protocol.audit.findings import FindingCode, Verdict
from protocol.audit.log import LogAudit, audit_log
from protocol.audit.pages import CHECKPOINT_PATH
from protocol.checkpoint import sign_checkpoint
from protocol.keys import SigningKey
from protocol.note import Verifier
from tests.support.audits import MemorySource, checkpoint_of, files_of
from tests.support.documents import AURORA, BLUEBIRD, log_key
from tests.support.keys import rotate
from tests.support.ledger import new_ledger, open_holder


def audited(*signers: SigningKey, known: SigningKey | None = None, cut: int = 0) -> LogAudit:
    """Audit a log whose key was rotated once, as these keys have signed it."""
    ledger = new_ledger()
    open_holder(ledger, "ann")
    rotate(ledger)
    open_holder(ledger, "bob")
    entries = [sealed.data for sealed in ledger.sealed]
    entries = entries[: len(entries) - cut]
    files = dict(files_of(AURORA, entries))
    first, *later = signers
    files[CHECKPOINT_PATH] = sign_checkpoint(checkpoint_of(AURORA, entries), key=first, later=later)
    verifiers = [] if known is None else [Verifier(AURORA.ledger, known.public)]
    return audit_log(MemorySource(files), verifiers=verifiers)


OLD, NEW = log_key(AURORA, 0), log_key(AURORA, 1)


@pytest.mark.parametrize("known", [None, OLD, NEW])
def test_a_log_that_both_keys_signed_holds_for_whoever_knows_one(known: SigningKey | None) -> None:
    audit = audited(OLD, NEW, known=known)
    assert (audit.findings.verdict, audit.findings.listed) == (Verdict.HELD, ())


def test_the_old_key_alone_does_not_sign_after_the_rotation() -> None:
    audit = audited(OLD)
    assert audit.findings.verdict is Verdict.BROKEN
    (found,) = audit.findings.listed
    assert (found.code, found.place) == ("signature_invalid", CHECKPOINT_PATH)
    assert NEW.public.text in found.detail


def test_before_the_rotation_it_does() -> None:
    assert audited(OLD, cut=2).findings.verdict is Verdict.HELD


def test_the_new_key_alone_is_not_the_ledgers() -> None:
    assert audited(NEW).findings.verdict is Verdict.BROKEN


def test_a_key_that_the_log_never_had_is_not_known() -> None:
    stranger = log_key(BLUEBIRD, 0)
    audit = audited(OLD, NEW, known=stranger)
    assert FindingCode.KEYS_DIFFER in {each.code for each in audit.findings.listed}
