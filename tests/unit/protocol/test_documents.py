import msgspec
import pytest

from protocol.agreement import RoleKey
from protocol.documents import AccountLink, open_invitation, parse_link, sign_invitation, sign_link, verify_link
from protocol.errors import InvitationInvalid, KeyInvalid, LinkInvalid, ProtocolError, SignatureInvalid
from protocol.identifiers import Alias
from protocol.keys import Role, decode_signature, fingerprint
from protocol.limits import CURRENCIES_MAX
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    COPPER,
    USD,
    account_link,
    introduction,
    invitation_bytes,
    link_bytes,
)
from tests.support.mutations import bit_flips, canonical, field_changes, liberties, nulled, parsed, replaced

APPROVAL = AURORA.signing_keys[Role.APPROVAL]
CHANNEL = BLUEBIRD.signing_keys[Role.CHANNEL]
OTHER_SIGNATURE = "A" * 86 + "=="


def last_key(text: str) -> tuple[RoleKey, ...]:
    """Return Aurora's keys with another text for the last."""
    return (*AURORA.keys[:3], RoleKey(role=Role.APPROVAL, key=text))


def test_an_invitation_introduces_its_sender() -> None:
    assert open_invitation(invitation_bytes()) == introduction()
    assert canonical(parsed(invitation_bytes())) == invitation_bytes()


def test_a_node_that_listens_nowhere_can_invite() -> None:
    quiet = msgspec.structs.replace(introduction(), url=None)
    assert open_invitation(sign_invitation(quiet, key=APPROVAL)) == quiet


def test_an_invitation_is_signed_over_its_own_domain() -> None:
    document = parsed(invitation_bytes())
    assert isinstance(document, dict)
    message = b"tallystick/invitation/v1\n" + canonical(document["introduction"])
    APPROVAL.public.verify(signature=decode_signature(str(document["signature"])), message=message)


def test_an_invitation_is_compared_aloud() -> None:
    assert introduction().fingerprint() == fingerprint([AURORA.signing_keys[role].public for role in Role])
    assert introduction(BLUEBIRD).fingerprint() != introduction().fingerprint()
    with pytest.raises(KeyInvalid):
        msgspec.structs.replace(introduction(), keys=AURORA.keys[:3]).fingerprint()


@pytest.mark.parametrize(
    "parts",
    [
        {"keys": ()},
        {"keys": AURORA.keys[:3]},
        {"keys": AURORA.keys[::-1]},
        {"keys": (*AURORA.keys, AURORA.keys[0])},
        {"keys": last_key(AURORA.keys[0].key)},
        {"keys": last_key("A" * 43 + "=")},
        {"keys": last_key("!" * 44)},
        {"keys": last_key("A" * 40)},
        {"url": "ftp://node.aurora.example"},
        {"url": "https://"},
        {"url": "https://node.aurora.example/\n"},
        {"url": "https://node.aurora.example/a b"},
        {"url": "https://" + "a" * 481},
        {"points": "aur"},
        {"currencies": (USD,) * (CURRENCIES_MAX + 1)},
        {"ledger": "aurora.example\ud800/main.1"},
        {"network": ""},
        {"v": 2},
    ],
)
def test_an_introduction_that_nobody_would_accept_is_not_signed(parts: dict[str, object]) -> None:
    with pytest.raises(InvitationInvalid):
        sign_invitation(msgspec.structs.replace(introduction(), **parts), key=APPROVAL)


def test_an_invitation_is_signed_by_the_approval_key_that_it_names() -> None:
    for key in (AURORA.signing_keys[Role.CHANNEL], BLUEBIRD.signing_keys[Role.APPROVAL]):
        with pytest.raises(SignatureInvalid):
            sign_invitation(introduction(), key=key)


