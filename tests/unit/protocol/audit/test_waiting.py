"""What members wait for, and which links they have, as it stood at the end of a day."""

from protocol.audit.log import audit_log
from protocol.audit.papers import ProgrammePapers, make_papers
from protocol.audit.registers import Register
from protocol.audit.report import make_report
from protocol.audit.waiting import WaitingKind
from protocol.member_entries import LinkWay
from protocol.program_entries import TransferOrder
from tests.support.audits import Alliance, MemorySource, alliance
from tests.support.documents import uuid
from tests.support.governing import accept, ask_review, close_review, offer
from tests.support.leaving import link_within, revoke
from tests.support.ledger import issue, open_holder


def papers(made: Alliance, as_of: str) -> ProgrammePapers:
    audits = [audit_log(MemorySource(half.files(), half.name)) for half in made.halves]
    return make_papers(make_report(audits), audits, as_of=as_of, samples={}).programmes[0]


def test_an_offer_and_an_order_under_review_wait_until_they_are_decided() -> None:
    made = alliance()
    ledger, member = made.pair.source, made.pair.sender
    friend = open_holder(ledger, "friend")
    before = ledger.wall[:10]
    ledger.advance(days=1)
    issue(ledger, member, 1)
    offered = offer(ledger, member, friend, 100)
    asked = ask_review(ledger, member, 50, TransferOrder(recipient=friend, amount=50))
    first = ledger.wall[:10]
    ledger.advance(days=1)
    accept(ledger)
    second = ledger.wall[:10]
    ledger.advance(days=1)
    close_review(ledger, approved=False)
    third = ledger.wall[:10]
    assert papers(made, before).waiting == ()
    transfer, review = papers(made, first).waiting
    assert (transfer.kind, transfer.id, transfer.about) == (WaitingKind.TRANSFER, uuid("gift"), friend)
    assert (transfer.points, transfer.seq, transfer.age_days) == (100, offered.entry.seq, 0)
    assert transfer.until is not None
    assert (review.kind, review.id, review.about) == (WaitingKind.REVIEW, uuid("suspect"), "velocity")
    assert (review.account, review.points, review.seq, review.until) == (member, 50, asked.entry.seq, None)
    assert [(line.kind, line.age_days) for line in papers(made, second).waiting] == [(WaitingKind.REVIEW, 1)]
    assert papers(made, third).waiting == ()


def test_links_are_counted_and_their_ends_told() -> None:
    made = alliance()
    source, destination = made.pair.source, made.pair.destination
    holders = open_holder(source, "leaver"), open_holder(destination, "left")
    before = papers(made, source.wall[:10])
    alias = link_within(source, destination, sender=holders[0], receiver=holders[1], limits=None)
    made_on = source.wall[:10]
    for ledger in (source, destination):
        ledger.advance(days=1)
    ended = revoke(source, holders[0], destination.name, alias, issuer=destination.name)
    found = papers(made, made_on), papers(made, source.wall[:10])
    lines = [line for each in (before, *found) for line in each.links if line.way is LinkWay.ACCEPTED]
    assert {line.partner for line in lines} == {destination.name}
    standing = lines[0].made
    assert [(line.made, line.revoked) for line in lines] == [(standing, 0), (standing + 1, 0), (standing + 1, 1)]
    assert found[0].registers[Register.LINKS] == ()
    (row,) = found[1].registers[Register.LINKS]
    assert (row.seq, row.partner, row.who, row.why) == (ended.entry.seq, destination.name, source.name, "revoked")
    assert f"link {alias} of {holders[0]}, accepted here" in row.about
