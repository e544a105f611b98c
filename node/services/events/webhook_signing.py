"""What a webhook carries: the event as JSON, and the headers by which its receiver knows it.

Headers and signature are those of Standard Webhooks 1.0 (github.com/standard-webhooks/standard-webhooks, spec): the
receiver computes the same HMAC over id, time and body, and refuses what is old.
"""

import base64
import hmac
from collections.abc import Mapping
from typing import Final

import msgspec

from node.ports import Randomness
from node.services.events.events import Event
from protocol.identifiers import Ledger

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how a secret begins is none
SECRET_BYTES: Final = 32
JSON: Final = "application/json"
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def new_secret(randomness: Randomness) -> str:
    """Return a secret that is shared with one receiver."""
    return SECRET_PREFIX + base64.b64encode(randomness.token(SECRET_BYTES)).decode("ascii")


def rotated(secrets: str, fresh: str, *, until_seconds: int) -> str:
    """Return what an endpoint's row says once `fresh` signs, and the secret so far beside it until that second.

    A row holds `NEW`, or `NEW OLD UNTIL` while both sign; one that was rotated away before signs no more.
    """
    return f"{fresh} {secrets.partition(' ')[0]} {until_seconds}"


def in_force(secrets: str, *, at_seconds: int) -> tuple[str, ...]:
    """Return the secrets of a row that sign at that second since 1970, the newest first."""
    fresh, *before = secrets.split(" ")
    if before and at_seconds < int(before[1]):
        return fresh, before[0]
    return (fresh,)


def encode_event(event: Event, *, ledger: Ledger) -> bytes:
    """Return the body that tells `event` of `ledger`: the same bytes for the same event."""
    return _ENCODER.encode(
        {
            "id": event.id,
            "type": event.type,
            "timestamp": event.time,
            "ledger": ledger,
            "seq": event.seq,
            "account": event.account,
            "partner": event.partner,
            "data": event.data,
        }
    )


def signed_headers(secrets: str, body: bytes, *, event: str, at_seconds: int) -> Mapping[str, str]:
    """Return the headers of an attempt that is made at `at_seconds` since 1970: one signature a secret in force."""
    signatures = (
        sign(each, body, event=event, at_seconds=at_seconds) for each in in_force(secrets, at_seconds=at_seconds)
    )
    return {
        "content-type": JSON,
        "webhook-id": event,
        "webhook-timestamp": str(at_seconds),
        "webhook-signature": " ".join(signatures),
    }


def sign(secret: str, body: bytes, *, event: str, at_seconds: int) -> str:
    """Return the signature, version 1: base64 of HMAC-SHA256 over `id.time.body` under the secret's bytes."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    made = hmac.new(key, f"{event}.{at_seconds}.".encode() + body, "sha256").digest()
    return "v1," + base64.b64encode(made).decode("ascii")
