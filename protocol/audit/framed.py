"""What a page of received messages proves by itself, given the keys of those who signed it."""

from collections.abc import Mapping
from typing import TypeAlias

from protocol.agreement import RoleKey, key_of
from protocol.audit.pages import MessagesPage, PageMessage
from protocol.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from protocol.envelope import Header, frame_leaf, verify_envelope
from protocol.errors import CheckpointInvalid, EnvelopeInvalid
from protocol.identifiers import Ledger, partner_of
from protocol.keys import Role
from protocol.merkle import Hash, verify_inclusion
from protocol.messages import Body, body_digest, decode_body
from protocol.note import Verifier, parse_note

PartnerKeys: TypeAlias = Mapping[Ledger, tuple[RoleKey, ...]]
"""The keys of partners, as a ledger's entries name them."""


def check_page(page: MessagesPage, keys: PartnerKeys) -> None:
    """Raise a `ProtocolError` or `KeyError` unless partners with these `keys` have signed all of `page`."""
    headers: list[Header] = []
    for envelope in page.envelopes:
        of_partner = keys[envelope.header().sender]
        header = verify_envelope(envelope, key=key_of(of_partner, Role.CHANNEL))
        if header.checkpoint is not None:
            stated_checkpoint(header.checkpoint, header.sender, keys=of_partner)
        headers.append(header)
    for message in page.messages:
        verify_framed(message, headers[message.envelope])


def stated_checkpoint(note: str, sender: Ledger, *, keys: tuple[RoleKey, ...] | None) -> Checkpoint:
    """Return the checkpoint of a log of `sender` in `note`, or raise a `ProtocolError`; without `keys` it is known."""
    stated = parse_checkpoint(parse_note(note.encode()).text)
    if partner_of(Ledger(stated.origin)) != partner_of(sender):
        raise CheckpointInvalid(f"the checkpoint is of {stated.origin[:80]}, which is no log of {sender}")
    if keys is None:
        return stated
    return open_checkpoint(note.encode(), [Verifier(stated.origin, key_of(keys, Role.LOG))])


def verify_framed(message: PageMessage, header: Header) -> Body:
    """Return the body of `message` once it is shown to be in the envelope whose verified header is `header`."""
    data = bytes(message.body)
    if body_digest(data) != message.frame.body:
        raise EnvelopeInvalid("the body is not the one its frame names")
    verify_inclusion(
        leaf=frame_leaf(message.frame),
        index=message.frame.seq - header.first_seq,
        size=header.count,
        root=Hash(bytes.fromhex(header.root)),
        proof=[Hash(bytes.fromhex(node)) for node in message.path],
    )
    return decode_body(data)
