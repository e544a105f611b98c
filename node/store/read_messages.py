"""Reading what was said between us and partners: bodies, envelopes, checkpoints, channels, the outbox."""

from collections.abc import Sequence
from typing import Final, cast

from sqlalchemy import Executable, bindparam, func, select

from node.store import schema
from node.store.reads import Reads
from node.store.rows import (
    ChannelState,
    EvidenceHead,
    Pending,
    ReceivedMessage,
    SentMessage,
    StoredPartnerCheckpoint,
)
from protocol.identifiers import Digest, Id, Ledger

PAGE_ROWS: Final = 100

_SENT: Final = schema.MESSAGES_SENT.c
_RECEIVED: Final = schema.MESSAGES_RECEIVED.c
_OUTBOX: Final = schema.OUTBOX.c
_CHECKPOINTS: Final = schema.PARTNER_CHECKPOINTS.c
_WITH_ENVELOPE: Final = (
    select(*_RECEIVED, schema.ENVELOPES_RECEIVED.c.envelope).join(schema.ENVELOPES_RECEIVED).order_by(_RECEIVED.number)
)


_PENDING: Final = (
    select(_SENT.number, _SENT.digest, _SENT.body)
    .join(schema.OUTBOX)
    .where(_OUTBOX.partner == bindparam("partner"), _OUTBOX.message_number > bindparam("after"))
    .order_by(_OUTBOX.message_number)
    .limit(bindparam("count"))
)
_CHANNEL: Final = select(schema.CHANNELS).where(schema.CHANNELS.c.partner == bindparam("partner"))
_AT_SIZE: Final = (
    select(schema.PARTNER_CHECKPOINTS)
    .where(
        _CHECKPOINTS.ledger == bindparam("ledger"),
        _CHECKPOINTS.generation == bindparam("generation"),
        _CHECKPOINTS.size == bindparam("size"),
    )
    .order_by(_CHECKPOINTS.number)
    .limit(1)
)
_LATEST: Final = (
    select(schema.PARTNER_CHECKPOINTS)
    .where(_CHECKPOINTS.ledger == bindparam("ledger"))
    .order_by(_CHECKPOINTS.generation.desc(), _CHECKPOINTS.size.desc(), _CHECKPOINTS.number)
    .limit(1)
)
_LATEST_OF: Final = _LATEST.where(_CHECKPOINTS.generation == bindparam("generation"))


