"""More of the reader by somebody else: parcels, and single bodies with their envelopes (specs/envelope.md)."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from nacl.exceptions import BadSignatureError

from tests.support.stranger import (
    SIZE_MAX,
    Case,
    Properties,
    content,
    digest,
    includes,
    keys_of,
    node,
    read_json,
    require,
    unbase64,
    written,
)

PARCEL_BYTES_MAX: Final = 4_194_304
TYPE: Final = "application/vnd.tallystick.envelope.v1+json"
HEADER: Final = {
    "v",
    "network",
    "sender",
    "receiver",
    "epoch",
    "epoch_nonce",
    "first_seq",
    "count",
    "previous",
    "acknowledgement",
    "checkpoint",
    "root",
}
_T = TypeVar("_T")
OF_THE_DESTINATION: Final = {"fulfil", "reject", "error"}


def envelope(case: Case, given: Case) -> Properties:
    document = fields(read_json(content(case), bytes_max=PARCEL_BYTES_MAX))
    sealed = fields(document.get("envelope"), {"payload", "payloadType", "signatures"})
    payload = unbase64(text(sealed["payload"]))
    header = fields(read_json(payload), HEADER)
    first, count = number(header["first_seq"]), number(header["count"])
    require(header["v"] == 1 and count <= 256 and first + count <= SIZE_MAX, "no header")
    bodies = parcelled(document, first, count, header) if "bodies" in document else sighted(document, header)
    verify(sealed, payload, header, given)
    for body in bodies:
        require(sender_of(body) == header["sender"], "not the sender's to say")
    shown = ("sender", "receiver", "epoch", "first_seq", "count", "root")
    return {
        **{name: header[name] for name in shown},
        "envelope": digest("envelope", payload),
        "bodies": [digest("body", written(body).encode()) for body in bodies],
        "kinds": [body["kind"] for body in bodies],
    }


def parcelled(document: Case, first: int, count: int, header: Case) -> list[Case]:
    bodies = [fields(body) for body in items(fields(document, {"bodies", "envelope"})["bodies"])]
    frames = [{"body": digest("body", written(body).encode()), "seq": first + at} for at, body in enumerate(bodies)]
    require(len(bodies) == count and head(list(map(leaf, frames))).hex() == header["root"], "other bodies")
    return bodies


def sighted(document: Case, header: Case) -> list[Case]:
    parts = fields(document, {"body", "frame", "path", "envelope"})
    frame, body = fields(parts["frame"], {"seq", "body"}), fields(parts["body"])
    path = [bytes.fromhex(text(each)) for each in items(parts["path"])]
    require(frame["body"] == digest("body", written(body).encode()), "another body")
    place = number(frame["seq"]) - number(header["first_seq"])
    require(includes(leaf(frame), place, number(header["count"]), path).hex() == header["root"], "not in the envelope")
    return [body]


def verify(sealed: Case, payload: bytes, header: Case, given: Case) -> None:
    require(sealed["payloadType"] == TYPE, "another type")
    (signature,) = one(items(sealed["signatures"]))
    stated = fields(signature, {"keyid", "sig"})
    known = [key for key in keys_of(given) if key.name == header["sender"]]
    keys = [key for key in known if hashlib.sha256(key.public.encode()).hexdigest() == stated["keyid"]]
    message = b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(payload), payload)
    try:
        one(keys)[0].public.verify(message, unbase64(text(stated["sig"])))
    except (BadSignatureError, ValueError):
        require(False, "the signature does not verify")


def sender_of(body: Case) -> object:
    """Return whose word a body is: that of its sender, or of one side of a conversion."""
    if "sender" in body:
        return body["sender"]
    return body["destination" if body["kind"] in OF_THE_DESTINATION else "source"]


def leaf(frame: Case) -> bytes:
    return hashlib.sha256(b"\x00" + written(frame).encode()).digest()


def head(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node(head(leaves[:split]), head(leaves[split:]))


def fields(value: object, names: set[str] | None = None) -> Case:
    require(isinstance(value, dict) and (names is None or set(value) == names), "not these fields")
    assert isinstance(value, Mapping)
    return value


def items(value: object) -> list[object]:
    require(isinstance(value, list), "no list")
    assert isinstance(value, list)
    return value


def text(value: object) -> str:
    require(isinstance(value, str), "no text")
    return str(value)


def number(value: object) -> int:
    require(isinstance(value, int) and not isinstance(value, bool) and value >= 0, "no number")
    assert isinstance(value, int)
    return value


def one(found: Sequence[_T]) -> Sequence[_T]:
    require(len(found) == 1, "not one")
    return found
