"""Ed25519 keys: four roles, text forms with one spelling each, and a fingerprint to read aloud (specs/keys.md).

Nothing here draws randomness: a seed comes in. Signing and verifying are libsodium's, through PyNaCl.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from functools import lru_cache
from hashlib import sha256
from typing import Final, Protocol, Self

from nacl import bindings
from nacl.exceptions import CryptoError

from protocol.errors import KeyInvalid, SignatureInvalid
from protocol.identifiers import Digest

PUBLIC_KEY_BYTES: Final = 32
_PUBLIC_KEY_CHARACTERS: Final = 44
SEED_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
SEED_PREFIX: Final = "tallystick-seed-v1:"

_FINGERPRINT_DOMAIN: Final = "tallystick/fingerprint/v1\n"
_FINGERPRINT_GROUPS: Final = 8
_FINGERPRINT_GROUP_CHARACTERS: Final = 4
_CROCKFORD_BITS: Final = 5
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@unique
class Role(StrEnum):
    """What a key may sign; each role has a key of its own. Documents list them in this order."""

    LOG = "log"
    WITNESS = "witness"
    CHANNEL = "channel"
    APPROVAL = "approval"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key: 32 bytes, the canonical form of a point of the prime-order group (RFC 8032 §5.1.5)."""

    raw: bytes

    def __post_init__(self) -> None:
        """Raise `KeyInvalid` for bytes that no honest seed leads to."""
        if len(self.raw) != PUBLIC_KEY_BYTES:
            raise KeyInvalid(f"a public key is {PUBLIC_KEY_BYTES} bytes long")
        if not _is_point(self.raw):
            raise KeyInvalid("the bytes are not a point that a public key can be")

    def __bytes__(self) -> bytes:
        """Return the 32 bytes of RFC 8032."""
        return self.raw

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the key that `text`, 44 characters of base64, stands for, or raise `KeyInvalid`."""
        raw = _raw_of(text) if len(text) == _PUBLIC_KEY_CHARACTERS else decode_base64(text)
        if raw is None:
            raise KeyInvalid("a public key is not written in canonical base64")
        return cls(raw)

    @property
    def text(self) -> str:
        """Return the key in base64, 44 characters."""
        return encode_base64(self.raw)

    @property
    def digest(self) -> Digest:
        """Return the SHA-256 of the 32 bytes: how a key that is not yet shown is committed to."""
        return Digest(sha256(self.raw).hexdigest())

    def verify(self, *, signature: bytes, message: bytes) -> None:
        """Raise `SignatureInvalid` unless `signature` is this key's signature of `message` (RFC 8032 §5.1.7)."""
        if len(signature) != SIGNATURE_BYTES:
            raise SignatureInvalid(f"a signature is {SIGNATURE_BYTES} bytes long")
        try:
            bindings.crypto_sign_open(signature + message, self.raw)
        except CryptoError as error:
            raise SignatureInvalid("the signature does not verify") from error


class Signer(Protocol):
    """Who signs with a private key, wherever that is kept."""

    @property
    def public(self) -> PublicKey:
        """Return the key by which the signatures verify."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature of `message`, 64 bytes (RFC 8032 §5.1.6)."""


class SigningKey:
    """An Ed25519 private key."""

    __slots__ = ("_secret", "_seed", "public")

    public: PublicKey

    def __init__(self, seed: bytes) -> None:
        """Derive the key from a seed of 32 secret bytes (RFC 8032 §5.1.5), or raise `KeyInvalid`."""
        if len(seed) != SEED_BYTES:
            raise KeyInvalid(f"a seed is {SEED_BYTES} bytes long")
        raw, self._secret = bindings.crypto_sign_seed_keypair(seed)
        self._seed = seed
        self.public = PublicKey(raw)

    def __repr__(self) -> str:
        """Name the key by its public half, since a log may print it."""
        return f"SigningKey(public={self.public.text!r})"

    def sign(self, message: bytes) -> bytes:
        """Return the signature of `message`, 64 bytes (RFC 8032 §5.1.6)."""
        return bindings.crypto_sign(message, self._secret)[:SIGNATURE_BYTES]

    def format_seed(self) -> str:
        """Return the seed's text, to be kept secret: a prefix that scanners can find, then base64."""
        return SEED_PREFIX + encode_base64(self._seed)

    @classmethod
    def parse_seed(cls, text: str) -> Self:
        """Return the key whose seed `text` holds, or raise `KeyInvalid`; the error never repeats the text."""
        seed = decode_base64(text.removeprefix(SEED_PREFIX))
        if seed is None or not text.startswith(SEED_PREFIX):
            raise KeyInvalid(f"a seed is {SEED_PREFIX} and canonical base64")
        return cls(seed)


# A partner's key is parsed with every document that names it, the log's own with every commit; and to check that it is
# a point costs as much as a signature.
@lru_cache(maxsize=1024)
def _raw_of(text: str) -> bytes | None:
    return decode_base64(text)


@lru_cache(maxsize=1024)
def _is_point(raw: bytes) -> bool:
    return bindings.crypto_core_ed25519_is_valid_point(raw)


def fingerprint(keys: Sequence[PublicKey]) -> str:
    """Return the text by which two operators compare a ledger's keys aloud: eight groups of four characters.

    `keys` has one key a role, in the order of `Role`. The text is the first 160 bits of a SHA-256 over their listing,
    in Crockford's base32, which has no I, L, O or U. Raises `KeyInvalid` for another number of keys.
    """
    if len(keys) != len(Role):
        raise KeyInvalid(f"a fingerprint takes {len(Role)} keys, one a role")
    listing = "".join(f"{role} {key.text}\n" for role, key in zip(Role, keys, strict=True))
    number = int.from_bytes(sha256((_FINGERPRINT_DOMAIN + listing).encode("ascii")).digest())
    characters = []
    for position in range(1, _FINGERPRINT_GROUPS * _FINGERPRINT_GROUP_CHARACTERS + 1):
        characters.append(_CROCKFORD[(number >> (256 - position * _CROCKFORD_BITS)) % len(_CROCKFORD)])
        if position % _FINGERPRINT_GROUP_CHARACTERS == 0:
            characters.append("-")
    return "".join(characters[:-1])


def encode_signature(signature: bytes) -> str:
    """Return a signature in base64, 88 characters, as documents carry it."""
    return encode_base64(signature)


def decode_signature(text: str) -> bytes:
    """Return the 64 bytes of a signature in base64, or raise `SignatureInvalid`."""
    signature = decode_base64(text)
    if signature is None or len(signature) != SIGNATURE_BYTES:
        raise SignatureInvalid(f"a signature is {SIGNATURE_BYTES} bytes in canonical base64")
    return signature


def encode_base64(data: bytes) -> str:
    """Return `data` in standard base64 with padding (RFC 4648 §4)."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes | None:
    """Return what `text` stands for, or None unless `encode_base64` would write it so (RFC 4648 §3.5)."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if encode_base64(data) == text else None
