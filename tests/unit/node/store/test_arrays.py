"""Arrays that are packed here are read by the server as what was packed."""

from collections.abc import Iterator, Sequence

import psycopg
import pytest
from psycopg.rows import TupleRow
from sqlalchemy import make_url
from sqlalchemy.types import BigInteger, Boolean, LargeBinary, Text

from node.store.arrays import Packed, pack_binaries, pack_flags, pack_integers, pack_texts, packer_of, register


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection[TupleRow]]:
    url = make_url(postgres_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as opened:
        register(opened)
        yield opened


@pytest.mark.parametrize(
    ("pack", "kind", "values"),
    [
        (pack_integers, "bigint", []),
        (pack_integers, "bigint", [0, -1, 2**63 - 1, -(2**63)]),
        (pack_integers, "bigint", [None, 5, None]),
        (pack_texts, "text", []),
        (pack_texts, "text", ["", "{a,b}", None, "\N{SNOWMAN}", "x" * 70_000]),
        (pack_binaries, "bytea", []),
        (pack_binaries, "bytea", [b"", None, b"\0\xff", b"x" * 70_000]),
        (pack_flags, "boolean", []),
        (pack_flags, "boolean", [True, None, False]),
    ],
)
def test_what_is_packed_is_what_the_server_reads(
    connection: psycopg.Connection[TupleRow], pack: Packed, kind: str, values: Sequence[object]
) -> None:
    query = f"SELECT given FROM unnest(%s::{kind}[]) AS given"
    assert [row[0] for row in connection.execute(query, (pack(values),)).fetchall()] == list(values)
    assert connection.execute("SELECT pg_typeof(%s)::text", (pack(values),)).fetchall() == [(f"{kind}[]",)]


def test_a_value_that_no_column_holds_is_refused() -> None:
    for value in (2**63, "text"):
        with pytest.raises(OverflowError):
            pack_integers([value])
        with pytest.raises(OverflowError):
            pack_integers([value, None])
    with pytest.raises(UnicodeEncodeError):
        pack_texts(["\ud800"])
    with pytest.raises(psycopg.DataError):
        pack_texts(["\0"])


def test_every_type_of_a_column_has_its_packer() -> None:
    kinds = (BigInteger(), Boolean(), LargeBinary(), Text())
    assert [packer_of(kind) for kind in kinds] == [pack_integers, pack_flags, pack_binaries, pack_texts]
