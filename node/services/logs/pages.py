"""Received messages as the pages that auditors read, served and packed alike (specs/audit.md)."""

from collections.abc import Sequence

import msgspec

from node.store.rows import ReceivedMessage
from protocol.audit.pages import encode_messages_page, messages_page
from protocol.envelope import Frame, Sighting, decode_envelope


def encode_received(first: int, received: Sequence[ReceivedMessage]) -> bytes:
    """Return the page that begins with the message numbered `first`, each message as evidence that stands alone."""
    return encode_messages_page(messages_page(first, [sighting_of(each) for each in received]))


def sighting_of(received: ReceivedMessage) -> Sighting:
    """Return a received body as evidence that stands alone."""
    return Sighting(
        body=msgspec.Raw(received.body),
        frame=Frame(seq=received.frame_seq, body=received.digest),
        path=received.path,
        envelope=decode_envelope(received.envelope),
    )
