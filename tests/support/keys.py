"""What happens to keys in a ledger of the tests: partners suspended and taken back, logs that get their next key."""

from protocol.entries import Sealed
from protocol.identifiers import Ledger
from protocol.key_entries import sign_rotation
from protocol.ledger import commands, names
from tests.support.documents import Side, log_key, uuid
from tests.support.ledger import MemoryLedger


def suspend(ledger: MemoryLedger, partner: Ledger, *, name: str = "suspend") -> Sealed:
    """Begin nothing new with a partner."""
    command = commands.SuspendPartner(id=uuid(name), partner=partner, reason="key_stolen", epoch=1, next_seq=0)
    return ledger.execute(command)


def resume(ledger: MemoryLedger, partner: Ledger, *, name: str = "resume") -> Sealed:
    """Take a suspended partner back."""
    return ledger.execute(commands.ResumePartner(id=uuid(name), partner=partner, reason="keys_checked"))


def rotate(ledger: MemoryLedger, number: int = 1) -> Sealed:
    """Give the log its key of that number."""
    before, after = (log_key(ledger.side, each) for each in (number - 1, number))
    committed = log_key(ledger.side, number + 1).public.digest
    signed = sign_rotation(ledger=ledger.name, number=number, before=before, after=after, next_log_key=committed)
    return ledger.execute(commands.RotateLogKey(id=names.log_key_id(number), signed=signed))


def take_log_key(ledger: MemoryLedger, partner: Side, number: int = 1) -> Sealed:
    """Know a partner's log by its key of that number."""
    before, after = (log_key(partner, each) for each in (number - 1, number))
    committed = log_key(partner, number + 1).public.digest
    signed = sign_rotation(ledger=partner.ledger, number=number, before=before, after=after, next_log_key=committed)
    name = names.partner_log_key_id(partner.ledger, number)
    return ledger.execute(commands.TakeLogKey(id=name, partner=partner.ledger, signed=signed))
