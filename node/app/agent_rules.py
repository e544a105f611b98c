"""What an agent signs with each key: the role's own kinds of message, for its own ledger (specs/keys.md §6).

An agent sees neither log nor store. It holds what can be held without: a message is one that this ledger could have to
sign, and the log never goes back behind a checkpoint that its node has called durable.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec

from node.kinds import known
from node.ports import SignerRefused
from node.services.logs.own_log import place_of
from protocol import encoding
from protocol.agreement import Agreement, check_agreement
from protocol.checkpoint import Checkpoint, parse_checkpoint
from protocol.documents import AccountLink, Introduction
from protocol.encoding import ZERO_DIGEST
from protocol.envelope import PAYLOAD_TYPE, DsseSignature, Envelope
from protocol.errors import CheckpointInvalid, ProtocolError
from protocol.identifiers import Ledger, first_of, parse_ledger
from protocol.keys import SIGNATURE_BYTES, PublicKey, Role, encode_base64
from protocol.statement import decode_statement

AGREEMENT: Final = b"tallystick/agreement-signature/v1\n"
STATEMENT: Final = b"tallystick/statement-signature/v1\n"
INVITATION: Final = b"tallystick/invitation/v1\n"
LINK: Final = b"tallystick/link/v1\n"
LOG_PASS: Final = b"tallystick/log-pass/v1\n"
COSIGNATURE: Final = b"cosignature/v1\n"
ENVELOPE: Final = b"DSSEv1 %d %s " % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode())

_LENGTH: Final = re.compile(rb"([1-9][0-9]{0,6}) ")
_TIME: Final = re.compile(r"time ([1-9][0-9]{0,18})\n")
_LOG_PASS_LINES: Final = 4
_NO_SIGNATURE: Final = DsseSignature(keyid=ZERO_DIGEST, sig=encode_base64(bytes(SIGNATURE_BYTES)))
_D = TypeVar("_D")


class SigningRules:
    """Judges the messages that one ledger is asked to sign."""

    def __init__(self, ledger: Ledger, keys: Mapping[Role, PublicKey]) -> None:
        """Judge for the ledger of that name, in whichever generation, and its `keys`."""
        self._ledger = first_of(ledger)
        self._keys = dict(keys)
        self._kinds: Mapping[Role, Mapping[bytes, Callable[[bytes], None]]] = {
            Role.WITNESS: {COSIGNATURE: self._check_cosignature},
            Role.CHANNEL: {ENVELOPE: self._check_envelope, LINK: self._check_link, LOG_PASS: self._check_log_pass},
            Role.APPROVAL: {
                AGREEMENT: self._check_agreement,
                STATEMENT: self._check_statement,
                INVITATION: self._check_invitation,
            },
        }

    def check(self, role: Role, message: bytes, *, floor: Checkpoint | None) -> None:
        """Raise `SignerRefused` unless `message` is one that the key of `role` may sign; `floor` is durable."""
        try:
            if role is Role.LOG:
                self._check_checkpoint(_text(message), floor)
                return
            for beginning, check in self._kinds[role].items():
                if message.startswith(beginning):
                    check(message.removeprefix(beginning))
                    return
        except ProtocolError as error:
            raise SignerRefused(f"the {role} key does not sign what is malformed: {error}") from error
        raise SignerRefused(f"the {role} key does not sign messages of this kind")

    def _check_checkpoint(self, text: str, floor: Checkpoint | None) -> None:
        checkpoint = parse_checkpoint(text)
        if checkpoint.extensions or not checkpoint.size:
            raise CheckpointInvalid("a log of this protocol signs no extension lines, and no checkpoint of nothing")
        self._require_own(parse_ledger(checkpoint.origin))
        check_follows(checkpoint, floor)

    def _check_cosignature(self, rest: bytes) -> None:
        time = _TIME.match(text := _text(rest))
        if time is None:
            raise SignerRefused("a cosignature states its time")
        origin = parse_checkpoint(text[time.end() :]).origin
        if first_of(parse_ledger(origin)) == self._ledger:
            raise SignerRefused("a witness does not cosign its own log")

    def _check_envelope(self, rest: bytes) -> None:
        length = _LENGTH.match(rest)
        payload = rest[length.end() :] if length else b""
        if length is None or int(length[1]) != len(payload):
            raise SignerRefused("an envelope's payload is as long as it says")
        envelope = Envelope(payload=encode_base64(payload), payload_type=PAYLOAD_TYPE, signatures=(_NO_SIGNATURE,))
        self._require_own(envelope.header().sender)

    def _check_link(self, rest: bytes) -> None:
        self._require_own(_document(rest, AccountLink).issuer)

    def _check_log_pass(self, rest: bytes) -> None:
        lines = _text(rest).split("\n")
        if len(lines) != _LOG_PASS_LINES + 1 or lines[-1]:
            raise SignerRefused(f"a pass for a log has {_LOG_PASS_LINES} lines")
        self._require_own(parse_ledger(lines[1]))

    def _check_agreement(self, rest: bytes) -> None:
        agreement = _document(rest, Agreement)
        check_agreement(agreement)
        own = [party for party in agreement.parties if party.ledger == self._ledger]
        if not own or own[0].key(Role.APPROVAL) != self._keys[Role.APPROVAL]:
            raise SignerRefused(f"{self._ledger} is no party of the agreement under its approval key")

    def _check_statement(self, rest: bytes) -> None:
        if self._ledger not in decode_statement(rest).parties:
            raise SignerRefused(f"{self._ledger} is no party of the statement")

    def _check_invitation(self, rest: bytes) -> None:
        introduction = _document(rest, Introduction)
        self._require_own(introduction.ledger)
        if [item.key for item in introduction.keys] != [self._keys[role].text for role in Role]:
            raise SignerRefused("an invitation names the ledger's own keys")

    def _require_own(self, ledger: str) -> None:
        if first_of(Ledger(ledger)) != self._ledger:
            raise SignerRefused(f"these are the keys of {self._ledger}, not of {ledger[:80]}")


def check_follows(checkpoint: Checkpoint, floor: Checkpoint | None) -> None:
    """Raise `SignerRefused` for a checkpoint that goes back behind `floor`, or is of its size and another root."""
    if floor is None or place_of(checkpoint) > place_of(floor) or checkpoint == floor:
        return
    raise SignerRefused(
        f"{checkpoint.origin} with {checkpoint.size} entries goes back behind {floor.origin} with {floor.size}, "
        "which is durable, or has another root"
    )


def _text(message: bytes) -> str:
    try:
        return message.decode()
    except UnicodeDecodeError as error:
        raise SignerRefused("the message is not UTF-8") from error


def _document(data: bytes, kind: type[_D]) -> _D:
    encoding.decode(data)
    try:
        return msgspec.json.decode(data, type=known(kind))
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise SignerRefused(f"not a document of its kind: {error}") from error
