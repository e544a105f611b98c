"""Files of evidence of every kind: what a brand of the tests signed that no honest one would."""

from collections.abc import Sequence
from typing import Final

import msgspec

from protocol.audit.evidence import BrokenPromise, Contradiction, Evidence, Fork, MissingEntry
from protocol.envelope import Sighting, decode_parcel, encode_parcel, sighting_of
from protocol.identifiers import Digest
from protocol.merkle import MemoryTree, leaf_hash
from protocol.messages import Body, EntryReference, encode_body
from protocol.proof import Receipt, format_receipt
from tests.support import parcels
from tests.support.audits import signed_checkpoint
from tests.support.documents import AURORA, BLUEBIRD, Side, fulfil, hello, prepare, reject

HONEST: Final = tuple(b"entry %d" % number for number in range(9))
FORGED: Final = (*HONEST[:4], b"another entry", *HONEST[5:])


def tree_of(entries: Sequence[bytes]) -> MemoryTree:
    """Return the tree of a log that holds `entries`."""
    return MemoryTree(map(leaf_hash, entries))


def fork(earlier: Sequence[bytes], later: Sequence[bytes], *, side: Side = AURORA) -> Fork:
    """Return the evidence that `later` does not begin with `earlier`."""
    size = len(earlier)
    return Fork(
        earlier=signed_checkpoint(AURORA, earlier).decode(),
        later=signed_checkpoint(side, later).decode(),
        root=Digest(tree_of(later[:size]).root().hex()),
        proof=tuple(Digest(node.hex()) for node in tree_of(later).consistency_proof(size)),
    )


def sighted(
    body: Body,
    *,
    sender: Side = BLUEBIRD,
    receiver: Side = AURORA,
    after: int = 0,
    epoch: int = 1,
    log: Sequence[bytes] | None = None,
) -> Sighting:
    """Return a body as `receiver` got it, in the frame `after`; `log` is what the envelope's checkpoint counts."""
    bodies = [encode_body(each) for each in [hello(sender, receiver, epoch=epoch)] * after + [body]]
    note = None if log is None else signed_checkpoint(sender, log).decode()
    stated = parcels.header(bodies, sender=sender, receiver=receiver, epoch=epoch, checkpoint=note)
    return sighting_of(decode_parcel(encode_parcel(parcels.envelope(stated, sender=sender), bodies)), after)


def receipt(side: Side, entries: Sequence[bytes], seq: int, *, bare: bool = False) -> str:
    """Return the receipt of an entry in a log that holds `entries`; a bare one lacks the entry."""
    proof = tree_of(entries).inclusion_proof(seq)
    note = signed_checkpoint(side, entries)
    found = Receipt(extra=None if bare else entries[seq], index=seq, proof=proof, checkpoint=note)
    return format_receipt(found).decode()


def leaf(entry: bytes) -> Digest:
    """Return an entry's leaf hash in hex."""
    return Digest(leaf_hash(entry).hex())


def naming(body: Body, seq: int, entry: bytes) -> Body:
    """Return `body` with the entry `seq` that it says its sender has."""
    return msgspec.structs.replace(body, entry=EntryReference(seq=seq, leaf=leaf(entry)))


def broken_promise(*, seq: int = 4, bare: bool = False) -> BrokenPromise:
    """Return the evidence that BLUEBIRD's log has another entry than its FULFIL named."""
    promise = sighted(naming(fulfil(), seq, HONEST[seq]))
    return BrokenPromise(promise=promise, leaf=leaf(FORGED[seq]), receipt=receipt(BLUEBIRD, FORGED, seq, bare=bare))


def missing_entry(*, after: int = 1, size: int = 4) -> MissingEntry:
    """Return the evidence that BLUEBIRD, having promised its entry 4, showed a log of `size` entries."""
    promise = sighted(naming(fulfil(), 4, HONEST[4]), log=HONEST[:size] if after == 0 else None)
    later = (
        promise if after == 0 else sighted(prepare(source=BLUEBIRD, destination=AURORA), after=after, log=HONEST[:size])
    )
    return MissingEntry(promise=promise, later=later)


EVERY_KIND: Final[dict[str, Evidence]] = {
    "a fork": fork(HONEST[:5], FORGED),
    "two roots of one size": fork(HONEST, FORGED),
    "two bodies at one position": Contradiction(
        first=sighted(fulfil()), second=sighted(prepare(source=BLUEBIRD, destination=AURORA))
    ),
    "FULFIL and REJECT": Contradiction(first=sighted(fulfil(), after=1), second=sighted(reject(), after=2)),
    "two PREPAREs": Contradiction(
        first=sighted(prepare(steps=1), sender=AURORA, receiver=BLUEBIRD, after=1),
        second=sighted(prepare(steps=2), sender=AURORA, receiver=BLUEBIRD, after=2),
    ),
    "another leaf at the promised place": broken_promise(bare=True),
    "no entry at the promised place": missing_entry(),
}
"""Evidence that holds, by what it shows."""
