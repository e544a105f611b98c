"""Account links: issued, accepted, used within their limits, and revoked by either side (specs/links.md)."""

from collections.abc import Iterator

import msgspec
from msgspec import UNSET

from protocol.documents import LinkLimits
from protocol.entries import ConversionCredited, ConversionHeld, LinkAccepted, LinkIssued
from protocol.errors import Code, Refusal
from protocol.fields import later
from protocol.identifiers import Account, Alias, Ledger
from protocol.ledger.member_commands import AcceptLink, IssueLink, RevokeLink, TakeUnlink
from protocol.ledger.moment import Moment, check_time, occurred
from protocol.ledger.partners import active_partner, known_partner
from protocol.ledger.postings import ledger_record, open_account
from protocol.ledger.state import (
    ACCEPTED_LINKS,
    ACCOUNTS,
    ALIASES,
    ISSUED_LINKS,
    ONLY,
    PARTNERS,
    PROGRAM,
    AcceptedLink,
    AliasRecord,
    IssuedLink,
)
from protocol.ledger.view import Need, Overlay, View, need
from protocol.member_entries import LinkRevoked, UnlinkReason, limits_or_none, present, unlink_received
from protocol.messages import body_digest, encode_body
from protocol.program import DEFAULT_TERMS

_HOUR_SECONDS = 3_600


def needs_issue(_view: Overlay, command: IssueLink) -> Iterator[Need]:
    """Name the account, the partner and the alias."""
    yield need(ACCOUNTS, command.account)
    yield need(PARTNERS, command.partner)
    yield need(ISSUED_LINKS, (command.partner, command.alias))


def decide_issue(_view: View, command: IssueLink, moment: Moment) -> LinkIssued:
    """Propose an alias of an account for one partner."""
    return LinkIssued(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        account=command.account,
        partner=command.partner,
        alias=command.alias,
        limits=_checked(command.limits),
    )


def apply_issue(view: View, entry: LinkIssued) -> None:
    """Let one partner know an open account by an alias that it has not seen."""
    open_account(view, entry.account)
    active_partner(view, entry.partner)
    key = (entry.partner, entry.alias)
    if view.get(ISSUED_LINKS, key) is not None:
        raise Refusal(Code.LINK_EXISTS, "this alias is taken")
    limits = limits_or_none(entry.limits) or LinkLimits()
    link = IssuedLink(
        account=entry.account,
        issued_seq=entry.seq,
        until=limits.until,
        conversions_left=limits.conversions,
        points_left=limits.points,
    )
    view.put(ISSUED_LINKS, key, link)


def needs_accept(_view: Overlay, command: AcceptLink) -> Iterator[Need]:
    """Name the account, the partner and the link that there may be."""
    yield need(ACCOUNTS, command.account)
    yield need(PARTNERS, command.partner)
    yield need(ACCEPTED_LINKS, (command.account, command.partner))
    yield need(ALIASES, (command.partner, command.alias))


def decide_accept(_view: View, command: AcceptLink, moment: Moment) -> LinkAccepted:
    """Propose to connect an account with a partner's alias."""
    return LinkAccepted(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        account=command.account,
        partner=command.partner,
        alias=command.alias,
        limits=_checked(command.limits),
    )


def apply_accept(view: View, entry: LinkAccepted) -> None:
    """Connect an open account with one alias of a partner, which no other account has accepted.

    A PREPARE names the alias alone, so one alias must lead back to one account. A link that has ended makes room for
    another one of the same account.
    """
    open_account(view, entry.account)
    active_partner(view, entry.partner)
    key = (entry.account, entry.partner)
    before = view.get(ACCEPTED_LINKS, key)
    if before is not None and not _has_ended(before, at=entry.time):
        raise Refusal(Code.LINK_EXISTS, f"{entry.account} is linked with {entry.partner} already")
    if view.get(ALIASES, (entry.partner, entry.alias)) is not None:
        raise Refusal(Code.LINK_EXISTS, "this alias has been accepted before")
    limits = limits_or_none(entry.limits) or LinkLimits()
    link = AcceptedLink(
        alias=entry.alias, accepted_seq=entry.seq, accepted_at=entry.time, until=limits.until, revoked_seq=None
    )
    view.put(ACCEPTED_LINKS, key, link)
    view.put(ALIASES, (entry.partner, entry.alias), AliasRecord(account=entry.account))


