"""Ledgers with their received messages, as the files that an auditor reads; every file can be tampered with.

A `Half` is one ledger of an alliance and what it received. `converse` carries bodies between halves in signed
envelopes, as nodes do. `files_of` makes the log's files; a `MemorySource` serves them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from protocol.agreement import SignedAgreement
from protocol.audit.pages import (
    CHECKPOINT_PATH,
    LEDGER_PATH,
    PAGE_MESSAGES_MAX,
    LedgerFile,
    encode_ledger_file,
    encode_messages_page,
    messages_page,
    messages_path,
)
from protocol.checkpoint import Checkpoint, sign_checkpoint
from protocol.entries import Sealed
from protocol.envelope import (
    FIRST_PREVIOUS,
    Acknowledgement,
    Parcel,
    Sighting,
    decode_parcel,
    encode_parcel,
    sighting_of,
)
from protocol.errors import CouldNotCheck
from protocol.identifiers import Account, Digest, Ledger
from protocol.keys import Role
from protocol.merkle import leaf_hash, root_of
from protocol.messages import Body, encode_body
from protocol.note import Verifier, format_vkey
from protocol.tiles import TileBuilder, bundles_of, encode_bundle, format_path
from tests.support import parcels
from tests.support.documents import Side, hello
from tests.support.ledger import MemoryLedger, Pair, ask_cancel, order, pair_of, receive

Files = dict[str, bytes]
_BUNDLE: Final = 256


@dataclass(slots=True)
class Half:
    """One ledger, the bodies it received with their envelopes, and how far each sender's stream has come."""

    ledger: MemoryLedger
    received: list[Sighting] = field(default_factory=list)
    streams: dict[Ledger, int] = field(default_factory=dict)

    @property
    def name(self) -> Ledger:
        """Return the ledger's name."""
        return self.ledger.name

    def files(self, *, size: int | None = None) -> Files:
        """Return the log's files as of `size` entries."""
        entries = [sealed.data for sealed in self.ledger.sealed[:size]]
        return files_of(self.ledger.side, entries, self.received)


def hand_over(
    sender: Half,
    receiver: Half,
    bodies: Sequence[Body],
    *,
    checkpoint: bytes | None = None,
    epoch: int = 1,
    acknowledges: Acknowledgement | None = None,
) -> Parcel:
    """Let `receiver` keep `bodies` of `sender` in one signed envelope, without acting on them."""
    encoded = [encode_body(body) for body in bodies]
    first_seq = receiver.streams.get(sender.name, 0)
    stated = parcels.header(
        encoded,
        sender=sender.ledger.side,
        receiver=receiver.ledger.side,
        epoch=epoch,
        first_seq=first_seq,
        previous=FIRST_PREVIOUS,
        acknowledges=acknowledges,
        checkpoint=None if checkpoint is None else checkpoint.decode(),
    )
    envelope = parcels.envelope(stated, sender=sender.ledger.side)
    parcel = decode_parcel(encode_parcel(envelope, encoded))
    receiver.received += [sighting_of(parcel, offset) for offset in range(len(encoded))]
    receiver.streams[sender.name] = first_seq + len(encoded)
    return parcel


def answer(sender: Half, receiver: Half, body: Body, *, checkpoint: bytes | None = None) -> Sealed:
    """Let `receiver` keep a body of `sender` and act on it."""
    hand_over(sender, receiver, [body], checkpoint=checkpoint)
    return receive(receiver.ledger, body)


@dataclass(frozen=True, slots=True)
class Alliance:
    """AURORA and BLUEBIRD, allied and linked, with everything that they said to each other."""

    source: Half
    destination: Half
    pair: Pair

    def ordered(self, name: str, *, amount: int = 1_200, account: Account | None = None) -> Body:
        """Hold points at the source and return the PREPARE."""
        sealed = order(self.source.ledger, self.destination.name, account or self.pair.sender, amount, name=name)
        return self.source.ledger.body(sealed)

    def decided(self, name: str, *, amount: int = 1_200) -> Body:
        """Let the destination decide a new conversion and return its answer, which the source has not heard."""
        sealed = answer(self.source, self.destination, self.ordered(name, amount=amount))
        return self.destination.ledger.body(sealed)

    def converted(self, name: str, *, amount: int = 1_200) -> Sealed:
        """Carry a conversion to its end and return the entry that concludes it."""
        return answer(self.destination, self.source, self.decided(name, amount=amount))

    def cancelled(self, name: str) -> Sealed:
        """Cancel a conversion before the destination hears of it, and return the entry that releases it."""
        self.ordered(name)
        wish = self.source.ledger.body(ask_cancel(self.source.ledger, name=name))
        refusal = self.destination.ledger.body(answer(self.source, self.destination, wish))
        return answer(self.destination, self.source, refusal)

    def back(self, name: str, *, amount: int = 250) -> Sealed:
        """Carry a conversion the other way to its end."""
        sealed = order(self.destination.ledger, self.source.name, self.pair.receiver, amount, name=name)
        prepare = self.destination.ledger.body(sealed)
        fulfil = self.source.ledger.body(answer(self.destination, self.source, prepare))
        return answer(self.source, self.destination, fulfil)

    @property
    def halves(self) -> tuple[Half, Half]:
        """Return both ledgers."""
        return self.source, self.destination


