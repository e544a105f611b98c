"""Segments of a log: all that can be checked of a bundle apart from the others, here or in another process."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from protocol.audit.days import DayBook, DaySums
from protocol.audit.tree import leaf_hashes, texts_of, tile_root
from protocol.entries import AnyEntry, decode_entry
from protocol.errors import EntryInvalid, ProtocolError, Refusal
from protocol.identifiers import Asset, Digest, Ledger
from protocol.ledger import rules
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES

REFUSED: Final = (Refusal, ProtocolError, ArithmeticError, AssertionError, LookupError, ValueError)
"""Why an entry is not accepted: the last four are what a rule can run into on one that no honest ledger wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose log is read: the `ledger`, by which ids are made, and its `points`."""

    ledger: Ledger
    points: Asset


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was found of entries that were read and looked at apart from the state: nothing wrong, and these `sums`.

    Each of the `entries` follows the one before it, and could be an entry of its ledger whatever else is in the log.
    """

    entries: Sequence[AnyEntry]
    sums: DaySums


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The next entries of a log with the hashes of their leaves, one after the other, and the root of a full tile.

    Where they were `read`, and nothing is wrong with them, what reads only the entries is not done again; what another
    process has read comes without its bytes.
    """

    entries: Sequence[bytes]
    leaves: bytes
    root: bytes | None = None
    read: Read | None = None

    @property
    def count(self) -> int:
        """Return how many entries there are."""
        return len(self.leaves) // HASH_BYTES


def segment_of(entries: Sequence[bytes], *, owner: Owner | None = None) -> Segment:
    """Return `entries` with their hashes; of a known `owner` they are read, too, if nothing is wrong with them."""
    if owner is not None:
        try:
            return checked_segment(entries, owner=owner)
        except ProtocolError:
            pass  # Whoever judges them finds the same, and says where.
    return Segment(entries=entries, leaves=leaf_hashes(entries))


def checked_segment(entries: Sequence[bytes], *, owner: Owner) -> Segment:
    """Return `entries`, consecutive ones of a log of `owner`, each of them read, or raise a `ProtocolError`."""
    read = [decode_entry(data) for data in entries]
    leaves = leaf_hashes(entries)
    _check_row(read, texts_of(leaves), ledger=owner.ledger)
    days = DayBook()
    days.passed(read, points=owner.points)
    root = tile_root(leaves) if len(entries) == TILE_WIDTH else None
    return Segment(entries=entries, leaves=leaves, root=root, read=Read(entries=read, sums=days.sums()))


def _check_row(entries: Sequence[AnyEntry], leaves: Iterable[Digest], *, ledger: Ledger) -> None:
    """Raise `EntryInvalid` where an entry does not follow the one before; the first one may."""
    head = rules.head_before(entries[0])
    try:
        for entry, leaf in zip(entries, leaves, strict=True):
            rules.check_placed(entry, head, ledger=ledger)
            head = rules.head_after(entry, leaf)
    except REFUSED as error:
        raise EntryInvalid("an entry is not what follows the one before it") from error
