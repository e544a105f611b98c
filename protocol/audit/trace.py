"""The path of one conversion as a file that proves itself: what both sides signed about it (specs/trace.md).

It carries the receipts of one side's own entries, the other side's words, each with the envelope that signed it, and
receipts of the other side's log for the entries that those words name. The verifier needs public keys and no server.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from protocol.agreement import SignedAgreement, agreement_digest, verify_agreement
from protocol.audit.explain import body_line, entry_lines
from protocol.audit.known import KnownKeys
from protocol.audit.messages import is_addressed
from protocol.checkpoint import parse_checkpoint
from protocol.encoding import Codec
from protocol.entries import AnyEntry, decode_entry
from protocol.envelope import Sighting, verify_sighting
from protocol.errors import EvidenceInvalid
from protocol.fields import DigestField, LedgerField, NetworkField, UuidField
from protocol.identifiers import Ledger, partner_of
from protocol.limits import PARCEL_BYTES_MAX, RECEIPT_BYTES_MAX
from protocol.merkle import Hash
from protocol.messages import ConversionBody, Error, Query
from protocol.note import parse_note
from protocol.proof import open_receipt, parse_receipt, verify_receipt
from protocol.statement import SignedStatement, verify_statement

ENTRIES_MAX: Final = 16
MESSAGES_MAX: Final = 64
ReceiptText = Annotated[str, Meta(max_length=RECEIPT_BYTES_MAX)]


class Counterpart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The other side's log has `leaf` where one of its messages says so: a receipt that does not show the entry."""

    leaf: DigestField
    receipt: ReceiptText


class Trace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that the ledger `of` holds about a conversion; where `agreement` or `statement` are null, it has none."""

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    kind: Literal["trace"] = "trace"
    of: LedgerField
    network: NetworkField
    source: LedgerField
    destination: LedgerField
    conversion: UuidField
    receipts: Annotated[tuple[ReceiptText, ...], Meta(max_length=ENTRIES_MAX)]
    messages: Annotated[tuple[Sighting, ...], Meta(max_length=MESSAGES_MAX)]
    counterparts: Annotated[tuple[Counterpart, ...], Meta(max_length=ENTRIES_MAX)]
    agreement: SignedAgreement | None
    statement: SignedStatement | None


_CODEC: Final = Codec(msgspec.json.Decoder(Trace), error=EvidenceInvalid, bytes_max=2 * PARCEL_BYTES_MAX)


def encode_trace(trace: Trace) -> bytes:
    """Return the bytes of a trace, or raise `EvidenceInvalid` when they are too many."""
    return _CODEC.encode(trace)


def decode_trace(data: bytes) -> Trace:
    """Return the trace in `data`, nothing of it verified, or raise `EvidenceInvalid`."""
    return _CODEC.decode(data)


def trace_lines(trace: Trace, known: KnownKeys) -> Iterator[str]:
    """Yield what `trace` proves by `known` keys, or raise a `ProtocolError` or `CouldNotCheck`."""
    yield f"conversion {trace.conversion} from {trace.source} to {trace.destination}, as {trace.of} holds it"
    named: dict[str, Ledger] = {}
    for receipt in trace.receipts:
        yield from _entry_of(trace, receipt, known)
    for sighting in trace.messages:
        body, sender = _said(trace, sighting, known)
        if not isinstance(body, Query | Error):
            named[body.entry.leaf] = sender
        yield f"{sender} signed: {body_line(body)}"
    for each in trace.counterparts:
        yield _counterpart(each, named, known)
    if trace.agreement is not None:
        verify_agreement(trace.agreement, complete=True)
        yield f"both signed the agreement {agreement_digest(trace.agreement.agreement)}"
    if trace.statement is not None:
        statement = trace.statement.statement
        approvals = known.approval_keys(statement.parties, network=statement.network)
        verify_statement(trace.statement, approvals=approvals, complete=True)
        yield f"both signed the statement of window {statement.window}"


def _entry_of(trace: Trace, text: str, known: KnownKeys) -> Iterator[str]:
    """Yield what an entry of the side that made the trace says, which must be about this conversion."""
    data = text.encode()
    origin = parse_checkpoint(parse_note(parse_receipt(data).checkpoint).text).origin
    if partner_of(Ledger(origin)) != partner_of(trace.of):
        raise EvidenceInvalid(f"{origin} is no log of {trace.of}")
    opened = open_receipt(data, known.for_notes(origin))
    entry = decode_entry(opened.entry)
    if not is_about(entry, trace.conversion):
        raise EvidenceInvalid(f"entry {entry.seq} is not about the conversion {trace.conversion}")
    lines = list(entry_lines(entry))
    yield f"{origin}, entry {entry.seq}: {lines[0]}"
    yield from lines[1:]


def is_about(entry: AnyEntry, conversion: str) -> bool:
    """Return whether an entry orders, decides or ends a conversion, or lets a word about it stand again."""
    body: object = getattr(entry, "body", None)
    return conversion in (getattr(entry, "conversion", None), getattr(body, "id", None))


def _said(trace: Trace, sighting: Sighting, known: KnownKeys) -> tuple[ConversionBody, Ledger]:
    header, body = verify_sighting(sighting, key=known.channel_key(sighting.envelope))
    key = (trace.network, trace.source, trace.destination, trace.conversion)
    if not isinstance(body, ConversionBody) or body.key != key or not is_addressed(body, header):
        raise EvidenceInvalid(f"a message of {header.sender} is not about the conversion {trace.conversion}")
    return body, header.sender


def _counterpart(each: Counterpart, named: Mapping[str, Ledger], known: KnownKeys) -> str:
    receipt = parse_receipt(each.receipt.encode())
    origin = parse_checkpoint(parse_note(receipt.checkpoint).text).origin
    if each.leaf not in named or partner_of(Ledger(origin)) != partner_of(named[each.leaf]):
        raise EvidenceInvalid(f"no message of {origin} names the leaf {each.leaf}")
    verifiers = known.for_notes(origin)
    checkpoint = verify_receipt(receipt, leaf=Hash(bytes.fromhex(each.leaf)), verifiers=verifiers)
    return f"{checkpoint.origin} has the entry that it names, as leaf {receipt.index} of {checkpoint.size}"