def alliance(*, points: int = 100_000, signed: SignedAgreement | None = None) -> Alliance:
    """Return two allied ledgers that have greeted each other."""
    pair = pair_of(signed=signed, points=points, needs=False)
    source, destination = Half(pair.source), Half(pair.destination)
    for one, two in ((source, destination), (destination, source)):
        hand_over(one, two, [hello(one.ledger.side, two.ledger.side)])
    return Alliance(source, destination, pair)


def busy_alliance() -> Alliance:
    """Return an alliance with a conversion of every fate: both ways, cancelled, refused, pending."""
    made = alliance()
    made.converted("one")
    made.cancelled("two")
    made.converted("three", amount=2_000)
    made.back("four")
    made.decided("five")
    made.ordered("six")
    made.source.ledger.advance(seconds=60)
    late = made.ordered("late")
    made.destination.ledger.advance(seconds=5_000)
    refusal = made.destination.ledger.body(answer(made.source, made.destination, late))
    answer(made.destination, made.source, refusal)
    return made


def checkpoint_of(side: Side, entries: Sequence[bytes]) -> Checkpoint:
    """Return the checkpoint of a log that holds `entries`."""
    return Checkpoint(origin=side.ledger, size=len(entries), root=root_of(map(leaf_hash, entries)))


def signed_checkpoint(side: Side, entries: Sequence[bytes]) -> bytes:
    """Return the note in which a ledger signs `entries`."""
    return sign_checkpoint(checkpoint_of(side, entries), key=side.signing_keys[Role.LOG])


def verifier_of(side: Side) -> Verifier:
    """Return the key by which a ledger's checkpoints are known."""
    return Verifier(side.ledger, side.signing_keys[Role.LOG].public)


def tile_files(entries: Sequence[bytes]) -> Files:
    """Return the tiles and bundles of a log that holds `entries`."""
    builder = TileBuilder()
    for data in entries:
        builder.append(leaf_hash(data))
    files = {format_path(tile): data for tile, data in builder.take_changed()}
    for bundle in bundles_of(len(entries)):
        begin = bundle.index * _BUNDLE
        files[format_path(bundle)] = encode_bundle(entries[begin : begin + bundle.width])
    return files


def message_files(received: Sequence[Sighting]) -> Files:
    """Return the pages of received messages."""
    firsts = range(0, len(received), PAGE_MESSAGES_MAX)
    pages = [messages_page(first, received[first : first + PAGE_MESSAGES_MAX]) for first in firsts]
    return {messages_path(number): encode_messages_page(page) for number, page in enumerate(pages)}


def files_of(side: Side, entries: Sequence[bytes], received: Sequence[Sighting] = ()) -> Files:
    """Return every file of a log."""
    own = LedgerFile(ledger=side.ledger, vkey=format_vkey(verifier_of(side)))
    return {
        CHECKPOINT_PATH: signed_checkpoint(side, entries),
        LEDGER_PATH: encode_ledger_file(own),
        **tile_files(entries),
        **message_files(received),
    }


@dataclass(frozen=True, slots=True)
class MemorySource:
    """Serves files from memory; asking for one of `unreachable` fails as a network does."""

    files: Mapping[str, bytes]
    label: str = "memory"
    unreachable: frozenset[str] = frozenset()

    def fetch(self, path: str) -> bytes | None:
        """Return a file, or None."""
        if path in self.unreachable:
            raise CouldNotCheck(f"{path} did not answer")
        return self.files.get(path)


def leaf_of(data: bytes) -> Digest:
    """Return an entry's leaf hash in hex."""
    return Digest(leaf_hash(data).hex())
