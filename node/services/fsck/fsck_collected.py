"""What a walk through the log collects on its way: other tables follow from it."""

from array import array
from collections import defaultdict

from protocol.entries import Sealed, body_of
from protocol.identifiers import Account, Digest, Ledger
from protocol.key_entries import LogKeyRotated
from protocol.keys import PublicKey
from protocol.ledger import rules
from protocol.ledger.postings import ledger_record
from protocol.ledger.view import Overlay
from protocol.messages import body_digest, encode_body
from protocol.recovery_entries import RecoveryBegun, RecoveryEnded, RecoveryWaived


class HistoryOfHolders:
    """Collects the entries that belong to each holder's history."""

    def __init__(self) -> None:
        """Start with none."""
        self.seqs: defaultdict[Account, array[int]] = defaultdict(lambda: array("q"))

    def add(self, sealed: Sealed, view: Overlay) -> None:
        """Take note of an entry that the rules accepted."""
        for account in rules.holders_of(view, sealed.entry):
            self.seqs[account].append(sealed.entry.seq)


class BodiesOfEntries:
    """Collects the digests of the bodies that entries oblige the ledger to send, by entry.

    A partner is told of a succession when it has given back our words, or an operator has gone on without.
    """

    def __init__(self) -> None:
        """Start with none."""
        self.digests: dict[int, Digest] = {}
        self._later: dict[Ledger, tuple[int, Digest]] = {}

    def add(self, sealed: Sealed, view: Overlay) -> None:
        """Take note of an entry that the rules accepted."""
        entry = sealed.entry
        body = body_of(sealed, ledger=ledger_record(view).ledger)
        if isinstance(entry, RecoveryEnded | RecoveryWaived) and entry.partner in self._later:
            seq, digest = self._later.pop(entry.partner)
            self.digests[seq] = digest
        elif isinstance(entry, RecoveryBegun) and body is not None:
            self._later[entry.partner] = (entry.seq, body_digest(encode_body(body)))
        elif body is not None:
            self.digests[sealed.entry.seq] = body_digest(encode_body(body))


class LaterKeys:
    """Collects the keys that the log has got since its genesis, each with the entry by which it did."""

    def __init__(self) -> None:
        """Start with none."""
        self.rotated: list[tuple[int, PublicKey]] = []

    def add(self, sealed: Sealed, _view: Overlay) -> None:
        """Take note of an entry that the rules accepted."""
        if isinstance(sealed.entry, LogKeyRotated):
            self.rotated.append((sealed.entry.seq, PublicKey.parse(sealed.entry.key)))
