"""The exchange with a partner by files: the same parcels, carried by people or by another system.

Importing a file twice, late or out of order does no harm: parcels are applied in order or not at all, whatever carries
them. What an operator is told beside that is how it went, and what to do next.
"""

import threading
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from node.services.channel.exchange import Exchange
from node.services.context import Context, WriteWork
from node.store.rows import PutSetting
from protocol.envelope import Header, decode_parcel
from protocol.errors import Code, ExchangeFileInvalid, ExchangeFileMisaddressed, Refusal
from protocol.exchange_file import (
    FILE_BYTES_MAX,
    FILE_PARCELS_MAX,
    FileHeader,
    decode_exchange_file,
    encode_exchange_file,
)
from protocol.identifiers import Ledger
from protocol.ledger.state import PARTNERS

RECORDS_BYTES_MAX: Final = 16_384
"""What header and trailer of a file may take of its bytes, and more."""

Outcome: TypeAlias = Literal["applied", "repeated", "waiting"]
Next: TypeAlias = Literal["nothing", "export", "import_earlier", "recover"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportAnswer:
    """What importing a file did: of its `bodies`, some were `applied` now, some before, some are still `waiting`.

    `applied`: something new was taken in. `repeated`: all of it was known. `waiting`: nothing could be taken in yet.
    `expected` is the number of the sender's next file.
    """

    sender: str
    number: int
    expected: int
    outcome: Outcome
    parcels: int
    bodies: int
    applied: int
    waiting: int
    next: Next


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """An exchange file, with its name among all files to this partner."""

    name: str
    data: bytes


class ExchangeFilesService:
    """Makes files for partners and takes theirs in."""

    def __init__(self, context: Context, exchange: Exchange) -> None:
        self._context = context
        self._exchange = exchange
        self._lock = threading.Lock()

    def export(self, partner: Ledger) -> ExportedFile:
        """Return the partner's next file: all that waits for it, and how far its own words have been applied."""
        context = self._context
        record = context.reader.record(PARTNERS, partner)
        if record is None:
            raise Refusal(Code.PARTNER_UNKNOWN, f"there is no partner {partner}")
        with self._lock:
            number = self._number("exported", partner) + 1
            self._keep("exported", partner, number)
            parcels = self._exchange.parcels(
                partner, count_max=FILE_PARCELS_MAX, bytes_max=FILE_BYTES_MAX - RECORDS_BYTES_MAX
            )
            header = FileHeader(
                network=record.network,
                sender=context.ledger,
                receiver=partner,
                number=number,
                created_at=context.now,
                epoch=decode_parcel(parcels[0]).header.epoch,
            )
            return ExportedFile(_name(header), encode_exchange_file(header, parcels))

    def take(self, data: bytes) -> ImportAnswer:
        """Take in a partner's file and return how it went, once that is durable.

        Raises `ExchangeFileInvalid` or another `ProtocolError`, or `PeerUnknown`: then nothing of it was applied.
        """
        file = decode_exchange_file(data)
        if file.header.receiver != self._context.ledger:
            raise ExchangeFileMisaddressed(f"the file is for {file.header.receiver}, not for {self._context.ledger}")
        if not file.parcels:
            raise ExchangeFileInvalid("the file holds no parcel")
        headers = [self._exchange.check(parcel) for parcel in file.parcels]
        sender = file.header.sender
        with self._lock:
            before = self._number("imported", sender)
            applied = sum(self._take_parcel(parcel) for parcel in file.parcels)
            if file.header.number > before:
                self._keep("imported", sender, file.header.number)
        waiting = sum(self._waiting(header) for header in headers)
        return ImportAnswer(
            sender=sender,
            number=file.header.number,
            expected=max(before, file.header.number) + 1,
            outcome="applied" if applied else "waiting" if waiting else "repeated",
            parcels=len(headers),
            bodies=sum(header.count for header in headers),
            applied=applied,
            waiting=waiting,
            next=self._next(sender, applied=applied, waiting=waiting),
        )

    def _take_parcel(self, parcel: bytes) -> int:
        _, taken = self._exchange.receive(parcel)
        return taken.result()

    def _waiting(self, header: Header) -> int:
        """Return how many frames of a parcel are ahead of what has been applied of its sender's stream."""
        state = self._context.reader.channel(header.sender)
        if state is None or header.epoch > state.in_epoch:
            return header.count
        if (header.epoch, header.epoch_nonce) != (state.in_epoch, state.in_nonce):
            return 0
        return min(max(header.first_seq + header.count - state.in_next_seq, 0), header.count)

    def _next(self, sender: Ledger, *, applied: int, waiting: int) -> Next:
        peer = self._exchange.peer(sender)
        with peer.lock:
            behind, answered = not peer.excused, peer.outgoing.answered
        behind = behind or self._context.writer.gate.behind is not None
        if behind:
            return "recover"
        if applied or (waiting and not answered):
            return "export"
        return "import_earlier" if waiting else "nothing"

    def _number(self, what: str, partner: Ledger) -> int:
        return int(self._context.reader.setting(_setting(what, partner)) or "0")

    def _keep(self, what: str, partner: Ledger, number: int) -> None:
        self._context.writer.submit(WriteWork([PutSetting(_setting(what, partner), str(number))])).result()


def _setting(what: str, partner: Ledger) -> str:
    return f"exchange_files/{what}/{partner}"


def _name(header: FileHeader) -> str:
    sender, receiver = (ledger.replace("/", "-") for ledger in (header.sender, header.receiver))
    return f"{sender}_{receiver}_{header.number:06d}.tallystick"
