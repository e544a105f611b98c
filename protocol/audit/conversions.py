"""The conversions of one log, as far as another log or a message must agree with them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from protocol.entries import (
    ConversionCaptured,
    ConversionCredited,
    ConversionHeld,
    ConversionRefused,
    ConversionReleased,
    Posting,
    Sealed,
    body_of,
)
from protocol.identifiers import Asset, Digest, Id, Ledger, Network
from protocol.ledger.postings import ledger_record
from protocol.ledger.state import OUTGOING
from protocol.ledger.view import Overlay
from protocol.messages import EntryReference, Fulfil, Prepare, Reject, body_digest, encode_body
from protocol.recovery_entries import Recovered


class Name(NamedTuple):
    """What names a conversion between two given ledgers."""

    network: Network
    id: Id


class Terms(NamedTuple):
    """The amounts of a conversion."""

    steps: int
    source_points: int
    destination_points: int
    fee_points: int
    value: int
    currency: Asset


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A decision that a source took note of: the body that brought it, the entry that it promises, and when."""

    credited: bool
    body: Digest
    promised: EntryReference
    seq: int
    dec_seq: int | None
    reason: str | None
    owed: int
    time: str
    window: int | None


class Sent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A conversion at its source: the hold, the PREPARE it made, and the decision once there is one."""

    held: EntryReference
    prepare: Digest
    terms: Terms
    time: str
    decision: Decision | None = None


class Decided(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A conversion at its destination: the deciding entry and the FULFIL or REJECT it made; a refusal has no terms."""

    entry: EntryReference
    prepare: Digest
    body: Digest
    cancel: Digest | None
    terms: Terms | None
    source_entry: EntryReference | None
    dec_seq: int | None
    reason: str | None
    due: int
    time: str
    window: int | None


class ConversionBook:
    """Collects the conversions of a log: `sent` by destination, `decided` by source."""

    __slots__ = ("decided", "sent")

    def __init__(self) -> None:
        """Start with none."""
        self.sent: defaultdict[Ledger, dict[Name, Sent]] = defaultdict(dict)
        self.decided: defaultdict[Ledger, dict[Name, Decided]] = defaultdict(dict)

    def add(self, sealed: Sealed, view: Overlay) -> None:
        """Take note of an entry that the rules accepted."""
        match sealed.entry:
            case ConversionHeld() as entry:
                self._held(sealed, entry, view)
            case ConversionCaptured() | ConversionReleased() as entry:
                self._concluded(entry, view)
            case ConversionCredited() | ConversionRefused() as entry:
                self._decide(sealed, entry, view)
            case Recovered() as entry:
                self._recovered(sealed, entry)
            case _:
                pass

    def _held(self, sealed: Sealed, entry: ConversionHeld, view: Overlay) -> None:
        record = view.get(OUTGOING, entry.conversion)
        assert record is not None, "an accepted hold has its record"
        name = Name(entry.network, entry.conversion)
        self.sent[entry.destination][name] = Sent(
            held=sealed.reference, prepare=record.prepare, terms=_terms_of(entry), time=entry.time
        )

    def _concluded(self, entry: ConversionCaptured | ConversionReleased, view: Overlay) -> None:
        record = view.get(OUTGOING, entry.conversion)
        assert record is not None, "a concluded conversion has its record"
        captured = isinstance(entry, ConversionCaptured)
        decision = Decision(
            credited=captured,
            body=entry.fulfil if isinstance(entry, ConversionCaptured) else entry.reject,
            promised=entry.partner_entry,
            seq=entry.seq,
            dec_seq=entry.dec_seq if isinstance(entry, ConversionCaptured) else None,
            reason=entry.reason if isinstance(entry, ConversionReleased) else None,
            owed=_moved(entry.postings, "payable/") if isinstance(entry, ConversionCaptured) else 0,
            time=entry.time,
            window=entry.window if isinstance(entry, ConversionCaptured) else None,
        )
        sent = self.sent[record.destination]
        name = Name(record.network, entry.conversion)
        sent[name] = msgspec.structs.replace(sent[name], decision=decision)

    def _decide(self, sealed: Sealed, entry: ConversionCredited | ConversionRefused, view: Overlay) -> None:
        body = body_of(sealed, ledger=ledger_record(view).ledger)
        assert body is not None, "a decision makes a body"
        credited = entry if isinstance(entry, ConversionCredited) else None
        refused = entry if isinstance(entry, ConversionRefused) else None
        self.decided[entry.source][Name(entry.network, entry.conversion)] = Decided(
            entry=sealed.reference,
            prepare=entry.prepare,
            body=body_digest(encode_body(body)),
            cancel=refused.cancel if refused else None,
            terms=_terms_of(credited) if credited else None,
            source_entry=credited.source_entry if credited else None,
            dec_seq=credited.dec_seq if credited else None,
            reason=refused.reason if refused else None,
            due=-_moved(credited.postings, "receivable/") if credited else 0,
            time=entry.time,
            window=credited.window if credited else None,
        )

    def _recovered(self, sealed: Sealed, entry: Recovered) -> None:
        """Take note of a word that stands again: the entry that it names is the one that was lost."""
        body = entry.body
        if isinstance(body, Prepare):
            sent = Sent(held=sealed.reference, prepare=entry.digest, terms=_terms_of(body), time=entry.time)
            self.sent[body.destination][Name(body.network, body.id)] = sent
        elif isinstance(body, Fulfil | Reject):
            prepare, credited = entry.prepare, isinstance(body, Fulfil)
            self.decided[body.source][Name(body.network, body.id)] = Decided(
                entry=body.entry,
                prepare=body.prepare,
                body=entry.digest,
                cancel=body.cancel if isinstance(body, Reject) else None,
                terms=_terms_of(prepare) if credited and prepare else None,
                source_entry=prepare.entry if prepare else None,
                dec_seq=body.dec_seq if isinstance(body, Fulfil) else None,
                reason=body.reason if isinstance(body, Reject) else None,
                due=-_moved(entry.postings, "receivable/"),
                time=entry.time,
                window=body.window if isinstance(body, Fulfil) else None,
            )


def _terms_of(entry: ConversionHeld | ConversionCredited | Prepare) -> Terms:
    return Terms(
        entry.steps,
        entry.source_points,
        entry.destination_points,
        entry.fee_points,
        entry.value,
        entry.currency,
    )


def _moved(postings: Sequence[Posting], prefix: str) -> int:
    """Return what `postings` add to the accounts that begin with `prefix`."""
    return sum(posting.amount for posting in postings if posting.account.startswith(prefix))
