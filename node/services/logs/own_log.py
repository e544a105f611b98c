"""Checkpoints by the keys of one ledger, whichever generation of its log they are of."""

from collections.abc import Callable

from node.store.reader import StoreReader
from node.store.rows import SignedCheckpoint
from protocol.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from protocol.errors import CheckpointInvalid, IdentifierInvalid, SignatureInvalid
from protocol.identifiers import Ledger, first_of, generation_of, parse_ledger
from protocol.keys import PublicKey
from protocol.ledger.names import log_key_id
from protocol.ledger.rotation import log_keys
from protocol.ledger.state import LedgerRecord
from protocol.merkle import Hash
from protocol.note import Verifier, parse_note, verify_note


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


def is_signed_by_all(note: bytes, record: LedgerRecord, reader: StoreReader) -> bool:
    """Return whether `note`, which `open_of` has opened, bears a line of each key that our log had by then.

    What lacks one may be the work of whoever has stolen a key that was rotated since. So may what a witness or a
    partner shows that does not know of the rotation: it has kept the lines of the keys that it knows.
    """
    parsed = parse_note(note)
    checkpoint = parse_checkpoint(parsed.text)
    try:
        for number, key in enumerate(log_keys(record)[1:], 1):
            if _covers(checkpoint, reader.entry_seq_of_id(log_key_id(number)), record):
                verify_note(parsed, [Verifier(Ledger(checkpoint.origin), key)])
    except SignatureInvalid:
        return False
    return True


def _covers(checkpoint: Checkpoint, seq: int | None, record: LedgerRecord) -> bool:
    """Return whether a checkpoint of our present log, or of one after it, covers our entry `seq`."""
    assert seq is not None, "a key that the log has got is there by an entry"
    generation, size = place_of(checkpoint)
    present = generation_of(record.log)
    return generation > present or (generation == present and record.first_seq + size > seq)


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
