"""A real node's parts under the script: its desk decides as scripted, its parcels are spoiled as scripted.

Refusals are real entries with real tombstones, and an audit of the sandbox's log holds. Its lies are signed bodies
beside the log, as a dishonest partner would send them; an audit that sees them tells of them.
"""

import threading
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.api.parcels import PARCEL_TYPE
from node.app.sandbox_script import LATE_SECONDS, REPEATS, SPOILED_PARCELS, Act, Row, row_for
from node.engine.desk import CommitDesk
from node.engine.engine import Engine
from node.engine.sent import sent_body
from node.engine.work import Answer
from node.ports import Clock, Faults, Keyring, Randomness, Transport
from node.store.rows import SentBody
from node.store.writer import StoreWriter
from protocol.encoding import ZERO_DIGEST
from protocol.entries import ConversionCredited, Sealed
from protocol.envelope import decode_parcel, encode_parcel, seal_envelope
from protocol.errors import Refusal
from protocol.identifiers import Digest, Id, Ledger
from protocol.keys import SEED_BYTES, SigningKey
from protocol.ledger import rules
from protocol.ledger.commands import AnyCommand, DecidePrepare
from protocol.ledger.moment import Moment
from protocol.ledger.view import Overlay
from protocol.messages import (
    EntryReference,
    Fulfil,
    Prepare,
    Reject,
    decode_body,
    encode_body,
)

ENVELOPES_PATH: Final = "/peer/v1/envelopes"
_STRANGER: Final = SigningKey(b"\x01" * SEED_BYTES)
_LOG: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Repeated:
    """A body that is sent again although it was acknowledged."""

    partner: Ledger
    digest: Digest
    body: bytes


class Performance:
    """What the sandbox still has to do about conversions that it has seen; a restart forgets it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._late: dict[Id, tuple[float, DecidePrepare]] = {}
        self._spoiled: dict[Id, Act] = {}
        self._spoiled_left: Counter[Id] = Counter()
        self._repeated: list[Repeated] = []

    def is_too_early(self, command: DecidePrepare) -> bool:
        """Return whether a late decision still has to wait; the first question starts the wait."""
        now = self._clock.monotonic()
        with self._lock:
            due, _ = self._late.setdefault(command.prepare.id, (now + LATE_SECONDS, command))
        return now < due

    def take_late(self) -> list[DecidePrepare]:
        """Return the decisions that have waited long enough."""
        now = self._clock.monotonic()
        with self._lock:
            return [command for due, command in self._late.values() if now >= due]

    def forget_late(self, command: DecidePrepare) -> None:
        """Wait for this decision no longer."""
        with self._lock:
            self._late.pop(command.prepare.id, None)

    def spoil(self, conversion: Id, act: Act) -> None:
        """Spoil the next parcels that carry this conversion's FULFIL."""
        with self._lock:
            self._spoiled[conversion] = act
            self._spoiled_left[conversion] = SPOILED_PARCELS

    def repeat(self, repeated: Repeated) -> None:
        """Send a body some times more."""
        with self._lock:
            self._repeated += [repeated] * REPEATS

    def take_repeated(self) -> Repeated | None:
        """Return a body to send once more, or None."""
        with self._lock:
            return self._repeated.pop() if self._repeated else None

    def put_back(self, repeated: Repeated) -> None:
        """Send a body later: it is on its way now."""
        with self._lock:
            self._repeated.append(repeated)

    def spoiled(self, data: bytes) -> bytes:
        """Return the parcel as it leaves: spoiled, if it carries the FULFIL of such a conversion."""
        parcel = decode_parcel(data)
        bodies = list(parcel.bodies)
        for place, body in enumerate(map(decode_body, bodies)):
            act = self._take_spoiled(body.id) if isinstance(body, Fulfil) else None
            if act is Act.FORGE:
                return encode_parcel(seal_envelope(parcel.header, key=_STRANGER), bodies)
            if act is Act.ALTER and isinstance(body, Fulfil):
                bodies[place] = encode_body(_with_a_point_more(body))
                return encode_parcel(parcel.envelope, bodies)
        return data

    def _take_spoiled(self, conversion: Id) -> Act | None:
        with self._lock:
            if not self._spoiled_left[conversion]:
                return None
            self._spoiled_left[conversion] -= 1
            return self._spoiled[conversion]


