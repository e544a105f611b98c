"""Checkpoints of partners' logs as they come with envelopes: which are kept for ever, and which is the largest we hold.

What is kept is evidence and never deleted, so it is thinned where it comes in: what is proved to be of the log that is
kept anyway adds nothing (specs/decisions/0031).
"""

from collections.abc import Iterator
from typing import Final

import structlog

from node.services.channel.misconduct import fork_name
from node.services.logs.own_log import open_of, place_of
from node.store.reader import StoreReader
from node.store.rows import PartnerCheckpoint
from protocol.agreement import key_of
from protocol.checkpoint import Checkpoint
from protocol.envelope import Header
from protocol.identifiers import Ledger, generation_of
from protocol.keys import Role
from protocol.ledger.state import PartnerRecord

_LOG: Final = structlog.get_logger()


class ShownCheckpoints:
    """Judges what partners show of their logs."""

    def __init__(self, reader: StoreReader) -> None:
        self._reader = reader

    def to_keep(self, partner: Ledger, record: PartnerRecord, header: Header) -> PartnerCheckpoint | None:
        """Return the checkpoint of an envelope if it must be kept, or raise a `ProtocolError` if it is another's.

        It must unless one of its size and root is kept, or our witness has just cosigned it with a proof from all that
        went before and the envelope says nothing that the checkpoint is to cover.
        """
        if header.checkpoint is None:
            return None
        note = header.checkpoint.encode()
        shown = open_of(note, ledger=partner, key=key_of(record.keys, Role.LOG))
        generation, size = place_of(shown)
        same = self._reader.partner_checkpoint(partner, size, generation=generation)
        if same is not None and not self._contradicts(partner, record, shown, same.note):
            return None
        if same is None and not header.count and self._is_proved(partner, record, shown):
            return None
        return PartnerCheckpoint(ledger=partner, size=size, note=note, generation=generation)

    def newest(self, partner: Ledger, log: Ledger) -> bytes | None:
        """Return the note of the largest checkpoint of `log` that we hold: shown to us, or cosigned by us; or None."""
        held = self._reader.latest_partner_checkpoint(partner, generation=generation_of(log))
        cosigned = self._reader.witnessed(log)
        if cosigned is not None and (held is None or cosigned.size > held.size):
            return cosigned.note
        return None if held is None else held.note

    def _contradicts(self, partner: Ledger, record: PartnerRecord, shown: Checkpoint, kept: bytes) -> bool:
        if shown == open_of(kept, ledger=partner, key=key_of(record.keys, Role.LOG)):
            return False
        if self._reader.is_accused(partner, *fork_name(shown)):
            return False
        _LOG.error("partner_forked", partner=partner, size=shown.size)
        return True

    def _is_proved(self, partner: Ledger, record: PartnerRecord, shown: Checkpoint) -> bool:
        if self._reader.latest_partner_checkpoint(partner, generation=place_of(shown)[0]) is None:
            # The first of each log is kept whatever else is known.
            return False
        return any(
            open_of(note, ledger=partner, key=key_of(record.keys, Role.LOG)) == shown
            for note in self._proved(shown.origin)
        )

    def _proved(self, origin: str) -> Iterator[bytes]:
        cosigned, proved = self._reader.witnessed(origin), self._reader.proved(origin)
        if cosigned is not None:
            yield cosigned.note
        if proved is not None and proved.size:
            yield proved.note
