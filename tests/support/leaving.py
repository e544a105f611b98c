"""Links that end and people who are forgotten: what tests of both start from."""

from protocol.documents import LinkLimits
from protocol.entries import Sealed
from protocol.identifiers import Account, Alias, Ledger
from protocol.ledger import names
from protocol.ledger.member_commands import AcceptLink, EraseAccount, IssueLink, RevokeLink, TakeUnlink
from protocol.messages import Unlink, UnlinkReason, body_digest, encode_body
from tests.support.documents import ALIAS, AURORA, BLUEBIRD, NETWORK, NOW, Side, entry_reference, hex_16, uuid
from tests.support.ledger import MemoryLedger, Pair, open_holder

REVOKED = UnlinkReason.REVOKED
ERASED = UnlinkReason.ERASED


def unlink(sender: Side = AURORA, receiver: Side = BLUEBIRD) -> Unlink:
    """Return the word that ends the link of `account_link()`."""
    return Unlink(
        network=NETWORK,
        sender=sender.ledger,
        receiver=receiver.ledger,
        issuer=receiver.ledger,
        alias=ALIAS,
        reason=UnlinkReason.REVOKED,
        revoked_at=NOW,
        entry=entry_reference(),
    )


def link_within(
    source: MemoryLedger, destination: MemoryLedger, *, sender: Account, receiver: Account, limits: LinkLimits | None
) -> Alias:
    """Let `sender` of `source` convert to `receiver` of `destination` within limits, and return the alias."""
    alias = Alias(hex_16(f"limited {sender} {receiver} {len(source.sealed)}"))
    destination.execute(
        IssueLink(id=uuid(f"i {alias}"), account=receiver, partner=source.name, alias=alias, limits=limits)
    )
    source.execute(
        AcceptLink(id=uuid(f"a {alias}"), account=sender, partner=destination.name, alias=alias, limits=limits)
    )
    return alias


def revoke(
    ledger: MemoryLedger,
    account: Account,
    partner: Ledger,
    alias: Alias,
    *,
    issuer: Ledger,
    reason: UnlinkReason = REVOKED,
) -> Sealed:
    """End a link by the word of `ledger`."""
    name = names.unlinked_id(issuer, alias, by=ledger.name, reason=reason)
    return ledger.execute(
        RevokeLink(id=name, account=account, partner=partner, issuer=issuer, alias=alias, reason=reason)
    )


def take_unlink(ledger: MemoryLedger, unlink: Unlink) -> Sealed:
    """Enter a partner's word that a link has ended."""
    digest = body_digest(encode_body(unlink))
    name = names.unlinked_id(unlink.issuer, unlink.alias, by=unlink.sender, reason=unlink.reason)
    return ledger.execute(TakeUnlink(id=name, request=digest, unlink=unlink, digest=digest))


def told_by(ledger: MemoryLedger, sealed: Sealed) -> Unlink:
    """Return the UNLINK that an entry of `ledger` makes."""
    body = ledger.body(sealed)
    assert isinstance(body, Unlink)
    return body


def erase(ledger: MemoryLedger, account: Account, *, forfeit: bool = True, name: str = "") -> Sealed:
    """Forget the person behind an account."""
    return ledger.execute(EraseAccount(id=uuid(f"erase {name or account}"), account=account, forfeit=forfeit))


def forget_a_member(pair: Pair) -> None:
    """Let a member of the source with a link and points be forgotten; the destination is told."""
    source, destination = pair.source, pair.destination
    fay, gus = open_holder(source, "fay", points=30), open_holder(destination, "gus")
    alias = link_within(source, destination, sender=fay, receiver=gus, limits=None)
    ended = revoke(source, fay, destination.name, alias, issuer=destination.name, reason=ERASED)
    take_unlink(destination, told_by(source, ended))
    erase(source, fay)
