from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.envelope import encode_parcel
from protocol.errors import ExchangeFileDamaged, ExchangeFileIncomplete, ExchangeFileInvalid
from protocol.exchange_file import (
    FILE_BYTES_MAX,
    FILE_PARCELS_MAX,
    FileHeader,
    FulfilTotals,
    PrepareTotals,
    decode_exchange_file,
    encode_exchange_file,
)
from protocol.messages import encode_body
from tests.support.documents import AURORA, BLUEBIRD, NETWORK, NOW, fulfil, hello, prepare, uuid
from tests.support.mutations import canonical
from tests.support.parcels import envelope, header

HEADER = FileHeader(network=NETWORK, sender=AURORA.ledger, receiver=BLUEBIRD.ledger, number=7, created_at=NOW, epoch=1)


def parcel_bytes(bodies: Sequence[bytes], *, first_seq: int = 0) -> bytes:
    return encode_parcel(envelope(header(bodies, first_seq=first_seq)), bodies)


FIRST = parcel_bytes([encode_body(body) for body in (hello(), prepare(), prepare(conversion=uuid("second"), steps=5))])
SECOND = parcel_bytes([encode_body(fulfil())], first_seq=3)
EMPTY = parcel_bytes([], first_seq=4)
DATA = encode_exchange_file(HEADER, [FIRST, SECOND, EMPTY])
LINES = DATA.splitlines(keepends=True)


def closed(*lines: bytes) -> bytes:
    """Return `lines` under the trailer of DATA, whose hash is made to fit."""
    trailer = msgspec.json.decode(LINES[-1])
    trailer["sha256"] = sha256(b"".join(lines)).hexdigest()
    return b"".join(lines) + canonical(trailer) + b"\n"


def test_a_file_is_read_as_it_was_made() -> None:
    file = decode_exchange_file(DATA)
    assert file.header == HEADER
    assert file.parcels == (FIRST, SECOND, EMPTY)


def test_the_trailer_counts_and_sums() -> None:
    trailer = decode_exchange_file(DATA).trailer
    assert (trailer.parcels, trailer.bodies) == (3, 4)
    assert trailer.prepares == PrepareTotals(count=2, source_points="3200", destination_points="2000", value="20000000")
    assert trailer.fulfils == FulfilTotals(count=1, destination_points="750", value="7500000")
    assert trailer.sha256 == sha256(b"".join(LINES[:-1])).hexdigest()


def test_half_a_file_is_incomplete_wherever_it_ends() -> None:
    first = len(LINES[0])
    ends = [first, first + 1, first + len(LINES[1]) - 1, len(DATA) - len(LINES[-1]), len(DATA) - 1]
    for end in ends:
        with pytest.raises(ExchangeFileIncomplete):
            decode_exchange_file(DATA[:end])


def test_a_changed_byte_is_damage_wherever_it_is() -> None:
    for place in range(0, len(DATA) - 1, 7):
        changed = bytearray(DATA)
        changed[place] ^= 1
        with pytest.raises(ExchangeFileInvalid) as raised:
            decode_exchange_file(bytes(changed))
        assert type(raised.value) is ExchangeFileDamaged or place > len(DATA) - len(LINES[-1]), place


def test_lines_in_another_order_or_number_are_damage() -> None:
    top, first, second, empty, trailer = LINES
    for lines in [(top, second, first, empty, trailer), (top, first, empty, trailer), (*LINES[:-1], *LINES[1:])]:
        with pytest.raises(ExchangeFileDamaged):
            decode_exchange_file(b"".join(lines))


def test_a_trailer_that_counts_something_else_is_refused() -> None:
    top, first, second, empty, _ = LINES
    for lines in [(top, first, second), (top, first, second, empty, empty), (top, second, second, second)]:
        with pytest.raises(ExchangeFileInvalid) as raised:
            decode_exchange_file(closed(*lines))
        assert raised.value.code == "exchange_file_invalid"


def test_a_garbled_trailer_is_damage() -> None:
    with pytest.raises(ExchangeFileDamaged):
        decode_exchange_file(DATA[:-1] + b"}\n")


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"{}\n", b"hello", b"hello\nworld\n", LINES[-1], SECOND + b"\n", b" " * 5_000]
)
def test_what_is_no_exchange_file_is_invalid(data: bytes) -> None:
    with pytest.raises(ExchangeFileInvalid):
        decode_exchange_file(data)


@pytest.mark.parametrize("line", [b"{}\n", b'{"bodies":[],"envelope":{}}\n', b"\n"])
def test_a_line_that_is_no_parcel_is_refused(line: bytes) -> None:
    with pytest.raises(ExchangeFileInvalid):
        decode_exchange_file(closed(LINES[0], line))


def test_a_body_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ExchangeFileInvalid):
        encode_exchange_file(HEADER, [parcel_bytes([b"{}"])])


def test_parcels_are_of_the_ledgers_of_the_header() -> None:
    other = msgspec.structs.replace(HEADER, sender=BLUEBIRD.ledger, receiver=AURORA.ledger)
    with pytest.raises(ExchangeFileInvalid):
        encode_exchange_file(other, [FIRST])


def test_the_bounds_of_a_file() -> None:
    with pytest.raises(ExchangeFileInvalid):
        encode_exchange_file(HEADER, [EMPTY] * (FILE_PARCELS_MAX + 1))
    with pytest.raises(ExchangeFileInvalid):
        decode_exchange_file(b" " * (FILE_BYTES_MAX + 1))
    with pytest.raises(ExchangeFileInvalid):
        decode_exchange_file(closed(LINES[0].replace(b'"v":1', b'"v":2'), *LINES[1:-1]))


def test_a_file_of_line_ends_is_refused_before_it_is_taken_apart() -> None:
    with pytest.raises(ExchangeFileInvalid, match="more than 256 parcels"):
        decode_exchange_file(b"\n" * 1_000_000)


@given(st.binary() | st.binary().map(lambda data: LINES[0] + data + b"\n"))
def test_any_bytes_are_a_file_or_one_error(data: bytes) -> None:
    with suppress(ExchangeFileInvalid):
        decode_exchange_file(data)
