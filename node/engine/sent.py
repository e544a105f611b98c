"""What a commit keeps of the bodies that this ledger says to its partners."""

from node.store.rows import SentBody
from protocol.identifiers import Ledger
from protocol.messages import Body, body_digest, conversion_of, encode_body, kind_of


def sent_body(body: Body, partner: Ledger, *, entry_seq: int | None = None) -> SentBody:
    """Return the row of a body for `partner`; `entry_seq` is that of the entry that says it, if one does."""
    data = encode_body(body)
    return SentBody(
        partner=partner,
        digest=body_digest(data),
        kind=kind_of(body),
        conversion=conversion_of(body),
        body=data,
        entry_seq=entry_seq,
    )
