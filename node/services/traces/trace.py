"""The path of one conversion in one answer, from whichever side asks, with what proves each step (specs/trace.md)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from node.ports import Logs
from node.services.context import Context
from node.services.logs.log import LogService
from node.services.logs.pages import sighting_of
from node.services.operating.exceptions import Delivery
from node.services.render import document_in
from node.services.traces.partner_receipts import PartnerReceipts
from node.services.traces.trace_views import TraceMessage, TraceSettlement, TraceStep, TraceView
from node.services.traces.trace_words import entry_step, message_step, settlement_step, state_of, waiting_of
from node.store.rows import ReceivedMessage, SentMessage
from protocol.audit.explain import body_line
from protocol.audit.trace import Counterpart, Trace, encode_trace, is_about
from protocol.conversion import DestinationState, SourceState
from protocol.entries import (
    ConversionCaptured,
    ConversionCredited,
    ConversionRefused,
    ConversionReleased,
    Sealed,
    unseal,
)
from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Digest, Id, Ledger
from protocol.ledger.names import cancel_id
from protocol.ledger.state import (
    AGREEMENTS,
    IN,
    LINES,
    OUT,
    STATEMENTS,
    WINDOWS,
    IncomingRecord,
    OutgoingRecord,
    StatementRecord,
    Way,
    WindowRecord,
)
from protocol.messages import ConversionBody, ConversionKey, decode_body

HISTORY_ENTRIES_MAX: Final = 4_096
"""How far a history is searched for the entry that released a conversion by force, whose id an operator chose."""

_CHUNK: Final = 256
_TAKES_IN: Final = (ConversionCaptured, ConversionReleased, ConversionCredited, ConversionRefused)
_FORCED: Final = frozenset({SourceState.FORCED, SourceState.FORCED_OWED, SourceState.FORCED_CLEARED})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A conversion as this side's rows have it."""

    key: ConversionKey
    way: Way
    partner: Ledger
    account: Account | None
    agreement: Digest | None
    state: SourceState | DestinationState
    seqs: tuple[int, ...]


