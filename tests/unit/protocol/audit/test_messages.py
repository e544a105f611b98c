from collections.abc import Callable

import msgspec
import pytest

from protocol.audit.ahead import Pages, read_pages
from protocol.audit.findings import FindingCode, Verdict
from protocol.audit.framed import PartnerKeys
from protocol.audit.log import LogAudit, audit_log
from protocol.audit.pages import (
    MessagesPage,
    decode_messages_page,
    encode_messages_page,
    messages_page,
)
from protocol.audit.report import make_report
from protocol.envelope import Frame, Sighting, decode_parcel, encode_parcel, seal_envelope, sighting_of
from protocol.errors import EvidenceInvalid
from protocol.identifiers import Digest, Network
from protocol.keys import Role, SigningKey
from protocol.ledger.commands import DecidePrepare
from protocol.ledger.incoming import refuse
from protocol.ledger.moment import Moment
from protocol.ledger.names import decision_id
from protocol.ledger.state import PARTNERS
from protocol.merkle import EMPTY_ROOT
from protocol.messages import Body, Prepare, decode_body, encode_body
from tests.support import parcels
from tests.support.audits import (
    Alliance,
    Files,
    Half,
    MemorySource,
    alliance,
    answer,
    busy_alliance,
    checkpoint_of,
    hand_over,
    signed_checkpoint,
)
from tests.support.documents import AURORA, BLUEBIRD, COPPER, Side, digest_of_body, hello, hex_16, query, reject
from tests.support.helpers import Helpers
from tests.support.ledger import give_notice


def audited(half: Half) -> LogAudit:
    """Return the audit of a log by one process: with another one that reads ahead, it comes to the same."""
    return audited_files(half.files())


def audited_files(files: Files) -> LogAudit:
    source = MemorySource(files)
    alone, helped = audit_log(source), audit_log(source, ahead=Helpers(source))
    assert make_report([helped]).json() == make_report([alone]).json()
    return alone


def found(audit: LogAudit) -> list[tuple[str, str]]:
    return [(finding.place, finding.code) for finding in audit.findings.listed]


def accused(audit: LogAudit) -> list[tuple[str, str]]:
    assert audit.messages is not None
    return [(finding.place, finding.code) for finding in audit.messages.accusations.listed]


def last_seq(half: Half) -> int:
    return len(half.ledger.sealed) - 1


def test_every_decision_rests_on_a_message() -> None:
    made = busy_alliance()
    for half in made.halves:
        audit = audited(half)
        assert found(audit) == []
        assert audit.messages is not None
        assert audit.messages.count == len(half.received)


def test_a_missing_message_leaves_the_check_incomplete() -> None:
    made = alliance()
    made.converted("one")
    made.cancelled("two")
    for half, kinds in ((made.source, ("FULFIL", "REJECT")), (made.destination, ("PREPARE", "CANCEL"))):
        half.received = half.received[:1]
        audit = audited(half)
        assert audit.findings.verdict is Verdict.INCOMPLETE
        assert {code for _, code in found(audit)} == {FindingCode.MESSAGE_MISSING}
        assert [finding.detail.split()[1] for finding in audit.findings.listed] == list(kinds)
    assert found(audited(made.source))[1] == (f"entry {last_seq(made.source)}", FindingCode.MESSAGE_MISSING)


def test_a_place_without_messages_leaves_the_check_incomplete() -> None:
    made = alliance()
    made.converted("one")
    files = made.source.files()
    del files["messages/0"]
    assert [code for _, code in found(audit_log(MemorySource(files)))] == [FindingCode.MESSAGE_MISSING]
    audit = audit_log(MemorySource(files, unreachable=frozenset({"messages/0"})))
    assert found(audit) == [("messages/0", FindingCode.UNREACHABLE)]


