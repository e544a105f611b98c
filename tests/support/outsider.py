"""A verifier of public logs by somebody else: written from the C2SP pages alone, it shares no code with the project.

It needs the standard library and `cryptography`. Whatever it is given it checks by itself: the checkpoint's signature,
the witnesses' cosignatures, every tile that a log of that size must serve, the hashes between the levels, the root, and
the entries when it is let to see them (signed-note, tlog-checkpoint, tlog-cosignature, tlog-tiles; RFC 6962).
"""

import base64
import hashlib
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Fetch = Callable[[str], bytes]
"""`fetch(path)`: what the log serves at this path."""

PLAIN, COSIGNATURE = 1, 4


class Disproved(Exception):
    """The log does not hold what it claims."""


@dataclass(frozen=True)
class VerifierKey:
    """A verifier key as signed-note writes it."""

    name: str
    key_id: bytes
    kind: int
    public: Ed25519PublicKey

    @classmethod
    def read(cls, text: str) -> "VerifierKey":
        name, given_id, material = text.split("+", 2)
        data = base64.b64decode(material, validate=True)
        key_id = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
        require(key_id.hex() == given_id and len(data) == 33, f"{name} is no verifier key")
        return cls(name, key_id, data[0], Ed25519PublicKey.from_public_bytes(data[1:]))


@dataclass
class Seen:
    """What was read and found to hold."""

    origin: str
    size: int
    root: bytes
    witnesses: dict[str, int] = field(default_factory=dict)
    tiles: list[str] = field(default_factory=list)
    bundles: list[str] = field(default_factory=list)


def verify_log(fetch: Fetch, *, log: str, witnesses: Sequence[str] = (), entries: bool = False) -> Seen:
    """Return what holds of the log whose verifier key is `log`, or raise `Disproved`.

    All of `witnesses` must have cosigned its checkpoint. With `entries`, every entry is hashed again.
    """
    text, lines = read_note(fetch("checkpoint"))
    log_key = VerifierKey.read(log)
    seen = read_checkpoint(text)
    require(seen.origin == log_key.name, f"this is the log {seen.origin}")
    check_signature(log_key, text, lines)
    for witness in map(VerifierKey.read, witnesses):
        seen.witnesses[witness.name] = check_cosignature(witness, text, lines)
    leaves = read_level(fetch, seen, 0, None)
    if entries:
        check_entries(fetch, seen, leaves)
    level, above = 1, parents(leaves)
    while above:
        read_level(fetch, seen, level, above)
        level, above = level + 1, parents(above)
    require(tree_head(leaves) == seen.root, "the tiles do not lead to the root that was signed")
    return seen


def read_note(data: bytes) -> tuple[str, list[tuple[str, bytes]]]:
    """Split a signed note into its text and its signature lines, each with name and signature bytes."""
    content = data.decode("utf-8")
    split = content.rindex("\n\n")
    text, block = content[: split + 1], content[split + 2 :]
    require(block.endswith("\n"), "the last signature line does not end")
    lines = []
    for line in block[:-1].split("\n"):
        mark, name, blob = line.split(" ")
        require(mark == "\u2014", "a signature line begins with an em dash")
        lines.append((name, base64.b64decode(blob, validate=True)))
    return text, lines


def read_checkpoint(text: str) -> Seen:
    origin, size, root = text.split("\n")[:3]
    require(text == f"{origin}\n{size}\n{root}\n", "a checkpoint of this log has three lines")
    require(size == str(int(size)), "a size has one spelling")
    hash_bytes = base64.b64decode(root, validate=True)
    require(len(hash_bytes) == 32, "a root has 32 bytes")
    return Seen(origin, int(size), hash_bytes)


def check_signature(key: VerifierKey, text: str, lines: Iterable[tuple[str, bytes]]) -> None:
    require(key.kind == PLAIN, "a log signs with a key of type 0x01")
    (blob,) = lines_of(key, lines)
    check(key, blob, text.encode())


def check_cosignature(key: VerifierKey, text: str, lines: Iterable[tuple[str, bytes]]) -> int:
    """Return the time at which a witness cosigned, in POSIX seconds."""
    require(key.kind == COSIGNATURE, "a witness signs with a key of type 0x04")
    (blob,) = lines_of(key, lines)
    (time,) = struct.unpack(">Q", blob[:8])
    require(time > 0, "a cosignature states a time")
    check(key, blob[8:], f"cosignature/v1\ntime {time}\n{text}".encode())
    return int(time)


def lines_of(key: VerifierKey, lines: Iterable[tuple[str, bytes]]) -> list[bytes]:
    found = [blob[4:] for name, blob in lines if name == key.name and blob[:4] == key.key_id]
    require(len(found) == 1, f"{key.name} has not signed, or more than once")
    return found


def check(key: VerifierKey, signature: bytes, message: bytes) -> None:
    try:
        key.public.verify(signature, message)
    except InvalidSignature as error:
        raise Disproved(f"the signature of {key.name} does not verify") from error


def read_level(fetch: Fetch, seen: Seen, level: int, expected: list[bytes] | None) -> list[bytes]:
    """Read all tiles of a level, full ones and the partial one; compare them with what the level below leads to."""
    count = seen.size // 256**level
    hashes: list[bytes] = []
    for index in range((count + 255) // 256):
        width = min(256, count - index * 256)
        path = tile_path(str(level), index, width)
        data = fetch(path)
        require(len(data) == 32 * width, f"{path} has {len(data)} bytes")
        hashes += [data[at : at + 32] for at in range(0, len(data), 32)]
        seen.tiles.append(path)
    require(expected is None or hashes == expected, f"level {level} is not made of the level below")
    return hashes


def check_entries(fetch: Fetch, seen: Seen, leaves: Sequence[bytes]) -> None:
    hashes: list[bytes] = []
    for index in range((seen.size + 255) // 256):
        path = tile_path("entries", index, min(256, seen.size - index * 256))
        data = fetch(path)
        while data:
            (length,) = struct.unpack(">H", data[:2])
            require(len(data) >= 2 + length, f"{path} is cut off")
            hashes.append(hashlib.sha256(b"\x00" + data[2 : 2 + length]).digest())
            data = data[2 + length :]
        seen.bundles.append(path)
    require(hashes == leaves, "the entries are not those of the leaves")


def tile_path(level: str, index: int, width: int) -> str:
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.insert(0, f"x{index % 1000:03}")
    return f"tile/{level}/{'/'.join(groups)}" + (f".p/{width}" if width < 256 else "")


def parents(hashes: Sequence[bytes]) -> list[bytes]:
    """Return the hashes one tile level up: one for each full tile."""
    return [tree_head(hashes[at : at + 256]) for at in range(0, len(hashes) - 255, 256)]


def tree_head(hashes: Sequence[bytes]) -> bytes:
    """Return MTH over leaf hashes (RFC 6962, 2.1)."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << ((len(hashes) - 1).bit_length() - 1)
    left, right = tree_head(hashes[:split]), tree_head(hashes[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def require(holds: bool, why: str) -> None:
    if not holds:
        raise Disproved(why)
