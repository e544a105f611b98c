"""The end of a link as an auditor reads it: the word that an entry cites, and what it says."""

from protocol.audit.citations import Citations
from protocol.audit.explain import body_line
from protocol.entries import Sealed
from protocol.member_entries import LinkRevoked
from tests.support.documents import ALIAS, AURORA, BLUEBIRD
from tests.support.history import history
from tests.support.leaving import unlink
from tests.support.ledger import MemoryLedger


def revocation(ledger: MemoryLedger) -> Sealed:
    return next(sealed for sealed in ledger.sealed if isinstance(sealed.entry, LinkRevoked))


def test_a_partners_word_is_cited_and_our_own_is_not() -> None:
    citations = Citations()
    for ledger in (history().source, history().destination):
        citations.add(revocation(ledger), ledger.state)
    taken = revocation(history().destination).entry
    assert isinstance(taken, LinkRevoked)
    assert list(citations.by_digest) == [taken.notice]
    assert taken.notice is not None
    (cited,) = citations.by_digest[taken.notice]
    assert (cited.seq, cited.kind, cited.sender, cited.name) == (taken.seq, "unlink", AURORA.ledger, "UNLINK")


def test_an_end_is_told_in_words() -> None:
    assert body_line(unlink()) == (
        f"{AURORA.ledger} ends the link {ALIAS} of {BLUEBIRD.ledger} with {BLUEBIRD.ledger} (revoked)"
    )
