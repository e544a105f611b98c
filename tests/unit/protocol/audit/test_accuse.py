"""What an auditor makes evidence of, and what it passes over: nothing is handed out that does not hold."""

from collections.abc import Sequence

import msgspec

from protocol.audit.accuse import Accusation, accusations, fork_of, forks
from protocol.audit.evidence import Subject
from protocol.audit.log import LogAudit, audit_log
from protocol.audit.pages import MessagesPage, messages_page
from protocol.envelope import Sighting
from protocol.identifiers import Ledger
from protocol.messages import Prepare
from tests.support.audits import Alliance, MemorySource, alliance, answer, hand_over, signed_checkpoint
from tests.support.documents import AURORA, BLUEBIRD, COPPER, fulfil, query, reject, uuid
from tests.support.evidence import naming, sighted


def audited(made: Alliance) -> tuple[LogAudit, LogAudit]:
    source, destination = (audit_log(MemorySource(half.files(), half.name)) for half in made.halves)
    return source, destination


def heard(holder: LogAudit, sightings: Sequence[Sighting], *logs: LogAudit) -> list[Accusation]:
    """Return what `holder` could accuse others of, had it received these."""
    by_name: dict[Ledger, LogAudit] = {log.ledger: log for log in logs if log.ledger is not None}
    return list(accusations(holder, [messages_page(0, sightings)], by_name))


def test_a_stranger_and_words_for_others_prove_nothing() -> None:
    source, _ = audited(alliance())
    stranger = [sighted(fulfil(), sender=COPPER), sighted(reject(), sender=COPPER, after=1)]
    assert heard(source, stranger) == []
    others = fulfil(msgspec.structs.replace(prepare_of(alliance()), destination=COPPER.ledger))
    assert heard(source, [sighted(naming(others, 90, b"entry"), log=[b"one"])]) == []


def prepare_of(made: Alliance) -> Prepare:
    found = made.ordered("one")
    assert isinstance(found, Prepare)
    return found


def test_one_thing_is_handed_out_once() -> None:
    source, _ = audited(alliance())
    said = [sighted(fulfil(), after=1), sighted(reject(), after=2), sighted(reject(reason="clock"), after=3)]
    assert [proved.subject for _, proved in heard(source, said)] == [Subject.DECISION]


def test_what_cannot_be_read_or_does_not_hold_is_passed_over() -> None:
    source, _ = audited(alliance())
    forged = msgspec.structs.replace(sighted(reject(), after=2), envelope=sighted(query(), after=2).envelope)
    assert heard(source, [sighted(fulfil(), after=1), forged]) == []
    unreadable = msgspec.structs.replace(sighted(fulfil()), body=msgspec.Raw(b"{}"))
    assert heard(source, [unreadable]) == []
    # The envelope's signature covers this checkpoint; nobody signed the checkpoint itself.
    bare = hand_over_with_checkpoint(b"bluebird.example/main.1\nno checkpoint\n")
    assert heard(audited(bare)[0], bare.source.received) == []


def hand_over_with_checkpoint(note: bytes) -> Alliance:
    made = alliance()
    ask = msgspec.structs.replace(query(), source=BLUEBIRD.ledger, destination=AURORA.ledger)
    hand_over(made.destination, made.source, [ask], checkpoint=note)
    return made


def test_a_checkpoint_of_the_log_as_it_is_proves_nothing() -> None:
    made = alliance()
    entries = [sealed.data for sealed in made.destination.ledger.sealed]
    for log in (entries, entries[:2], [*entries, b"beyond"]):
        shown = hand_over_with_checkpoint(signed_checkpoint(BLUEBIRD, log))
        source, destination = audited(shown)
        assert heard(source, shown.source.received, destination) == []


def test_a_log_is_held_against_the_notes_of_its_own_that_were_seen() -> None:
    source, destination = audited(alliance())
    forged = signed_checkpoint(BLUEBIRD, [b"another"])
    ((_, proved),) = forks(destination, [forged, b"no note", signed_checkpoint(AURORA, [b"another"])])
    assert (proved.accused, proved.name) == (BLUEBIRD.ledger, f"{BLUEBIRD.ledger} 1")
    assert fork_of(forged, source) is None
    unread = audit_log(MemorySource({}))
    assert list(forks(unread, [forged])) == []
    assert fork_of(forged, unread) is None


def test_a_promise_is_held_against_the_log_that_was_given_with_it() -> None:
    made = alliance()
    answer(made.source, made.destination, made.ordered("one"))
    source, destination = audited(made)
    kept = made.destination.ledger.sealed[-1]
    said = sighted(naming(fulfil(), kept.entry.seq, kept.data))
    assert heard(source, [said], destination) == []
    broken = sighted(naming(fulfil(), kept.entry.seq, b"something else"))
    ((_, proved),) = heard(source, [broken], destination)
    assert (proved.subject, proved.conversion) == (Subject.PROMISE, fulfil().id)
    ahead = sighted(naming(fulfil(), kept.entry.seq + 1, b"something else"))
    assert heard(source, [ahead], destination) == heard(source, [broken]) == []
    assert uuid("one") != fulfil().id


def test_pages_follow_each_other() -> None:
    source, _ = audited(alliance())
    pages: list[MessagesPage] = [
        messages_page(0, [sighted(fulfil(), after=1)]),
        messages_page(1, [sighted(reject(), after=2)]),
    ]
    assert len(list(accusations(source, pages, {}))) == 1
