"""The sockets that a node listens on."""

import socket
from typing import Final

from protocol.errors import TallystickError

BACKLOG: Final = 1_024


class AddressUnavailable(TallystickError):
    """The node cannot listen where it is told to."""

    code = "address_unavailable"


def place_of(host: str, port: int) -> str:
    """Return an address as it stands in a URL (RFC 3986 §3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a socket that listens at an address, `shared` with others of this node or not.

    Raises `AddressUnavailable`; so it does for one's own alone where the address is shared by others.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=shared)
    except (OSError, ValueError) as error:
        raise AddressUnavailable(f"cannot listen on {host}:{port}: {error}") from error
