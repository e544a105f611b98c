"""Checkpoints by the keys of one ledger, whichever generation of its log they are of."""

from collections.abc import Callable

from node.store.rows import SignedCheckpoint
from protocol.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from protocol.errors import CheckpointInvalid, IdentifierInvalid
from protocol.identifiers import Ledger, first_of, generation_of, parse_ledger
from protocol.keys import PublicKey
from protocol.merkle import Hash
from protocol.note import Verifier, parse_note


def open_of(note: bytes, *, ledger: Ledger, key: PublicKey) -> Checkpoint:
    """Return the checkpoint in `note` once `key` is shown to have signed it for a log of `ledger`.

    Raises `NoteInvalid`, `CheckpointInvalid` or `SignatureInvalid`.
    """
    origin = parse_checkpoint(parse_note(note).text).origin
    try:
        of = first_of(parse_ledger(origin))
    except IdentifierInvalid as error:
        raise CheckpointInvalid("the checkpoint is of no ledger's log") from error
    if of != ledger:
        raise CheckpointInvalid(f"the checkpoint is of the log {origin}")
    return open_checkpoint(note, [Verifier(Ledger(origin), key)])


def place_of(checkpoint: Checkpoint) -> tuple[int, int]:
    """Return generation and size, by which the checkpoints of a ledger's logs are ordered."""
    return generation_of(Ledger(checkpoint.origin)), checkpoint.size


def lack(seen: Checkpoint, newest: SignedCheckpoint, *, root_at: Callable[[int], Hash]) -> str | None:
    """Return what a store whose last checkpoint is `newest` lacks of what somebody has `seen`, or None.

    `root_at` computes the root that the store's last log had at a size.
    """
    generation, size = place_of(seen)
    if generation > newest.generation:
        return f"has seen the log {seen.origin}, of which the store has nothing"
    if generation < newest.generation:
        # Its successor has said what was lost of an earlier log.
        return None
    if size > newest.size:
        return f"has seen {size} entries, and the store has {newest.size}"
    if root_at(size) != seen.root:
        return f"has seen another history of {size} entries than the store holds"
    return None