def resealed(sighting: Sighting, *, key: SigningKey, **changes: object) -> Sighting:
    """Return a sighting whose envelope states something else and is signed anew."""
    header = msgspec.structs.replace(sighting.envelope.header(), **changes)
    return msgspec.structs.replace(sighting, envelope=seal_envelope(header, key=key))


def test_a_fulfil_that_the_partner_did_not_sign_is_found() -> None:
    made = alliance()
    made.converted("one")
    own = AURORA.signing_keys[Role.CHANNEL]
    made.source.received[-1] = resealed(made.source.received[-1], key=own)
    audit = audited(made.source)
    assert found(audit) == [
        ("message 1", "signature_invalid"),
        (f"entry {last_seq(made.source)}", FindingCode.MESSAGE_MISSING),
    ]
    assert audit.findings.verdict is Verdict.BROKEN


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"receiver": COPPER.ledger}, FindingCode.MESSAGE_MISADDRESSED),
        ({"network": Network(hex_16("another"))}, FindingCode.MESSAGE_MISADDRESSED),
        ({"sender": COPPER.ledger}, FindingCode.SENDER_UNKNOWN),
        ({"root": Digest(EMPTY_ROOT.hex())}, "proof_invalid"),
        ({"first_seq": 2}, "proof_invalid"),
        ({"count": 2}, "proof_invalid"),
        ({"checkpoint": "no note"}, "note_invalid"),
    ],
)
def test_an_envelope_that_does_not_belong_is_found(changes: dict[str, object], code: str) -> None:
    made = alliance()
    made.converted("one")
    key = BLUEBIRD.signing_keys[Role.CHANNEL]
    made.source.received[-1] = resealed(made.source.received[-1], key=key, **changes)
    assert found(audited(made.source))[0] == ("message 1", code)


def promising_more(one: Sighting) -> msgspec.Raw:
    return msgspec.Raw(one.body_bytes.replace(b'"dec_seq":1', b'"dec_seq":2'))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda one: msgspec.structs.replace(one, body=promising_more(one)), "envelope_invalid"),
        (lambda one: msgspec.structs.replace(one, frame=Frame(seq=9, body=one.frame.body)), "proof_invalid"),
        (lambda one: msgspec.structs.replace(one, path=(Digest("0" * 64),)), "proof_invalid"),
    ],
)
def test_a_body_that_is_not_in_its_envelope_is_found(change: Callable[[Sighting], Sighting], code: str) -> None:
    made = alliance()
    made.converted("one")
    made.source.received[-1] = change(made.source.received[-1])
    assert found(audited(made.source))[0] == ("message 1", code)


def test_a_body_that_is_none_is_found() -> None:
    made = alliance()
    keep_raw(made.source, b'{"kind":"promise"}')
    assert found(audited(made.source)) == [("message 1", "body_invalid")]


def keep_raw(receiver: Half, body: bytes, *, sender: Side = BLUEBIRD) -> None:
    """Let `receiver` keep bytes that no honest sender frames."""
    first_seq = receiver.streams[sender.ledger]
    stated = parcels.header([body], sender=sender, receiver=receiver.ledger.side, first_seq=first_seq)
    parcel = decode_parcel(encode_parcel(parcels.envelope(stated, sender=sender), [body]))
    receiver.received.append(sighting_of(parcel, 0))


@pytest.mark.parametrize(
    "body",
    [
        hello(COPPER, AURORA),
        hello(BLUEBIRD, COPPER),
        query(),
        msgspec.structs.replace(reject(), source=COPPER.ledger),
        msgspec.structs.replace(reject(), network=Network(hex_16("another"))),
    ],
)
def test_a_body_that_its_sender_cannot_say_is_no_fault_of_the_receiver(body: Body) -> None:
    made = alliance()
    keep_raw(made.source, encode_body(body))
    audit = audited(made.source)
    assert (found(audit), accused(audit)) == ([], [])
    assert audit.messages is not None
    assert audit.messages.promises == {}


