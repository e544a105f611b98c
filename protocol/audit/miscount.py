"""A FULFIL that its own signer's close or statement does not count: evidence of a false bill (specs/audit.md §9.5).

The totals of a window are the word of who decided its conversions, and so are the FULFILs. Their numbers and the root
over them say which FULFIL stands where, so one that does not stand there shows that one of the two words is false.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Protocol

import msgspec
from msgspec import Meta

from protocol.audit.messages import is_addressed
from protocol.checkpoint import Checkpoint
from protocol.envelope import Header, Sighting
from protocol.errors import EvidenceInvalid
from protocol.fields import DigestField
from protocol.identifiers import Digest, Ledger, first_of
from protocol.limits import NOTE_BYTES_MAX, PROOF_HASHES_MAX
from protocol.merkle import Hash, MemoryTree, leaf_hash, verify_inclusion
from protocol.messages import Body, Close, EntryReference, Fulfil, StatementSigned
from protocol.points import Natural
from protocol.statement import Totals, check_totals

Path = Annotated[tuple[DigestField, ...], Meta(max_length=PROOF_HASHES_MAX)]

BEFORE: Final = -1
WITHIN: Final = 0
AFTER: Final = 1


class Standing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shows that one signed log holds the entries of the account and of the FULFIL: neither was ever lost."""

    checkpoint: Annotated[str, Meta(max_length=NOTE_BYTES_MAX)]
    account_index: Natural
    account_path: Path
    fulfil_index: Natural
    fulfil_path: Path


class Opener(Protocol):
    """Verifies what the accused signed, by the keys of whoever judges."""

    def sighted(self, sighting: Sighting) -> tuple[Header, Body]:
        """Return a message, or raise a `ProtocolError` or `CouldNotCheck`."""

    def checkpoint(self, note: str) -> Checkpoint:
        """Return a checkpoint, or raise a `ProtocolError` or `CouldNotCheck`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What the decider signed that it credited in a window, and the entry of its log in which it stands."""

    window: int
    totals: Totals
    entry: EntryReference


def account_of(body: Body) -> Account | None:
    """Return what the sender of `body` says it credited from the receiver, or None where it says no such thing."""
    if isinstance(body, Close):
        return Account(window=body.window, totals=body.totals, entry=body.entry)
    if not isinstance(body, StatementSigned):
        return None
    statement = body.signed.statement
    parties = tuple(sorted((body.sender, body.receiver)))
    if (statement.network, statement.window, statement.parties) != (body.network, body.window, parties):
        return None
    return Account(window=body.window, totals=statement.bill(body.receiver).totals, entry=body.entry)


def side_of(number: int, totals: Totals) -> int:
    """Return whether a decision's number comes before those of the totals, is one of them, or comes after."""
    if number < totals.first_dec_seq:
        return BEFORE
    return AFTER if number > totals.last_dec_seq else WITHIN


def is_displaced(fulfil: Fulfil, account: Account) -> bool:
    """Return whether number and window of a FULFIL alone contradict the account: numbers rise with the windows."""
    side = (fulfil.window > account.window) - (fulfil.window < account.window)
    return side_of(fulfil.dec_seq, account.totals) != side


def check_uncounted(
    account: Sighting, fulfil: Sighting, *, leaf: Digest | None, path: Path, standing: Standing | None, opener: Opener
) -> tuple[Header, Fulfil, Account]:
    """Return the FULFIL that the account of its signer does not count, or raise a `ProtocolError`."""
    header, said = opener.sighted(account)
    other, decided = opener.sighted(fulfil)
    counted = account_of(said)
    if counted is None or not isinstance(decided, Fulfil) or not is_addressed(decided, other):
        raise EvidenceInvalid("the messages are no account of a window and no FULFIL")
    if not is_addressed(said, header) or _ends(header) != _ends(other):
        raise EvidenceInvalid("the two messages are not of one sender to one receiver")
    check_totals(counted.totals)
    if is_displaced(decided, counted):
        if leaf is not None or path:
            raise EvidenceInvalid("the place alone shows it, and needs no other leaf")
    else:
        _check_other_leaf(fulfil.frame.body, decided, counted, leaf=leaf, path=path)
    if standing is not None:
        _check_standing(standing, counted.entry, decided.entry, header=header, opener=opener)
    elif (header.epoch, header.epoch_nonce) != (other.epoch, other.epoch_nonce):
        raise EvidenceInvalid("the messages are of two epochs, between which a store can have been put back")
    return header, decided, counted


def _ends(header: Header) -> tuple[str, str, str]:
    return header.network, header.sender, header.receiver


def _check_other_leaf(digest: Digest, fulfil: Fulfil, account: Account, *, leaf: Digest | None, path: Path) -> None:
    totals = account.totals
    if leaf is None or side_of(fulfil.dec_seq, totals) != WITHIN:
        raise EvidenceInvalid("the account can count the FULFIL")
    if leaf == digest:
        raise EvidenceInvalid("the account counts the FULFIL")
    verify_inclusion(
        leaf=leaf_hash(bytes.fromhex(leaf)),
        index=fulfil.dec_seq - totals.first_dec_seq,
        size=totals.count,
        root=_hash(totals.root),
        proof=[_hash(node) for node in path],
    )


def _check_standing(
    standing: Standing, account: EntryReference, fulfil: EntryReference, *, header: Header, opener: Opener
) -> None:
    """Raise a `ProtocolError` unless one log of the sender holds both entries.

    What a leaf hash names tells its own number, so it does not matter where in the log the two stand.
    """
    checkpoint = opener.checkpoint(standing.checkpoint)
    if first_of(Ledger(checkpoint.origin)) != header.sender:
        raise EvidenceInvalid("the log is not the sender's")
    places = (
        (account, standing.account_index, standing.account_path),
        (fulfil, standing.fulfil_index, standing.fulfil_path),
    )
    for entry, index, path in places:
        verify_inclusion(
            leaf=_hash(entry.leaf),
            index=index,
            size=checkpoint.size,
            root=checkpoint.root,
            proof=[_hash(node) for node in path],
        )


def _hash(text: str) -> Hash:
    return Hash(bytes.fromhex(text))


def other_leaf(fulfil: Fulfil, account: Account, counted: Sequence[Digest]) -> tuple[Digest | None, Path]:
    """Return the leaf in the place of `fulfil`, with its path, out of the FULFILs that the account counts, in order.

    Its number alone shows what it shows: then there is none.
    """
    if is_displaced(fulfil, account) or side_of(fulfil.dec_seq, account.totals) != WITHIN:
        return None, ()
    index = fulfil.dec_seq - account.totals.first_dec_seq
    tree = MemoryTree(leaf_hash(bytes.fromhex(each)) for each in counted)
    return counted[index], tuple(Digest(node.hex()) for node in tree.inclusion_proof(index))
