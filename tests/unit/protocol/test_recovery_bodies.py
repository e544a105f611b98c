import msgspec
import pytest

from protocol.envelope import decode_sighting, verify_sighting
from protocol.errors import BodyInvalid
from protocol.keys import Role
from protocol.limits import BODY_BYTES_MAX, RETURNED_BYTES_MAX
from protocol.messages import (
    BODY_LINES_MAX,
    Body,
    Lines,
    Returned,
    ReturnedAgreement,
    Succeeded,
    conversion_of,
    decode_body,
    encode_body,
    kind_of,
    may_send,
    receiver_of,
)
from tests.support.documents import AURORA, BLUEBIRD, NETWORK, fulfil, prepare
from tests.support.mutations import field_changes, liberties, nulled
from tests.support.returned import returned, returned_agreement, succeeded
from tests.support.settlement import lines

GIVEN_BACK = returned(fulfil(), prepare=prepare(), owner=BLUEBIRD, partner=AURORA)
BODIES: tuple[Body, ...] = (succeeded(), returned(prepare()), GIVEN_BACK, returned_agreement())
NAMES = ["succeeded", "returned", "returned", "returned_agreement"]


@pytest.mark.parametrize("body", BODIES, ids=kind_of)
def test_a_body_is_read_back(body: Body) -> None:
    assert decode_body(encode_body(body)) == body


def test_each_kind_has_its_name() -> None:
    assert [kind_of(body) for body in BODIES] == NAMES


@pytest.mark.parametrize("body", BODIES, ids=kind_of)
def test_a_body_has_one_encoding(body: Body) -> None:
    for data in liberties(encode_body(body)):
        with pytest.raises(BodyInvalid):
            decode_body(data)


def test_a_body_has_all_its_fields_and_no_other() -> None:
    # What a sighting holds is judged when it is opened.
    for body in (succeeded(), returned_agreement()):
        for what, data in field_changes(encode_body(body)):
            with pytest.raises(BodyInvalid):
                pytest.fail(f"{what}: {decode_body(data)}")


def test_only_the_prepare_of_what_is_given_back_may_be_null() -> None:
    nulls = set()
    for name, data in nulled(encode_body(succeeded())):
        with pytest.raises(BodyInvalid):
            pytest.fail(f"{name}: {decode_body(data)}")
    for body in (GIVEN_BACK, returned(prepare())):
        for name, data in nulled(encode_body(body)):
            try:
                decode_body(data)
            except BodyInvalid:
                continue
            nulls.add(name.partition(".")[0])
    assert nulls == {"prepare", "sighting"}


@pytest.mark.parametrize(
    ("body", "sender"),
    [(succeeded(), AURORA), (returned(prepare()), BLUEBIRD), (GIVEN_BACK, AURORA), (returned_agreement(), BLUEBIRD)],
)
def test_its_sender_alone_may_send_it(body: Succeeded | Returned | ReturnedAgreement, sender: object) -> None:
    assert body.sender == getattr(sender, "ledger", None)
    assert may_send(body, body.sender)
    assert not may_send(body, body.receiver)
    assert receiver_of(body, body.sender) == body.receiver
    assert conversion_of(body) is None


def test_what_is_given_back_is_proved_by_the_key_of_whom_it_is_given_back_to() -> None:
    sighting = decode_sighting(bytes(GIVEN_BACK.sighting))
    header, body = verify_sighting(sighting, key=BLUEBIRD.signing_keys[Role.CHANNEL].public)
    assert (header.sender, header.receiver, body) == (BLUEBIRD.ledger, AURORA.ledger, fulfil())


def test_what_gives_something_back_may_be_longer_than_what_it_gives_back() -> None:
    spaces = msgspec.Raw(b'{"a":"' + b"x" * BODY_BYTES_MAX + b'"}')
    longer = msgspec.structs.replace(returned(prepare()), sighting=spaces)
    assert decode_body(encode_body(longer)) == longer
    too_long = msgspec.structs.replace(longer, sighting=msgspec.Raw(b'"' + b"x" * RETURNED_BYTES_MAX + b'"'))
    with pytest.raises(BodyInvalid):
        encode_body(too_long)


def test_any_other_body_has_the_length_that_an_entry_can_repeat() -> None:
    (line,) = lines(1, [1])
    body = Lines(
        network=NETWORK,
        sender=AURORA.ledger,
        receiver=BLUEBIRD.ledger,
        window=1,
        lines=(line,) * BODY_LINES_MAX * 4,
    )
    with pytest.raises(BodyInvalid, match=f"{BODY_BYTES_MAX}"):
        encode_body(body)
