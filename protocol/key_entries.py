"""The entry kinds about keys: a partner is suspended whose keys are in doubt, and the log gets its next key.

The log has committed to its next key before anybody could know it, so whoever steals the present one cannot rotate
(specs/partners.md §4, specs/keys.md §7).
"""

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from protocol.agreement import KeyText, SignatureText
from protocol.encoding import Codec
from protocol.entry import Entry
from protocol.errors import EntryInvalid
from protocol.fields import DigestField, LedgerField, NetworkField, ReasonField
from protocol.identifiers import Digest, Ledger
from protocol.keys import PublicKey, Signer, decode_signature, encode_signature
from protocol.points import Amount, Natural

LOG_KEYS_MAX: Final = 16
"""Keys that a log can have, one after the other: a checkpoint bears a line of each."""

_ROTATION_DOMAIN: Final = b"tallystick/log-key/v1\n"


class PartnerSuspended(Entry, frozen=True, kw_only=True, tag="partner_suspended"):
    """Nothing new begins with a partner; what has begun ends by the rules.

    `epoch` and `next_seq` say how far its stream had been applied: words before that place were taken without this.
    """

    network: NetworkField
    partner: LedgerField
    reason: ReasonField
    epoch: Natural
    next_seq: Natural


class PartnerResumed(Entry, frozen=True, kw_only=True, tag="partner_resumed"):
    """A suspended partner is a partner as before."""

    network: NetworkField
    partner: LedgerField
    reason: ReasonField


class LogKeyStatement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the old and the new log key sign: `key` follows `key_before`, and the one after it is committed to."""

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    ledger: LedgerField
    number: Amount
    key_before: KeyText
    key: KeyText
    next_log_key: DigestField


class LogKeyRotated(Entry, frozen=True, kw_only=True, tag="log_key_rotated"):
    """From here on checkpoints are signed by `key` too; `number` counts the log's keys from 1 after the first."""

    number: Amount
    key_before: KeyText
    key: KeyText
    next_log_key: DigestField
    signature_before: SignatureText
    signature: SignatureText

    def statement(self, ledger: Ledger) -> LogKeyStatement:
        """Return what both keys have signed for the ledger of that standing name."""
        return LogKeyStatement(
            ledger=ledger,
            number=self.number,
            key_before=self.key_before,
            key=self.key,
            next_log_key=self.next_log_key,
        )


class PartnerLogKeyRotated(Entry, frozen=True, kw_only=True, tag="partner_log_key_rotated"):
    """A partner's log is signed by `key` too: from here on its checkpoints are cosigned with that signature alone."""

    network: NetworkField
    partner: LedgerField
    number: Amount
    key_before: KeyText
    key: KeyText
    next_log_key: DigestField
    signature_before: SignatureText
    signature: SignatureText

    def statement(self) -> LogKeyStatement:
        """Return what both keys of the partner's log have signed."""
        return LogKeyStatement(
            ledger=self.partner,
            number=self.number,
            key_before=self.key_before,
            key=self.key,
            next_log_key=self.next_log_key,
        )


KeyEntry: TypeAlias = PartnerSuspended | PartnerResumed | LogKeyRotated | PartnerLogKeyRotated


class SignedRotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A statement with both signatures."""

    statement: LogKeyStatement
    signature_before: SignatureText
    signature: SignatureText


_ROTATIONS: Final = Codec(msgspec.json.Decoder(SignedRotation), error=EntryInvalid, bytes_max=4_096)
_STATEMENTS: Final = Codec(msgspec.json.Decoder(LogKeyStatement), error=EntryInvalid, bytes_max=4_096)


def sign_rotation(
    *, ledger: Ledger, number: int, before: Signer, after: Signer, next_log_key: Digest
) -> SignedRotation:
    """Return the statement that `after` follows `before` as the key of the ledger's log, signed by both."""
    statement = LogKeyStatement(
        ledger=ledger,
        number=number,
        key_before=before.public.text,
        key=after.public.text,
        next_log_key=next_log_key,
    )
    message = _ROTATION_DOMAIN + _STATEMENTS.encode(statement)
    return SignedRotation(
        statement=statement,
        signature_before=encode_signature(before.sign(message)),
        signature=encode_signature(after.sign(message)),
    )


def verify_rotation(signed: SignedRotation) -> None:
    """Raise `KeyInvalid` or `SignatureInvalid` unless both keys that the statement names have signed it."""
    statement = signed.statement
    message = _ROTATION_DOMAIN + _STATEMENTS.encode(statement)
    for key, signature in ((statement.key_before, signed.signature_before), (statement.key, signed.signature)):
        PublicKey.parse(key).verify(signature=decode_signature(signature), message=message)


def encode_rotation(signed: SignedRotation) -> bytes:
    """Return the canonical bytes in which a rotation is carried to the node."""
    return _ROTATIONS.encode(signed)


def decode_rotation(data: bytes) -> SignedRotation:
    """Return the rotation in `data`, not yet verified, or raise `EntryInvalid`."""
    return _ROTATIONS.decode(data)
