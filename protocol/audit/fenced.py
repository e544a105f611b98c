"""The answer to evidence that rests on a void word: its receiver signed that it was not applied (specs/audit.md §9.6).

A ledger that has lost its store opens an epoch, and its partner says in the fence what it had applied of those before.
What it had not is void, so the partner cannot hold it against the ledger afterwards.
"""

from collections.abc import Iterable
from itertools import product
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from protocol.audit.evidence import BrokenPromise, Contradiction, Evidence
from protocol.audit.known import Keys
from protocol.audit.pages import MessagesPage
from protocol.encoding import Codec
from protocol.envelope import Envelope, Fence, Header, Sighting, verify_envelope, verify_sighting
from protocol.errors import CouldNotCheck, EvidenceInvalid, ProtocolError
from protocol.identifiers import Ledger
from protocol.limits import PARCEL_BYTES_MAX
from protocol.messages import Body


class Fenced(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="fenced"):
    """A message, and an envelope in which its receiver signed that it had not applied it before a later epoch."""

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    word: Sighting
    fence: Envelope


_CODEC: Final = Codec[Fenced](msgspec.json.Decoder(Fenced), error=EvidenceInvalid, bytes_max=2 * PARCEL_BYTES_MAX)


def encode_fenced(fenced: Fenced) -> bytes:
    """Return the bytes of an answer."""
    return _CODEC.encode(fenced)


def decode_fenced(data: bytes) -> Fenced:
    """Return the answer in `data`, nothing of it verified, or raise `EvidenceInvalid`."""
    return _CODEC.decode(data)


def open_fenced(fenced: Fenced, known: Keys) -> tuple[Header, Body, Header]:
    """Return the void message with its header, and that of the fence, or raise a `ProtocolError` or `CouldNotCheck`."""
    header, body = verify_sighting(fenced.word, key=known.channel_key(fenced.word.envelope))
    fence = verify_envelope(fenced.fence, key=known.channel_key(fenced.fence))
    if not _voids(fence, header, fenced.word.frame.seq):
        raise EvidenceInvalid("the fence does not say that its signer had not applied the message")
    return header, body, fence


def words_of(evidence: Evidence) -> tuple[Sighting, ...]:
    """Return the messages in `evidence` that an answer may show to be void; without them it proves nothing.

    Two bodies in one frame are signed by no honest ledger, whether or not they are void.
    """
    if isinstance(evidence, Contradiction) and _place(evidence.first) != _place(evidence.second):
        return evidence.first, evidence.second
    return (evidence.promise,) if isinstance(evidence, BrokenPromise) else ()


def is_answered(evidence: Evidence, fenced: Fenced) -> bool:
    """Return whether `fenced`, which holds, is about a message in `evidence`."""
    about = _place(fenced.word), fenced.word.frame.body
    return any((_place(word), word.frame.body) == about for word in words_of(evidence))


def fences_of(pages: Iterable[MessagesPage], accuser: Ledger) -> list[Envelope]:
    """Return an envelope for each fence that `accuser` states in `pages`, which the accused received; none verified."""
    found: dict[tuple[int, Fence], Envelope] = {}
    for page in pages:
        for envelope in page.envelopes:
            try:
                header = envelope.header()
            except ProtocolError:
                continue
            if header.sender == accuser and header.acknowledgement is not None:
                found.setdefault((header.acknowledgement.epoch, header.acknowledgement.fence), envelope)
    return list(found.values())


def answer_to(evidence: Evidence, fences: Iterable[Envelope], known: Keys) -> Fenced | None:
    """Return an answer to `evidence`, which holds, that one of the `fences` gives, or None.

    `known` has the channel key of whoever signed the fence.
    """
    for fence, word in product(fences, words_of(evidence)):
        try:
            if _voids(fence.header(), word.envelope.header(), word.frame.seq):
                verify_envelope(fence, key=known.channel_key(fence))
                return Fenced(word=word, fence=fence)
        except (ProtocolError, CouldNotCheck):
            continue
    return None


def _voids(fence: Header, header: Header, seq: int) -> bool:
    """Return whether the header of an envelope says that its sender had not applied a message before a later epoch."""
    acknowledged = fence.acknowledgement
    if acknowledged is None or (fence.network, fence.sender, fence.receiver) != (
        header.network, header.receiver, header.sender,
    ):  # fmt: skip
        return False
    before = acknowledged.fence
    unapplied = (header.epoch, seq) >= (before.epoch, before.next_seq)
    return unapplied and header.epoch < acknowledged.epoch


def _place(word: Sighting) -> tuple[Ledger, Ledger, int, str, int]:
    header = word.envelope.header()
    return header.sender, header.receiver, header.epoch, header.epoch_nonce, word.frame.seq
