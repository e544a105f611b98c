"""Rotation of the log's key to the one that it has committed to, by the old key and the new (specs/keys.md §7)."""

from collections.abc import Iterator
from typing import TypeAlias, TypeVar

import msgspec

from protocol.agreement import key_of
from protocol.errors import Code, ProtocolError, Refusal
from protocol.key_entries import (
    LOG_KEYS_MAX,
    LogKeyRotated,
    LogKeyStatement,
    PartnerLogKeyRotated,
    SignedRotation,
    verify_rotation,
)
from protocol.keys import PublicKey, Role
from protocol.ledger.commands import RotateLogKey, TakeLogKey
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.partners import known_partner
from protocol.ledger.postings import ledger_record
from protocol.ledger.state import LEDGER, ONLY, PARTNERS, LedgerRecord, PartnerRecord
from protocol.ledger.view import Need, Overlay, View, need


def log_keys(record: LedgerRecord | PartnerRecord) -> tuple[PublicKey, ...]:
    """Return the keys of a log as far as they are known, from the first to the newest; each signs checkpoints."""
    return (key_of(record.keys, Role.LOG), *map(PublicKey.parse, record.log_keys))


def needs_rotation(_view: Overlay, command: RotateLogKey | TakeLogKey) -> Iterator[Need]:
    """Name the partner, if it is one's log."""
    if isinstance(command, TakeLogKey):
        yield need(PARTNERS, command.partner)


def decide_rotate(_view: View, command: RotateLogKey, moment: Moment) -> LogKeyRotated:
    """Propose the next key of the log."""
    signed = command.signed
    return LogKeyRotated(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        number=signed.statement.number,
        key_before=signed.statement.key_before,
        key=signed.statement.key,
        next_log_key=signed.statement.next_log_key,
        signature_before=signed.signature_before,
        signature=signed.signature,
    )


def apply_rotated(view: View, entry: LogKeyRotated) -> None:
    """Have the log signed by its next key as well, and know the commitment to the one after."""
    own = ledger_record(view)
    after = _checked(own, entry, entry.statement(own.ledger))
    if after.digest != own.next_log_key:
        raise Refusal(Code.ROTATION_INVALID, "the log has committed to another key")
    view.put(LEDGER, ONLY, _with_key(own, entry))


def decide_take(view: View, command: TakeLogKey, moment: Moment) -> PartnerLogKeyRotated:
    """Propose to know a partner's log by its next key as well."""
    signed = command.signed
    return PartnerLogKeyRotated(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=known_partner(view, command.partner).network,
        partner=command.partner,
        number=signed.statement.number,
        key_before=signed.statement.key_before,
        key=signed.statement.key,
        next_log_key=signed.statement.next_log_key,
        signature_before=signed.signature_before,
        signature=signed.signature,
    )


def apply_taken(view: View, entry: PartnerLogKeyRotated) -> None:
    """Know a partner's log by its next key as well; the first commitment stands in its own genesis, which it shows."""
    record = known_partner(view, entry.partner)
    if record.network != entry.network:
        raise Refusal(Code.PARTNER_MISMATCH, "the rotation is of another network")
    after = _checked(record, entry, entry.statement())
    if record.next_log_key not in {None, after.digest}:
        raise Refusal(Code.ROTATION_INVALID, f"the log of {entry.partner} has committed to another key")
    view.put(PARTNERS, entry.partner, _with_key(record, entry))


_R = TypeVar("_R", LedgerRecord, PartnerRecord)
_Rotated: TypeAlias = LogKeyRotated | PartnerLogKeyRotated


def _with_key(record: _R, entry: _Rotated) -> _R:
    return msgspec.structs.replace(record, log_keys=(*record.log_keys, entry.key), next_log_key=entry.next_log_key)


def _checked(record: LedgerRecord | PartnerRecord, entry: _Rotated, statement: LogKeyStatement) -> PublicKey:
    """Return the new key once both keys are shown to have signed, and it is the next of a log with the keys so far."""
    signed = SignedRotation(statement=statement, signature_before=entry.signature_before, signature=entry.signature)
    try:
        verify_rotation(signed)
    except ProtocolError as error:
        raise Refusal(Code.ROTATION_INVALID, str(error)) from error
    keys, after = log_keys(record), PublicKey.parse(entry.key)
    if (entry.number, entry.key_before) != (len(keys), keys[-1].text):
        raise Refusal(Code.ROTATION_INVALID, f"the log has {len(keys)} keys, the newest is {keys[-1].text}")
    if len(keys) >= LOG_KEYS_MAX:
        raise Refusal(Code.ROTATION_INVALID, f"a log has at most {LOG_KEYS_MAX} keys")
    if entry.key in {item.key for item in record.keys} | set(record.log_keys) or entry.next_log_key == after.digest:
        raise Refusal(Code.ROTATION_INVALID, "each key of a ledger is used for one thing, once")
    return after
