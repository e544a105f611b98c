"""The lines of a window as both sides have them: ours from the ledger, the partner's from its `lines` bodies.

A partner's lines are evidence that stands in no entry. They are read from the partner's close of the window on, which
came before them.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from node.services.channel.waiting import newest_waiting
from node.services.context import Context
from protocol.identifiers import Digest, Ledger
from protocol.ledger.lines import line_from
from protocol.ledger.names import close_id
from protocol.ledger.state import OUT, WINDOWS, Way
from protocol.messages import BODY_LINES_MAX, Dispute, Fulfil, Lines, body_digest, decode_body
from protocol.settlement.differences import is_last
from protocol.statement import Line
from protocol.window_entries import WindowCloseReceived

LINES_NARROWED_MAX: Final = 65_536
"""Lines of one direction of a window that are narrowed by messages; beyond that, audit packages are compared."""

_BODIES_MAX: Final = 4 * LINES_NARROWED_MAX // BODY_LINES_MAX
"""A side sends its lines again when it has more of them; whoever sends more bodies than this is not believed."""


class ShownLines:
    """Reads both sides' lines of windows."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._reader = context.reader

    def newest(self, partner: Ledger) -> Digest | None:
        """Return what changes whenever the partner has shown lines, or None if it never has."""
        return newest_waiting(self._reader, "lines", partner)

    def ours(self, partner: Ledger, way: Way, window: int) -> list[Line] | None:
        """Return this ledger's lines of one direction of a window, or None where they are too many to narrow."""
        own = self._context.ledger
        source, destination = (own, partner) if way == OUT else (partner, own)
        found = self._reader.lines_of_way(partner, way, window, limit=LINES_NARROWED_MAX + 1)
        if len(found) > LINES_NARROWED_MAX:
            return None
        return [
            line_from(record, source=source, destination=destination, dec_seq=dec_seq)
            for (_, _, dec_seq), record in found
        ]

    def shown(self, partner: Ledger, window: int) -> list[Line]:
        """Return what the partner, who decided them, has shown of our own conversions of a window."""
        return _newest(self._bodies(partner, window), source=self._context.ledger)

    def listed(self, partner: Ledger, window: int) -> list[Line] | None:
        """Return the partner's list of its own conversions of a window, or None until it has come to its end."""
        bodies = [
            body for body in self._bodies(partner, window) if all(_is_of(one, body, partner) for one in body.lines)
        ]
        return _newest(bodies, source=partner) if any(is_last(body.lines) for body in bodies) else None

    def disputes(self, partner: Ledger, window: int) -> dict[Digest, Dispute]:
        """Return the partner's disputes of a window, entered or not, oldest first, by digest."""
        found: dict[Digest, Dispute] = {}
        since = self.since(partner, window - 1) or 0
        for data in self._reader.bodies_received(partner, "dispute", from_number=since, limit=_BODIES_MAX):
            body = decode_body(data)
            if isinstance(body, Dispute) and body.window == window:
                found[body_digest(data)] = body
        return found

    def fulfil(self, line: Line) -> Fulfil | None:
        """Return the decider's signed FULFIL of a line, if it is here and says what the line says."""
        received = self._reader.message_received(line.fulfil)
        body = None if received is None or received.partner != line.destination else decode_body(received.body)
        if not isinstance(body, Fulfil):
            return None
        stated = (body.id, body.source, body.window, body.dec_seq, body.destination_points, body.value)
        shown = (line.id, line.source, line.window, line.dec_seq, line.destination_points, line.value)
        return body if stated == shown else None

    def since(self, partner: Ledger, window: int) -> int | None:
        """Return the number of the message with which the partner closed a window, or None before that.

        It is 0, where all messages begin, for a close that was entered otherwise than by its message.
        """
        record = self._reader.record(WINDOWS, (partner, window))
        if record is None or record.received is None:
            return None
        seq = self._reader.entry_seq_of_id(close_id(partner, window))
        sealed = None if seq is None else self._context.entry(seq)
        entry = None if sealed is None else sealed.entry
        close = self._reader.message_received(entry.close) if isinstance(entry, WindowCloseReceived) else None
        return 0 if close is None else close.number

    def _bodies(self, partner: Ledger, window: int) -> Iterator[Lines]:
        since = self.since(partner, window)
        if since is None:
            return
        for data in self._reader.bodies_received(partner, "lines", from_number=since, limit=_BODIES_MAX):
            body = decode_body(data)
            if isinstance(body, Lines) and body.window == window:
                yield body


def _newest(bodies: Iterable[Lines], *, source: Ledger) -> list[Line]:
    """Return the newest word about each number of conversions out of `source`, in the order of the numbers."""
    found = {line.dec_seq: line for body in bodies for line in body.lines if _is_of(line, body, source)}
    return [found[number] for number in sorted(found)]


def _is_of(line: Line, body: Lines, source: Ledger) -> bool:
    """Return whether a line is one of the window and the direction that it is shown for."""
    destination = body.receiver if source == body.sender else body.sender
    return (line.source, line.destination, line.window) == (source, destination, body.window)
