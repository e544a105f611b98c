"""The keyed digest of what was asked: how a repeated request is told from another one under the same id.

It stands in the entry, which auditors read. Much of what a request says could be guessed (a metadata text above all),
and a plain hash would confirm the guess; without the key, which never leaves the node, this one confirms nothing.
What the node itself draws or reads off a clock (an alias, a salt, a deadline) is no part of it: a repeat is recognised
by what its sender chose, and answered with what was stored.
"""

import hmac
from collections.abc import Mapping

from protocol.encoding import JsonValue, encode
from protocol.identifiers import Digest


class RequestDigests:
    """Digests requests under one node's key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def digest(self, kind: str, fields: Mapping[str, JsonValue]) -> Digest:
        """Return HMAC-SHA256 of the request's kind and fields in canonical JSON, in hex."""
        message = encode({"kind": kind, "fields": fields})
        return Digest(hmac.new(self._key, message, "sha256").hexdigest())
