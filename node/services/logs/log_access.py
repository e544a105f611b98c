"""Who reads the checkpoints and hashes of a log that its operator has closed: auditors, and partners (specs/http.md).

The size of a log tells how much a brand does. A partner shows by a note, signed with its channel key a moment ago, that
it is the one who reads: what it reads is proved or not believed, and no secret is handed out for it.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from node.services.context import Context
from node.services.refusals import NodeCode, NodeRefusal
from protocol.agreement import key_of
from protocol.errors import ProtocolError
from protocol.fields import format_time, parse_time
from protocol.identifiers import Ledger, parse_ledger
from protocol.keys import Role, decode_base64, encode_base64
from protocol.ledger.state import PARTNERS
from protocol.note import Note, Verifier, format_note, parse_note, sign_note, verify_note

SCHEME: Final = "Tallystick"
"""The scheme of the `Authorization` header in which a pass travels."""

VALID_SECONDS: Final = 600
"""How far the time of a pass may lie from the clock of the node that is read."""

CHARACTERS_MAX: Final = 4_096
_DOMAIN: Final = "tallystick/log-pass/v1"


@dataclass(frozen=True, slots=True)
class _Pass:
    """Who reads whose log in which network, as of when."""

    network: str
    reader: str
    ledger: str
    time: str

    @property
    def text(self) -> str:
        return f"{_DOMAIN}\n{self.network}\n{self.reader}\n{self.ledger}\n{self.time}\n"


def log_pass(context: Context, partner: Ledger) -> str | None:
    """Return the `Authorization` header with which this node reads the log of `partner`, or None for a stranger."""
    record = context.reader.record(PARTNERS, partner)
    if record is None:
        return None
    stated = _Pass(record.network, context.ledger, partner, format_time(context.clock.now()))
    note = sign_note(stated.text, name=context.ledger, key=context.keyring.key(Role.CHANNEL))
    return f"{SCHEME} {encode_base64(format_note(note))}"


class LogAccess:
    """Lets everybody read an open log, and judges the passes of partners where it is closed."""

    def __init__(self, context: Context, *, is_open: bool) -> None:
        """Guard the log of the ledger of `context`, unless it `is_open`."""
        self._context = context
        self.is_open = is_open

    def check(self, credential: str) -> Ledger:
        """Return the partner whose pass `credential` is, or raise `unauthorized`."""
        note, stated = _parsed(credential)
        try:
            reader = parse_ledger(stated.reader)
            record = self._context.reader.record(PARTNERS, reader)
            if record is None or (stated.network, stated.ledger) != (record.network, self._context.ledger):
                raise _refused()
            verify_note(note, [Verifier(reader, key_of(record.keys, Role.CHANNEL))])
            age = self._context.clock.now() - parse_time(stated.time)
        except (ProtocolError, ValueError) as error:
            raise _refused() from error
        if abs(age) > timedelta(seconds=VALID_SECONDS):
            raise _refused()
        return reader


def _parsed(credential: str) -> tuple[Note, _Pass]:
    data = decode_base64(credential) if len(credential) <= CHARACTERS_MAX else None
    if data is None:
        raise _refused()
    try:
        note = parse_note(data)
        domain, *stated, rest = note.text.split("\n")
        found = _Pass(*stated)
    except (ProtocolError, ValueError, TypeError) as error:
        raise _refused() from error
    if domain != _DOMAIN or rest:
        raise _refused()
    return note, found


def _refused() -> NodeRefusal:
    return NodeRefusal(NodeCode.UNAUTHORIZED, "the request carries no pass of a partner that holds now")
