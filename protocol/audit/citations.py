"""What the entries of a log say of messages: each decision rests on a body that the partner signed.

Where an entry repeats a whole body, the rules have shown that the digest it cites is that body's, so the digest alone
proves the terms. A refusal repeats only part of what it refuses; that part is compared once the body is at hand.
"""

from collections import defaultdict
from typing import TypeAlias

import msgspec

from protocol.entries import (
    AgreementEnded,
    AnyEntry,
    ConversionCaptured,
    ConversionCredited,
    ConversionRefused,
    ConversionReleased,
    Sealed,
)
from protocol.identifiers import Digest, Id, Ledger
from protocol.ledger.postings import ledger_record
from protocol.ledger.state import OUTGOING
from protocol.ledger.view import Overlay
from protocol.member_entries import LinkRevoked
from protocol.messages import (
    Body,
    Cancel,
    Close,
    Dispute,
    End,
    Fulfil,
    PaymentAdvice,
    Prepare,
    Receipt,
    Reject,
    Returned,
    StatementSigned,
    Succeeded,
    Unlink,
)
from protocol.recovery_entries import PartnerSucceeded, Recovered
from protocol.window_entries import (
    DisputeReceived,
    PaymentReceived,
    ReceiptReceived,
    StatementAgreed,
    WindowCloseReceived,
)

Stated: TypeAlias = tuple[tuple[str, str], ...]
"""Fields of a body and the values that the citing entry gives them."""


class Citation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The entry `seq` rests on a body of this kind by `sender`; `stated` is empty where the digest says it all."""

    seq: int
    kind: str
    sender: Ledger
    stated: Stated = ()

    @property
    def name(self) -> str:
        """Return what kind of message is cited, as people call it."""
        return self.kind.upper()

    def differences(self, body: Body) -> list[str]:
        """Return the names of the fields in which `body` is not what the entry states."""
        return [name for name, value in self.stated if getattr(body, name) != value]


class Citations:
    """Collects what a log's entries cite, by the digest of the cited body."""

    __slots__ = ("by_digest",)

    def __init__(self) -> None:
        """Start with none."""
        self.by_digest: defaultdict[Digest, list[Citation]] = defaultdict(list)

    def add(self, sealed: Sealed, view: Overlay) -> None:
        """Take note of an entry that the rules accepted."""
        match sealed.entry:
            case ConversionCaptured() as entry:
                sender = _destination(view, entry.conversion)
                self._cite(entry.fulfil, Fulfil, seq=entry.seq, sender=sender)
            case ConversionReleased() as entry:
                sender = _destination(view, entry.conversion)
                self._cite(entry.reject, Reject, seq=entry.seq, sender=sender)
            case ConversionCredited() as entry:
                self._cite(entry.prepare, Prepare, seq=entry.seq, sender=entry.source)
            case ConversionRefused() as entry:
                self._refused(entry, view)
            case AgreementEnded() as entry if entry.notice is not None:
                self._cite(entry.notice, End, seq=entry.seq, sender=entry.partner)
            case PartnerSucceeded() as entry:
                self._cite(entry.succession, Succeeded, seq=entry.seq, sender=entry.partner)
            case Recovered() as entry:
                self._recovered(entry)
            case LinkRevoked() as entry if entry.notice is not None:
                self._cite(entry.notice, Unlink, seq=entry.seq, sender=entry.partner)
            case _:
                self._of_window(sealed.entry)

    def _of_window(self, of_window: AnyEntry) -> None:
        match of_window:
            case WindowCloseReceived() as entry:
                self._cite(entry.close, Close, seq=entry.seq, sender=entry.partner)
            case DisputeReceived() as entry:
                self._cite(entry.dispute, Dispute, seq=entry.seq, sender=entry.partner)
            case StatementAgreed() as entry:
                self._cite(entry.answered, StatementSigned, seq=entry.seq, sender=entry.partner)
            case PaymentReceived() as entry:
                self._cite(entry.payment, PaymentAdvice, seq=entry.seq, sender=entry.partner)
            case ReceiptReceived() as entry:
                self._cite(entry.receipt, Receipt, seq=entry.seq, sender=entry.partner)
            case _:
                pass

    def _recovered(self, entry: Recovered) -> None:
        """Cite a word of this ledger's own by the frame in which the partner gave it back."""
        self._cite(entry.digest, Returned, seq=entry.seq, sender=entry.partner)
        if isinstance(entry.body, Fulfil):
            self._cite(entry.body.prepare, Prepare, seq=entry.seq, sender=entry.partner)

    def _cite(self, digest: Digest, kind: type[Body], *, seq: int, sender: Ledger, stated: Stated = ()) -> None:
        tag = str(kind.__struct_config__.tag)
        self.by_digest[digest].append(Citation(seq=seq, kind=tag, sender=sender, stated=stated))

    def _refused(self, entry: ConversionRefused, view: Overlay) -> None:
        stated: Stated = (
            ("network", entry.network),
            ("source", entry.source),
            ("destination", ledger_record(view).ledger),
            ("id", entry.conversion),
        )
        if entry.cancel is None:
            self._cite(entry.prepare, Prepare, seq=entry.seq, sender=entry.source, stated=stated)
            return
        stated = (*stated, ("prepare", entry.prepare))
        self._cite(entry.cancel, Cancel, seq=entry.seq, sender=entry.source, stated=stated)


def _destination(view: Overlay, conversion: Id) -> Ledger:
    record = view.get(OUTGOING, conversion)
    assert record is not None, "a concluded conversion has its record"
    return record.destination