def test_frames_stand_in_the_order_in_which_they_were_signed() -> None:
    made = alliance()
    made.converted("one")
    made.source.received.append(made.source.received[-1])
    assert found(audited(made.source)) == [("message 2", "envelope_invalid")]


def test_a_notice_rests_on_the_partners_end() -> None:
    made = alliance()
    end = made.destination.ledger.body(give_notice(made.destination.ledger, made.pair.signed))
    answer(made.destination, made.source, end)
    for half in made.halves:
        assert found(audited(half)) == []
    made.source.received.pop()
    assert found(audited(made.source)) == [(f"entry {last_seq(made.source)}", FindingCode.MESSAGE_MISSING)]


def test_the_same_body_may_come_again_in_another_epoch() -> None:
    made = alliance()
    made.converted("one")
    fulfil = decode_body(made.source.received[-1].body_bytes)
    made.source.streams.clear()
    hand_over(made.destination, made.source, [hello(BLUEBIRD, AURORA, epoch=2), fulfil], epoch=2)
    assert found(audited(made.source)) == []


def test_a_refusal_must_cite_what_it_refuses() -> None:
    made = alliance()
    one = made.ordered("one")
    two = made.ordered("two")
    assert isinstance(one, Prepare)
    assert isinstance(two, Prepare)
    hand_over(made.source, made.destination, [one, two])
    refuse_citing(made.destination, one, digest_of_body(two))
    audit = audited(made.destination)
    assert found(audit) == [(f"entry {last_seq(made.destination)}", FindingCode.TERMS_DIFFER)]
    assert audit.findings.listed[0].detail.endswith("states another id")


def refuse_citing(half: Half, prepare: Prepare, cited: Digest) -> None:
    """Let a ledger refuse one conversion on the ground of another message."""
    command = DecidePrepare(id=decision_id(prepare.key), request=cited, prepare=prepare, digest=cited)
    half.ledger.judge(refuse(command, "expired", Moment(time=half.ledger.wall, today=half.ledger.wall[:10])))


def test_a_message_of_another_kind_than_the_cited_is_found() -> None:
    made = alliance()
    prepare = made.ordered("one")
    assert isinstance(prepare, Prepare)
    wish = query(prepare)
    hand_over(made.source, made.destination, [wish])
    refuse_citing(made.destination, prepare, digest_of_body(wish))
    audit = audited(made.destination)
    assert found(audit) == [(f"entry {last_seq(made.destination)}", FindingCode.TERMS_DIFFER)]
    assert "no PREPARE by aurora" in audit.findings.listed[0].detail


def test_a_partner_that_signs_two_decisions_is_found() -> None:
    made = alliance()
    made.converted("one")
    prepare = decode_body(made.destination.received[-1].body_bytes)
    assert isinstance(prepare, Prepare)
    hand_over(made.destination, made.source, [reject(prepare)])
    audit = audited(made.source)
    assert (found(audit), accused(audit)) == ([], [("message 2", FindingCode.DECISIONS_CONTRADICT)])


def test_decisions_that_concern_nothing_here_decide_nothing() -> None:
    made = alliance()
    undecided = made.ordered("one")
    assert isinstance(undecided, Prepare)
    other = msgspec.structs.replace(reject(undecided), prepare=Digest("0" * 64))
    hand_over(made.destination, made.source, [reject(undecided), reject(), other])
    hand_over(made.source, made.destination, [undecided])
    assert found(audited(made.source)) == []
    assert found(audited(made.destination)) == []