def _checked(limits: LinkLimits | None) -> LinkLimits | msgspec.UnsetType:
    if limits is not None and limits.until is not None:
        check_time(limits.until)
    return present(limits) if limits is not None else UNSET


def _has_ended(link: AcceptedLink, *, at: str) -> bool:
    return link.revoked_seq is not None or (link.until is not None and link.until <= at)


# --- Use.


def check_accepted(view: View, entry: ConversionHeld) -> None:
    """Refuse an order over a link that has ended, or a large one too soon after the link was made."""
    link = accepted_link(view, entry.account, entry.destination)
    if entry.alias != link.alias:
        raise Refusal(Code.LINK_UNKNOWN, "the alias is not the one the account is linked by")
    if link.revoked_seq is not None:
        raise Refusal(Code.LINK_REVOKED, "the link has been revoked")
    if entry.refund_of is not None:
        return
    _check_until(link.until, entry.time)
    program = view.get(PROGRAM, ONLY)
    terms = (program.terms if program else DEFAULT_TERMS).links
    if entry.source_points < terms.large_from:
        return
    cool_at = later(link.accepted_at, seconds=terms.cooling_off_hours * _HOUR_SECONDS)
    if entry.time < cool_at:
        text = f"so soon after the link was made, less than {terms.large_from} points can be converted until {cool_at}"
        raise Refusal(Code.LINK_COOLING_OFF, text)


def accepted_link(view: View, account: Account, partner: Ledger) -> AcceptedLink:
    """Return the link of an account with a partner, whether it holds or not, or refuse where there is none."""
    link = view.get(ACCEPTED_LINKS, (account, partner))
    if link is None:
        raise Refusal(Code.LINK_UNKNOWN, f"{account} is not linked with an account of {partner}")
    return link


def issued_link(view: View, source: Ledger, alias: Alias) -> IssuedLink:
    """Return the link of an alias, whether it holds or not, or refuse where there is none."""
    link = view.get(ISSUED_LINKS, (source, alias))
    if link is None:
        raise Refusal(Code.LINK_UNKNOWN, "no account here is linked by this alias")
    return link


def use_issued(view: View, entry: ConversionCredited) -> Account:
    """Return the account of a credit's link and count its use, or refuse a link that has ended or is used up.

    What comes back of a conversion is no use of a link; it needs one that is not revoked.
    """
    link = issued_link(view, entry.source, entry.alias)
    if link.revoked_seq is not None:
        raise Refusal(Code.LINK_REVOKED, "the link has been revoked")
    if entry.refund_of is None:
        _check_until(link.until, entry.time)
        if link.conversions_left == 0 or (link.points_left is not None and link.points_left < entry.destination_points):
            raise Refusal(Code.LINK_EXHAUSTED, "the link has been used as often, or for as much, as it may be")
        count_use(view, (entry.source, entry.alias), link, entry.destination_points)
    return link.account


def count_use(view: View, key: tuple[Ledger, Alias], link: IssuedLink, points: int) -> None:
    """Take one credit of `points` off what a link may still be used for."""
    if link.conversions_left is None and link.points_left is None:
        return
    used = msgspec.structs.replace(
        link,
        conversions_left=None if link.conversions_left is None else max(0, link.conversions_left - 1),
        points_left=None if link.points_left is None else max(0, link.points_left - points),
    )
    view.put(ISSUED_LINKS, key, used)


def _check_until(until: str | None, time: str) -> None:
    if until is not None and until <= time:
        raise Refusal(Code.LINK_EXPIRED, f"the link held until {until}")


# --- The end.


def needs_revoke(view: Overlay, command: RevokeLink | TakeUnlink) -> Iterator[Need]:
    """Name the partner and the link, at whichever end it is here."""
    if isinstance(command, RevokeLink):
        partner, issuer, alias = command.partner, command.issuer, command.alias
    else:
        partner, issuer, alias = command.unlink.sender, command.unlink.issuer, command.unlink.alias
    yield need(PARTNERS, partner)
    yield from needs_link(view, partner, issuer, alias)


