"""Files of evidence of every kind: what a brand of the tests signed that no honest one would."""

from collections.abc import Sequence
from typing import Final

import msgspec

from protocol.audit.evidence import BrokenPromise, Contradiction, Evidence, Fork, MissingEntry, Uncounted
from protocol.audit.fenced import Fenced
from protocol.audit.miscount import Standing, account_of, other_leaf
from protocol.envelope import Envelope, Sighting, decode_parcel, encode_parcel, sighting_of
from protocol.identifiers import Digest
from protocol.merkle import MemoryTree, leaf_hash
from protocol.messages import Body, Close, EntryReference, Fulfil, StatementSigned, encode_body
from protocol.proof import Receipt, format_receipt
from tests.support import parcels
from tests.support.audits import signed_checkpoint
from tests.support.documents import AURORA, BLUEBIRD, NETWORK, Side, fulfil, hello, prepare, reject
from tests.support.settlement import asked, close, lines, signed_statement, statement

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


COUNTED: Final = lines(1, [1, 2, 3, 4, 5])
"""What BLUEBIRD counts in window 1 of conversions out of AURORA."""


def credited(dec_seq: int, *, window: int = 1, name: int = 99) -> Fulfil:
    """Return a FULFIL by BLUEBIRD of another conversion than those that it counts."""
    return fulfil(asked(name), window=window, dec_seq=dec_seq)


def billed() -> StatementSigned:
    """Return BLUEBIRD's word on window 1 as a statement."""
    signed = signed_statement(statement(COUNTED), signers=[BLUEBIRD])
    return StatementSigned(
        network=NETWORK,
        sender=BLUEBIRD.ledger,
        receiver=AURORA.ledger,
        window=1,
        signed=signed,
        entry=EntryReference(seq=5, leaf=leaf(HONEST[5])),
    )


def closed() -> Close:
    """Return BLUEBIRD's close of window 1."""
    return close(AURORA, COUNTED)


def uncounted(
    said: Body, decided: Fulfil, *, epochs: tuple[int, int] = (1, 1), standing: Standing | None = None
) -> Uncounted:
    """Return the evidence that BLUEBIRD does not count what it credited."""
    account = account_of(said)
    assert account is not None
    found, path = other_leaf(decided, account, [each.fulfil for each in COUNTED])
    return Uncounted(
        account=sighted(said, after=2, epoch=epochs[0]),
        fulfil=sighted(decided, after=1, epoch=epochs[1]),
        leaf=found,
        path=path,
        standing=standing,
    )


def standing(*, side: Side = BLUEBIRD, entries: Sequence[bytes] = HONEST) -> Standing:
    """Return the proof that the entries 3, of a FULFIL, and 5, of an account, are in a log that `side` signed."""
    tree = tree_of(entries)
    return Standing(
        checkpoint=signed_checkpoint(side, entries).decode(),
        account_index=5,
        account_path=tuple(Digest(node.hex()) for node in tree.inclusion_proof(5)),
        fulfil_index=3,
        fulfil_path=tuple(Digest(node.hex()) for node in tree.inclusion_proof(3)),
    )


def uncounted_long_ago() -> Uncounted:
    """Return evidence whose messages are of two epochs, and whose entries are in one log."""
    said, decided = naming(closed(), 5, HONEST[5]), naming(credited(2), 3, HONEST[3])
    assert isinstance(decided, Fulfil)
    return uncounted(said, decided, epochs=(4, 1), standing=standing())


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
    "a close against a FULFIL": uncounted(closed(), credited(2)),
    "a statement against a FULFIL": uncounted(billed(), credited(5)),
    "a FULFIL beyond the close": uncounted(closed(), credited(6)),
    "a FULFIL of another window within the close": uncounted(closed(), credited(3, window=2)),
    "a close against a FULFIL of another epoch": uncounted_long_ago(),
}
"""Evidence that holds, by what it shows."""


def decided_twice() -> Contradiction:
    """Return the evidence that BLUEBIRD credited in its epoch 1, frame 2, and refused in epoch 2."""
    return Contradiction(first=sighted(fulfil(), after=2), second=sighted(reject(), after=1, epoch=2))


def fence(before: tuple[int, int], *, epoch: int = 2, by: Side = AURORA, to: Side = BLUEBIRD) -> Envelope:
    """Return an envelope in which `by` says where it was in its partner's stream when it accepted `epoch`."""
    acknowledges = parcels.acknowledgement(epoch=epoch, before=before)
    return parcels.envelope(parcels.header([], sender=by, receiver=to, acknowledges=acknowledges), sender=by)


def fenced(word: Sighting | None = None, by: Envelope | None = None) -> Fenced:
    """Return AURORA's word that it had never applied what BLUEBIRD credited."""
    return Fenced(word=word or decided_twice().first, fence=by or fence((1, 2)))
