"""A member's day: its balance, its history and conversions in words, and all that is kept about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from node.services.answers import Document, EntryAnswer
from node.services.at_once import AtOnce
from node.services.context import Context
from node.services.conversions.conversions import ConversionsService, ConversionView
from node.services.conversions.quotes import QuotesService, QuoteView
from node.services.logs.log import LogService
from node.services.members.accounts import AccountsService, AccountView, ExpiryView
from node.services.members.links import LinkList, LinksService
from node.services.members.member_lines import Lines, MemberLine, confirmation_of, is_of, order_parts, place_of
from node.services.members.people import PeopleService, PersonView
from node.services.members.texts import Speech, brand_of
from node.services.metadata import kept_beside
from node.services.refusals import NodeCode, NodeRefusal
from node.services.requests import QuoteRequest
from node.store.rows_members import Locale
from protocol.entries import Sealed, unseal
from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Id
from protocol.ledger.state import OUTGOING, OutgoingRecord
from protocol.program import day_of

DOWNLOAD_ENTRIES_MAX: Final = 50_000
DOWNLOADS_MAX: Final = 4
"""Downloads made at once: one for each member, for each keeps all of it in memory."""

PAGE_ENTRIES: Final = 256
SECRET_COLUMNS: Final = frozenset({"code", "state", "challenge", "verifier", "spent_by"})
"""What a download leaves out: it is no data about a member, and must not be known twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceView:
    """What a member has: `available` can be spent now, `pending` later, and `held` is set aside."""

    account: str
    status: str
    points: str
    available: int
    pending: int
    held: int
    next_expiry: ExpiryView | None
    next_pending: ExpiryView | None
    open_conversions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberHistory:
    """What happened to an account, newest first; `next` is the cursor of the page after, if there is one."""

    lines: tuple[MemberLine, ...]
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberConversion:
    """A conversion of a member's, in words: where it stands, and since when."""

    id: str
    confirmation: str
    state: str
    text: str
    partner: str
    brand: str
    points: int
    fee: int
    gives: int
    since: str
    concluded_at: str | None
    receipt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberConversions:
    """A member's conversions, newest first; `next` is the cursor of the page after, if there is one."""

    conversions: tuple[MemberConversion, ...]
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberQuote:
    """What a conversion would give, in numbers and in words."""

    quote: QuoteView
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """All that is kept about a member; `complete` is false where the history is longer than one download."""

    account: AccountView
    personal: PersonView | None
    links: LinkList
    entries: tuple[EntryAnswer, ...]
    metadata: Mapping[str, Document]
    rows: Mapping[str, tuple[Mapping[str, object], ...]]
    complete: bool


