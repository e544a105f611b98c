"""The files around a log that an auditor reads: received messages, and who the log says it is (specs/audit.md).

A page holds up to 256 received bodies with their frames and paths, and each envelope that carried one of them once.
"""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from protocol.encoding import Codec
from protocol.envelope import Envelope, Frame, Sighting
from protocol.errors import EvidenceInvalid
from protocol.fields import DigestField, LedgerField
from protocol.points import Natural

CHECKPOINT_PATH: Final = "checkpoint"
LEDGER_PATH: Final = "ledger.json"
GENERATIONS_MAX: Final = 64
"""Logs of one ledger that an audit goes through."""

PAGE_MESSAGES_MAX: Final = 256
PAGE_BYTES_MAX: Final = 67_108_864


class PageMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The received body `number`, from 0 without a gap, and which of the page's envelopes carried it."""

    number: Natural
    body: msgspec.Raw
    frame: Frame
    path: Annotated[tuple[DigestField, ...], Meta(max_length=8)]
    envelope: Natural


class MessagesPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Received bodies in the order of their numbers, the first of which is `first`."""

    first: Natural
    envelopes: Annotated[tuple[Envelope, ...], Meta(max_length=PAGE_MESSAGES_MAX)]
    messages: Annotated[tuple[PageMessage, ...], Meta(max_length=PAGE_MESSAGES_MAX)]


class LedgerFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which log this is, and its verifier key as C2SP signed-note writes it: a convenience, proof of nothing."""

    ledger: LedgerField
    vkey: Annotated[str, Meta(max_length=512)]


_PAGES: Final = Codec(msgspec.json.Decoder(MessagesPage), error=EvidenceInvalid, bytes_max=PAGE_BYTES_MAX)
_LEDGER_FILES: Final = Codec(msgspec.json.Decoder(LedgerFile), error=EvidenceInvalid, bytes_max=4_096)


def messages_path(page: int) -> str:
    """Return the path under which page `page`, from 0, is served."""
    return f"messages/{page}"


def past_folder(generation: int) -> str:
    """Return the folder, with its slash, under which the log of an earlier generation is served as it was restored."""
    return f"past/{generation}/"


def messages_page(first: int, sightings: Sequence[Sighting]) -> MessagesPage:
    """Return the page of received bodies from number `first` on; an envelope that carried several is stored once."""
    places: dict[Envelope, int] = {}
    messages = tuple(
        PageMessage(
            number=number,
            body=sighting.body,
            frame=sighting.frame,
            path=sighting.path,
            envelope=places.setdefault(sighting.envelope, len(places)),
        )
        for number, sighting in enumerate(sightings, first)
    )
    return MessagesPage(first=first, envelopes=tuple(places), messages=messages)


def encode_messages_page(page: MessagesPage) -> bytes:
    """Return the canonical bytes of `page`, or raise `EvidenceInvalid` when its numbers do not follow."""
    _check_page(page)
    return _PAGES.encode(page)


def decode_messages_page(data: bytes) -> MessagesPage:
    """Return the page in `data`, nothing of it verified but its shape, or raise `EvidenceInvalid`."""
    page = _PAGES.decode(data)
    _check_page(page)
    return page


def decode_known_page(data: bytes) -> MessagesPage:
    """Return the page in `data`, which `decode_messages_page` has accepted once."""
    return _PAGES.read_back(data)


def _check_page(page: MessagesPage) -> None:
    for number, message in enumerate(page.messages, page.first):
        if message.number != number:
            raise EvidenceInvalid(f"message {message.number} stands where {number} should")
        if message.envelope >= len(page.envelopes):
            raise EvidenceInvalid(f"message {number} names an envelope that is not there")


def encode_ledger_file(ledger: LedgerFile) -> bytes:
    """Return the bytes of `ledger.json`."""
    return _LEDGER_FILES.encode(ledger)


def decode_ledger_file(data: bytes) -> LedgerFile:
    """Return what `ledger.json` states, or raise `EvidenceInvalid`."""
    return _LEDGER_FILES.decode(data)