def test_an_invitation_with_other_keys_is_refused_before_its_signature_is_looked_at() -> None:
    for keys in (AURORA.keys[:3], last_key(AURORA.keys[0].key), last_key("A" * 43 + "=")):
        listed = parsed(msgspec.json.encode(keys))
        with pytest.raises(InvitationInvalid):
            open_invitation(canonical(replaced(invitation_bytes(), ("introduction", "keys"), listed)))


def test_an_invitation_has_one_encoding() -> None:
    wrong = [*liberties(invitation_bytes()), *(data for _, data in field_changes(invitation_bytes()))]
    wrong += [data for path, data in nulled(invitation_bytes()) if path != "introduction.url"]
    for data in [b"", b"null", b"[]", b"{}", b" " * 20_000, *wrong]:
        with pytest.raises(InvitationInvalid):
            open_invitation(data)


def test_an_invitation_with_another_signature_is_refused() -> None:
    for text in (OTHER_SIGNATURE, "!" * 88, "A" * 88):
        with pytest.raises(SignatureInvalid):
            open_invitation(canonical(replaced(invitation_bytes(), ("signature",), text)))


def test_no_bit_of_an_invitation_can_change() -> None:
    for data in bit_flips(invitation_bytes()):
        with pytest.raises(ProtocolError):
            open_invitation(data)


def test_a_link_is_its_issuers_word() -> None:
    signed = parse_link(link_bytes())
    assert signed.link == account_link()
    assert canonical(parsed(link_bytes())) == link_bytes()
    verify_link(signed, key=CHANNEL.public)
    message = b"tallystick/link/v1\n" + canonical(parsed(msgspec.json.encode(signed.link)))
    CHANNEL.public.verify(signature=decode_signature(signed.signature), message=message)


def test_a_link_that_another_key_signed_is_refused() -> None:
    for key in (AURORA.signing_keys[Role.CHANNEL], BLUEBIRD.signing_keys[Role.APPROVAL]):
        with pytest.raises(SignatureInvalid):
            verify_link(parse_link(link_bytes()), key=key.public)
    for text in (OTHER_SIGNATURE, "!" * 88):
        with pytest.raises(SignatureInvalid):
            verify_link(msgspec.structs.replace(parse_link(link_bytes()), signature=text), key=CHANNEL.public)


@pytest.mark.parametrize(
    "link",
    [
        account_link(AURORA),
        account_link(audience=COPPER),
        account_link(alias=Alias("0" * 32)),
        msgspec.structs.replace(account_link(), issued_at="2026-03-01T12:00:00.000001Z"),
        msgspec.structs.replace(account_link(), network="0" * 32),
    ],
)
def test_a_signature_of_one_link_is_not_of_another(link: AccountLink) -> None:
    with pytest.raises(SignatureInvalid):
        verify_link(msgspec.structs.replace(parse_link(link_bytes()), link=link), key=CHANNEL.public)


@pytest.mark.parametrize(
    "parts",
    [
        {"alias": "short"},
        {"audience": "aurora.example"},
        {"issued_at": "2026-02-30T12:00:00.000000Z"},
        {"issuer": "\ud800"},
        {"network": "x" * 5_000},
        {"v": 0},
    ],
)
def test_a_link_that_nobody_would_accept_is_not_signed(parts: dict[str, object]) -> None:
    with pytest.raises(LinkInvalid):
        sign_link(msgspec.structs.replace(account_link(), **parts), key=CHANNEL)


def test_a_link_has_one_encoding() -> None:
    wrong = [*liberties(link_bytes()), *(data for _, data in field_changes(link_bytes()))]
    wrong += [data for _, data in nulled(link_bytes())]
    for data in [b"", b"null", b"[]", b"{}", b" " * 10_000, *wrong]:
        with pytest.raises(LinkInvalid):
            parse_link(data)


def test_no_bit_of_a_link_can_change() -> None:
    for data in bit_flips(link_bytes()):
        with pytest.raises(ProtocolError):
            verify_link(parse_link(data), key=CHANNEL.public)
