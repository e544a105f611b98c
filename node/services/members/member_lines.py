"""What an entry means to a member, in words: the points it moved, and a number by which people find it again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from node.services.members.texts import Speech, brand_of
from node.store.reader import StoreReader
from protocol import approval_entries, entries, member_entries, point_entries, program_entries
from protocol.appeal_entries import AppealOpened
from protocol.consent import ALPHABET
from protocol.entries import AnyEntry, Sealed
from protocol.identifiers import Account, Id
from protocol.ledger.program_state import TRANSFERS
from protocol.ledger.state import OUTGOING, OutgoingRecord

SEQ_CHARACTERS: Final = 4
CHECK_CHARACTERS: Final = 4
Parts: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLine:
    """One thing that happened to an account; `change` is what it did to the points that are posted there."""

    seq: int
    confirmation: str
    time: str
    day: str
    kind: str
    id: str
    text: str
    change: int


def confirmation_of(sealed: Sealed) -> str:
    """Return the number by which people name an entry: its place in the log, and four characters of its leaf."""
    place, text = sealed.entry.seq, ""
    while place or len(text) < SEQ_CHARACTERS:
        place, digit = divmod(place, len(ALPHABET))
        text = ALPHABET[digit] + text
    return f"{text}-{_check(sealed.leaf)}"


def place_of(confirmation: str) -> tuple[int, str] | None:
    """Return the place in the log and the check that a confirmation number names, or None where it is none."""
    text, _, check = confirmation.strip().upper().partition("-")
    if len(text) < SEQ_CHARACTERS or len(check) != CHECK_CHARACTERS or set(text + check) - set(ALPHABET):
        return None
    seq = 0
    for character in text:
        seq = seq * len(ALPHABET) + ALPHABET.index(character)
    return seq, check


def is_of(sealed: Sealed, check: str) -> bool:
    """Return whether the check of a confirmation number is that of an entry."""
    return _check(sealed.leaf) == check


def _check(leaf: str) -> str:
    number, text = int(leaf[:16], 16), ""
    for _ in range(CHECK_CHARACTERS):
        number, digit = divmod(number, len(ALPHABET))
        text += ALPHABET[digit]
    return text


def change_of(entry: AnyEntry, account: Account) -> int:
    """Return what an entry adds to the points that are posted on an account."""
    return sum(posting.amount for posting in getattr(entry, "postings", ()) if posting.account == account)


class Lines:
    """Puts entries into the words of one language, as the owner of one account sees them."""

    def __init__(self, reader: StoreReader, speech: Speech, account: Account) -> None:
        self._reader = reader
        self._speech = speech
        self._account = account

    def line(self, sealed: Sealed, *, day: str) -> MemberLine:
        """Return an entry as a line of the account's history; `day` is the program's."""
        entry = sealed.entry
        key, parts = self._said(entry)
        return MemberLine(
            seq=entry.seq,
            confirmation=confirmation_of(sealed),
            time=entry.time,
            day=day,
            kind=str(entry.__struct_config__.tag),
            id=entry.id,
            text=self._speech.say(f"entry.{key}", **parts),
            change=change_of(entry, self._account),
        )

    def _said(self, entry: AnyEntry) -> tuple[str, Parts]:
        """Return the key of an entry's text and its parts."""
        kind = str(entry.__struct_config__.tag)
        for family in (self._of_points, self._of_holds, self._of_links, self._of_conversions, self._of_transfers):
            found = family(entry, kind)
            if found is not None:
                return found
        if isinstance(entry, AppealOpened):
            return kind, {"until": self._speech.date(entry.deadline)}
        return (kind if kind in _PLAIN else "other"), {}

    def _of_points(self, entry: AnyEntry, kind: str) -> tuple[str, Parts] | None:
        change = change_of(entry, self._account)
        points = {"points": self._speech.points(abs(change))}
        match entry:
            case point_entries.PointsIssued(spendable_on=str() as start):
                return f"{kind}.pending", {**points, "start": self._speech.date(start)}
            case point_entries.PointsIssued(expires_on=str() as until):
                return f"{kind}.until", {**points, "until": self._speech.date(until)}
            case (
                point_entries.PointsTransferred()
                | point_entries.PointsReversed()
                | approval_entries.PointsAdjusted()
                | program_entries.AccountMerged()
            ):
                return f"{kind}.{'in' if change >= 0 else 'out'}", points
            case _:
                return (kind, points) if kind in _OF_POINTS else None

    def _of_holds(self, entry: AnyEntry, kind: str) -> tuple[str, Parts] | None:
        match entry:
            case point_entries.HoldPlaced():
                return kind, {"points": self._speech.points(entry.amount)}
            case point_entries.HoldCaptured():
                return kind, {"points": self._speech.points(abs(change_of(entry, self._account)))}
            case point_entries.HoldReleased():
                return (f"{kind}.expired" if entry.expired else kind), {}
            case _:
                return None

    def _of_links(self, entry: AnyEntry, kind: str) -> tuple[str, Parts] | None:
        if isinstance(entry, member_entries.LinkIssued | member_entries.LinkAccepted | member_entries.LinkRevoked):
            return kind, {"brand": brand_of(entry.partner)}
        return None

    def _of_conversions(self, entry: AnyEntry, kind: str) -> tuple[str, Parts] | None:
        match entry:
            case entries.ConversionCredited():
                points = self._speech.points(entry.destination_points)
                return kind, {"points": points, "brand": brand_of(entry.source)}
            case (
                entries.ConversionHeld()
                | entries.ConversionCancelRequested()
                | entries.ConversionCaptured()
                | entries.ConversionReleased()
                | entries.ConversionForced()
            ):
                return kind, self._order(Id(entry.conversion))
            case _:
                return None

    def _order(self, conversion: Id) -> Parts:
        record = self._reader.record(OUTGOING, conversion)
        assert record is not None, "an entry of an order has its record"
        return order_parts(record, self._speech)

    def _of_transfers(self, entry: AnyEntry, kind: str) -> tuple[str, Parts] | None:
        if isinstance(entry, program_entries.TransferOffered):
            way = "out" if entry.account == self._account else "in"
            until = self._speech.moment(entry.accept_by)
            return f"{kind}.{way}", {"points": self._speech.points(entry.amount), "until": until}
        if isinstance(entry, program_entries.TransferAccepted):
            record = self._reader.record(TRANSFERS, Id(entry.transfer))
            assert record is not None, "what was accepted had been offered"
            way = "out" if record.account == self._account else "in"
            return f"{kind}.{way}", {"points": self._speech.points(record.amount)}
        return None


def order_parts(record: OutgoingRecord, speech: Speech) -> Parts:
    """Return what texts about a conversion to a partner name."""
    return {
        "brand": brand_of(record.destination),
        "points": speech.points(record.source_points + record.fee_points),
        "gives": speech.points(record.destination_points),
    }


_OF_POINTS: Final = frozenset({"points_issued", "points_redeemed", "points_expired", "balance_imported"})
_PLAIN: Final = frozenset(
    {
        "account_opened",
        "account_closed",
        "account_erased",
        "account_frozen",
        "account_unfrozen",
        "transfer_declined",
        "review_opened",
        "review_closed",
        "appeal_message",
        "appeal_decided",
    }
)
