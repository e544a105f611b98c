"""The evidence tables: what was sent is made again from the entries, what was received is verified by signature.

Each of these tables is numbered without gaps and has a running digest in `evidence_heads`, so that a row which nothing
else proves still cannot be changed, removed or slipped in unseen.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, cast

import msgspec

from node.services.fsck.fsck_accusations import ACCUSATIONS, check_accusations
from node.services.fsck.fsck_log import LogWalk
from node.services.fsck.fsck_report import Notes, TableNotes
from node.services.logs.own_log import open_of
from node.store.codec import Row, Value, encode_json
from node.store.dump import Dump, columns_of
from node.store.evidence import EVIDENCE_TABLES, chain
from protocol.agreement import key_of
from protocol.audit.messages import reference_of
from protocol.encoding import ZERO_DIGEST
from protocol.envelope import (
    Frame,
    Header,
    decode_envelope,
    decode_sighting,
    frame_leaf,
    verify_envelope,
    verify_sighting,
)
from protocol.errors import EncodingInvalid, ProtocolError
from protocol.identifiers import Digest, Ledger, generation_of
from protocol.keys import Role
from protocol.ledger.state import PARTNERS, LedgerRecord, PartnerRecord
from protocol.merkle import Hash, verify_inclusion
from protocol.messages import (
    Body,
    EntryReference,
    Returned,
    body_digest,
    conversion_of,
    decode_body,
    encode_body,
    kind_of,
    may_send,
    receiver_of,
)

SENT: Final = "messages_sent"
ENVELOPES: Final = "envelopes_received"
RECEIVED: Final = "messages_received"
CHECKPOINTS: Final = "partner_checkpoints"
HEADS: Final = "evidence_heads"


def check_evidence(dump: Dump, notes: Notes, walk: LogWalk) -> None:
    """Check all evidence against the log that `walk` went through."""
    own = walk.replay.ledger
    if own is None:
        return
    evidence = _Evidence(dump, notes, walk, own)
    evidence.check_sent()
    evidence.check_received()
    evidence.check_checkpoints()
    evidence.check_accusations()
    evidence.check_heads()


class _Numbered:
    """The rows of one evidence table in order, with what its head should say of them."""

    def __init__(self, dump: Dump, notes: Notes, name: str) -> None:
        self.notes: TableNotes = notes.table(name)
        self.chain: Digest = ZERO_DIGEST
        self.count = 0
        self._name = name
        self._dump = dump

    def rows(self) -> Iterator[Row]:
        """Yield every row, noting numbers that do not follow."""
        self.notes.checked = True
        columns = columns_of(self._name)
        for row in self._dump.rows(self._name):
            self.notes.rows += 1
            number = cast("int", row[0])
            if number != self.count:
                self.notes.note((self.count,), None, f"this row is missing, and {number} stands in its place")
            try:
                self.chain = chain(self.chain, columns, row)
            except EncodingInvalid as error:
                self.notes.note((number,), None, f"the row cannot be read: {error}")
            self.count = number + 1
            yield row


@dataclass(frozen=True, slots=True)
class _Place:
    """One row of a table, to which findings belong."""

    notes: TableNotes
    number: int

    def note(self, column: str, detail: str) -> None:
        """Note something wrong in a column."""
        self.notes.note((self.number,), column, detail)

    def compare(self, stated: Mapping[str, object], expected: Mapping[str, object]) -> None:
        """Note each column that does not say what it should."""
        for column, value in stated.items():
            if value != expected[column]:
                self.note(column, f"{value}, where the bytes say {expected[column]}")

    def body(self, data: Value) -> Body | None:
        """Return the body in the column `body`, or note that there is none."""
        try:
            return decode_body(data if isinstance(data, bytes) else b"")
        except ProtocolError as error:
            self.note("body", f"{error} ({error.code})")
            return None


class _Evidence:
    """The evidence tables of one store."""

    def __init__(self, dump: Dump, notes: Notes, walk: LogWalk, own: LedgerRecord) -> None:
        self._dump = dump
        self._notes = notes
        self._walk = walk
        self._own = own.ledger
        self._keys = own.keys
        self._tables = {table.name: _Numbered(dump, notes, table.name) for table in EVIDENCE_TABLES}
        self._found: set[Digest] = set()
        self._log_size = 0
        self._envelope: tuple[int, Header | None] = (-1, None)

    def _partner(self, ledger: Ledger) -> PartnerRecord | None:
        return self._walk.replay.view.get(PARTNERS, ledger)

    # --- Sent.

    def check_sent(self) -> None:
        """Make every body that an entry obliges us to send again, and compare."""
        table = self._tables[SENT]
        missing = dict(self._walk.bodies.digests)
        for number, digest, partner, kind, conversion, data, entry_seq in table.rows():
            place = _Place(table.notes, cast("int", number))
            expected = missing.pop(cast("int", entry_seq), None)
            body = place.body(data)
            if body is None:
                continue
            stated = {"digest": digest, "partner": partner, "kind": kind, "conversion": conversion}
            place.compare(stated, _columns_of(body, cast("bytes", data), partner=_receiver(body, self._own)))
            if expected is not None and expected != body_digest(cast("bytes", data)):
                place.note("body", f"entry {entry_seq!r} makes another message")
            elif entry_seq is None and self._is_here(reference_of(body)):
                place.note("entry_seq", "the entry that made this message is not named")
            elif entry_seq is not None and expected is None and self._walk.is_sound:
                place.note("entry_seq", f"entry {entry_seq!r} makes no message, or another row has it")
        for seq in missing:
            table.notes.note((), None, f"the message that entry {seq} makes is missing")

    def _is_here(self, reference: EntryReference | None) -> bool:
        """Return whether the entry that made a message is in the store, not in the end of a log that was lost."""
        logs = self._walk.logs
        return reference is not None and any(0 <= reference.seq - log.first_seq < log.tree.size for log in logs)

    # --- Received.

    def check_received(self) -> None:
        """Verify every envelope, and that each received body is in its envelope; hold that none is missing."""
        envelopes = self._tables[ENVELOPES].rows()
        for row in self._tables[RECEIVED].rows():
            self._check_received(row, envelopes)
        for row in envelopes:
            self._open(row)
        for digest, citations in self._walk.citations.by_digest.items():
            if digest not in self._found:
                for each in citations:
                    text = f"the {each.name} by {each.sender} that entry {each.seq} rests on is missing"
                    self._notes.table(RECEIVED).note((), None, text)

    def _check_received(self, row: Row, envelopes: Iterator[Row]) -> None:
        number, digest, partner, kind, conversion, data, epoch, nonce, frame_seq, path, log_size, envelope_number = row
        place = _Place(self._tables[RECEIVED].notes, cast("int", number))
        header = self._header(envelopes, envelope_number, place)
        if not isinstance(log_size, int) or not self._log_size <= log_size <= self._walk.end_seq:
            place.note("log_size", f"the log did not end before entry {log_size!r} when this message was handled")
        else:
            self._log_size = log_size
        body = place.body(data)
        if body is None or not isinstance(data, bytes):
            return
        self._check_citations(place, header, body, data)
        if header is None:
            return
        stated = {"digest": digest, "partner": partner, "kind": kind, "conversion": conversion}
        place.compare(stated, _columns_of(body, data, partner=header.sender))
        stated = {"epoch": epoch, "epoch_nonce": nonce}
        place.compare(stated, {"epoch": header.epoch, "epoch_nonce": header.epoch_nonce})
        _check_frame(place, header, frame_seq=frame_seq, path=path, data=data)

    def _check_citations(self, place: _Place, header: Header | None, body: Body, data: bytes) -> None:
        for digest, cited in self._told_by(body, data):
            for citation in self._walk.citations.by_digest.get(digest, ()):
                self._found.add(digest)
                by_another = header is not None and header.sender != citation.sender
                if by_another or kind_of(cited) != citation.kind or citation.differences(cited):
                    place.note("body", f"entry {citation.seq} rests on this message, and says something else")

    def _told_by(self, body: Body, data: bytes) -> Iterator[tuple[Digest, Body]]:
        """Yield what entries may rest on in a message: itself, or the word of ours that it gives back."""
        if not isinstance(body, Returned):
            yield body_digest(data), body
            return
        try:
            sighting = decode_sighting(bytes(body.sighting))
            verify_sighting(sighting, key=key_of(self._keys, Role.CHANNEL))
        except ProtocolError:
            return
        yield sighting.frame.body, body
        if body.prepare is not None:
            yield body_digest(encode_body(body.prepare)), body.prepare

    def _header(self, envelopes: Iterator[Row], wanted: Value, place: _Place) -> Header | None:
        """Return the verified header of the envelope `wanted`; envelopes come in the order of their messages."""
        while isinstance(wanted, int) and self._envelope[0] < wanted:
            row = next(envelopes, None)
            if row is None:
                break
            self._envelope = (cast("int", row[0]), self._open(row))
        number, header = self._envelope
        if number != wanted:
            place.note("envelope_number", f"there is no envelope {wanted!r} in this place")
            return None
        return header

    def _open(self, row: Row) -> Header | None:
        number, partner, data = row
        place = _Place(self._tables[ENVELOPES].notes, cast("int", number))
        try:
            envelope = decode_envelope(data if isinstance(data, bytes) else b"")
            header = envelope.header()
            record = self._partner(header.sender)
            if record is not None:
                verify_envelope(envelope, key=key_of(record.keys, Role.CHANNEL))
        except ProtocolError as error:
            place.note("envelope", f"{error} ({error.code})")
            return None
        if record is None:
            # Where the log is damaged, the entry that names the partner may be what is missing.
            if self._walk.is_sound:
                place.note("envelope", f"no entry names the keys of {header.sender}")
            return None
        if (header.receiver, header.network) != (self._own, record.network):
            place.note("envelope", f"the envelope is for {header.receiver}")
        place.compare({"partner": partner}, {"partner": header.sender})
        return header

    # --- Partners' checkpoints, and the heads.

    def check_checkpoints(self) -> None:
        """Verify every partner's checkpoint by that partner's log key."""
        table = self._tables[CHECKPOINTS]
        for number, ledger, generation, size, note in table.rows():
            place = _Place(table.notes, cast("int", number))
            name = Ledger(ledger) if isinstance(ledger, str) else Ledger("")
            record = self._partner(name)
            if record is None:
                if self._walk.is_sound:
                    place.note("ledger", f"no entry names the keys of {name}")
                continue
            try:
                stated = open_of(
                    note if isinstance(note, bytes) else b"", ledger=name, key=key_of(record.keys, Role.LOG)
                )
            except ProtocolError as error:
                place.note("note", f"{error} ({error.code})")
                continue
            said = {"generation": generation_of(Ledger(stated.origin)), "size": stated.size}
            place.compare({"generation": generation, "size": size}, said)

    def check_accusations(self) -> None:
        """Prove every file of evidence again."""
        table = self._tables[ACCUSATIONS]
        check_accusations(table.rows(), table.notes, partner=self._partner, sound=self._walk.is_sound)

    def check_heads(self) -> None:
        """Compare each table's count and running digest with its head."""
        notes = self._notes.table(HEADS)
        notes.checked = True
        heads: dict[str, tuple[Value, Value]] = {}
        for name, count, digest in self._dump.rows(HEADS):
            notes.rows += 1
            heads[cast("str", name)] = (count, digest)
        for name, table in self._tables.items():
            self._check_head(name, table, heads.pop(name, None))
        for name in heads:
            notes.note((name,), None, "there is no such table")

    def _check_head(self, name: str, table: _Numbered, head: tuple[Value, Value] | None) -> None:
        notes = self._notes.table(HEADS)
        count, digest = head or (0, ZERO_DIGEST)
        if head is None and table.notes.rows:
            notes.note((name,), None, "this row is missing")
            return
        if table.notes.count or (count, digest) == (table.notes.rows, table.chain):
            # Rows that are wrong by themselves explain why their head does not fit.
            return
        # Either may have been changed: all that is known is that the head and the rows do not belong together.
        column = "chain" if count == table.notes.rows else "count"
        notes.note((name,), column, f"{name} has {table.notes.rows} rows, which lead to {table.chain}")
        table.notes.note((), None, f"{table.notes.rows} rows, which are not those that its head was made of")


