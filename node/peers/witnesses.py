"""Witnesses over HTTP (C2SP tlog-witness): a checkpoint is shown, a cosignature comes back."""

import ssl
from collections.abc import Mapping
from typing import Final

import httpx

from node.peers.bounded import read_bounded
from node.peers.connections import FAILURES, Connections
from node.ports import TransportFailed, WitnessAnswer
from protocol.limits import NOTE_BYTES_MAX
from protocol.witness import ADD_CHECKPOINT

_CONNECT_SECONDS: Final = 3.0
_SECONDS: Final = 10.0
"""The longest silence of a witness that is connected, and the longest time over one answer."""

_HEADERS: Final = {"accept-encoding": "identity", "content-type": "text/plain; charset=utf-8"}


class HttpWitnesses:
    """Asks witnesses; safe to use from several threads."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """Prepare; connections are made at first use and kept, as the standard asks of a log."""
        timeout = httpx.Timeout(_SECONDS, connect=_CONNECT_SECONDS)
        self._connections = Connections(timeout, _HEADERS, seconds_max=2 * _SECONDS, tls=tls)

    def add_checkpoint(self, url: str, request: bytes) -> WitnessAnswer:
        """Return what the witness under `url`, its submission prefix, answers, or raise `TransportFailed`."""
        return self._exchange("POST", f"{url.rstrip('/')}/{ADD_CHECKPOINT}", request)

    def latest(self, url: str, path: str, *, credential: str | None = None) -> bytes | None:
        """Return what the witness cosigned last, at `path` below its monitoring prefix, or None where it has nothing.

        `credential` goes along as the `Authorization` for a partner whose log is closed. Raises `TransportFailed`
        where that cannot be known.
        """
        headers = {} if credential is None else {"authorization": credential}
        answer = self._exchange("GET", f"{url.rstrip('/')}/{path}", headers=headers)
        if answer.status == httpx.codes.NOT_FOUND:
            return None
        if answer.status != httpx.codes.OK:
            raise TransportFailed(f"the witness answered {answer.status}")
        return answer.body

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def _exchange(
        self, method: str, address: str, content: bytes | None = None, *, headers: Mapping[str, str] | None = None
    ) -> WitnessAnswer:
        try:
            with self._connections.client.stream(method, address, content=content, headers=headers) as response:
                body = read_bounded(
                    response.iter_raw(), NOTE_BYTES_MAX, seconds_max=_SECONDS, what="the witness's answer"
                )
                return WitnessAnswer(status=response.status_code, body=body)
        except FAILURES as error:
            raise TransportFailed(f"{type(error).__name__}: {error}") from error