class SandboxDesk(CommitDesk):
    """Decides conversions by the script; everything else as every node does."""

    performance: Performance

    def execute(self, command: AnyCommand) -> Answer:
        """Decide and apply `command`, as scripted."""
        row = row_for(command.prepare.steps) if isinstance(command, DecidePrepare) else None
        if row is None or not isinstance(command, DecidePrepare) or rules.prior(self._overlay, command) is not None:
            return super().execute(command)
        if row.act is Act.SILENT or (row.act is Act.LATE and self.performance.is_too_early(command)):
            _LOG.info("sandbox_waits", conversion=command.prepare.id, act=row.act)
            return Answer(self.entry(0), repeated=False)
        _LOG.info("sandbox_acts", conversion=command.prepare.id, act=row.act, code=row.code)
        return self._perform(row, command)

    def _perform(self, row: Row, command: DecidePrepare) -> Answer:
        if row.act in {Act.OTHER_PREPARE, Act.OTHER_AMOUNT}:
            self._lie(command.prepare, _false_fulfil(command, self.time, row.act))
        answer = super().execute(command)
        self.performance.forget_late(command)
        if isinstance(answer.sealed.entry, ConversionCredited):
            self._after(row.act, command, answer.sealed)
        return answer

    def _after(self, act: Act, command: DecidePrepare, sealed: Sealed) -> None:
        prepare = command.prepare
        if act in {Act.FORGE, Act.ALTER}:
            self.performance.spoil(prepare.id, act)
        if act is Act.TWO_DECISIONS:
            self._lie(prepare, _second_word(command, sealed))
        if act is Act.REPEAT:
            said = next(write for write in reversed(self.writes) if isinstance(write, SentBody))
            self.performance.repeat(Repeated(prepare.source, said.digest, said.body))

    def _judge(self, command: AnyCommand, moment: Moment, savepoint: int) -> Sealed:
        row = row_for(command.prepare.steps) if isinstance(command, DecidePrepare) else None
        if row is None or row.code is None:
            return super()._judge(command, moment, savepoint)
        tombstone = rules.refusal_entry(command, Refusal(row.code, row.does), moment)
        assert tombstone is not None, "the refusal of a PREPARE is an entry"
        return self._apply(tombstone, moment)

    def _lie(self, prepare: Prepare, body: Fulfil | Reject) -> None:
        self.stage(sent_body(body, prepare.source))


class SandboxEngine(Engine):
    """An engine whose desks follow the script."""

    def __init__(
        self,
        store: StoreWriter,
        *,
        performance: Performance,
        keyring: Keyring,
        randomness: Randomness,
        faults: Faults,
    ) -> None:
        super().__init__(store, keyring=keyring, randomness=randomness, faults=faults)
        self._performance = performance

    def desk(self, overlay: Overlay, now: datetime) -> CommitDesk:
        """Return the desk at which the works of one commit run."""
        desk = SandboxDesk(overlay, self._store, now=now, randomness=self._randomness, gate=self.gate)
        desk.performance = self._performance
        return desk


class SpoilingTransport:
    """Sends parcels as the script wants them."""

    def __init__(self, transport: Transport, performance: Performance) -> None:
        self._transport = transport
        self._performance = performance

    def exchange(self, url: str, parcel: bytes) -> bytes:
        """Send `parcel`, spoiled if it is to be, and return the answer."""
        return self._transport.exchange(url, self._performance.spoiled(parcel))


class SpoilingApp:
    """An application whose answers to parcels are as the script wants them."""

    def __init__(self, app: ASGIApp, performance: Performance) -> None:
        self._app = app
        self._performance = performance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] != ENVELOPES_PATH:
            await self._app(scope, receive, send)
            return
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        await self._app(scope, receive, hold)
        start, *rest = held
        body = b"".join(message.get("body", b"") for message in rest)
        if (b"content-type", PARCEL_TYPE.encode()) in start["headers"]:
            body = self._performance.spoiled(body)
            others = [pair for pair in start["headers"] if pair[0] != b"content-length"]
            start = {**start, "headers": [*others, (b"content-length", str(len(body)).encode())]}
        await send(start)
        await send({"type": "http.response.body", "body": body})


def _with_a_point_more(fulfil: Fulfil) -> Fulfil:
    return msgspec.structs.replace(fulfil, destination_points=fulfil.destination_points + 1)


def _false_fulfil(command: DecidePrepare, now: str, act: Act) -> Fulfil:
    prepare = command.prepare
    honest = Fulfil(
        network=prepare.network,
        source=prepare.source,
        destination=prepare.destination,
        id=prepare.id,
        prepare=command.digest,
        decided_at=now,
        window=1,
        dec_seq=1,
        destination_points=prepare.destination_points,
        value=prepare.value,
        expires_on=None,
        entry=EntryReference(seq=0, leaf=ZERO_DIGEST),
    )
    if act is Act.OTHER_PREPARE:
        return msgspec.structs.replace(honest, prepare=ZERO_DIGEST)
    return _with_a_point_more(honest)


def _second_word(command: DecidePrepare, sealed: Sealed) -> Reject:
    prepare = command.prepare
    return Reject(
        network=prepare.network,
        source=prepare.source,
        destination=prepare.destination,
        id=prepare.id,
        prepare=command.digest,
        cancel=None,
        reason="expired",
        decided_at=sealed.entry.time,
        entry=EntryReference(seq=sealed.entry.seq, leaf=sealed.leaf),
    )
