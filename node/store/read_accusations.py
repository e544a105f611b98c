"""Reading evidence against partners, and the received words of which such evidence can be made."""

from typing import Final, cast

from sqlalchemy import ColumnElement, and_, or_, select

from node.store import schema
from node.store.reads import Reads
from node.store.rows import ReceivedMessage, StoredPartnerCheckpoint
from node.store.rows_accusations import StoredAccusation
from node.store.schema_accusations import ACCUSATIONS
from protocol.identifiers import Digest, Ledger

PAGE_ROWS: Final = 100

_ACCUSATIONS: Final = ACCUSATIONS.c
_RECEIVED: Final = schema.MESSAGES_RECEIVED.c
_LATER, _EARLIER = schema.MESSAGES_RECEIVED.alias("later"), schema.MESSAGES_RECEIVED.alias("earlier")
_NEWER, _OLDER = schema.PARTNER_CHECKPOINTS.alias("newer"), schema.PARTNER_CHECKPOINTS.alias("older")
_DECISIONS: Final = ("fulfil", "reject")
_ORDER: Final = "prepare"
_LOG: Final = "log"


class AccusationReads(Reads):
    """Evidence against partners."""

    def accusations(self, before_number: int | None = None, limit: int = PAGE_ROWS) -> list[StoredAccusation]:
        """Return files of evidence, the newest first, those before `before_number`."""
        wanted = select(ACCUSATIONS).order_by(_ACCUSATIONS.number.desc()).limit(limit)
        if before_number is not None:
            wanted = wanted.where(_ACCUSATIONS.number < before_number)
        return self._objects(StoredAccusation, wanted)

    def accusation(self, digest: Digest) -> StoredAccusation | None:
        """Return one file of evidence, or None."""
        wanted = select(ACCUSATIONS).where(_ACCUSATIONS.digest == digest).limit(1)
        return next(iter(self._objects(StoredAccusation, wanted)), None)

    def is_accused(self, partner: Ledger, subject: str, name: str) -> bool:
        """Return whether there is evidence against `partner` about this very thing."""
        wanted = select(_ACCUSATIONS.number).where(
            _ACCUSATIONS.partner == partner, _ACCUSATIONS.subject == subject, _ACCUSATIONS.name == name
        )
        return bool(self._rows(wanted))

    def is_forked(self, partner: Ledger, log: Ledger) -> bool:
        """Return whether there is evidence that `log`, one of `partner`, has two histories."""
        wanted = select(_ACCUSATIONS.number).where(
            _ACCUSATIONS.partner == partner,
            _ACCUSATIONS.subject == _LOG,
            _ACCUSATIONS.name.startswith(f"{log} ", autoescape=True),
        )
        return bool(self._rows(wanted.limit(1)))

    def received_places(
        self, partner: Ledger, *, epoch: int, epoch_nonce: str, first_seq: int, last_seq: int
    ) -> dict[int, Digest]:
        """Return which bodies were first received in these frames of the partner's stream, by the frames' `seq`."""
        wanted = select(_RECEIVED.frame_seq, _RECEIVED.digest).where(
            _RECEIVED.partner == partner,
            _RECEIVED.epoch == epoch,
            _RECEIVED.epoch_nonce == epoch_nonce,
            _RECEIVED.frame_seq.between(first_seq, last_seq),
        )
        return dict(cast("list[tuple[int, Digest]]", self._rows(wanted)))

    def received_in(self, partner: Ledger, *, epoch: int, epoch_nonce: str, seq: int) -> ReceivedMessage | None:
        """Return the body that was first received in a frame of the partner's stream, with its envelope, or None."""
        place = (_RECEIVED.epoch == epoch, _RECEIVED.epoch_nonce == epoch_nonce, _RECEIVED.frame_seq == seq)
        return self._received_once(_RECEIVED.partner == partner, *place)

    def received_numbered(self, number: int) -> ReceivedMessage | None:
        """Return the received body `number` with its envelope, or None."""
        return self._received_once(_RECEIVED.number == number)

    def _received_once(self, *conditions: ColumnElement[bool]) -> ReceivedMessage | None:
        wanted = select(*_RECEIVED, schema.ENVELOPES_RECEIVED.c.envelope).join(schema.ENVELOPES_RECEIVED)
        return next(iter(self._objects(ReceivedMessage, wanted.where(*conditions), json=("path",))), None)

    def words_twice(self, *, from_number: int, before_number: int, limit: int) -> list[tuple[int, int]]:
        """Return pairs of received bodies, the later and an earlier one, that may not both be true.

        Both are decisions, or both PREPAREs, of one partner about conversions of one id; the later has a number in the
        given range. They are in the order of their numbers.
        """
        alike = or_(
            and_(_LATER.c.kind.in_(_DECISIONS), _EARLIER.c.kind.in_(_DECISIONS)),
            and_(_LATER.c.kind == _ORDER, _EARLIER.c.kind == _ORDER),
        )
        wanted = select(_LATER.c.number, _EARLIER.c.number.label("earlier_number")).where(
            _LATER.c.number >= from_number,
            _LATER.c.number < before_number,
            _EARLIER.c.conversion == _LATER.c.conversion,
            _EARLIER.c.partner == _LATER.c.partner,
            _EARLIER.c.number < _LATER.c.number,
            alike,
        )
        rows = self._rows(wanted.order_by(_LATER.c.number, _EARLIER.c.number).limit(limit))
        return cast("list[tuple[int, int]]", rows)

    def checkpoints_twice(self, from_number: int) -> list[tuple[StoredPartnerCheckpoint, StoredPartnerCheckpoint]]:
        """Return pairs of different notes of one log and size, the later of them numbered `from_number` or higher."""
        wanted = (
            select(_OLDER.c.number.label("older_number"), _NEWER.c.number)
            .where(
                _NEWER.c.number >= from_number,
                _OLDER.c.number < _NEWER.c.number,
                _OLDER.c.ledger == _NEWER.c.ledger,
                _OLDER.c.generation == _NEWER.c.generation,
                _OLDER.c.size == _NEWER.c.size,
                _OLDER.c.note != _NEWER.c.note,
            )
            .order_by(_NEWER.c.number, _OLDER.c.number)
            .limit(PAGE_ROWS)
        )
        pairs = cast("list[tuple[int, int]]", self._rows(wanted))
        return [(self._kept(older), self._kept(newer)) for older, newer in pairs]

    def _kept(self, number: int) -> StoredPartnerCheckpoint:
        wanted = select(schema.PARTNER_CHECKPOINTS).where(schema.PARTNER_CHECKPOINTS.c.number == number)
        return self._objects(StoredPartnerCheckpoint, wanted)[0]
