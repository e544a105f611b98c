"""How a node and the agent that holds its keys speak: frames of JSON over a Unix socket (specs/keys.md §6).

A frame is its length as four bytes, big-endian, and so many bytes of one JSON object. Each request has one answer.
"""

import socket
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from protocol.agreement import KeyText, RoleKey
from protocol.errors import ProtocolError
from protocol.fields import LedgerField
from protocol.keys import Role
from protocol.limits import DOCUMENT_BYTES_MAX, NOTE_BYTES_MAX
from protocol.points import Natural

MESSAGE_BYTES_MAX: Final = DOCUMENT_BYTES_MAX + 64
"""The largest message is a document behind its domain line."""

FRAME_BYTES_MAX: Final = 4 * (MESSAGE_BYTES_MAX // 3) + 1_024
LENGTH_BYTES: Final = 4

Note: TypeAlias = Annotated[str, Meta(max_length=NOTE_BYTES_MAX)]


class AgentWireInvalid(ProtocolError):
    """Bytes are not a frame of the agent's protocol."""

    code = "agent_wire_invalid"


class AskKeys(msgspec.Struct, frozen=True, tag_field="do", tag="keys", forbid_unknown_fields=True):
    """Name the keys."""


class AskSignature(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="sign", forbid_unknown_fields=True):
    """Sign `message` with the key of `role`; of the log's keys with that of `number`, the first being 0."""

    role: Role
    message: bytes
    number: Natural = 0


class SayCommitted(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="committed", forbid_unknown_fields=True
):
    """The checkpoint in `note`, which this agent has signed, is durable."""

    note: Note


class KeysAnswer(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="keys", forbid_unknown_fields=True):
    """The public keys, in the order of the roles, the log's later ones, and the last checkpoint that was durable."""

    ledger: LedgerField
    keys: tuple[RoleKey, ...]
    log_keys: tuple[KeyText, ...]
    next_log_key: str | None
    committed: Note | None


class SignatureAnswer(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="signature", forbid_unknown_fields=True
):
    """The signature that was asked for."""

    signature: bytes


class DoneAnswer(msgspec.Struct, frozen=True, tag_field="is", tag="done", forbid_unknown_fields=True):
    """It is noted."""


class RefusedAnswer(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="refused", forbid_unknown_fields=True
):
    """It is not done, and why."""

    code: str
    detail: str


Request: TypeAlias = AskKeys | AskSignature | SayCommitted
Answer: TypeAlias = KeysAnswer | SignatureAnswer | DoneAnswer | RefusedAnswer

_ENCODER: Final = msgspec.json.Encoder()
_REQUESTS: Final["msgspec.json.Decoder[Request]"] = msgspec.json.Decoder(Request)
_ANSWERS: Final["msgspec.json.Decoder[Answer]"] = msgspec.json.Decoder(Answer)


def encode_frame(message: Request | Answer) -> bytes:
    """Return a request or an answer as it travels, or raise `AgentWireInvalid` where it is too long."""
    data = _ENCODER.encode(message)
    if len(data) > FRAME_BYTES_MAX:
        raise AgentWireInvalid(f"a frame has at most {FRAME_BYTES_MAX} bytes")
    return len(data).to_bytes(LENGTH_BYTES) + data


def decode_request(data: bytes) -> Request:
    """Return the request in a frame's bytes, or raise `AgentWireInvalid`."""
    try:
        return _REQUESTS.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise AgentWireInvalid(f"not a request to an agent: {error}") from error


def decode_answer(data: bytes) -> Answer:
    """Return the answer in a frame's bytes, or raise `AgentWireInvalid`."""
    try:
        return _ANSWERS.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise AgentWireInvalid(f"not the answer of an agent: {error}") from error


def receive_frame(connection: socket.socket) -> bytes | None:
    """Return the bytes of the next frame, or None where the other side has closed before one began.

    Raises `AgentWireInvalid` for a frame that is too long or ends early, and OSError.
    """
    head = _receive(connection, LENGTH_BYTES)
    if not head:
        return None
    length = int.from_bytes(head)
    if len(head) < LENGTH_BYTES or length > FRAME_BYTES_MAX:
        raise AgentWireInvalid(f"a frame has a length of {LENGTH_BYTES} bytes, at most {FRAME_BYTES_MAX}")
    data = _receive(connection, length)
    if len(data) < length:
        raise AgentWireInvalid("a frame ends early")
    return data


def _receive(connection: socket.socket, count: int) -> bytes:
    parts, left = [], count
    while left and (part := connection.recv(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
