"""Receipts: an entry, its path to a checkpoint, and that checkpoint, in one text (C2SP tlog-proof; specs/receipts.md).

A receipt is verified offline with the log's public key, years later, with no server.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from protocol.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint, parse_decimal
from protocol.errors import ProofInvalid
from protocol.keys import decode_base64, encode_base64
from protocol.limits import ENTRY_BYTES_MAX, LOG_SIZE_MAX, NOTE_BYTES_MAX, PROOF_HASHES_MAX, RECEIPT_BYTES_MAX
from protocol.merkle import HASH_BYTES, Hash, leaf_hash, verify_inclusion
from protocol.note import Verifier, format_note, parse_note

HEADER: Final = "c2sp.org/tlog-proof@v1"
_EXTRA: Final = "extra "
_INDEX: Final = "index "


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A parsed receipt, nothing of it verified: `extra` is the entry's bytes in receipts of this protocol."""

    extra: bytes | None
    index: int
    proof: tuple[Hash, ...]
    checkpoint: bytes

    def __post_init__(self) -> None:
        """Raise `ProofInvalid` for parts beyond the bounds of the protocol."""
        if self.extra is not None and len(self.extra) > ENTRY_BYTES_MAX:
            raise ProofInvalid(f"a receipt's entry has at most {ENTRY_BYTES_MAX} bytes")
        if not 0 <= self.index < LOG_SIZE_MAX:
            raise ProofInvalid(f"a log has at most {LOG_SIZE_MAX} leaves")
        if len(self.proof) > PROOF_HASHES_MAX or any(len(each) != HASH_BYTES for each in self.proof):
            raise ProofInvalid(f"a receipt has at most {PROOF_HASHES_MAX} hashes of {HASH_BYTES} bytes")
        if len(self.checkpoint) > NOTE_BYTES_MAX:
            raise ProofInvalid(f"a receipt's checkpoint has at most {NOTE_BYTES_MAX} bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedReceipt:
    """What a verified receipt shows: the log that signed `checkpoint` has `entry` at `index`."""

    entry: bytes
    index: int
    checkpoint: Checkpoint


def format_receipt(receipt: Receipt) -> bytes:
    """Return the bytes of `receipt` (C2SP tlog-proof, Format)."""
    lines = [HEADER]
    if receipt.extra is not None:
        lines.append(_EXTRA + encode_base64(receipt.extra))
    lines.append(f"{_INDEX}{receipt.index}")
    lines.extend(map(encode_base64, receipt.proof))
    return "".join(f"{line}\n" for line in lines).encode("ascii") + b"\n" + receipt.checkpoint


def parse_receipt(data: bytes) -> Receipt:
    """Return the receipt in `data`, not yet verified, or raise `ProofInvalid`."""
    head, blank, checkpoint = data.partition(b"\n\n")
    if len(data) > RECEIPT_BYTES_MAX or not blank or not head.isascii():
        raise ProofInvalid("the bytes are not a receipt")
    header, *lines = head.decode("ascii").split("\n")
    extra = None
    if lines and lines[0].startswith(_EXTRA):
        extra = _bytes_of(lines.pop(0).removeprefix(_EXTRA))
    index = parse_decimal(lines[0].removeprefix(_INDEX)) if lines and lines[0].startswith(_INDEX) else None
    if header != HEADER or index is None:
        raise ProofInvalid("a receipt names its format and an index")
    proof = tuple(Hash(_bytes_of(line)) for line in lines[1:])
    return Receipt(extra=extra, index=index, proof=proof, checkpoint=checkpoint)


def verify_receipt(receipt: Receipt, *, leaf: Hash, verifiers: Sequence[Verifier]) -> Checkpoint:
    """Return the verified checkpoint under which `receipt` places `leaf`, or raise a `ProtocolError`.

    The log is whichever of `verifiers` the checkpoint names: pass only keys of logs that may have issued it. Size and
    root come from the signed checkpoint alone (C2SP tlog-proof; RFC 6962 §2.1.1).
    """
    checkpoint = open_checkpoint(receipt.checkpoint, verifiers)
    verify_inclusion(leaf=leaf, index=receipt.index, size=checkpoint.size, root=checkpoint.root, proof=receipt.proof)
    return checkpoint


def open_receipt(data: bytes, verifiers: Sequence[Verifier]) -> OpenedReceipt:
    """Return the entry that the receipt in `data` proves, or raise a `ProtocolError`.

    The leaf is computed from the entry's bytes in `extra`, which nothing else authenticates; a receipt without them
    is refused with `ProofInvalid`.
    """
    receipt = parse_receipt(data)
    if receipt.extra is None:
        raise ProofInvalid("the receipt does not carry its entry")
    checkpoint = verify_receipt(receipt, leaf=leaf_hash(receipt.extra), verifiers=verifiers)
    return OpenedReceipt(entry=receipt.extra, index=receipt.index, checkpoint=checkpoint)


def refreshed(old: Receipt, new: Receipt) -> Receipt:
    """Return the later of two receipts of one entry, with every cosignature that both have of its checkpoint.

    No signature is verified here. Raises a `ProtocolError` where they are not of one entry in one place of one log,
    where `new` does not lead to the root that it states, and where the two state different roots of one size.
    """
    if old.extra is None or (old.extra, old.index) != (new.extra, new.index):
        raise ProofInvalid("the two receipts are not of one entry in one place")
    before, after = (parse_note(each.checkpoint) for each in (old, new))
    earlier, later = parse_checkpoint(before.text), parse_checkpoint(after.text)
    if earlier.origin != later.origin:
        raise ProofInvalid(f"the two receipts are of the logs {earlier.origin} and {later.origin}")
    leaf = leaf_hash(old.extra)
    verify_inclusion(leaf=leaf, index=new.index, size=later.size, root=later.root, proof=new.proof)
    if later.size != earlier.size:
        return old if later.size < earlier.size else new
    if later != earlier:
        raise ProofInvalid(f"the two receipts state different roots of {later.size} entries: keep both")
    lines = [each for each in before.signatures if each not in after.signatures]
    return replace(new, checkpoint=format_note(after.with_signatures(lines)))


def _bytes_of(line: str) -> bytes:
    data = decode_base64(line)
    if data is None:
        raise ProofInvalid("a line of the receipt is not canonical base64")
    return data
