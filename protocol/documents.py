"""Signed papers that people carry: a partner's invitation and a member's account link (specs/partners.md, links.md)."""

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from protocol.agreement import RoleKey, SignatureText, check_keys, key_of
from protocol.encoding import Codec
from protocol.errors import InvitationInvalid, KeyInvalid, LinkInvalid
from protocol.fields import AliasField, AssetField, LedgerField, NetworkField, TimeField
from protocol.keys import PublicKey, Role, Signer, decode_signature, encode_signature, fingerprint
from protocol.limits import CURRENCIES_MAX
from protocol.points import Amount

_INVITATION_DOMAIN: Final = b"tallystick/invitation/v1\n"
_LINK_DOMAIN: Final = b"tallystick/link/v1\n"


class Introduction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who a brand says it is: ledger, points, settlement currencies, where it listens and its keys.

    A node that only dials out, or exchanges files, listens nowhere: its `url` is null.
    """

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    network: NetworkField
    ledger: LedgerField
    points: AssetField
    currencies: Annotated[tuple[AssetField, ...], Meta(max_length=CURRENCIES_MAX)]
    url: Annotated[str, Meta(pattern=r"^https?://[!-~]{1,480}\Z")] | None
    keys: tuple[RoleKey, ...]

    def fingerprint(self) -> str:
        """Return the short text that both operators read aloud to each other."""
        return fingerprint([PublicKey.parse(item.key) for item in self.keys])


class Invitation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An introduction signed by its own approval key: proof that the sender holds it, not of who it is."""

    introduction: Introduction
    signature: SignatureText


class LinkLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long and how often a link may be used; `points` are the issuer's, credited over it in all.

    What is null is not limited.
    """

    until: TimeField | None = None
    conversions: Amount | None = None
    points: Amount | None = None


class AccountLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The issuer's word that `alias` stands for an account of its own, for one partner and nobody else."""

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    network: NetworkField
    issuer: LedgerField
    audience: LedgerField
    alias: AliasField
    issued_at: TimeField
    # Absent where there are none, so that a link of before there were any is read as it was signed.
    limits: LinkLimits | UnsetType = UNSET


class SignedLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account link signed by the issuer's channel key: what its member carries to the partner."""

    link: AccountLink
    signature: SignatureText


_INTRODUCTIONS: Final = Codec(msgspec.json.Decoder(Introduction), error=InvitationInvalid, bytes_max=16_384)
_INVITATIONS: Final = Codec(msgspec.json.Decoder(Invitation), error=InvitationInvalid, bytes_max=16_384)
_LINKS: Final = Codec(msgspec.json.Decoder(AccountLink), error=LinkInvalid, bytes_max=4_096)
_SIGNED_LINKS: Final = Codec(msgspec.json.Decoder(SignedLink), error=LinkInvalid, bytes_max=8_192)


def sign_invitation(introduction: Introduction, *, key: Signer) -> bytes:
    """Return the invitation's file, or raise a `ProtocolError` if `key` is not the approval key that it names."""
    message = _INVITATION_DOMAIN + _INTRODUCTIONS.encode(introduction)
    data = _INVITATIONS.encode(Invitation(introduction=introduction, signature=encode_signature(key.sign(message))))
    open_invitation(data)  # What is signed here must be what another node accepts.
    return data


def open_invitation(data: bytes) -> Introduction:
    """Return the introduction in `data` after checking its keys and signature, or raise a `ProtocolError`."""
    invitation = _INVITATIONS.decode(data)
    introduction = invitation.introduction
    try:
        check_keys(introduction.keys)
    except KeyInvalid as error:
        raise InvitationInvalid(str(error)) from error
    key_of(introduction.keys, Role.APPROVAL).verify(
        signature=decode_signature(invitation.signature),
        message=_INVITATION_DOMAIN + _INTRODUCTIONS.encode(introduction),
    )
    return introduction


def sign_link(link: AccountLink, *, key: Signer) -> bytes:
    """Return the link's file, signed by the issuer's channel key, or raise `LinkInvalid`."""
    signature = encode_signature(key.sign(_LINK_DOMAIN + _LINKS.encode(link)))
    data = _SIGNED_LINKS.encode(SignedLink(link=link, signature=signature))
    parse_link(data)  # What is signed here must be what another node accepts.
    return data


def parse_link(data: bytes) -> SignedLink:
    """Return the link in `data`, not yet verified, or raise `LinkInvalid`."""
    return _SIGNED_LINKS.decode(data)


def verify_link(signed: SignedLink, *, key: PublicKey) -> None:
    """Raise `SignatureInvalid` unless the issuer's channel key signed the link."""
    key.verify(signature=decode_signature(signed.signature), message=_LINK_DOMAIN + _LINKS.encode(signed.link))
