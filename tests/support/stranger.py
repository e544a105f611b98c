"""A reader of the published vectors by somebody else: PyNaCl, the standard library, and no code of the project.

Written from specs/encoding.md, notes.md, witness.md and receipts.md, and from specs/vectors/README.md. Each judge
returns what a case expects, or raises `Refused`.
"""

import base64
import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

Case: TypeAlias = Mapping[str, object]
Properties: TypeAlias = dict[str, object]

SIZE_MAX: Final = 2**53 - 1
NUMBER: Final = re.compile("0|[1-9][0-9]{0,15}")


class Refused(Exception):
    """The bytes are not of the format, or do not verify; `status` is a witness's answer to them."""

    def __init__(self, why: str, *, status: int = 400) -> None:
        super().__init__(why)
        self.status = status


def require(holds: object, why: str, *, status: int = 400) -> None:
    if not holds:
        raise Refused(why, status=status)


def content(case: Case) -> bytes:
    """Return a case's bytes."""
    if "data_base64" in case:
        return base64.b64decode(str(case["data_base64"]))
    repeated = case.get("data_repeated")
    if isinstance(repeated, list):
        return "".join(text * count for text, count in repeated).encode()
    return str(case["data"]).encode()


# --- Canonical JSON.


def read_json(data: bytes, *, bytes_max: int = 1_048_576) -> object:
    """Return the value in canonical JSON."""
    require(len(data) <= bytes_max, "too long")
    text = utf8(data)
    require(deepest(text) <= 16, "too deep")
    try:
        value = json.loads(text, parse_float=no_number, parse_constant=no_number, parse_int=integer)
    except ValueError as error:
        raise Refused("no JSON") from error
    check_value(value)
    require(written(value) == text, "not canonical")
    return value


def written(value: object) -> str:
    """Return the canonical text of a value."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def deepest(text: str) -> int:
    """Return how deep brackets outside of strings are nested, counting the outermost value's level."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)
    level = most = 0
    for each in bare:
        level += (each in "[{") - (each in "]}")
        most = max(most, level)
    return most


def no_number(text: str) -> object:
    raise Refused(f"{text[:20]} is no integer")


def integer(text: str) -> int:
    require(len(text) <= 17 and abs(int(text)) <= SIZE_MAX, "beyond 2^53 - 1")
    return int(text)


def check_value(value: object, level: int = 1) -> None:
    require(level <= 16, "too deep")
    if isinstance(value, str):
        require(not re.search("[\ud800-\udfff]", value), "a lone surrogate")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            require(re.fullmatch("[a-z_]+|payloadType", key), "no key")
            check_value(item, level + 1)
    elif isinstance(value, list):
        for item in value:
            check_value(item, level + 1)


def utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Refused("not UTF-8") from error


def encoding(case: Case, given: Case) -> Properties:
    read_json(content(case))
    return {"digest": digest("body", content(case))}


def digest(domain: str, data: bytes) -> str:
    return hashlib.sha256(f"tallystick/{domain}/v1\n".encode() + data).hexdigest()


# --- Notes.


@dataclass(frozen=True)
class Key:
    """A verifier key."""

    name: str
    key_id: bytes
    kind: int
    public: VerifyKey

    @classmethod
    def read(cls, text: str) -> "Key":
        name, shown, material = text.split("+", 2)
        data = unbase64(material)
        key_id = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
        require(key_id.hex() == shown and len(data) == 33, "no verifier key")
        return cls(name, key_id, data[0], VerifyKey(data[1:]))

    def verify(self, text: str, blob: bytes) -> int:
        """Return the time that a cosignature states, or 0 for another signature."""
        time, message = 0, text.encode()
        if self.kind == 4:
            require(len(blob) == 72, "no cosignature")
            time, blob = int.from_bytes(blob[:8], "big"), blob[8:]
            require(1 <= time < 2**63, "no time")
            message = f"cosignature/v1\ntime {time}\n{text}".encode()
        require(len(blob) == 64, "no signature")
        try:
            self.public.verify(message, blob)
        except BadSignatureError as error:
            raise Refused("the signature does not verify", status=403) from error
        return time


