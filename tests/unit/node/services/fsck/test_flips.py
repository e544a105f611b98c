"""A thousand random bits of live values are flipped, one at a time: each is found, and its place is named.

In the tables that hold the log, what follows from it, and evidence; and in files that travel between partners.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Final

import pytest
from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError

from node.services.fsck.fsck_report import FsckReport, Key
from node.store.columns import CLASS, METADATA, TableClass
from protocol.audit.findings import Verdict
from protocol.errors import ExchangeFileInvalid
from protocol.exchange_file import FileHeader, decode_exchange_file, encode_exchange_file
from protocol.messages import Body
from tests.support.documents import AURORA, BLUEBIRD, NETWORK, NOW, hello, prepare
from tests.support.parcels import parcel_bytes
from tests.support.stores import DamagedStore, Row, Value
from tests.unit.node.services.fsck.damages import checked, found, key_of, matching

PROVED: Final = [
    table for _, table in sorted(METADATA.tables.items()) if table.info[CLASS] is not TableClass.OPERATIONAL
]
ROUNDS: Final = 16
FLIPS: Final = {"sqlite": 50, "postgresql": 3}
"""Flips in one round, by the database."""

CHAINED: Final = {("accusations", "found_at"), ("messages_received", "log_size"), ("evidence_heads", "count")}
"""Columns that only a table's running digest proves: it tells that a row was changed, and not which."""


EXCHANGE_ROUNDS: Final = 4
EXCHANGE_FLIPS: Final = 50
SEALED: Final = re.compile(rb'"(?:keyid|payload|sig)":"[^"]*"')
"""What an envelope's signature alone proves."""


@dataclass(frozen=True, slots=True)
class Flip:
    """One bit of one value; `key` is that of its row, before and after."""

    table: Table
    column: str
    row: Row
    value: Value
    keys: tuple[Key, Key]

    def __str__(self) -> str:
        return f"{self.table.name}{list(self.keys[0])}.{self.column} = {self.value!r}"


def flips(store: DamagedStore, random: Random) -> Iterator[Flip]:
    """Yield random flips, of every table that has rows as often."""
    filled = [(table, rows) for table in PROVED if (rows := store.rows(table))]
    while True:
        for table, rows in random.sample(filled, len(filled)):
            row = random.choice(rows)
            columns = [column for column, value in zip(table.columns, row, strict=True) if value is not None]
            column = random.choice(columns)
            value = flipped(row[table.columns.keys().index(column.name)], random)
            before = {"account": row[0]} if table.name == "accounts" else key_of(table, row)
            after = {name: value if name == column.name else old for name, old in before.items()}
            yield Flip(table, column.name, row, value, (shown(before.values()), shown(after.values())))


def shown(values: Iterable[Value]) -> Key:
    return tuple(value if isinstance(value, str | int) else str(value) for value in values)


def flipped(value: Value, random: Random) -> Value:
    """Return a value with one bit changed that its column can still hold."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value ^ 1 << random.randrange(40)
    if isinstance(value, bytes):
        place = random.randrange(len(value))
        return value[:place] + bytes([value[place] ^ 1 << random.randrange(8)]) + value[place + 1 :]
    assert isinstance(value, str)
    place = random.randrange(len(value))
    # A NUL is what no text of PostgreSQL can hold, and more than seven bits none of UTF-8.
    changed = ord(value[place]) ^ 1 << random.randrange(7)
    return value[:place] + chr(changed or ord(value[place]) ^ 1) + value[place + 1 :]


@contextmanager
def done(store: DamagedStore, flip: Flip) -> Iterator[bool]:
    """Do a flip and undo it; lend whether the database took it, which it does not where a key would stand twice."""
    table, place = flip.table, flip.table.columns.keys().index(flip.column)
    after = (*flip.row[:place], flip.value, *flip.row[place + 1 :])
    try:
        with store._unguarded() as connection:
            changing = table.update().where(matching(table, flip.row)).values({flip.column: flip.value})
            assert connection.execute(changing).rowcount == 1
    except DBAPIError:
        yield False
        return
    try:
        yield True
    finally:
        with store._unguarded() as connection:
            mending = table.update().where(matching(table, after)).values({flip.column: flip.row[place]})
            assert connection.execute(mending).rowcount == 1


def names(report: FsckReport, flip: Flip) -> bool:
    """Return whether a finding is about the row that was changed, or about its table where no more can be known."""
    (table,) = (each for each in report.tables if each.name == flip.table.name)
    keys = {finding.key for finding in table.findings}
    return bool(keys & set(flip.keys)) or ((flip.table.name, flip.column) in CHAINED and bool(keys))


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_flipped_bit_in_any_table_is_found_and_named(store: DamagedStore, settled: DamagedStore, seed: int) -> None:
    damaged, random = (store, settled)[seed % 2], Random(f"flips {seed}")
    left = FLIPS["sqlite" if damaged.url.startswith("sqlite") else "postgresql"]
    for flip in flips(damaged, random):
        with done(damaged, flip) as taken:
            report = checked(damaged) if taken else None
        if report is None:
            continue
        assert report.verdict is Verdict.BROKEN, flip
        assert names(report, flip), (str(flip), found(report))
        left -= 1
        if not left:
            break
    assert checked(damaged).verdict is Verdict.HELD


def exchange_file(random: Random) -> bytes:
    """Return a file of a few parcels."""
    first, second = random.randrange(4, 90), random.randrange(90, 200)
    said: list[list[Body]] = [[hello()], [prepare(), prepare(steps=first)], [prepare(steps=second)]]
    header = FileHeader(
        network=NETWORK, sender=AURORA.ledger, receiver=BLUEBIRD.ledger, number=3, created_at=NOW, epoch=1
    )
    return encode_exchange_file(header, [parcel_bytes(bodies) for bodies in said])


@pytest.mark.parametrize("seed", range(EXCHANGE_ROUNDS))
def test_a_flipped_bit_in_an_exchange_file_is_found_and_its_line_named(seed: int) -> None:
    random = Random(f"exchange files {seed}")
    data = exchange_file(random)
    lines = data.splitlines()
    spared = [match.span() for match in SEALED.finditer(data)]
    for _ in range(EXCHANGE_FLIPS):
        place = random.randrange(len(data))
        changed = bytearray(data)
        changed[place] ^= 1 << random.randrange(8)
        with pytest.raises(ExchangeFileInvalid) as refused:
            decode_exchange_file(bytes(changed))
        number = data.count(b"\n", 0, place) + 1
        told = str(refused.value)
        if number == len(lines):
            assert "trailer" in told, place
        elif number > 1 and data[place : place + 1] != b"\n":
            # What only a signature covers is for whoever has the key; all else is compared with what it covers.
            sealed = any(low <= place < high for low, high in spared)
            assert f"line {number} is no parcel" in told or (sealed and "a signature" in told), (place, told)
