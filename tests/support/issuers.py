"""Issuers of members' tokens, as a brand has one, with their key sets in the test's hands."""

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from node.app.dev_issuer import DevIssuer, make_issuer
from node.ports import TransportFailed

ISSUER: Final = "https://id.aurora.example"
AUDIENCE: Final = "tallystick"
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


@cache
def issuer_of(name: str = "aurora") -> DevIssuer:
    """Return an issuer that is made once for all tests."""
    del name
    return make_issuer(ISSUER, AUDIENCE)


@cache
def rsa_key(bits: int = 2_048) -> rsa.RSAPrivateKey:
    """Return an RSA key that is made once for all tests."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=bits)


def public_document(key: PrivateKey, key_id: str, **changes: object) -> dict[str, object]:
    """Return a key as a key set lists it."""
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        text = RSAAlgorithm.to_jwk(public)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        text = ECAlgorithm.to_jwk(public)
    else:
        text = OKPAlgorithm.to_jwk(public)
    return {**json.loads(text), "kid": key_id, "use": "sig", **changes}


def key_set(*documents: object) -> bytes:
    """Return a key set that lists these keys."""
    return json.dumps({"keys": list(documents)}).encode()


def claims_at(now: float, **changes: object) -> dict[str, object]:
    """Return what a token of `now` says, but for `changes`; a change to None leaves the claim out."""
    at = int(now)
    stated = {"iss": ISSUER, "aud": AUDIENCE, "iat": at, "nbf": at, "exp": at + 600, **changes}
    return {name: value for name, value in stated.items() if value is not None}


def signed(
    claims: dict[str, object], issuer: DevIssuer | None = None, *, headers: dict[str, object] | None = None
) -> str:
    """Return a token that says `claims`, signed by the issuer."""
    issuer = issuer or issuer_of()
    return jwt.encode(claims, issuer.key, algorithm="ES256", headers={"kid": issuer.key_id, **(headers or {})})


@dataclass
class FakeKeySets:
    """A place where an issuer publishes its keys: what is there, how often it was asked, whether it answers."""

    document: bytes = field(default_factory=lambda: issuer_of().key_set)
    asked: int = 0
    is_down: bool = False

    def fetch(self) -> bytes:
        """Return the key set, or fail."""
        self.asked += 1
        if self.is_down:
            raise TransportFailed("nobody is there")
        return self.document


def with_issuer(directory: Path) -> dict[str, object]:
    """Return the settings of a node whose members' tokens are those of `issuer_of`, with its keys in `directory`."""
    path = directory / "jwks.json"
    path.write_bytes(issuer_of().key_set)
    return {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks": str(path)}
