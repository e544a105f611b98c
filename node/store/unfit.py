"""Why a PostgreSQL session is none to write a ledger over: what it would change or lose in silence."""

from typing import Final

import psycopg

MARK: Final = "tallystick.whole"
"""A setting of ours: a pooler that drops the settings of a connection drops it, too, and with them its lock."""

_MARKED: Final = "SELECT current_setting(%s, true)"
_ENCODING: Final = "UTF8"


def unfit(connection: psycopg.Connection[tuple[object, ...]]) -> str | None:
    """Return why nothing must be written over `connection`, or None where it is fit."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != _ENCODING:
        return f"the database's encoding is {encoding}, which cannot hold every text: make one with ENCODING 'UTF8'"
    if connection.execute(_MARKED, (MARK,)).fetchone() != ("on",):
        return (
            "what is between the node and the server drops a connection's settings, and its lock: "
            "give the node the server itself, without a pooler"
        )
    return None
