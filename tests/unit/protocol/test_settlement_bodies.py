import msgspec
import pytest

from protocol.entry import Posting
from protocol.errors import BodyInvalid
from protocol.identifiers import Account, Asset, Id, Ledger
from protocol.limits import BODY_BYTES_MAX, ENTRY_BYTES_MAX, INTEGER_MAX
from protocol.messages import (
    BODY_LINES_MAX,
    Close,
    Dispute,
    EntryReference,
    Lines,
    PaymentAdvice,
    Receipt,
    StatementSigned,
    WindowBody,
    conversion_of,
    decode_body,
    encode_body,
    kind_of,
    may_send,
    receiver_of,
)
from protocol.recovery_entries import Recovered
from protocol.statement import LINES_MAX, DisputedLine, DisputeReason, Line
from protocol.window_entries import ENTERED_LINES_MAX
from tests.support.documents import AURORA, BLUEBIRD, NETWORK, NOW, USD, digest, entry_reference, uuid
from tests.support.mutations import field_changes, liberties
from tests.support.settlement import close, disputed, lines, signed_statement, statement

OWN = lines(1, [12_345_678, 1])
DOCUMENT = statement(OWN)
BODIES: tuple[WindowBody, ...] = (
    close(AURORA, OWN),
    Lines(network=NETWORK, sender=AURORA.ledger, receiver=BLUEBIRD.ledger, window=1, lines=tuple(OWN)),
    Dispute(
        network=NETWORK,
        sender=AURORA.ledger,
        receiver=BLUEBIRD.ledger,
        window=1,
        source=AURORA.ledger,
        lines=(disputed(OWN[0]),),
        entry=entry_reference(),
    ),
    StatementSigned(
        network=NETWORK,
        sender=AURORA.ledger,
        receiver=BLUEBIRD.ledger,
        window=1,
        signed=signed_statement(DOCUMENT, signers=[AURORA]),
        entry=entry_reference(),
    ),
    PaymentAdvice(
        network=NETWORK,
        sender=AURORA.ledger,
        receiver=BLUEBIRD.ledger,
        window=1,
        statement=digest("statement"),
        currency=USD,
        minor_units=DOCUMENT.minor_units,
        reference="RF18 5390 0754 7034",
        paid_at=NOW,
        entry=entry_reference(),
    ),
    Receipt(
        network=NETWORK,
        sender=BLUEBIRD.ledger,
        receiver=AURORA.ledger,
        window=1,
        statement=digest("statement"),
        payment=digest("payment"),
        received_at=NOW,
        entry=entry_reference(),
    ),
)


def kind(body: WindowBody) -> str:
    return kind_of(body)


def test_each_kind_has_its_name() -> None:
    assert [kind(body) for body in BODIES] == ["close", "lines", "dispute", "statement", "payment", "receipt"]


@pytest.mark.parametrize("body", BODIES, ids=kind)
def test_a_body_reads_back_and_only_from_its_one_encoding(body: WindowBody) -> None:
    data = encode_body(body)
    assert decode_body(data) == body
    for other in liberties(data):
        with pytest.raises(BodyInvalid):
            decode_body(other)


@pytest.mark.parametrize("body", BODIES, ids=kind)
def test_every_field_is_there_and_of_its_type(body: WindowBody) -> None:
    for what, data in field_changes(encode_body(body)):
        with pytest.raises(BodyInvalid):
            pytest.fail(f"{what}: {decode_body(data)}")


def test_a_close_is_the_deciders_word_on_what_it_credited() -> None:
    body = BODIES[0]
    assert isinstance(body, Close)
    assert (body.sender, body.receiver) == (BLUEBIRD.ledger, AURORA.ledger)
    assert (body.totals.count, body.totals.value) == (2, "12345679")


@pytest.mark.parametrize("count", [0, 1, BODY_LINES_MAX])
def test_a_body_has_as_many_lines_as_fit_or_none(count: int) -> None:
    body = msgspec.structs.replace(BODIES[1], lines=tuple(OWN[:1]) * count)
    assert decode_body(encode_body(body)) == body
    with pytest.raises(BodyInvalid):
        decode_body(encode_body(msgspec.structs.replace(BODIES[1], lines=tuple(OWN[:1]) * (BODY_LINES_MAX + 1))))


def test_the_longest_lists_fit() -> None:
    name = Ledger("a.example/".ljust(121, "m") + ".999999")
    widest = Line(
        source=name, destination=name, id=uuid("line"), window=INTEGER_MAX, dec_seq=INTEGER_MAX,
        agreement=digest("agreement"), currency=Asset("X" * 12), source_points=INTEGER_MAX,
        destination_points=INTEGER_MAX, fee_points=INTEGER_MAX, value=INTEGER_MAX, fulfil=digest("fulfil"),
    )  # fmt: skip
    doubt = DisputedLine(
        window=INTEGER_MAX, dec_seq=INTEGER_MAX, id=uuid("line"), value=INTEGER_MAX,
        reason=max(DisputeReason, key=len),
    )  # fmt: skip
    entry = EntryReference(seq=INTEGER_MAX, leaf=digest("leaf"))
    listed = Lines(network=NETWORK, sender=name, receiver=name, window=INTEGER_MAX, lines=(widest,) * BODY_LINES_MAX)
    dispute = Dispute(
        network=NETWORK, sender=name, receiver=name, window=INTEGER_MAX, source=name,
        lines=(doubt,) * LINES_MAX, entry=entry,
    )  # fmt: skip
    assert max(len(encode_body(listed)), len(encode_body(dispute))) <= BODY_BYTES_MAX
    postings = (Posting(Account("conversion_income/".ljust(160, "p")), Asset("X" * 12), -INTEGER_MAX),) * 16
    again = Recovered(
        seq=INTEGER_MAX, occurred_on="2026-03-01", id=Id("i" * 300), request=None, network=NETWORK, partner=name,
        body=dispute, digest=digest("body"), prepare=None, entered=(widest,) * ENTERED_LINES_MAX, account=None,
        shortfall=0, postings=postings,
    )  # fmt: skip
    assert len(msgspec.json.encode(again)) <= ENTRY_BYTES_MAX


@pytest.mark.parametrize("body", BODIES, ids=kind)
def test_its_sender_alone_may_send_it(body: WindowBody) -> None:
    assert may_send(body, body.sender)
    assert not may_send(body, body.receiver)
    assert receiver_of(body, body.sender) == body.receiver
    assert conversion_of(body) is None
