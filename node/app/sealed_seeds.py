"""Seeds that a passphrase protects where they are kept: one line of text that says how it was made (specs/keys.md §5).

The passphrase goes through Argon2id, the seed into a SecretBox (XSalsa20 and Poly1305), both of libsodium. The public
key stands beside the box in clear, so that a node's keys can be named without opening them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from nacl import pwhash
from nacl.exceptions import CryptoError
from nacl.exceptions import RuntimeError as CannotDerive
from nacl.secret import SecretBox

from protocol.errors import KeyInvalid, TallystickError
from protocol.keys import SEED_BYTES, SEED_PREFIX, PublicKey, SigningKey, decode_base64, encode_base64

PREFIX: Final = "tallystick-sealed-seed-v1"
DERIVATION: Final = "argon2id"
SALT_BYTES: Final = pwhash.argon2id.SALTBYTES
OPERATIONS_MAX: Final = 64
MEMORY_BYTES_MIN: Final = pwhash.argon2id.MEMLIMIT_MIN
MEMORY_BYTES_MAX: Final = 2**30
"""More than this no reader spends on a file that may not even be its own."""

_NUMBER_DIGITS_MAX: Final = 10
_BOX_BYTES: Final = SecretBox.NONCE_SIZE + SEED_BYTES + SecretBox.MACBYTES
_PARTS: Final = 7

AskPassphrase = Callable[[], bytes]
"""Returns the passphrase; called only where one is needed."""


class PassphraseWrong(TallystickError):
    """A passphrase does not open a sealed seed, or the seed's text was changed: which of the two cannot be told."""

    code = "passphrase_wrong"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one try of a passphrase costs: passes over memory, and bytes of it (RFC 9106)."""

    operations: int
    memory_bytes: int

    def __post_init__(self) -> None:
        """Raise `KeyInvalid` for a cost that no sealed seed has."""
        if not 1 <= self.operations <= OPERATIONS_MAX:
            raise KeyInvalid(f"a sealed seed costs 1 to {OPERATIONS_MAX} passes")
        if not MEMORY_BYTES_MIN <= self.memory_bytes <= MEMORY_BYTES_MAX:
            raise KeyInvalid(f"a sealed seed costs {MEMORY_BYTES_MIN} to {MEMORY_BYTES_MAX} bytes of memory")


COST: Final = Cost(pwhash.argon2id.OPSLIMIT_MODERATE, pwhash.argon2id.MEMLIMIT_MODERATE)
"""What a new seed is sealed at: 3 passes over 256 MiB, about half a second of one core."""


@dataclass(frozen=True, slots=True)
class Derivation:
    """How a passphrase becomes the key of a box. Files that are sealed together share one, and so its cost."""

    cost: Cost
    salt: bytes

    def derive(self, passphrase: bytes) -> bytes:
        """Return the key of the box (RFC 9106, Argon2id), or raise `KeyInvalid` where this machine cannot."""
        operations, memory_bytes = self.cost.operations, self.cost.memory_bytes
        try:
            return pwhash.argon2id.kdf(SecretBox.KEY_SIZE, passphrase, self.salt, operations, memory_bytes)
        except CannotDerive as error:
            raise KeyInvalid(f"opening a sealed seed takes {memory_bytes} bytes of memory") from error


class Sealer:
    """Seals seeds under one passphrase and one derivation."""

    def __init__(self, passphrase: bytes, *, salt: bytes, cost: Cost = COST) -> None:
        """Derive the key of the boxes; `salt` is random."""
        self._derivation = Derivation(cost, salt)
        self._key = self._derivation.derive(passphrase)

    def seal(self, key: SigningKey, *, nonce: bytes) -> str:
        """Return the text that holds the seed of `key`; `nonce` is random, and never used twice."""
        cost = self._derivation.cost
        box = SecretBox(self._key).encrypt(_seed_of(key), nonce)
        salt, public, sealed = map(encode_base64, (self._derivation.salt, key.public.raw, bytes(box)))
        numbers = f"{cost.operations}:{cost.memory_bytes}"
        return f"{PREFIX}:{DERIVATION}:{numbers}:{salt}:{public}:{sealed}"


class Opener:
    """Opens sealed seeds with one passphrase; what it costs to try is paid once for files that were sealed together."""

    def __init__(self, passphrase: AskPassphrase) -> None:
        """Take where the passphrase comes from; nobody is asked before a seed is to be opened."""
        self._ask = passphrase
        self._passphrase: bytes | None = None
        self._keys: dict[Derivation, bytes] = {}

    def open(self, sealed: "SealedSeed") -> SigningKey:
        """Return the key whose seed `sealed` holds, or raise `PassphraseWrong`."""
        try:
            seed = SecretBox(self._key(sealed.derivation)).decrypt(sealed.box)
        except CryptoError:
            raise PassphraseWrong("the passphrase does not open the key, or the file was changed") from None
        key = SigningKey(seed)
        if key.public != sealed.public:
            raise PassphraseWrong("the passphrase does not open the key, or the file was changed")
        return key

    def _key(self, derivation: Derivation) -> bytes:
        if self._passphrase is None:
            self._passphrase = self._ask()
        if derivation not in self._keys:
            self._keys[derivation] = derivation.derive(self._passphrase)
        return self._keys[derivation]


@dataclass(frozen=True, slots=True)
class SealedSeed:
    """A seed under a passphrase, as its text says it; nothing of it is opened yet."""

    derivation: Derivation
    public: PublicKey
    box: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what `text` holds, or raise `KeyInvalid`; the error never repeats the text."""
        parts = text.split(":")
        if len(parts) != _PARTS or parts[:2] != [PREFIX, DERIVATION]:
            raise KeyInvalid(f"a sealed seed is {PREFIX}:{DERIVATION} and five more parts")
        salt, box = decode_base64(parts[4]), decode_base64(parts[6])
        if salt is None or len(salt) != SALT_BYTES or box is None or len(box) != _BOX_BYTES:
            raise KeyInvalid("a sealed seed has its salt and its box in canonical base64")
        cost = Cost(_parse_number(parts[2]), _parse_number(parts[3]))
        return cls(Derivation(cost, salt), PublicKey.parse(parts[5]), box)


def is_sealed(text: str) -> bool:
    """Return whether `text` claims to be a sealed seed."""
    return text.startswith(f"{PREFIX}:")


def _seed_of(key: SigningKey) -> bytes:
    seed = decode_base64(key.format_seed().removeprefix(SEED_PREFIX))
    assert seed is not None, "a key writes its own seed in base64"
    return seed


def _parse_number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > _NUMBER_DIGITS_MAX or text != str(int(text)):
        raise KeyInvalid("a sealed seed says its cost in decimal")
    return int(text)
