"""FULFILs that a partner signed and its close does not count: kept as evidence while the window waits for it."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from node.engine.work import Desk
from node.services.channel.misconduct import accuse, keys_of
from node.services.context import Context
from node.services.logs.pages import sighting_of
from node.services.settlement.lines_shown import ShownLines
from node.store.reader import StoreReader
from protocol.audit.evidence import Subject, Uncounted
from protocol.audit.known import PartnerKeys
from protocol.audit.miscount import WITHIN, Account, account_of, other_leaf, side_of
from protocol.envelope import Sighting
from protocol.identifiers import Digest, Ledger
from protocol.ledger.state import OUT, PARTNERS
from protocol.ledger.view import Need, Overlay
from protocol.messages import Fulfil, decode_body
from protocol.settlement.differences import decided
from protocol.statement import Line

TRIED_MAX: Final = 64
"""FULFILs of a window that are tried: one that is proved is enough, and those of an earlier epoch prove nothing."""


class KeepWork:
    """Keeps the first file that proves something."""

    def __init__(self, reader: StoreReader, keys: PartnerKeys, found: Sequence[Uncounted]) -> None:
        """Try what is `found` in its order; all of it is about one thing."""
        self._reader = reader
        self._keys = keys
        self._found = found

    def needs(self, _view: Overlay) -> Iterator[Need]:
        """Need nothing."""
        return iter(())

    def run(self, desk: Desk) -> bool:
        """Return whether there is new evidence."""
        return any(accuse(desk, self._reader, each, keys=self._keys) for each in self._found)


class Miscounts:
    """Looks for what a partner's close of a window should count."""

    def __init__(self, context: Context, lines: ShownLines) -> None:
        self._context = context
        self._reader = context.reader
        self._lines = lines
        self._tried: dict[Ledger, tuple[int, Digest | None]] = {}

    def look(self, partner: Ledger, window: int) -> None:
        """Keep evidence if the FULFILs of a window in which the sides differ show the partner's close to be false."""
        tried = (window, self._lines.newest(partner))
        if self._tried.get(partner) == tried:
            return
        self._tried[partner] = tried
        record = self._reader.record(PARTNERS, partner)
        if record is None or self._reader.is_accused(partner, Subject.CLOSE, str(window)):
            return
        found = list(islice(self._found(partner, window), TRIED_MAX))
        if found:
            self._context.writer.submit(KeepWork(self._reader, keys_of(partner, record), found)).result()

    def _found(self, partner: Ledger, window: int) -> Iterator[Uncounted]:
        """Yield what may be evidence; whether it is, only the proof shows."""
        number = self._lines.since(partner, window)
        close = None if number is None else self._reader.received_numbered(number)
        account = None if close is None else account_of(decode_body(close.body))
        ours = self._lines.ours(partner, OUT, window)
        if close is None or account is None or close.partner != partner or ours is None:
            return
        theirs = decided(ours, self._lines.shown(partner, window), totals=account.totals)
        for line in _uncounted(ours, theirs, account):
            fulfil = self._fulfil(line)
            if fulfil is not None:
                sighting, body = fulfil
                leaf, path = other_leaf(body, account, [each.fulfil for each in theirs or ()])
                yield Uncounted(account=sighting_of(close), fulfil=sighting, leaf=leaf, path=path, standing=None)

    def _fulfil(self, line: Line) -> tuple[Sighting, Fulfil] | None:
        received = self._reader.message_received(line.fulfil)
        body = None if received is None else decode_body(received.body)
        return (sighting_of(received), body) if received is not None and isinstance(body, Fulfil) else None


def _uncounted(ours: Sequence[Line], theirs: Sequence[Line] | None, account: Account) -> Iterator[Line]:
    """Yield those of our lines that the close has no number for, or another FULFIL, where `theirs` are known."""
    counted = {line.dec_seq: line.fulfil for line in theirs or ()}
    for line in ours:
        if line.dec_seq in counted:
            if counted[line.dec_seq] != line.fulfil:
                yield line
        elif side_of(line.dec_seq, account.totals) != WITHIN:
            yield line