class TraceService:
    """Gathers what this node has about a conversion, and asks the partner's log for its side of it."""

    def __init__(
        self, context: Context, log: LogService, logs: Logs, *, contact_of: Callable[[Ledger], Delivery]
    ) -> None:
        self._context = context
        self._log = log
        self._receipts = PartnerReceipts(context, logs)
        self._contact_of = contact_of

    def trace(self, conversion: Id, *, source: Ledger | None = None) -> TraceView:
        """Return the path of a conversion out of this ledger, or with `source` of one that came from that partner.

        Without `source`, a conversion that is known only as one from a partner is found, too. Raises
        `conversion_unknown`.
        """
        case = self._case(conversion, source)
        entries = [self._entry(seq) for seq in case.seqs]
        sent, received = self._sent(case), self._received(case)
        settled = self._settlement(case, entries)
        settlement, statement = settled or (None, None)
        shown = list(self._receipts.of(case.partner, [decode_body(each.body) for each in received]))
        contact, state = self._contact_of(case.partner), state_of(case.state)
        waiting_for, to_do = waiting_of(case.state, settlement, case.partner, waits=self._waits(sent))
        return TraceView(
            conversion=conversion,
            direction="out" if case.way == OUT else "in",
            state=state,
            network=case.key.network,
            source=case.key.source,
            destination=case.key.destination,
            account=case.account,
            steps=tuple(self._steps(entries, received, settlement)),
            messages=(*map(self._sent_view, sent), *map(_received_view, received)),
            partner_log=tuple(view for view, _ in shown),
            settlement=settlement,
            last_contact=contact.last_contact,
            last_failure=contact.last_failure,
            waiting_for=waiting_for,
            to_do=to_do,
            evidence=document_in(
                encode_trace(self._evidence(case, received, [found for _, found in shown if found], statement))
            ),
        )

    # --- Which conversion.

    def _case(self, conversion: Id, source: Ledger | None) -> _Case:
        reader = self._context.reader
        if source in (None, self._context.ledger):
            ordered = reader.outgoing(conversion)
            if ordered is not None:
                return self._ordered(conversion, ordered)
        for partner, record in reader.partners():
            if source in (None, partner):
                decided = reader.incoming(record.network, partner, conversion)
                if decided is not None:
                    key = ConversionKey(record.network, partner, self._context.ledger, conversion)
                    return _decided(key, decided)
        raise Refusal(Code.CONVERSION_UNKNOWN, f"there is no conversion {conversion}")

    def _ordered(self, conversion: Id, record: OutgoingRecord) -> _Case:
        cancel = self._context.reader.entry_seq_of_id(cancel_id(conversion))
        seqs = {record.held_seq, record.concluded_seq, cancel}
        if record.state in _FORCED:
            seqs.add(self._forced(conversion, record))
        return _Case(
            key=ConversionKey(record.network, self._context.ledger, record.destination, conversion),
            way=OUT,
            partner=record.destination,
            account=record.account,
            agreement=record.agreement,
            state=record.state,
            seqs=tuple(sorted(seq for seq in seqs if seq is not None)),
        )

    def _forced(self, conversion: Id, record: OutgoingRecord) -> int | None:
        after = record.held_seq
        for _ in range(HISTORY_ENTRIES_MAX // _CHUNK):
            found = self._context.reader.history_after(record.account, after, _CHUNK)
            for data in found:
                entry = unseal(data).entry
                if entry.__struct_config__.tag == "conversion_forced" and is_about(entry, conversion):
                    return entry.seq
                after = entry.seq
            if len(found) < _CHUNK:
                break
        return None

    # --- What was said, and what it led to.

    def _entry(self, seq: int) -> Sealed:
        sealed = self._context.entry(seq)
        assert sealed is not None, "a record names an entry that exists"
        return sealed

    def _sent(self, case: _Case) -> list[SentMessage]:
        found = self._context.reader.sent_of_conversion(case.key.id)
        return [each for each in found if each.partner == case.partner and _is_of(each.body, case.key)]

    def _received(self, case: _Case) -> list[ReceivedMessage]:
        found = self._context.reader.received_of_conversion(case.partner, case.key.id)
        once = {each.digest: each for each in reversed(found) if _is_of(each.body, case.key)}
        return list(once.values())[::-1]

    def _waits(self, sent: Sequence[SentMessage]) -> bool:
        """Return whether the partner still owes us an answer to anything that we have said."""
        return any(self._context.reader.is_waiting(each.number) for each in sent)

    def _sent_view(self, sent: SentMessage) -> TraceMessage:
        return TraceMessage(
            way="sent",
            kind=sent.kind,
            digest=sent.digest,
            waits=self._context.reader.is_waiting(sent.number),
            said=body_line(decode_body(sent.body)),
            body=document_in(sent.body),
        )

    def _settlement(
        self, case: _Case, entries: Sequence[Sealed]
    ) -> tuple[TraceSettlement, StatementRecord | None] | None:
        reader = self._context.reader
        for entry in (sealed.entry for sealed in entries):
            if not isinstance(entry, ConversionCaptured | ConversionCredited):
                continue
            line = reader.record(LINES, (case.partner, case.way, entry.dec_seq))
            window = reader.record(WINDOWS, (case.partner, entry.window)) or WindowRecord()
            statement = reader.record(STATEMENTS, (case.partner, entry.window))
            if line is None:
                return None
            confirmed = None if window.confirmed_seq is None else self._entry(window.confirmed_seq).entry.time
            return (
                TraceSettlement(
                    window=entry.window,
                    dec_seq=entry.dec_seq,
                    state=window.state.value,
                    statement=None if statement is None else statement.digest,
                    billed=line.billed_value if statement is not None else line.billed,
                    currency=line.currency,
                    dispute=None if line.dispute is None else line.dispute.value,
                    paid=window.payment,
                    confirmed_at=confirmed,
                ),
                statement,
            )
        return None

    def _steps(
        self, entries: Sequence[Sealed], received: Sequence[ReceivedMessage], settlement: TraceSettlement | None
    ) -> Iterator[TraceStep]:
        said = [message_step(decode_body(each.body), each.digest) for each in received]
        theirs = [step for step in said if step is not None]
        for sealed in entries:
            # Clocks differ: what the partner did stands before the entry that takes it in, and not by its time.
            if isinstance(sealed.entry, _TAKES_IN):
                yield from theirs
                theirs = []
            yield entry_step(sealed, ledger=self._context.ledger)
        yield from theirs
        if settlement is not None:
            yield from settlement_step(settlement)

    def _evidence(
        self,
        case: _Case,
        received: Sequence[ReceivedMessage],
        shown: Sequence[Counterpart],
        statement: StatementRecord | None,
    ) -> Trace:
        agreement = None
        if case.agreement is not None:
            record = self._context.reader.record(AGREEMENTS, case.agreement)
            agreement = None if record is None else record.signed
        return Trace(
            of=self._context.ledger,
            network=case.key.network,
            source=case.key.source,
            destination=case.key.destination,
            conversion=case.key.id,
            receipts=tuple(self._log.receipt(seq).decode() for seq in case.seqs),
            messages=tuple(map(sighting_of, received)),
            counterparts=tuple(shown),
            agreement=agreement,
            statement=None if statement is None else statement.signed,
        )


def _decided(key: ConversionKey, record: IncomingRecord) -> _Case:
    return _Case(
        key=key,
        way=IN,
        partner=key.source,
        account=record.account,
        agreement=record.agreement,
        state=record.state,
        seqs=(record.decided_seq,),
    )


def _is_of(body: bytes, key: ConversionKey) -> bool:
    said = decode_body(body)
    return isinstance(said, ConversionBody) and said.key == key


def _received_view(received: ReceivedMessage) -> TraceMessage:
    return TraceMessage(
        way="received",
        kind=received.kind,
        digest=received.digest,
        waits=False,
        said=body_line(decode_body(received.body)),
        body=document_in(received.body),
    )
