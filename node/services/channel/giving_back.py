"""What a partner has lost is given back to it: words of its own with their evidence, and words of ours that it heard.

They come in the order in which they had their effect here, a page at a time, as frames of an epoch of our stream.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

import msgspec
import structlog

from node.services.logs.pages import sighting_of
from node.store.reader import StoreReader
from node.store.rows import ReceivedMessage, SentMessage
from protocol.channel import in_causal_order
from protocol.envelope import encode_sighting
from protocol.errors import BodyInvalid
from protocol.identifiers import Digest, Ledger, Network
from protocol.messages import (
    Body,
    Fulfil,
    Prepare,
    Reject,
    Returned,
    ReturnedAgreement,
    body_digest,
    decode_body,
    encode_body,
)

_PAGE_WORDS: Final = 64
_LOG: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Given:
    """A body that goes into the stream; `number` is that of a word of our own, None for one that is returned."""

    digest: Digest
    body: bytes
    number: int | None = None


class GivingBack:
    """The words for one partner, in causal order, read as they are taken.

    `own_number` is the first of our own bodies that the partner lacks, None where it lacks none; `words_from` the place
    of the first of its own words that it has lost, None where it has lost none.
    """

    def __init__(
        self,
        reader: StoreReader,
        *,
        ledger: Ledger,
        partner: Ledger,
        network: Network,
        own_number: int | None,
        words_from: int | None,
    ) -> None:
        self._reader = reader
        self._ledger = ledger
        self._partner = partner
        self._network = network
        self._words = self._all(own_number, words_from)
        self.ended = False

    def take(self, count: int) -> list[Given]:
        """Return the next words, `count` at most, and note when there are no more."""
        taken = list(islice(self._words, count))
        self.ended = len(taken) < count
        return taken

    def _all(self, own_number: int | None, words_from: int | None) -> Iterator[Given]:
        if words_from is not None:
            yield from self._agreements()
        heard = self._heard(words_from) if words_from is not None else iter(())
        said = self._said(own_number) if own_number is not None else iter(())
        yield from in_causal_order(heard, said)

    def _agreements(self) -> Iterator[Given]:
        for _, record in reversed(self._reader.agreements(self._partner)):
            yield from self._given(
                ReturnedAgreement(
                    network=self._network, sender=self._ledger, receiver=self._partner, signed=record.signed
                )
            )

    def _said(self, number: int) -> Iterator[tuple[int | None, Given]]:
        while page := self._reader.sent_since(self._partner, number, _PAGE_WORDS):
            for message in page:
                yield message.entry_seq, _own(message)
            number = page[-1].number + 1

    def _heard(self, place: int) -> Iterator[tuple[int, Given]]:
        page = self._reader.words_received(self._partner, place, _PAGE_WORDS)
        while page:
            for message in page:
                for given in self._returned(message):
                    yield message.log_size, given
            page = self._reader.words_received_after(self._partner, page[-1].number, _PAGE_WORDS)

    def _returned(self, message: ReceivedMessage) -> Iterator[Given]:
        body = Returned(
            network=self._network,
            sender=self._ledger,
            receiver=self._partner,
            sighting=msgspec.Raw(encode_sighting(sighting_of(message))),
            prepare=self._prepare(decode_body(message.body)),
        )
        return self._given(body)

    def _prepare(self, body: Body) -> Prepare | None:
        """Return our PREPARE that a decision of the partner answers, if we have it."""
        asked = self._reader.message_sent(body.prepare) if isinstance(body, Fulfil | Reject) else None
        found = None if asked is None else decode_body(asked.body)
        return found if isinstance(found, Prepare) else None

    def _given(self, body: Returned | ReturnedAgreement) -> Iterator[Given]:
        try:
            data = encode_body(body)
        except BodyInvalid as error:
            # No frame can carry it: the partner's operator will find that something is missing.
            _LOG.error("word_too_large_to_return", partner=self._partner, detail=str(error))
            return
        yield Given(body_digest(data), data)


def _own(message: SentMessage) -> Given:
    return Given(message.digest, message.body, message.number)