def needs_link(view: Overlay, partner: Ledger, issuer: Ledger, alias: Alias) -> Iterator[Need]:
    """Name a link with `partner`, at whichever end it is here."""
    if issuer != partner:
        yield need(ISSUED_LINKS, (partner, alias))
        return
    yield need(ALIASES, (partner, alias))
    accepted = view.peek(ALIASES, (partner, alias))
    if accepted is not None:
        yield need(ACCEPTED_LINKS, (accepted.account, partner))


def decide_revoke(view: View, command: RevokeLink, moment: Moment) -> LinkRevoked:
    """Propose to end a link."""
    return LinkRevoked(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=known_partner(view, command.partner).network,
        account=command.account,
        partner=command.partner,
        issuer=command.issuer,
        alias=command.alias,
        by=ledger_record(view).ledger,
        reason=command.reason,
        revoked_at=moment.time,
        notice=None,
        partner_entry=None,
    )


def decide_take(view: View, command: TakeUnlink, moment: Moment) -> LinkRevoked:
    """Propose to enter a partner's word."""
    unlink = command.unlink
    account = _account_of(view, unlink.sender, unlink.issuer, unlink.alias)
    return LinkRevoked(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=unlink.network,
        account=account,
        partner=unlink.sender,
        issuer=unlink.issuer,
        alias=unlink.alias,
        by=unlink.sender,
        reason=unlink.reason,
        revoked_at=unlink.revoked_at,
        notice=command.digest,
        partner_entry=unlink.entry,
    )


def apply_revoked(view: View, entry: LinkRevoked) -> None:
    """End a link at once; what has been credited over it stays, and what is undecided is decided by the rules."""
    partner = known_partner(view, entry.partner)
    if entry.network != partner.network:
        raise Refusal(Code.PARTNER_MISMATCH, "the link is of another network")
    own = ledger_record(view).ledger
    if entry.by == own:
        _check_own(entry)
    elif entry.by == entry.partner:
        _check_partners(entry, own)
    else:
        raise Refusal(Code.PARTNER_MISMATCH, "a link is revoked by one of its two sides")
    if entry.issuer not in {own, entry.partner}:
        raise Refusal(Code.PARTNER_MISMATCH, "a link is issued by one of its two sides")
    if _account_of(view, entry.partner, entry.issuer, entry.alias) != entry.account:
        raise Refusal(Code.LINK_UNKNOWN, f"{entry.account} is not linked by this alias")
    ended = end_link(view, entry.partner, entry.issuer, entry.alias, seq=entry.seq)
    if not ended and entry.by == own and entry.reason is UnlinkReason.REVOKED:
        raise Refusal(Code.LINK_REVOKED, "the link has been revoked already")


def _check_own(entry: LinkRevoked) -> None:
    if entry.notice is not None or entry.partner_entry is not None or entry.revoked_at != entry.time:
        raise Refusal(Code.DECISION_MISMATCH, "a word of our own is given now and cites no message")


def _check_partners(entry: LinkRevoked, own: Ledger) -> None:
    unlink = unlink_received(entry, ledger=own)
    if unlink is None or not entry.request == entry.notice == body_digest(encode_body(unlink)):
        raise Refusal(Code.DECISION_MISMATCH, "the entry does not cite the word that it repeats")


def _account_of(view: View, partner: Ledger, issuer: Ledger, alias: Alias) -> Account:
    if issuer != partner:
        return issued_link(view, partner, alias).account
    accepted = view.get(ALIASES, (partner, alias))
    if accepted is None:
        raise Refusal(Code.LINK_UNKNOWN, "no account here has accepted this alias")
    return accepted.account


def end_link(view: View, partner: Ledger, issuer: Ledger, alias: Alias, *, seq: int) -> bool:
    """Mark a link as revoked by the entry `seq`, and return whether it was not yet."""
    if issuer != partner:
        issued = issued_link(view, partner, alias)
        if issued.revoked_seq is None:
            view.put(ISSUED_LINKS, (partner, alias), msgspec.structs.replace(issued, revoked_seq=seq))
        return issued.revoked_seq is None
    key = (_account_of(view, partner, issuer, alias), partner)
    accepted = view.get(ACCEPTED_LINKS, key)
    assert accepted is not None, "whoever has accepted an alias has had a link"
    # The account may have accepted another alias since this one ended.
    if accepted.alias != alias or accepted.revoked_seq is not None:
        return False
    view.put(ACCEPTED_LINKS, key, msgspec.structs.replace(accepted, revoked_seq=seq))
    return True
