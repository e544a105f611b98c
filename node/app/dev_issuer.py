"""An identity provider for development: it signs members' tokens with a key of its own, and publishes that key.

It asks nobody who they are. A brand has an identity provider already; this one stands in for it in tests and pilots.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm

from node.app.files import make_private_directory, write_private
from protocol.errors import TallystickError

KEY_NAME: Final = "issuer.key"
KEY_SET_NAME: Final = "jwks.json"
KEY_SET_PATH: Final = f"/{KEY_SET_NAME}"
ALGORITHM: Final = "ES256"
LIFETIME_SECONDS: Final = 900


class IssuerInvalid(TallystickError):
    """A directory holds no issuer that can sign."""

    code = "issuer_invalid"


@dataclass(frozen=True, slots=True, repr=False)
class DevIssuer:
    """Signs tokens that `audience` takes for members'."""

    name: str
    audience: str
    key: ec.EllipticCurvePrivateKey
    key_id: str

    def token(self, claims: Mapping[str, object], *, now: int, seconds: int = LIFETIME_SECONDS) -> str:
        """Return a token that says `claims`, from `now` (seconds since 1970) on."""
        stated = {"iss": self.name, "aud": self.audience, "iat": now, "nbf": now, "exp": now + seconds, **claims}
        return jwt.encode(stated, self.key, algorithm=ALGORITHM, headers={"kid": self.key_id})

    @property
    def key_set(self) -> bytes:
        """Return the key set (RFC 7517 §5) by which the tokens are verified."""
        public = json.loads(ECAlgorithm.to_jwk(self.key.public_key()))
        return json.dumps({"keys": [{**public, "kid": self.key_id, "use": "sig", "alg": ALGORITHM}]}).encode()


def make_issuer(name: str, audience: str) -> DevIssuer:
    """Return an issuer with a new key."""
    return DevIssuer(name, audience, ec.generate_private_key(ec.SECP256R1()), secrets.token_hex(8))


def keep_issuer(directory: Path, *, name: str, audience: str) -> DevIssuer:
    """Return the issuer in `directory`, made there if there is none; its key set lies there as `jwks.json`."""
    path = directory / KEY_NAME
    if path.exists():
        return read_issuer(directory)
    issuer = make_issuer(name, audience)
    make_private_directory(directory)
    pem = issuer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
    (directory / KEY_SET_NAME).write_bytes(issuer.key_set)
    kept = {"name": issuer.name, "audience": issuer.audience, "key_id": issuer.key_id, "key": pem}
    write_private(path, json.dumps(kept))
    return issuer


def read_issuer(directory: Path) -> DevIssuer:
    """Return the issuer in `directory`, or raise `IssuerInvalid`."""
    path = directory / KEY_NAME
    try:
        kept = json.loads(path.read_text(encoding="ascii"))
        key = load_pem_private_key(kept["key"].encode("ascii"), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("its key is of another kind")
        return DevIssuer(kept["name"], kept["audience"], key, kept["key_id"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IssuerInvalid(f"{path} holds no issuer (tallystick dev-issuer init): {error}") from error


class IssuerServer:
    """Publishes an issuer's key set on this machine. `run` returns after `stop`, which any thread may call."""

    def __init__(self, issuer: DevIssuer, *, port: int = 0) -> None:
        """Listen on `port`, or on one that is free."""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """Answer the key set, or 404."""
                found = self.path == KEY_SET_PATH
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(issuer.key_set if found else b"{}")

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}{KEY_SET_PATH}"

    def run(self) -> None:
        """Answer until `stop`."""
        self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
