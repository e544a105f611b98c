import hashlib
from collections.abc import Callable

import msgspec
import pytest

from protocol.errors import BodyInvalid
from protocol.limits import BODY_BYTES_MAX, INTEGER_MAX, TEXT_CHARACTERS_MAX
from protocol.messages import (
    Body,
    ConversionBody,
    ConversionKey,
    Returned,
    ReturnedAgreement,
    Succeeded,
    WindowBody,
    body_digest,
    decode_body,
    encode_body,
    kind_in,
    kind_of,
    may_send,
)
from tests.support import documents
from tests.support.documents import AURORA, BLUEBIRD, CONVERSION, COPPER, NETWORK, every_body, prepare
from tests.support.leaving import unlink
from tests.support.mutations import canonical, dotted, field_changes, liberties, nulled, parsed, paths, replaced

BODIES = {type(body).__name__.lower(): body for body in (*every_body(), unlink())}

NULLABLE: dict[str, set[str]] = {
    "prepare": {"promotion", "refund_of"},
    "fulfil": {"expires_on"},
    "reject": {"cancel"},
}

WRONG_VALUES: dict[str, list[str | int]] = {
    "v": [0, 2, "1", True],
    "kind": ["", "Prepare", "offer"],
    "network": ["", "F" * 32, "0" * 31],
    "source": ["aurora.example/main", "Aurora.example/main.1", f"{'a.' * 60}example/main.1"],
    "destination": ["aurora.example/main.0"],
    "sender": ["aurora.example"],
    "receiver": ["aurora.example"],
    "id": ["7", "0B236A74-6870-46B8-A461-23C53E8BA14C"],
    "agreement": ["0" * 63],
    "prepare": ["0" * 65],
    "cancel": ["x" * 64],
    "about": [""],
    "promotion": ["", "a" * (TEXT_CHARACTERS_MAX + 1), 1],
    "refund_of": [""],
    "steps": [0, -1, INTEGER_MAX + 1, "3", True],
    "source_points": [0, INTEGER_MAX + 1],
    "destination_points": [0, INTEGER_MAX + 1],
    "fee_points": [-1, INTEGER_MAX + 1],
    "value": [-1, INTEGER_MAX + 1],
    "currency": ["usd", "U"],
    "alias": ["0" * 33],
    "created_at": ["2026-02-30T12:00:00.000000Z", "2026-03-01T12:00:00Z"],
    "accept_by": ["2026-03-01T24:00:00.000000Z"],
    "decided_at": ["0000-01-01T00:00:00.000000Z"],
    "expires_on": ["2026-02-29", "2026-3-1"],
    "given_at": ["2026-03-01"],
    "ends_at": ["2026-03-32T00:00:00.000000Z"],
    "issuer": ["aurora.example"],
    "revoked_at": ["2026-03-01"],
    "reason": ["", "Expired", "a" * 65, "two words"],
    "window": [0, INTEGER_MAX + 1],
    "dec_seq": [0, -1],
    "entry.seq": [-1, INTEGER_MAX + 1, True],
    "entry.leaf": ["0" * 63],
    "epoch": [0, INTEGER_MAX + 1],
    "epoch_nonce": ["0" * 31],
    "bodies_sent": [-1, INTEGER_MAX + 1],
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_is_read_back(kind: str) -> None:
    data = encode_body(BODIES[kind])
    assert decode_body(data) == BODIES[kind]
    assert canonical(parsed(data)) == data
    assert replaced(data, ("kind",), kind_of(BODIES[kind])) == parsed(data)


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_has_one_encoding(kind: str) -> None:
    for data in liberties(encode_body(BODIES[kind])):
        with pytest.raises(BodyInvalid):
            decode_body(data)


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_has_all_its_fields_and_no_other(kind: str) -> None:
    for what, data in field_changes(encode_body(BODIES[kind])):
        with pytest.raises(BodyInvalid):
            pytest.fail(f"{what}: {decode_body(data)}")


@pytest.mark.parametrize("kind", BODIES)
def test_only_some_fields_may_be_null(kind: str) -> None:
    accepted = {what for what, data in nulled(encode_body(BODIES[kind])) if is_body(data)}
    assert accepted == NULLABLE.get(kind, set())


@pytest.mark.parametrize("kind", BODIES)
def test_a_field_outside_its_bounds_is_refused(kind: str) -> None:
    data = encode_body(BODIES[kind])
    for path in paths(parsed(data)):
        for value in WRONG_VALUES.get(dotted(path), []):
            assert not is_body(canonical_of_any(data, path, value)), (path, value)


def test_every_field_has_a_value_that_is_refused() -> None:
    named = {dotted(path) for body in BODIES.values() for path in paths(parsed(encode_body(body)))}
    assert named == {*WRONG_VALUES, "entry"}


def canonical_of_any(data: bytes, path: tuple[str | int, ...], value: str | int) -> bytes:
    """Return what `canonical` would, also for integers that RFC 8785 has no form for."""
    return msgspec.json.encode(replaced(data, path, value), order="sorted")


def is_body(data: bytes) -> bool:
    try:
        decode_body(data)
    except BodyInvalid:
        return False
    return True


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{}", b'"prepare"', b'{"kind":"prepare","v":1}', b"[" * 60_000])
def test_what_is_no_body_is_refused(data: bytes) -> None:
    with pytest.raises(BodyInvalid):
        decode_body(data)


def test_a_body_is_bounded_in_size() -> None:
    with pytest.raises(BodyInvalid):
        decode_body(b" " * (BODY_BYTES_MAX + 1))


def test_a_body_that_no_reader_would_take_is_not_written() -> None:
    with pytest.raises(BodyInvalid):
        encode_body(msgspec.structs.replace(prepare(), promotion="\ud800"))


def test_a_body_is_quoted_by_a_digest_of_its_bytes() -> None:
    data = encode_body(prepare())
    assert body_digest(data) == hashlib.sha256(b"tallystick/body/v1\n" + data).hexdigest()
    assert len({body_digest(encode_body(body)) for body in BODIES.values()}) == len(BODIES)


def test_a_conversion_is_named_by_network_ledgers_and_id() -> None:
    key = ConversionKey(NETWORK, AURORA.ledger, BLUEBIRD.ledger, CONVERSION)
    assert {body.key for body in conversion_bodies()} == {key}
    assert prepare(source=BLUEBIRD, destination=AURORA).key != key
    assert prepare(destination=COPPER).key != key


def conversion_bodies() -> list[ConversionBody]:
    return [
        documents.prepare(),
        documents.cancel(),
        documents.query(),
        documents.fulfil(),
        documents.reject(),
        documents.error(),
    ]


@pytest.mark.parametrize(
    ("make", "senders"),
    [
        (documents.prepare, {AURORA.ledger}),
        (documents.cancel, {AURORA.ledger}),
        (documents.query, {AURORA.ledger}),
        (documents.fulfil, {BLUEBIRD.ledger}),
        (documents.reject, {BLUEBIRD.ledger}),
        (documents.error, {AURORA.ledger, BLUEBIRD.ledger}),
    ],
)
def test_each_side_says_only_what_is_its_to_say(make: Callable[[], ConversionBody], senders: set[str]) -> None:
    brands = (AURORA, BLUEBIRD, COPPER)
    assert {brand.ledger for brand in brands if may_send(make(), brand.ledger)} == senders


def test_every_kind_is_among_the_examples() -> None:
    kinds: set[type[Body]] = {type(body) for body in BODIES.values()}
    elsewhere = {*WindowBody.__args__, Returned, ReturnedAgreement, Succeeded}
    assert kinds == set(Body.__args__) - elsewhere


@pytest.mark.parametrize("kind", BODIES)
def test_the_kind_is_told_from_the_bytes_alone(kind: str) -> None:
    assert kind_in(encode_body(BODIES[kind])) == kind_of(BODIES[kind])
