"""What waits for somebody to look at it: a partner's newest lines of a window, and its newest statement to be signed.

Such a body moves nothing when it comes and stands in no entry. That it came is noted in a setting, so that nobody has
to search all messages for it, again and again.
"""

from typing import Final, Protocol

from node.engine.work import Desk
from node.store.rows import PutSetting
from protocol.identifiers import Digest, Ledger
from protocol.messages import Body, Lines, StatementSigned, kind_of

_NOTHING: Final = "-1 "


class Settings(Protocol):
    """What the store tells about settings."""

    def setting(self, name: str) -> str | None:
        """Return a named text, or None."""


def note_waiting(desk: Desk, settings: Settings, body: Body, digest: Digest) -> None:
    """Note that a body has come which waits, if it is one, and no statement signed later waits already.

    A partner that starts again may say an older statement once more, after a newer one.
    """
    if not isinstance(body, Lines | StatementSigned):
        return
    name = _setting(kind_of(body), body.sender)
    place = body.entry.seq if isinstance(body, StatementSigned) else 0
    staged = [each.value for each in desk.staged() if isinstance(each, PutSetting) and each.name == name]
    noted = staged[-1] if staged else settings.setting(name) or _NOTHING
    if int(noted.partition(" ")[0]) <= place:
        desk.stage(PutSetting(name, f"{place} {digest}"))


def newest_waiting(settings: Settings, kind: str, partner: Ledger) -> Digest | None:
    """Return the digest of the newest body of a kind that `partner` has sent and that waits, or None."""
    found = settings.setting(_setting(kind, partner))
    return None if found is None else Digest(found.partition(" ")[2])


def _setting(kind: str, partner: Ledger) -> str:
    return f"waiting/{kind}/{partner}"
