"""What plain databases do here: one transfer a transaction, as a Python programme with a driver writes it."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Final

import psycopg

from scripts.benchmark.figures import ROUNDS, Figure, timed
from scripts.benchmark.places import POSTGRESQL, SQLITE, Place

ACCOUNTS: Final = 8_000
TRANSFERS: Final = 1_000
_TABLES: Final = (
    "CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance BIGINT NOT NULL)",
    "CREATE TABLE transfers (id TEXT PRIMARY KEY, debit INTEGER, credit INTEGER, amount BIGINT NOT NULL)",
)
Transfer = Callable[[str, int, int, int], None]


def measure(place: Place) -> Iterator[Figure]:
    """Yield one figure for each database."""
    yield _figure(place, "yardstick.sqlite", SQLITE, _sqlite)
    if place.server is not None:
        yield _figure(place, "yardstick.postgres", POSTGRESQL, _postgres)


def _figure(place: Place, name: str, store: str, lend: "Callable[[Place], Iterator[Transfer]]") -> Figure:
    lent = lend(place)
    transfer = next(lent)
    rng = random.Random(1)
    rounds = []
    for _ in range(place.few(ROUNDS, quick=1)):
        calls = []
        for _ in range(place.few(TRANSFERS, quick=200)):
            debit, credit = rng.sample(range(ACCOUNTS), 2)
            calls.append(partial(transfer, f"{rng.getrandbits(128):032x}", debit, credit, rng.randint(1, 100)))
        rounds.append(timed(calls, units=1))
    next(lent, None)
    return place.conditions.figure(name, rounds, store=store)


def _sqlite(place: Place) -> Iterator[Transfer]:
    with closing(sqlite3.connect(place.fresh("yardstick"), isolation_level=None)) as connection:
        for text in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", *_TABLES):
            connection.execute(text)
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO accounts VALUES (?, 1000000)", [(each,) for each in range(ACCOUNTS)])
        connection.execute("COMMIT")

        def transfer(name: str, debit: int, credit: int, amount: int) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO transfers VALUES (?, ?, ?, ?)", (name, debit, credit, amount))
            connection.execute("UPDATE accounts SET balance = balance - ? WHERE id = ?", (amount, debit))
            connection.execute("UPDATE accounts SET balance = balance + ? WHERE id = ?", (amount, credit))
            connection.execute("COMMIT")

        yield transfer


def _postgres(place: Place) -> Iterator[Transfer]:
    url = place.database(POSTGRESQL).replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(url, autocommit=True) as connection:
        for text in _TABLES:
            connection.execute(text.encode())
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany("INSERT INTO accounts VALUES (%s, 1000000)", [(each,) for each in range(ACCOUNTS)])

        def transfer(name: str, debit: int, credit: int, amount: int) -> None:
            with connection.transaction():
                connection.execute("INSERT INTO transfers VALUES (%s, %s, %s, %s)", (name, debit, credit, amount))
                connection.execute("UPDATE accounts SET balance = balance - %s WHERE id = %s", (amount, debit))
                connection.execute("UPDATE accounts SET balance = balance + %s WHERE id = %s", (amount, credit))

        yield transfer
