"""What waits for somebody to look at it: a partner's newest lines of a window, and its newest statement to be signed.

Such a body moves nothing when it comes and stands in no entry. That it came is noted in a setting, so that nobody has
to search all messages for it, again and again.
"""

from node.engine.work import Desk
from node.store.reader import StoreReader
from node.store.rows import PutSetting
from protocol.identifiers import Digest, Ledger
from protocol.messages import Body, Lines, StatementSigned, kind_of


def note_waiting(desk: Desk, body: Body, digest: Digest) -> None:
    """Note that a body has come which waits, if it is one."""
    if isinstance(body, Lines | StatementSigned):
        desk.stage(PutSetting(_setting(kind_of(body), body.sender), digest))


def newest_waiting(reader: StoreReader, kind: str, partner: Ledger) -> Digest | None:
    """Return the digest of the newest body of a kind that `partner` has sent and that waits, or None."""
    found = reader.setting(_setting(kind, partner))
    return None if found is None else Digest(found)


def _setting(kind: str, partner: Ledger) -> str:
    return f"waiting/{kind}/{partner}"
