"""Reading what each side of a channel has said, by its place among all the words to or from one partner."""

from typing import Final, cast

from sqlalchemy import Select, func, select

from node.store import schema
from node.store.reads import Reads
from node.store.rows import ReceivedMessage, SentMessage
from protocol.identifiers import Digest, Ledger

_SENT: Final = schema.MESSAGES_SENT.c
_RECEIVED: Final = schema.MESSAGES_RECEIVED.c
_OUTBOX: Final = schema.OUTBOX.c
_UNCOUNTED: Final = ("hello", "returned", "returned_agreement")
"""Kinds of the channel itself, which have no place among the words."""


class WordReads(Reads):
    """Words by their places: the place of a word counts the words of the same side that came before it, from 0."""

    def sent_place(self, partner: Ledger, digest: Digest) -> int | None:
        """Return the place of a body of ours among all to `partner`, or None for one that we have not made."""
        made = select(_SENT.number).where(_SENT.digest == digest, _SENT.partner == partner).scalar_subquery()
        before = select(func.count()).where(_SENT.partner == partner, _SENT.number < made)
        rows = self._rows(select(made, before.scalar_subquery()))
        ((number, place),) = cast("list[tuple[int | None, int]]", rows)
        return None if number is None else place

    def sent_number(self, partner: Ledger, place: int) -> int | None:
        """Return the number under which the body of ours at `place` is kept, or None where we have made no so many."""
        wanted = select(_SENT.number).where(_SENT.partner == partner).order_by(_SENT.number).offset(place).limit(1)
        rows = cast("list[tuple[int]]", self._rows(wanted))
        return rows[0][0] if rows else None

    def sent_numbers(self, digests: list[Digest]) -> dict[Digest, int]:
        """Return the numbers of those of `digests` that are bodies of ours."""
        rows = self._rows(select(_SENT.digest, _SENT.number).where(_SENT.digest.in_(digests)))
        return dict(cast("list[tuple[Digest, int]]", rows))

    def sent_since(self, partner: Ledger, number: int, limit: int) -> list[SentMessage]:
        """Return our bodies to `partner` from `number` on, whether they still stand or not, in their order."""
        wanted = select(schema.MESSAGES_SENT).where(_SENT.partner == partner, _SENT.number >= number)
        return self._objects(SentMessage, wanted.order_by(_SENT.number).limit(limit))

    def stands_no_more(self, partner: Ledger, number: int) -> bool:
        """Return whether any of our bodies to `partner` from `number` on is not in the outbox."""
        standing = select(_OUTBOX.message_number).where(_OUTBOX.message_number == _SENT.number).exists()
        wanted = select(_SENT.number).where(_SENT.partner == partner, _SENT.number >= number, ~standing).limit(1)
        return bool(self._rows(wanted))

    def words_received(self, partner: Ledger, place: int, limit: int) -> list[ReceivedMessage]:
        """Return the words of `partner` from `place` on, with their envelopes, in the order of receipt."""
        return self._words(_words_of(partner).offset(place), limit)

    def words_received_after(self, partner: Ledger, number: int, limit: int) -> list[ReceivedMessage]:
        """Return the words of `partner` that were kept after the message `number`, with their envelopes."""
        return self._words(_words_of(partner).where(_RECEIVED.number > number), limit)

    def _words(self, wanted: Select[tuple[object, ...]], limit: int) -> list[ReceivedMessage]:
        return self._objects(ReceivedMessage, wanted.order_by(_RECEIVED.number).limit(limit), json=("path",))


def _words_of(partner: Ledger) -> Select[tuple[object, ...]]:
    wanted = select(*_RECEIVED, schema.ENVELOPES_RECEIVED.c.envelope).join(schema.ENVELOPES_RECEIVED)
    found: Select[tuple[object, ...]] = wanted.where(_RECEIVED.partner == partner, _RECEIVED.kind.not_in(_UNCOUNTED))
    return found
