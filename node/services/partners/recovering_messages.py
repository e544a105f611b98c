"""Partners' messages of an audit package, brought back into a store as evidence, each verified again.

Of what a partner has said, only what came up to the last message that an entry rests on is taken: the rest may have
been received and not yet handled, and the partner says it again when it is not acknowledged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from node.services.channel.channel_rows import incoming_of, with_incoming
from node.services.logs.own_log import open_of, place_of
from node.store.reader import StoreReader
from node.store.rows import ChannelState, PartnerCheckpoint, ReceivedBody, ReceivedEnvelope, Write
from protocol.agreement import key_of
from protocol.audit.citations import Citations
from protocol.audit.framed import verify_framed
from protocol.audit.log import Source
from protocol.audit.pages import PAGE_MESSAGES_MAX, MessagesPage, PageMessage, decode_messages_page, messages_path
from protocol.envelope import Envelope, Fence, Header, decode_sighting, encode_envelope, verify_envelope
from protocol.errors import CouldNotCheck, ProtocolError
from protocol.identifiers import Digest, Ledger
from protocol.keys import Role
from protocol.ledger.state import PARTNERS
from protocol.ledger.view import Overlay
from protocol.messages import Body, ChannelBody, Hello, Returned, conversion_of, kind_of

_PAGE: Final = PAGE_MESSAGES_MAX
_HELLO: Final = str(Hello.__struct_config__.tag)


@dataclass(frozen=True, slots=True)
class _Verified:
    """A message of the package that its sender has signed."""

    message: PageMessage
    envelope: Envelope
    header: Header
    body: Body


class MessagesBack:
    """The messages that a store lacks, as the writes that bring them back."""

    def __init__(
        self, reader: StoreReader, source: Source, view: Overlay, citations: Citations, *, ledger: Ledger
    ) -> None:
        """Read them from `source`; `view` and `citations` are those of the whole log."""
        self._reader = reader
        self._source = source
        self._view = view
        self._cited = {digest: min(citation.seq for citation in found) for digest, found in citations.by_digest.items()}
        self._ledger = ledger
        self.count = 0

    def writes(self) -> list[Write]:
        """Return what brings the messages back; raise `CouldNotCheck` where they are not those of this store."""
        lacking = list(self._lacking())
        ends: dict[Ledger, int] = {}
        for place, each in enumerate(lacking):
            if self._rested_on(each) is not None:
                ends[each.header.sender] = place
        taken = [each for place, each in enumerate(lacking) if place <= ends.get(each.header.sender, -1)]
        self.count = len(taken)
        return [*self._evidence(taken), *self._channels(taken), *self._checkpoints(taken)]

    def _lacking(self) -> Iterator[_Verified]:
        known = self._reader.counts().messages_received
        begin, heard = self._common(known)
        page = begin // _PAGE
        while (found := self._page(page)) is not None:
            for message in found.messages:
                if message.number >= begin:
                    verified = self._checked(message, found.envelopes[message.envelope])
                    if message.frame.body not in heard:
                        yield verified
            if len(found.messages) < _PAGE:
                return
            page += 1

    def _common(self, known: int) -> tuple[int, set[Digest]]:
        """Return how many messages the store and the package have in common, and what else the store has.

        That can only be HELLOs: a node that was started over an old copy has heard its partners, and applied no more.
        """
        heard: set[Digest] = set()
        for number in range(known - 1, -1, -1):
            kept = self._reader.messages_received(number, 1)
            page = self._page(number // _PAGE)
            messages = () if page is None else page.messages
            there = next((each.frame.body for each in messages if each.number == number), None)
            if kept and kept[0].digest == there:
                return number + 1, heard
            if not kept or (there is not None and kept[0].kind != _HELLO):
                raise CouldNotCheck(f"message {number} of the package is not the one that the store has")
            heard.add(kept[0].digest)
        return 0, heard

    def _page(self, page: int) -> MessagesPage | None:
        data = self._source.fetch(messages_path(page))
        try:
            return None if data is None else decode_messages_page(data)
        except ProtocolError as error:
            raise CouldNotCheck(f"{messages_path(page)}: {error}") from error

    def _checked(self, message: PageMessage, envelope: Envelope) -> _Verified:
        try:
            return self._verified(message, envelope)
        except ProtocolError as error:
            raise CouldNotCheck(f"message {message.number} of the package: {error}") from error

    def _verified(self, message: PageMessage, envelope: Envelope) -> _Verified:
        header = envelope.header()
        partner = self._view.get(PARTNERS, header.sender)
        if partner is None or (header.receiver, header.network) != (self._ledger, partner.network):
            raise CouldNotCheck(f"message {message.number} of the package is not for {self._ledger}")
        verify_envelope(envelope, key=key_of(partner.keys, Role.CHANNEL))
        return _Verified(message, envelope, header, verify_framed(message, header))

    def _rested_on(self, each: _Verified) -> int | None:
        """Return the seq of the first entry that rests on a message, or None."""
        if isinstance(each.body, Returned):
            return self._cited.get(decode_sighting(bytes(each.body.sighting)).frame.body)
        return self._cited.get(each.message.frame.body)

    def _evidence(self, taken: Sequence[_Verified]) -> Iterator[Write]:
        envelope: Envelope | None = None
        known = self._reader.counts().messages_received
        # What came later was not handled earlier: a message that no entry rests on keeps its place among the others.
        log_size = self._reader.messages_received(known - 1, 1)[0].log_size if known else 0
        for each in taken:
            if each.envelope != envelope:
                envelope = each.envelope
                yield ReceivedEnvelope(partner=each.header.sender, envelope=encode_envelope(envelope))
            log_size = max(log_size, self._rested_on(each) or 0)
            yield ReceivedBody(
                partner=each.header.sender,
                digest=each.message.frame.body,
                kind=kind_of(each.body),
                conversion=conversion_of(each.body),
                body=bytes(each.message.body),
                epoch=each.header.epoch,
                epoch_nonce=each.header.epoch_nonce,
                frame_seq=each.message.frame.seq,
                path=tuple(map(Digest, each.message.path)),
                log_size=log_size,
            )

    def _channels(self, taken: Sequence[_Verified]) -> Iterator[Write]:
        """Yield how far each partner's stream has been applied."""
        rows: dict[Ledger, ChannelState] = {}
        for each in taken:
            partner = each.header.sender
            row = rows.get(partner) or self._reader.channel(partner) or ChannelState(partner=partner)
            incoming = incoming_of(row)
            # An epoch that the partner has been heard in since is forgotten: it opens another, and learns what we have.
            if (each.header.epoch, each.header.epoch_nonce) != (incoming.epoch, incoming.epoch_nonce):
                fence = Fence(
                    epoch=incoming.epoch,
                    next_seq=incoming.next_seq,
                    bodies=incoming.bodies,
                    last_body=incoming.last_body,
                )
                opened = each.body.bodies_sent if isinstance(each.body, Hello) else incoming.bodies
                row = replace(row, in_bodies_sent=opened)
                incoming = replace(incoming, epoch=each.header.epoch, epoch_nonce=each.header.epoch_nonce, fence=fence)
            counted = None if isinstance(each.body, ChannelBody) else each.message.frame.body
            applied = replace(incoming, next_seq=each.message.frame.seq).applied(counted)
            rows[partner] = with_incoming(row, applied)
        yield from rows.values()

    def _checkpoints(self, taken: Sequence[_Verified]) -> Iterator[Write]:
        """Yield the last checkpoint that each partner has shown, where it is larger than what the store has."""
        last = {each.header.sender: each.header.checkpoint for each in taken if each.header.checkpoint is not None}
        for partner, note in last.items():
            record = self._view.get(PARTNERS, partner)
            assert record is not None, "its message was verified by its keys"
            checkpoint = open_of(note.encode(), ledger=partner, key=key_of(record.keys, Role.LOG))
            generation, size = place_of(checkpoint)
            known = self._reader.latest_partner_checkpoint(partner, generation=generation)
            if known is None or known.size < size:
                yield PartnerCheckpoint(ledger=partner, size=size, note=note.encode(), generation=generation)
