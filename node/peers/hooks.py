"""Webhooks over HTTP: one POST carries an event to an address that was looked up, judged, and is then connected to.

A name is resolved here and not by the client, so that what was judged is what is connected to; no proxy is asked, and
no redirection is followed.
"""

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias

import httpx

from node.peers.connections import FAILURES, LIMITS, NoCookies
from node.peers.deadlines import bounded
from node.ports import HookFailed

URL_CHARACTERS_MAX: Final = 1_024
ANSWER_BYTES_MAX: Final = 65_536
"""How much of an answer is read; only its status says anything."""

ANSWER_SECONDS: Final = 15.0
ADDRESSES_MAX: Final = 4
"""How many addresses of a name one attempt goes to, until somebody is there."""

CLIENTS_MAX: Final = 64
TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)
_HEADERS: Final = {"accept-encoding": "identity", "user-agent": "tallystick"}
_PORTS: Final = 65_536
_STOPS: Final = "the node stops"
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_OPEN: Final = (ipaddress.IPv6Network("2000::/3"), _NAT64, ipaddress.IPv6Network("::ffff:0:0/96"))
"""Global IPv6 addresses, as IANA assigns them, and IPv4's in their two public forms. Python takes much else for global
that a network may route within itself: site-local ones, a translator's own prefix (RFC 8215), IPv4 written as IPv6."""

_UNREACHED: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

Resolve: TypeAlias = Callable[[str, int], list[str]]
"""Returns the addresses of a host and port, or raises `OSError`."""


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses that the system knows for `host`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def is_public(text: str) -> bool:
    """Return whether an address is one of the open internet, also if it stands inside another one."""
    address = ipaddress.ip_address(text.partition("%")[0])
    inner = _embedded(address)
    if inner is not None and not is_public(str(inner)):
        return False
    if isinstance(address, IPv6Address) and not any(address in network for network in _OPEN):
        return False
    return address.is_global and not address.is_multicast


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address to which packets for an IPv6 address may be carried on."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


class HttpHooks:
    """Posts events; safe to use from several threads. With `private`, also to private addresses and without TLS."""

    def __init__(self, *, private: bool = False, resolver: Resolve = resolve, timeout: httpx.Timeout = TIMEOUT) -> None:
        """Open nothing yet."""
        self._timeout = timeout
        self._private = private
        self._resolve = resolver
        self._lock = threading.Lock()
        self._clients: dict[str, httpx.Client] = {}
        self._halted = False
        self._under_way: set[Future[None]] = set()

    def check(self, url: str) -> None:
        """Raise `HookFailed` for a URL to which nothing may be sent."""
        self._addresses(self._parsed(url))

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Return once whoever listens at `url` has taken `body`, or raise `HookFailed`: also at once after `halt`."""
        outcome: Future[None] = Future()
        with self._lock:
            if self._halted:
                raise HookFailed(_STOPS, reached=False)
            self._under_way.add(outcome)
        # A receiver that hangs keeps a thread that nobody waits for: neither the node's stop nor the process's end.
        attempt = partial(self._attempt, outcome, url, body, headers)
        threading.Thread(target=attempt, name="webhook-post", daemon=True).start()
        try:
            outcome.result()
        finally:
            with self._lock:
                self._under_way.discard(outcome)

    def halt(self) -> None:
        """Give up what is under way and begin nothing more: whether it was delivered is not known."""
        with self._lock:
            self._halted = True
            under_way = tuple(self._under_way)
        for outcome in under_way:
            with suppress(InvalidStateError):
                outcome.set_exception(HookFailed(_STOPS, reached=True))

    def _attempt(self, outcome: "Future[None]", url: str, body: bytes, headers: Mapping[str, str]) -> None:
        failure: Exception | None = None
        try:
            self._post(url, body, headers)
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            failure = error
        with suppress(InvalidStateError):
            if failure is None:
                outcome.set_result(None)
            else:
                outcome.set_exception(failure)

    def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        wanted = self._parsed(url)
        *others, last = self._addresses(wanted)
        for address in others:
            try:
                self._post_to(address, wanted, body, headers)
            except HookFailed as failure:
                if failure.reached:
                    raise
            else:
                return
        self._post_to(last, wanted, body, headers)

    def _post_to(self, address: str, wanted: httpx.URL, body: bytes, headers: Mapping[str, str]) -> None:
        sent = {**headers, "host": wanted.netloc.decode("ascii")}
        extensions = {"sni_hostname": wanted.raw_host.decode("ascii")} if wanted.scheme == "https" else {}
        client = self._client(f"{wanted.scheme}://{wanted.netloc.decode('ascii')}")
        target = wanted.copy_with(host=address)
        try:
            with client.stream("POST", target, content=body, headers=sent, extensions=extensions) as response:
                _pass_over(response)
        except _UNREACHED as error:
            raise HookFailed(f"{type(error).__name__}: {error}", reached=False) from error
        except FAILURES as error:
            raise HookFailed(f"{type(error).__name__}: {error}", reached=True) from error
        if not response.is_success:
            raise HookFailed(f"it answered {response.status_code}", reached=True)

    def close(self) -> None:
        """Close all connections; a later use opens new ones."""
        with self._lock:
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    def _parsed(self, url: str) -> httpx.URL:
        try:
            wanted = httpx.URL(url)
            host = wanted.host
        except (httpx.InvalidURL, UnicodeError) as error:
            raise HookFailed(f"it is no URL: {error}", reached=False) from error
        if wanted.scheme not in (("https", "http") if self._private else ("https",)):
            raise HookFailed("only https is spoken with the open internet", reached=False)
        named = host and (wanted.port or 1) in range(1, _PORTS)
        if not named or wanted.userinfo or wanted.fragment or len(url) > URL_CHARACTERS_MAX:
            raise HookFailed("it must name a host, and neither a user nor a fragment", reached=False)
        return wanted

    def _addresses(self, wanted: httpx.URL) -> list[str]:
        """Return where the host may be reached, one address at least, in the order in which the system would try."""
        port = wanted.port or (443 if wanted.scheme == "https" else 80)
        try:
            found = self._resolve(wanted.raw_host.decode("ascii"), port)
        except (OSError, UnicodeError) as error:
            raise HookFailed(f"{wanted.host} has no address: {error}", reached=False) from error
        if not found:
            raise HookFailed(f"{wanted.host} has no address", reached=False)
        if not self._private and not all(map(is_public, found)):
            raise HookFailed(f"{wanted.host} is not on the open internet (webhooks_private allows it)", reached=False)
        return found[:ADDRESSES_MAX]

    def _client(self, origin: str) -> httpx.Client:
        # A connection is kept for one origin: another host at the same address has another certificate.
        with self._lock:
            if origin not in self._clients:
                if len(self._clients) >= CLIENTS_MAX:
                    self._clients.pop(next(iter(self._clients)))
                client = httpx.Client(
                    timeout=self._timeout,
                    limits=LIMITS,
                    headers=_HEADERS,
                    cookies=NoCookies(),
                    follow_redirects=False,
                    trust_env=False,
                )
                self._clients[origin] = bounded(client, seconds=2 * ANSWER_SECONDS)
            return self._clients[origin]


def _pass_over(response: httpx.Response) -> None:
    """Read an answer to its end, so that its connection can be used again, or give up on both."""
    end, size = time.monotonic() + ANSWER_SECONDS, 0
    for chunk in response.iter_raw():
        size += len(chunk)
        if size > ANSWER_BYTES_MAX or time.monotonic() > end:
            return