def test_checkpoints_of_partners_are_held_and_two_that_contradict_are_found() -> None:
    made = alliance()
    entries = [sealed.data for sealed in made.destination.ledger.sealed]
    note = signed_checkpoint(BLUEBIRD, entries)
    hand_over(made.destination, made.source, [query_of(made)], checkpoint=note)
    hand_over(made.destination, made.source, [query_of(made)], checkpoint=note)
    audit = audited(made.source)
    assert found(audit) == []
    assert audit.messages is not None
    held = audit.messages.held[BLUEBIRD.ledger, len(entries)]
    assert held.checkpoint == checkpoint_of(BLUEBIRD, entries)
    other = signed_checkpoint(BLUEBIRD, [*entries[:-1], b"{}"])
    hand_over(made.destination, made.source, [query_of(made)], checkpoint=other)
    audit = audited(made.source)
    assert (found(audit), accused(audit)) == ([], [("message 3", FindingCode.FORKED)])
    assert audit.messages is not None
    assert "with message 1" in audit.messages.accusations.listed[0].detail
    report = make_report([audit])
    assert (report.verdict, report.logs[0].verdict) == (Verdict.BROKEN, Verdict.HELD)
    assert any(line.startswith("  against a partner: message 3: ") for line in report.lines())


def query_of(made: Alliance) -> Body:
    """Return something that the destination may ask the source."""
    return msgspec.structs.replace(query(), source=made.destination.name, destination=made.source.name)


def test_more_than_a_page_of_messages_is_read_to_the_end() -> None:
    made = alliance()
    while len(made.source.received) < 256:
        hand_over(made.destination, made.source, [query_of(made)] * min(64, 256 - len(made.source.received)))
    audit = audited(made.source)
    assert audit.messages is not None
    assert (found(audit), audit.messages.count) == ([], 256)
    made.converted("one")
    files = made.source.files()
    assert found(audited_files(files)) == []
    page = decode_messages_page(files["messages/1"])
    assert (page.first, len(page.messages), len(page.envelopes)) == (256, 1, 1)
    again = files | {"messages/1": files["messages/0"]}
    assert found(audited_files(again))[0] == ("message 256", FindingCode.PAGE_INVALID)
    damaged = files | {"messages/1": files["messages/1"][:-1]}
    assert found(audited_files(damaged))[0] == ("messages/1", "evidence_invalid")


def test_pages_are_read_ahead_as_far_as_partners_have_signed_them() -> None:
    made = alliance()
    while len(made.source.received) < 256:
        hand_over(made.destination, made.source, [query_of(made)] * min(64, 256 - len(made.source.received)))
    made.converted("one")
    files = made.source.files()
    keys = {name: each.keys for name, each in audited_files(files).replay.view.rows(PARTNERS)}

    def read(files: Files, *, first: int = 0, by: PartnerKeys = keys) -> list[bytes | None]:
        return list(read_pages(MemorySource(files), Pages(first=first, keys=dict(by))))

    pages = [files["messages/0"], files["messages/1"]]
    assert read(files) == [*pages, None]
    assert read(files, first=1) == [pages[1], None]
    assert read({"messages/0": pages[0]}) == [pages[0], None]
    assert read({**files, "messages/1": pages[1][:-1]}) == [pages[0], None]
    assert read(files, by={}) == [None]
    assert list(read_pages(MemorySource(files, unreachable=frozenset({"messages/0"})), Pages(first=0, keys={}))) == [
        None
    ]


def test_a_page_stores_an_envelope_once() -> None:
    made = alliance()
    hand_over(made.destination, made.source, [query_of(made)] * 3)
    page = messages_page(0, made.source.received)
    assert [message.envelope for message in page.messages] == [0, 1, 1, 1]
    assert decode_messages_page(encode_messages_page(page)) == page


@pytest.mark.parametrize("place", ["number", "envelope"])
def test_a_page_whose_numbers_do_not_follow_is_refused(place: str) -> None:
    page = messages_page(0, alliance().source.received)
    messages = tuple(msgspec.structs.replace(message, **{place: 7}) for message in page.messages)
    broken = MessagesPage(first=0, envelopes=page.envelopes, messages=messages)
    with pytest.raises(EvidenceInvalid):
        encode_messages_page(broken)
    with pytest.raises(EvidenceInvalid):
        decode_messages_page(msgspec.json.encode(broken, order="sorted"))