Line: TypeAlias = tuple[str, bytes, bytes]


def unbase64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Refused("no base64") from error
    require(base64.b64encode(data).decode() == text, "another spelling of base64")
    return data


def read_lines(block: str) -> list[Line]:
    require(block.endswith("\n"), "the last line does not end")
    return [read_line(line) for line in block[:-1].split("\n")]


def read_line(line: str) -> Line:
    parts = line.split(" ")
    require(len(parts) == 3 and parts[0] == "\u2014", "no signature line")
    name, blob = parts[1], unbase64(parts[2])
    spaces = any(unicodedata.category(each) == "Zs" for each in name)
    require(name and "+" not in name and not spaces and len(blob) > 4, "no signature line")
    return name, blob[:4], blob[4:]


def read_note(data: bytes) -> tuple[str, list[Line]]:
    require(len(data) <= 65_536, "too long")
    text, blank, block = utf8(data).rpartition("\n\n")
    require(blank and not re.search("[\x00-\x09\x0b-\x1f]", text), "no note")
    lines = read_lines(block)
    require(len(lines) <= 100, "too many lines")
    return text + "\n", lines


def signers(keys: Sequence[Key], text: str, lines: Sequence[Line]) -> list[tuple[Key, int]]:
    """Return who signed, and when as a witness; one failing line of a known key spoils the note."""
    known = {(key.name, key.key_id): key for key in keys}
    found = [(known[name, key_id], blob) for name, key_id, blob in lines if (name, key_id) in known]
    return [(key, key.verify(text, blob)) for key, blob in found]


def read_checkpoint(text: str) -> tuple[str, int, bytes]:
    lines = text.split("\n")
    require(len(lines) == 4 and not lines[3] and lines[0], "no checkpoint")
    require(NUMBER.fullmatch(lines[1]) and int(lines[1]) <= SIZE_MAX, "no size")
    root = unbase64(lines[2])
    require(len(root) == 32, "no root")
    return lines[0], int(lines[1]), root


def open_checkpoint(data: bytes, keys: Sequence[Key]) -> tuple[str, int, bytes]:
    text, lines = read_note(data)
    origin, size, root = read_checkpoint(text)
    by = [key for key, _ in signers(keys, text, lines)]
    require(any(key.name == origin and key.kind == 1 for key in by), "not signed by its log", status=403)
    return origin, size, root


def keys_of(given: Case, name: str = "verifiers") -> list[Key]:
    listed = given[name]
    assert isinstance(listed, list)
    return [Key.read(text) for text in listed]


def checkpoint(case: Case, given: Case) -> Properties:
    origin, size, root = open_checkpoint(content(case), keys_of(given))
    return {"origin": origin, "size": size, "root": root.hex()}


def cosignature(case: Case, given: Case) -> Properties:
    found = signers(keys_of(given), str(given["text"]), read_lines(utf8(content(case))))
    require(found, "nobody cosigned")
    return {"names": [key.name for key, _ in found], "times": [str(time) for _, time in found]}


def sign(made_from: object, text: str) -> str:
    """Return a witness's line."""
    assert isinstance(made_from, Mapping)
    key, name, time = SigningKey(bytes.fromhex(made_from["seed"])), str(made_from["name"]), int(made_from["time"])
    key_id = hashlib.sha256(name.encode() + b"\n\x04" + key.verify_key.encode()).digest()[:4]
    signature = key.sign(f"cosignature/v1\ntime {time}\n{text}".encode()).signature
    return f"\u2014 {name} {base64.b64encode(key_id + time.to_bytes(8, 'big') + signature).decode()}\n"