def _columns_of(body: Body, data: bytes, *, partner: Ledger) -> dict[str, object]:
    """Return the columns that repeat what is in a body."""
    return {
        "digest": body_digest(data),
        "partner": partner,
        "kind": kind_of(body),
        "conversion": conversion_of(body),
    }


def _receiver(body: Body, own: Ledger) -> Ledger:
    """Return whom a body of ours is for, or nobody when it is not ours to send."""
    return receiver_of(body, own) if may_send(body, own) else Ledger("")


def _check_frame(place: _Place, header: Header, *, frame_seq: Value, path: Value, data: bytes) -> None:
    nodes = _path_of(path)
    if nodes is None:
        place.note("path", "this is not a list of digests as it is written")
    elif not isinstance(frame_seq, int) or not 0 <= frame_seq - header.first_seq < header.count:
        place.note("frame_seq", "the envelope has no such frame")
    else:
        try:
            verify_inclusion(
                leaf=frame_leaf(Frame(seq=frame_seq, body=body_digest(data))),
                index=frame_seq - header.first_seq,
                size=header.count,
                root=Hash(bytes.fromhex(header.root)),
                proof=nodes,
            )
        except ProtocolError as error:
            place.note("path", f"body, frame and path do not lead to the envelope's root: {error}")


def _path_of(text: Value) -> list[Hash] | None:
    try:
        nodes = msgspec.json.decode(str(text), type=tuple[str, ...])
        found = [Hash(bytes.fromhex(node)) for node in nodes]
    except (msgspec.MsgspecError, ValueError):
        return None
    return found if encode_json(tuple(node.hex() for node in found)) == text else None