class MessageReads(Reads):
    """Evidence in its order, and what is still to be sent."""

    def pending_outbox(self, partner: Ledger, after_number: int = -1, limit: int = PAGE_ROWS) -> list[Pending]:
        """Return bodies that still want an answer from `partner`, oldest first, those after `after_number`."""
        return self._found(Pending, _PENDING, partner=partner, after=after_number, count=limit)

    def outbox_partners(self) -> list[Ledger]:
        """Return the partners from whom an answer is still wanted, in the order of their names."""
        rows = self._rows(select(_OUTBOX.partner).distinct().order_by(_OUTBOX.partner))
        return [cast("Ledger", partner) for (partner,) in rows]

    def message_sent(self, digest: Digest) -> SentMessage | None:
        """Return a body of ours, or None."""
        rows = self._objects(SentMessage, select(schema.MESSAGES_SENT).where(_SENT.digest == digest))
        return next(iter(rows), None)

    def messages_sent(self, from_number: int = 0, limit: int = PAGE_ROWS) -> list[SentMessage]:
        """Return bodies of ours in the order in which they were first made, from `from_number` on."""
        wanted = select(schema.MESSAGES_SENT).where(_SENT.number >= from_number)
        return self._objects(SentMessage, wanted.order_by(_SENT.number).limit(limit))

    def sent_of_conversion(self, conversion: Id) -> list[SentMessage]:
        """Return our bodies about conversions of this id, whichever the partner."""
        wanted = select(schema.MESSAGES_SENT).where(_SENT.conversion == conversion)
        return self._objects(SentMessage, wanted.order_by(_SENT.number))

    def is_waiting(self, number: int) -> bool:
        """Return whether the body of ours with that number still wants an answer."""
        return bool(self._rows(select(_OUTBOX.message_number).where(_OUTBOX.message_number == number)))

    def sent_count(self, partner: Ledger) -> int:
        """Return how many bodies we have made for `partner`."""
        ((count,),) = self._rows(select(func.count()).select_from(schema.MESSAGES_SENT).where(_SENT.partner == partner))
        return cast("int", count)

    def sent_kinds(self, digests: Sequence[Digest]) -> dict[Digest, str]:
        """Return the kinds of those of `digests` that are bodies of ours."""
        rows = self._rows_by(schema.MESSAGES_SENT, ("digest",), [(digest,) for digest in digests])
        return {cast("Digest", row[1]): cast("str", row[3]) for row in rows}

    def message_received(self, digest: Digest) -> ReceivedMessage | None:
        """Return the first receipt of a partner's body, with its envelope, or None."""
        return next(iter(self._received(_WITH_ENVELOPE.where(_RECEIVED.digest == digest).limit(1))), None)

    def latest_received(self, partner: Ledger, kind: str) -> ReceivedMessage | None:
        """Return the newest body of a kind that `partner` has sent us, with its envelope, or None."""
        wanted = select(*_RECEIVED, schema.ENVELOPES_RECEIVED.c.envelope).join(schema.ENVELOPES_RECEIVED)
        wanted = wanted.where(_RECEIVED.partner == partner, _RECEIVED.kind == kind)
        return next(iter(self._received(wanted.order_by(_RECEIVED.number.desc()).limit(1))), None)

    def messages_received(self, from_number: int = 0, limit: int = PAGE_ROWS) -> list[ReceivedMessage]:
        """Return partners' bodies with their envelopes in the order of receipt, from `from_number` on."""
        return self._received(_WITH_ENVELOPE.where(_RECEIVED.number >= from_number).limit(limit))

    def received_of_conversion(self, partner: Ledger, conversion: Id) -> list[ReceivedMessage]:
        """Return what `partner` has said about conversions of this id, in the order of receipt."""
        wanted = _WITH_ENVELOPE.where(_RECEIVED.conversion == conversion, _RECEIVED.partner == partner)
        return self._received(wanted)

    def received_digests(self, partner: Ledger, digests: Sequence[Digest]) -> set[Digest]:
        """Return those of `digests` that are bodies which `partner` has sent us."""
        rows = self._rows_by(schema.MESSAGES_RECEIVED, ("digest",), [(digest,) for digest in digests])
        return {cast("Digest", row[1]) for row in rows if row[2] == partner}

    def partner_checkpoints(self, from_number: int = 0, limit: int = PAGE_ROWS) -> list[StoredPartnerCheckpoint]:
        """Return partners' checkpoints in the order of receipt, from `from_number` on."""
        wanted = select(schema.PARTNER_CHECKPOINTS).where(_CHECKPOINTS.number >= from_number)
        return self._objects(StoredPartnerCheckpoint, wanted.order_by(_CHECKPOINTS.number).limit(limit))

    def partner_checkpoint(self, ledger: Ledger, size: int, *, generation: int = 1) -> StoredPartnerCheckpoint | None:
        """Return the first checkpoint that we have of a partner's log when it had `size` entries, or None."""
        found = self._found(StoredPartnerCheckpoint, _AT_SIZE, ledger=ledger, generation=generation, size=size)
        return next(iter(found), None)

    def partner_checkpoints_of(
        self, ledger: Ledger, *, generation: int, from_number: int, limit: int = PAGE_ROWS
    ) -> list[StoredPartnerCheckpoint]:
        """Return checkpoints of one log of a partner in the order of receipt, from `from_number` on."""
        wanted = select(schema.PARTNER_CHECKPOINTS).where(_CHECKPOINTS.ledger == ledger)
        wanted = wanted.where(_CHECKPOINTS.generation == generation, _CHECKPOINTS.number >= from_number)
        return self._objects(StoredPartnerCheckpoint, wanted.order_by(_CHECKPOINTS.number).limit(limit))

    def latest_partner_checkpoint(
        self, ledger: Ledger, *, generation: int | None = None
    ) -> StoredPartnerCheckpoint | None:
        """Return the largest checkpoint that we have of a partner's log, or None: of one generation, or of its last."""
        if generation is None:
            return next(iter(self._found(StoredPartnerCheckpoint, _LATEST, ledger=ledger)), None)
        found = self._found(StoredPartnerCheckpoint, _LATEST_OF, ledger=ledger, generation=generation)
        return next(iter(found), None)

    def channel(self, partner: Ledger) -> ChannelState | None:
        """Return where the streams with `partner` stand, or None before the first epoch."""
        return next(iter(self._found(ChannelState, _CHANNEL, partner=partner)), None)

    def channels(self) -> list[ChannelState]:
        """Return where the streams with all partners stand, in the order of their names."""
        return self._objects(ChannelState, select(schema.CHANNELS).order_by(schema.CHANNELS.c.partner))

    def evidence_heads(self) -> list[EvidenceHead]:
        """Return count and running digest of each evidence table that has had a row, in the order of their names."""
        return self._objects(EvidenceHead, select(schema.EVIDENCE_HEADS).order_by(schema.EVIDENCE_HEADS.c.name))

    def _received(self, wanted: Executable) -> list[ReceivedMessage]:
        return self._objects(ReceivedMessage, wanted, json=("path",))