# --- Trees.


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def includes(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root to which an inclusion proof leads (RFC 6962 2.1.1, RFC 9162 2.1.3.2)."""
    require(0 <= index < size, "beyond the log")
    at, last, root = index, size - 1, leaf
    for each in proof:
        require(last, "a hash too many")
        if at & 1 or at == last:
            root = node(each, root)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            root = node(root, each)
        at, last = at >> 1, last >> 1
    require(last == 0, "a hash too few")
    return root


def extends(old: tuple[int, bytes], new: tuple[int, bytes], proof: Sequence[bytes]) -> bool:
    """Return whether a consistency proof leads from one root to the other (RFC 9162 2.1.4.2)."""
    (old_size, old_root), (size, root) = old, new
    if old_size in {0, size}:
        return not proof and (root == old_root if old_size == size else True)
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not path:
        return False
    at, last = old_size - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = path[0]
    for each in path[1:]:
        if not last:
            return False
        if at & 1 or at == last:
            first, second = node(each, first), node(each, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = node(second, each)
        at, last = at >> 1, last >> 1
    return not last and first == old_root and second == root


def receipt(case: Case, given: Case) -> Properties:
    head, blank, note = content(case).partition(b"\n\n")
    lines = utf8(head).split("\n")
    require(blank and lines[0] == "c2sp.org/tlog-proof@v1" and lines[1].startswith("extra "), "no receipt")
    require(len(lines) > 2 and lines[2].startswith("index "), "no index")
    number = lines[2].removeprefix("index ")
    require(NUMBER.fullmatch(number), "no index")
    entry, proof = unbase64(lines[1].removeprefix("extra ")), [unbase64(line) for line in lines[3:]]
    require(all(len(each) == 32 for each in proof), "no hash")
    leaf = hashlib.sha256(b"\x00" + entry).digest()
    origin, size, root = open_checkpoint(note, keys_of(given))
    require(includes(leaf, int(number), size, proof) == root, "the proof leads elsewhere")
    document = read_json(entry)
    require(isinstance(document, dict) and document.get("seq") == int(number), "another number")
    return {"leaf": leaf.hex(), "index": int(number), "origin": origin, "size": size}


# --- A witness.


@dataclass
class Witness:
    """A witness that remembers what it cosigned last."""

    logs: Mapping[str, Key]
    last: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    def answer(self, case: Case) -> Properties:
        """Return the answer to a request."""
        try:
            return {"status": 200, "content_type": "text/plain; charset=utf-8", "body": self.cosign(case)}
        except Refused as error:
            if error.status == 409:
                return {"status": 409, "content_type": "text/x.tlog.size", "body": str(error)}
            return {"status": error.status, "content_type": "text/plain; charset=utf-8"}

    def cosign(self, case: Case) -> str:
        head, blank, note = content(case).partition(b"\n\n")
        first, *hashes = utf8(head).split("\n")
        require(blank and first.startswith("old ") and NUMBER.fullmatch(first[4:]), "no request")
        proof = [unbase64(line) for line in hashes]
        require(len(proof) <= 63 and all(len(each) == 32 for each in proof), "no proof")
        text, _ = read_note(note)
        origin, size, root = read_checkpoint(text)
        require(origin in self.logs, "unknown", status=404)
        try:
            open_checkpoint(note, [self.logs[origin]])
        except Refused as error:
            raise Refused("not signed", status=403) from error
        old = int(first[4:])
        require(old <= size, "the old size is larger")
        known = self.last.get(origin, (0, hashlib.sha256(b"").digest()))
        require(old == known[0], f"{known[0]}\n", status=409)
        require(size or root == known[1], "the empty log has the root of nothing", status=422)
        require(extends(known, (size, root), proof), "no extension", status=422)
        self.last[origin] = (size, root)
        return sign(case["made_from"], text)


JUDGES: Final[Mapping[str, Callable[[Case, Case], Properties]]] = {
    "encoding": encoding,
    "checkpoint": checkpoint,
    "cosignature": cosignature,
    "receipt": receipt,
}


def judge(
    file: Mapping[str, object], judges: Mapping[str, Callable[[Case, Case], Properties]] = JUDGES
) -> Iterator[tuple[Case, Properties | None]]:
    """Yield each case of a file with what is made of it, or None where it is refused."""
    given, cases = file.get("given", {}), file["cases"]
    assert isinstance(given, dict)
    assert isinstance(cases, list)
    witness = Witness({key.name: key for key in keys_of(given, "logs")}) if file["format"] == "add-checkpoint" else None
    for case in cases:
        try:
            known = case.get("given", given)
            yield case, witness.answer(case) if witness else judges[str(file["format"])](case, known)
        except Refused:
            yield case, None