class MemberService:
    """What a member's own app asks for; each method is told whose account it is."""

    def __init__(
        self,
        context: Context,
        *,
        people: PeopleService,
        conversions: ConversionsService,
        quotes: QuotesService,
        links: LinksService,
        log: LogService,
    ) -> None:
        self._context = context
        self._accounts = AccountsService(context)
        self._people = people
        self._conversions = conversions
        self._quotes = quotes
        self._links = links
        self._log = log
        self._downloads = AtOnce(each=1, most=DOWNLOADS_MAX)

    def speech(self, account: Account, wanted: Locale | None) -> Speech:
        """Return the language in which the owner of an account is told things."""
        return Speech(wanted or self._people.locale_of(account), self._context.terms)

    def balance(self, account: Account) -> BalanceView:
        """Return what a member has."""
        view = self._accounts.show(account)
        return BalanceView(
            account=view.account,
            status=view.status,
            points=self._context.record.points,
            available=view.available,
            pending=view.pending,
            held=view.held,
            next_expiry=view.next_expiry,
            next_pending=view.next_pending,
            open_conversions=view.open_conversions,
        )

    def history(self, account: Account, speech: Speech, *, before: int | None, limit: int) -> MemberHistory:
        """Return up to `limit` lines of an account's history before the cursor, newest first."""
        found = self._context.reader.history(account, before, limit + 1)
        lines = tuple(self.line(account, speech, unseal(data)) for data in found[:limit])
        return MemberHistory(lines=lines, next=lines[-1].seq if len(found) > limit else None)

    def line(self, account: Account, speech: Speech, sealed: Sealed) -> MemberLine:
        """Return an entry of an account in words."""
        day = day_of(speech.terms, sealed.entry.time)
        return Lines(self._context.reader, speech, account).line(sealed, day=day)

    def quote(self, request: QuoteRequest, speech: Speech) -> MemberQuote:
        """Return what a conversion would give, or raise the refusal that an order would meet."""
        quote = self._quotes.quote(request)
        plural = "one" if quote.stays == 1 else "other"
        said = [
            speech.say(
                f"quote.used.{plural}",
                used=speech.number(quote.used),
                asked=speech.number(request.amount),
                stays=speech.number(quote.stays),
            ),
            speech.say("quote.gives", gives=speech.points(quote.gives), brand=brand_of(quote.partner)),
        ]
        if quote.fee:
            said.append(speech.say("quote.fee", points=speech.points(quote.fee)))
        if quote.expires_on is not None:
            said.append(speech.say("quote.until", until=speech.date(quote.expires_on)))
        return MemberQuote(quote=quote, texts=(*said, speech.say("quote.undone")))

    def conversion(self, account: Account, conversion: Id, speech: Speech) -> MemberConversion:
        """Return where a conversion of the member's stands, or raise `conversion_unknown`, for another's too."""
        record = self._context.reader.record(OUTGOING, conversion)
        if record is None or record.account != account:
            raise Refusal(Code.CONVERSION_UNKNOWN, f"there is no conversion {conversion}")
        return self._conversion(conversion, record, speech)

    def conversions(self, account: Account, speech: Speech, *, before: int | None, limit: int) -> MemberConversions:
        """Return up to `limit` conversions of the member's to partners before the cursor, newest first."""
        found = self._context.reader.outgoing_page(account=account, before_seq=before, limit=limit + 1)
        shown = found[:limit]
        views = tuple(self._conversion(conversion, record, speech) for conversion, record in shown)
        return MemberConversions(conversions=views, next=shown[-1][1].held_seq if len(found) > limit else None)

    def _conversion(self, conversion: Id, record: OutgoingRecord, speech: Speech) -> MemberConversion:
        view = self._conversions.state(conversion)
        held = self._context.entry(record.held_seq)
        assert held is not None, "a record names an entry that exists"
        return MemberConversion(
            id=view.id,
            confirmation=confirmation_of(held),
            state=view.state,
            text=self._state_text(view, record, speech),
            partner=view.partner,
            brand=brand_of(view.partner),
            points=view.source_points,
            fee=view.fee_points,
            gives=view.destination_points,
            since=view.since,
            concluded_at=view.concluded_at,
            receipt=record.concluded_seq or record.held_seq,
        )

    def _state_text(self, view: ConversionView, record: OutgoingRecord, speech: Speech) -> str:
        key = "cancelling" if view.state == "pending" and record.cancel_requested else view.state
        since = speech.since(view.since, now=self._context.now)
        parts = dict(order_parts(record, speech))
        return speech.say(f"state.{key}", **parts, since=since)

    def confirmed(self, number: str) -> EntryAnswer:
        """Return the entry that a confirmation number names, or raise `not_found`: also for a mistyped one."""
        named = place_of(number)
        sealed = None if named is None else self._context.entry(named[0])
        if sealed is None or named is None or not is_of(sealed, named[1]):
            raise NodeRefusal(NodeCode.NOT_FOUND, "no entry has this confirmation number")
        return self._context.render(sealed)

    def receipt(self, account: Account, seq: int) -> bytes:
        """Return the receipt of an entry of the member's own, or raise `not_found`."""
        if not self._is_own(account, seq):
            raise NodeRefusal(NodeCode.NOT_FOUND, "the account has no such entry")
        return self._log.receipt(seq)

    def _is_own(self, account: Account, seq: int) -> bool:
        found = self._context.reader.history(account, seq + 1, 1)
        return bool(found) and unseal(found[0]).entry.seq == seq

    def held(self, account: Account) -> Held:
        """Return all that is kept about a member, or raise `busy` for one too many at once."""
        with self._downloads.one(account):
            return self._held(account)

    def _held(self, account: Account) -> Held:
        entries, metadata, before = list[EntryAnswer](), dict[str, Document](), None
        while len(entries) < DOWNLOAD_ENTRIES_MAX:
            found = [unseal(each) for each in self._context.reader.history(account, before, PAGE_ENTRIES)]
            for sealed in found:
                entries.append(self._context.render(sealed))
                metadata.update(self._metadata(sealed))
            if len(found) < PAGE_ENTRIES:
                break
            before = found[-1].entry.seq
        person = self._context.reader.personal(account)
        return Held(
            account=self._accounts.show(account),
            personal=None if person is None else self._people.show(account),
            links=self._links.of_account(account),
            entries=tuple(entries),
            metadata=metadata,
            rows=self._rows(account),
            complete=len(entries) < DOWNLOAD_ENTRIES_MAX,
        )

    def _metadata(self, sealed: Sealed) -> Mapping[str, Document]:
        digest = kept_beside(sealed.entry)
        kept = None if digest is None else self._context.reader.metadata(digest)
        if digest is None or kept is None:
            return {}
        return {digest: msgspec.json.decode(kept.data, type=dict[str, object])}

    def _rows(self, account: Account) -> Mapping[str, tuple[Mapping[str, object], ...]]:
        kept = self._context.reader.erasable_rows(account)
        return {
            table: tuple({name: row[name] for name in row if name not in SECRET_COLUMNS} for row in rows)
            for table, rows in kept.items()
            if rows
        }
