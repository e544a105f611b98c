"""A member's consent to a link, between two nodes: one-time codes, the proof that goes with them, and their exchange.

The redirect is OAuth 2.0's authorization code with PKCE (RFC 6749 §4.1, RFC 7636, S256 alone); the typed code needs no
browser. What the partner gets for either is a signed link (specs/links.md).
"""

import base64
import hashlib
import re
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from protocol.agreement import SignatureText
from protocol.encoding import Codec
from protocol.errors import LinkInvalid
from protocol.fields import LedgerField, NetworkField, UuidField
from protocol.keys import PublicKey, Signer, decode_signature, encode_signature

ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""The 30 characters of a typed code: none is taken for another, and no vowel but two lets words come out."""

TYPED_CHARACTERS: Final = 8
CODE_BYTES: Final = 32
CODE_PATTERN: Final = rf"(?:[A-Za-z0-9_-]{{43}}|[{ALPHABET}]{{{TYPED_CHARACTERS}}})"
VERIFIER_PATTERN: Final = r"[A-Za-z0-9._~-]{43,128}"
CHALLENGE_PATTERN: Final = r"[A-Za-z0-9_-]{43}"

_DOMAIN: Final = b"tallystick/link-exchange/v1\n"
_TYPED: Final = re.compile(rf"[{ALPHABET}]{{{TYPED_CHARACTERS}}}")


class LinkExchange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sender asks for the link that a member of the receiver has consented to.

    `id` is the exchange's own: the same one again is answered with the same link. A typed code has no `verifier`.
    """

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    network: NetworkField
    sender: LedgerField
    receiver: LedgerField
    id: UuidField
    code: Annotated[str, Meta(pattern=rf"^{CODE_PATTERN}\Z")]
    verifier: Annotated[str, Meta(pattern=rf"^{VERIFIER_PATTERN}\Z")] | None


class SignedExchange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An exchange with the signature of the sender's channel key."""

    exchange: LinkExchange
    signature: SignatureText


_EXCHANGES: Final = Codec(msgspec.json.Decoder(LinkExchange), error=LinkInvalid, bytes_max=2_048)
_SIGNED: Final = Codec(msgspec.json.Decoder(SignedExchange), error=LinkInvalid, bytes_max=4_096)


def sign_exchange(exchange: LinkExchange, *, key: Signer) -> bytes:
    """Return the request's bytes, signed by the sender's channel key, or raise `LinkInvalid`."""
    signature = encode_signature(key.sign(_DOMAIN + _EXCHANGES.encode(exchange)))
    data = _SIGNED.encode(SignedExchange(exchange=exchange, signature=signature))
    parse_exchange(data)  # What is signed here must be what another node accepts.
    return data


def parse_exchange(data: bytes) -> SignedExchange:
    """Return the exchange in `data`, not yet verified, or raise `LinkInvalid`."""
    return _SIGNED.decode(data)


def verify_exchange(signed: SignedExchange, *, key: PublicKey) -> None:
    """Raise `SignatureInvalid` unless the sender's channel key signed the exchange."""
    key.verify(signature=decode_signature(signed.signature), message=_DOMAIN + _EXCHANGES.encode(signed.exchange))


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a code verifier (RFC 7636 §4.2)."""
    return encode_url_safe(hashlib.sha256(verifier.encode()).digest())


def encode_url_safe(data: bytes) -> str:
    """Return base64url without padding (RFC 4648 §5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def typed_code(data: bytes) -> str | None:
    """Return a code of random bytes, or None where too few of them can be used: each character is equally likely."""
    fair = [byte for byte in data if byte < 256 - 256 % len(ALPHABET)]
    if len(fair) < TYPED_CHARACTERS:
        return None
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in fair[:TYPED_CHARACTERS])


def show_typed(code: str) -> str:
    """Return a typed code as people read it aloud: in two halves."""
    return f"{code[: TYPED_CHARACTERS // 2]}-{code[TYPED_CHARACTERS // 2 :]}"


def parse_typed(text: str) -> str:
    """Return the code that a person typed, whatever the case, spaces and hyphens, or raise `LinkInvalid`."""
    code = text.upper().replace("-", "").replace(" ", "")
    if not _TYPED.fullmatch(code):
        raise LinkInvalid(f"a code has {TYPED_CHARACTERS} characters, none of 0 1 I L O U")
    return code
