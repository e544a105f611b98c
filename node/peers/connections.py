"""The pools of connections to partners and witnesses, each shared by many threads."""

import ssl
import threading
from collections.abc import Mapping
from http.client import HTTPResponse
from http.cookiejar import CookieJar
from typing import Final
from urllib.request import Request

import httpx

from node.peers.deadlines import bounded, end_all

LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=20.0)
"""No bound on idle connections: the pool looks for idle ones to close whenever any thread asks it for one, and with a
bound it may close one that it has just given to another thread, whose request then fails. There are as many as there
are partners, and each ends after a silence that is shorter than a node's own (`KEEP_ALIVE_SECONDS`)."""

FAILURES: Final = (httpx.HTTPError, httpx.InvalidURL, UnicodeError)
"""What httpx raises of a request that came to nothing. A host's name that is none is a `UnicodeError`, also where an
answer sends on to it: httpx reads where, though nobody follows."""


def verify_with(tls: ssl.SSLContext | None) -> ssl.SSLContext | bool:
    """Return what httpx verifies with: the context that is given, or what the system's authorities sign."""
    return True if tls is None else tls


class NoCookies(CookieJar):
    """Takes no cookies: one partner's would go along to another of the same domain, until its head is too long."""

    def extract_cookies(self, response: HTTPResponse, request: Request) -> None:
        """Take none."""

    def add_cookie_header(self, request: Request) -> None:
        """Send none."""


class Connections:
    """A client for several threads, made at first use and closed once."""

    def __init__(
        self,
        timeout: httpx.Timeout,
        headers: Mapping[str, str] | None = None,
        *,
        seconds_max: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare; every request waits as long as `timeout` says, takes `seconds_max` at most and carries `headers`.

        It goes over `tls` if that is given.
        """
        self._tls = tls
        self._seconds_max = seconds_max
        self._timeout = timeout
        self._headers = dict(headers or {})
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._halted = False

    @property
    def client(self) -> httpx.Client:
        """Return the client."""
        with self._lock:
            if self._client is None:
                client = httpx.Client(
                    timeout=self._timeout,
                    limits=LIMITS,
                    headers=self._headers,
                    follow_redirects=False,
                    verify=verify_with(self._tls),
                    cookies=NoCookies(),
                )
                self._client = bounded(client, seconds=self._seconds_max)
                if self._halted:
                    end_all(self._client)
            return self._client

    def halt(self) -> None:
        """Give up what is under way, and let nothing more come to anything."""
        with self._lock:
            self._halted, client = True, self._client
        if client is not None:
            end_all(client)

    def close(self) -> None:
        """Close all connections; a later use opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()
