"""A brand's store after a lively day, on either database, that tests may damage and mend again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from sqlalchemy import Connection, Table, create_engine, text
from sqlalchemy.pool import NullPool

from node.engine.work import Desk
from node.services.channel.misconduct import accuse
from node.services.metadata import metadata_digest
from node.store.columns import METADATA
from node.store.database import Database
from node.store.rows import PutMetadata, ReceivedBody, ReceivedEnvelope, SentBody, Write
from protocol.agreement import Agreement, MemberLimits
from protocol.appeal_entries import AppealOutcome
from protocol.audit.known import PartnerKeys
from protocol.entries import body_of
from protocol.envelope import encode_envelope
from protocol.identifiers import Account, Ledger
from protocol.ledger import commands
from protocol.ledger.view import Need, Overlay
from protocol.limits import ENVELOPE_FRAMES_MAX
from protocol.messages import conversion_of, decode_body, encode_body, kind_of
from protocol.points import Step
from tests.support.appeals import appeal, rule, say
from tests.support.approving import adjust_points
from tests.support.audits import Half, hand_over
from tests.support.departing import import_balances
from tests.support.documents import (
    AURORA,
    BACK,
    BLUEBIRD,
    NETWORK,
    YESTERDAY,
    agreement,
    digest_of_body,
    direction,
    prepare,
    promotion,
    query,
    signed_agreement,
    uuid,
)
from tests.support.evidence import EVERY_KIND
from tests.support.governing import live_under_terms
from tests.support.ledger import convert as convert_at_once
from tests.support.ledger import pair_of
from tests.support.nodes import ANN, Alliance, LocalNode, alliance, cancel, convert, make_alliance
from tests.support.windows import agree, close_both, settle
from tests.unit.node.store.recorder import write_log

Value: TypeAlias = str | int | bytes | None
Row: TypeAlias = tuple[Value, ...]

SIDES: Final = (AURORA, BLUEBIRD)
MISCONDUCT: Final = ("FULFIL and REJECT", "two bodies at one position", "another leaf at the promised place")
LATE_SECONDS: Final = 700

FILLERS: Final = 280
"""Entries beyond the first tile, so that there is a second level."""


@dataclass(frozen=True, slots=True)
class _Say:
    """Stages what no entry makes: a question to the partner, erasable metadata, and evidence against the partner."""

    node: LocalNode
    partner: LocalNode

    def needs(self, _view: Overlay) -> Iterator[Need]:
        """Need nothing."""
        return iter(())

    def run(self, desk: Desk) -> None:
        """Stage it."""
        asked = query(prepare())
        body = SentBody(
            partner=self.partner.ledger,
            digest=digest_of_body(asked),
            kind="query",
            conversion=asked.id,
            body=encode_body(asked),
            entry_seq=None,
        )
        desk.stage(body)
        desk.stage(PutMetadata(metadata_digest(b"salt", b"data"), b"salt", b"data"))
        partner = PartnerKeys(ledger=self.partner.ledger, network=NETWORK, keys=self.partner.side.keys)
        for what in MISCONDUCT:
            assert accuse(desk, self.node.reader, EVERY_KIND[what], keys=partner)


def live(made: Alliance) -> None:
    """Let both brands have a day on which everything happens that can happen."""
    source, destination = made.pair
    made.talk(1)
    source.do(*(_opening(number) for number in range(FILLERS)))
    source.do(
        commands.IssuePoints(id=uuid("dated"), account=ANN, amount=500, expires_on="2030-12-31"),
        commands.RedeemPoints(id=uuid("redeem"), account=ANN, amount=100),
        commands.PlaceHold(id=uuid("hold"), account=ANN, amount=50, expires_at="2026-04-01T00:00:00.000000Z"),
    )
    source.run(_Say(source, destination))
    convert(source, destination, name="one")
    convert(destination, source, name="back")
    made.talk(1)
    destination.stop()
    cancel(source, convert(source, destination, name="late"))
    made.clock.advance(LATE_SECONDS)
    destination.start()
    made.talk(20)
    destination.stop()
    convert(source, destination, name="pending")


def _opening(number: int) -> commands.OpenAccount:
    return commands.OpenAccount(id=uuid(f"open {number}"), account=Account(f"member/{uuid(f'filler {number}')}"))


def make_stores(directory: Path) -> None:
    """Make the SQLite files of AURORA's and BLUEBIRD's stores after such a day."""
    make_alliance(directory, SIDES)
    with alliance(directory, SIDES) as made:
        live(made)


def make_settled_store(path: Path) -> None:
    """Make the SQLite file of AURORA's store after a settled window, under an agreement with every kind of limit."""
    pair = pair_of(signed=signed_agreement(_limited()), points=100_000)
    half, other = Half(pair.source), Half(pair.destination)
    for name in ("one", "two"):
        convert_at_once(pair.source, pair.destination, pair.sender, 1_200, name=name)
    convert_at_once(pair.destination, pair.source, pair.receiver, 250, name="back")
    import_balances(pair.source)
    live_under_terms(pair.source)
    appeal(pair.source, pair.sender, about=uuid("one"))
    say(pair.source, asks=True)
    appeal(pair.source, pair.sender, name="another")
    rule(pair.source, AppealOutcome.UPHELD, name="another")
    adjust_points(pair.source, pair.sender)
    close_both(pair.source, pair.destination, 1)
    agree(pair.source, pair.destination, 1)
    settle(pair, 1)
    said = [body_of(sealed, ledger=other.name) for sealed in other.ledger.sealed]
    hand_over(other, half, [body for body in said if body is not None][:ENVELOPE_FRAMES_MAX])
    with Database.open(f"sqlite:///{path}") as database:
        database.migrate()
        with database.writer() as writer:
            recorder = write_log(writer, half.ledger.sealed, side=half.ledger.side)
            writer.commit(recorder.record(writes=[*_received(half), *_sent(half, other.name)]))


