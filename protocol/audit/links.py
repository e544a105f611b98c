"""How many links members have with each partner as of the end of a day; the register of links says who ended which."""

from collections import Counter

import msgspec

from protocol.audit.outcome import LogAudit
from protocol.identifiers import Ledger
from protocol.ledger.state import ACCEPTED_LINKS, ISSUED_LINKS
from protocol.member_entries import LinkWay


class LinkLine(msgspec.Struct, frozen=True, kw_only=True):
    """The links of one end with a partner: those that were made, and those of them that were revoked since.

    Points come in by an `issued` one, and go out by an `accepted` one. An account that accepts anew has its last one.
    """

    partner: Ledger
    way: LinkWay
    made: int
    revoked: int


def link_lines(audit: LogAudit, *, end_seq: int) -> tuple[LinkLine, ...]:
    """Return the links that entries before `end_seq` made, by partner and way."""
    view = audit.replay.view
    made: Counter[tuple[Ledger, LinkWay]] = Counter()
    revoked: Counter[tuple[Ledger, LinkWay]] = Counter()
    issued = ((key[0], LinkWay.ISSUED, row.issued_seq, row.revoked_seq) for key, row in view.rows(ISSUED_LINKS))
    accepted = ((key[1], LinkWay.ACCEPTED, row.accepted_seq, row.revoked_seq) for key, row in view.rows(ACCEPTED_LINKS))
    for partner, way, made_seq, revoked_seq in (*issued, *accepted):
        made[partner, way] += made_seq < end_seq
        revoked[partner, way] += revoked_seq is not None and revoked_seq < end_seq
    return tuple(
        LinkLine(partner=partner, way=way, made=count, revoked=revoked[partner, way])
        for (partner, way), count in sorted(made.items())
        if count
    )
