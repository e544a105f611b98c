"""The keys of the issuer of members' tokens, kept for a while and fetched again within bounds.

An unknown key is a reason to look again: an issuer rotates its keys when it likes. It is also what anybody can make up,
so it is looked for at most once in `RETRY_SECONDS`, however many ask. Keys that cannot be refreshed are used no longer
than `STALE_SECONDS`, so that a key that the issuer has withdrawn ends.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import structlog
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from node.ports import Clock, TransportFailed
from node.services.at_once import AtOnce
from node.services.refusals import NodeCode, NodeRefusal

REFRESH_SECONDS: Final = 600.0
RETRY_SECONDS: Final = 30.0
STALE_SECONDS: Final = 3_600.0
WAITING_MAX: Final = 8
"""How many wait at once while the keys are fetched; anybody can name a key that nobody has."""

KEYS_MAX: Final = 32
KEY_ID_CHARACTERS_MAX: Final = 128
RSA_BITS_MIN: Final = 2_048
ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
"""With `none` or a shared secret anybody who can verify a token could make one."""

_LOG: Final = structlog.get_logger()

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


class KeySets(Protocol):
    """Where an issuer publishes its keys."""

    def fetch(self) -> bytes:
        """Return the key set (RFC 7517 §5), or raise `TransportFailed`."""


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """A key, and the one algorithm that it is used with."""

    algorithm: str
    key: PublicKey


class IssuerKeys:
    """Finds the issuer's keys by their ids; safe to use from several threads."""

    def __init__(self, source: KeySets, clock: Clock) -> None:
        """Read `source` at first use."""
        self._source = source
        self._clock = clock
        self._lock = threading.Lock()
        self._at_once = AtOnce(each=WAITING_MAX)
        self._keys: Mapping[str, IssuerKey] = {}
        self._loaded_at = self._tried_at = float("-inf")

    def find(self, key_id: str) -> IssuerKey | None:
        """Return the key, or None if the issuer has none of that id.

        Raises `issuer_unavailable` without any keys, and `busy` while too many wait for them.
        """
        now = self._clock.monotonic()
        known = self._keys.get(key_id)
        if known is None or now - self._loaded_at > REFRESH_SECONDS:
            if known is None or now - self._loaded_at > STALE_SECONDS:
                with self._at_once.one(""):
                    self._refresh(waits=True)
            else:
                self._refresh(waits=False)
        if self._clock.monotonic() - self._loaded_at > STALE_SECONDS:
            raise NodeRefusal(NodeCode.ISSUER_UNAVAILABLE, "the issuer's keys cannot be read now")
        return self._keys.get(key_id)

    def _refresh(self, *, waits: bool) -> None:
        """Fetch the keys anew, unless that was tried a moment ago; without `waits`, not while somebody else does."""
        if not self._lock.acquire(blocking=waits):
            return
        try:
            now = self._clock.monotonic()
            if now - self._tried_at < RETRY_SECONDS:
                return
            self._tried_at = now
            try:
                self._keys = read_key_set(self._source.fetch())
            except (TransportFailed, ValueError) as error:
                _LOG.warning("issuer_keys_not_read", error=type(error).__name__)
            else:
                self._loaded_at = now
        finally:
            self._lock.release()


def read_key_set(data: bytes) -> Mapping[str, IssuerKey]:
    """Return the usable keys of a key set, or raise ValueError for what is none; other keys are passed over."""
    try:
        document = json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise ValueError(f"a key set lists at most {KEYS_MAX} keys")
    found = {}
    for each in listed:
        key = _key_of(each) if isinstance(each, dict) else None
        if key is not None:
            found[str(each["kid"])] = key
    return found


def _key_of(document: dict[str, object]) -> IssuerKey | None:
    key_id, use = document.get("kid"), document.get("use", "sig")
    if not isinstance(key_id, str) or not 1 <= len(key_id) <= KEY_ID_CHARACTERS_MAX or use != "sig":
        return None
    if document.get("kty") not in {"RSA", "EC", "OKP"} or "d" in document:
        return None
    try:
        key: object = PyJWK(document).key
    except (PyJWTError, ValueError, TypeError):
        return None
    found = _usable(key)
    return found if found is not None and document.get("alg", found.algorithm) == found.algorithm else None


def _usable(key: object) -> IssuerKey | None:
    if isinstance(key, RSAPublicKey) and key.key_size >= RSA_BITS_MIN:
        return IssuerKey("RS256", key)
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return IssuerKey("ES256", key)
    return IssuerKey("EdDSA", key) if isinstance(key, Ed25519PublicKey) else None
