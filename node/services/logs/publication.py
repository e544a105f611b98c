"""Which checkpoint of the own log is published, with which cosignatures, and when (specs/witness.md §5).

A node with witnesses publishes what they have been asked about. One that stays silent holds up nothing for longer than
a moment: what witnesses have not cosigned is published without them, and says so by lacking their lines.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import structlog

from node.services.context import Context, WriteWork
from node.services.logs.log_files import log_name
from node.store.reader import StoreReader
from node.store.rows import SignedCheckpoint
from node.store.rows_witness import PutPublished
from protocol.errors import TallystickError
from protocol.identifiers import Ledger
from protocol.note import NoteSignature, format_note, parse_note

PUBLISH_SECONDS: Final = 1.0
"""A new checkpoint is published at most this often."""

PUBLISHED_WITHIN_SECONDS: Final = 2.5
"""After this time a checkpoint is published, unless commits follow each other without a pause."""

OPEN_SECONDS: Final = 5.0
"""How long a newer checkpoint waits for witnesses to be asked, at most."""

_LOG: Final = structlog.get_logger()

Cosigned = Callable[[SignedCheckpoint, int], None]


class Publication:
    """The published checkpoint; any thread may ask for it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._shown: SignedCheckpoint | None = None
        self._shown_at = self._looked_at = float("-inf")
        self._ready: SignedCheckpoint | None = None
        self._late_since: float | None = None
        self._held = False
        self._follows = False
        self._listeners: list[Cosigned] = []

    def hold(self, *, held: bool) -> None:
        """Publish from now on what `publish` is given, or again, once nobody is asked, whatever is newest."""
        with self._lock:
            self._held = held

    def follow(self) -> None:
        """Take from now on whatever is newest for published: another process publishes, and may have just done so."""
        self._follows = True

    def listen(self, listener: Cosigned) -> None:
        """Call `listener` with each checkpoint that is to be published, and how many witnesses cosigned it."""
        self._listeners.append(listener)

    def newest(self) -> SignedCheckpoint:
        """Return the last signed checkpoint, published or not."""
        found = self._context.reader.latest_checkpoint()
        assert found is not None, "a log has its genesis, and a checkpoint over it"
        return found

    def current(self) -> SignedCheckpoint:
        """Return the published checkpoint; its note has the cosignatures that were published with it."""
        if self._follows:
            return self._first()
        now = self._context.clock.monotonic()
        with self._lock:
            shown = self._shown
            if shown is None:
                shown = self._shown = self._first()
                self._looked_at = now
            elif now - self._looked_at >= PUBLISH_SECONDS:
                self._looked_at = now
                self._show(self._ready, now)
                self._look(now)
            assert self._shown is not None, "something is shown from the first question on"
            return self._shown

    def publish(self, checkpoint: SignedCheckpoint, cosignatures: Sequence[NoteSignature]) -> None:
        """Publish `checkpoint` with verified `cosignatures`, unless a later one is published already.

        Where another one was published less than `PUBLISH_SECONDS` ago, it waits as long.
        """
        note = format_note(parse_note(checkpoint.note).with_signatures(cosignatures))
        with self._lock:
            self._ready, self._late_since = replace(checkpoint, note=note), None
            self._show(self._ready, self._context.clock.monotonic())
        for listener in self._listeners:
            listener(checkpoint, len(cosignatures))

    def _show(self, ready: SignedCheckpoint | None, now: float) -> None:
        """Show what is `ready`, unless that is earlier than what is shown or would be too soon after it."""
        shown = self._shown
        if ready is None or (shown is not None and (_place(shown) > _place(ready) or shown.note == ready.note)):
            return
        if shown is not None and _place(shown) < _place(ready) and now - self._shown_at < PUBLISH_SECONDS:
            return
        self._shown, self._shown_at = ready, now
        if len(parse_note(ready.note).signatures) > 1:
            self._keep(PutPublished(self._origin(ready), ready.size, ready.note))

    def _look(self, now: float) -> None:
        """Show what is newest where nobody is asked, or nobody has been for too long."""
        newest = self.newest()
        if self._shown is not None and newest.number == self._shown.number:
            self._late_since = None
        elif not self._held or (self._late_since is not None and now - self._late_since >= OPEN_SECONDS):
            self._shown, self._shown_at, self._late_since = newest, now, None
        elif self._late_since is None:
            self._late_since = now

    def _first(self) -> SignedCheckpoint:
        return as_published(self.newest(), self._context.reader, ledger=self._context.ledger)

    def _keep(self, row: PutPublished) -> None:
        """Keep what was published for after a restart; cosignatures that are lost can be asked for again."""
        try:
            self._context.writer.submit(WriteWork([row]))
        except TallystickError as error:
            _LOG.warning("cosignatures_not_kept", reason=str(error))

    def _origin(self, checkpoint: SignedCheckpoint) -> str:
        return log_name(self._context.ledger, checkpoint.generation)


def as_published(checkpoint: SignedCheckpoint, reader: StoreReader, *, ledger: Ledger) -> SignedCheckpoint:
    """Return `checkpoint` with the cosignatures that it was published with, if it is what was published last."""
    kept = reader.published(log_name(ledger, checkpoint.generation))
    if kept is None or parse_note(kept.note).text != parse_note(checkpoint.note).text:
        return checkpoint
    return replace(checkpoint, note=kept.note)


def _place(checkpoint: SignedCheckpoint) -> tuple[int, int]:
    return checkpoint.generation, checkpoint.size