def _limited() -> Agreement:
    limits = MemberLimits(
        out_points_per_day=50_000, out_points_per_year=None, in_points_per_day=50_000, in_points_per_year=None
    )
    spring = promotion(
        starts_at=YESTERDAY, ends_at="2026-05-01T00:00:00.000000Z", step=Step(source=400, destination=255)
    )
    there = direction(member_limits=limits, promotions=(spring,))
    return agreement(there=there, back=direction(BLUEBIRD, AURORA, step=BACK, member_limits=limits))


def _received(half: Half) -> Iterator[Write]:
    first = half.received[0].envelope
    header = first.header()
    yield ReceivedEnvelope(header.sender, encode_envelope(first))
    for sighting in half.received:
        body = decode_body(sighting.body_bytes)
        yield ReceivedBody(
            partner=header.sender,
            digest=sighting.frame.body,
            kind=kind_of(body),
            conversion=conversion_of(body),
            body=sighting.body_bytes,
            epoch=header.epoch,
            epoch_nonce=header.epoch_nonce,
            frame_seq=sighting.frame.seq,
            path=sighting.path,
        )


def _sent(half: Half, partner: Ledger) -> Iterator[Write]:
    for sealed in half.ledger.sealed:
        body = body_of(sealed, ledger=half.name)
        if body is not None:
            yield SentBody(
                partner=partner,
                digest=digest_of_body(body),
                kind=kind_of(body),
                conversion=conversion_of(body),
                body=encode_body(body),
                entry_seq=sealed.entry.seq,
            )


class DamagedStore:
    """A copy of a store that a damaged disk, or an intruder, has its way with; every damage is mended again."""

    def __init__(self, path: Path, url: str) -> None:
        """Copy every row of the SQLite file `path` into the empty database at `url`."""
        self.url = url
        self.database = Database.open(url)
        self.database.migrate()
        self._engine = create_engine(url)
        self._lift_constraints()
        source = create_engine(f"sqlite:///{path}", poolclass=NullPool)
        with source.connect() as reading, self._unguarded() as writing:
            for table in METADATA.sorted_tables:
                writing.execute(table.delete())
                _insert(writing, table, _mappings(reading, table))

    def close(self) -> None:
        """Give the connections back."""
        self.database.close()
        self._engine.dispose()

    def rows(self, table: Table) -> list[Row]:
        """Return all rows of a table, in the order of its key."""
        with self._engine.connect() as connection:
            ordered = table.select().order_by(*table.primary_key.columns)
            return [tuple(row) for row in connection.execute(ordered)]

    @contextmanager
    def damaged(self, table: Table, damage: Callable[[Connection], None]) -> Iterator[None]:
        """Lend the store with `damage` done to `table`, and mend it afterwards."""
        with self._engine.connect() as connection:
            before = _mappings(connection, table)
        with self._unguarded() as connection:
            damage(connection)
        try:
            yield
        finally:
            with self._unguarded() as connection:
                connection.execute(table.delete())
                _insert(connection, table, before)

    def _lift_constraints(self) -> None:
        if self._engine.dialect.name == "sqlite":
            return
        found = text("SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c' AND conrelid > 0")
        with self._engine.begin() as connection:
            for table, name in connection.execute(found).all():
                connection.execute(text(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'))

    @contextmanager
    def _unguarded(self) -> Iterator[Connection]:
        """Lend a connection on which constraints are not checked, as far as the database can be told so."""
        with self._engine.connect() as connection:
            if self._engine.dialect.name == "sqlite":
                connection.execute(text("PRAGMA foreign_keys = OFF"))
                connection.execute(text("PRAGMA ignore_check_constraints = ON"))
            else:
                connection.execute(text("SET session_replication_role = replica"))
            connection.commit()
            with connection.begin():
                yield connection


def _mappings(connection: Connection, table: Table) -> list[dict[str, Value]]:
    return [dict(row) for row in connection.execute(table.select()).mappings()]


def _insert(connection: Connection, table: Table, rows: list[dict[str, Value]]) -> None:
    if rows:
        connection.execute(table.insert(), rows)
