"""The world's beginning: three brands that know each other, under agreements, with linked members and points."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from random import Random
from typing import Final

from node.app.genesis import own_keys
from node.app.system import SeedKeyring
from node.engine.engine import Engine
from node.engine.work import CommandWork
from node.ports import NoFaults
from node.services.node import REQUEST_KEY_SETTING
from node.services.partners.partners import NETWORK_SETTING
from node.store.rows import PartnerUrl, PutSetting, Write
from protocol.agreement import (
    Agreement,
    Party,
    SignedAgreement,
    Transport,
    agreement_digest,
    sign_agreement,
)
from protocol.identifiers import Account, Alias, Asset, Id, Ledger, Network, holder_account, id_from_random
from protocol.keys import Role, SigningKey
from protocol.ledger import commands, names
from scripts.alliance.brands import BRANDS, CURRENCY, Brand
from scripts.simulation.place import Place
from scripts.simulation.store import MemoryWriter, State
from scripts.simulation.terms import BEGINS_AT, pair_terms
from scripts.simulation.world import BEGINNING, SimulatedRandomness, World


def _hash(text: str) -> bytes:
    return sha256(f"simulated {text}".encode()).digest()


def _uuid(text: str) -> Id:
    return id_from_random(_hash(text)[:16])


NETWORK: Final = Network(_hash("network").hex()[:32])


@dataclass(frozen=True, slots=True)
class Member:
    """A person with an account at every brand, each linked with the others; `points` is what she begins with."""

    name: str
    points: int

    @property
    def account(self) -> Account:
        """Return her account, which has the same id at every brand here."""
        return holder_account("member", _uuid(self.name))


MEMBERS: Final = (Member("ada", 200_000), Member("bo", 9_000), Member("cy", 0))


@cache
def keyring_of(brand: Brand) -> SeedKeyring:
    """Return a brand's keys, a function of its name."""
    keys = {role: SigningKey(_hash(f"{brand.name} {role}")) for role in Role}
    return SeedKeyring(keys, next_log_key=SigningKey(_hash(f"{brand.name} next")).public)


def make_places(world: World, terms: int = 0) -> list[Place]:
    """Return the brands' places as the world begins: a set of terms is agreed, nothing has been said."""
    places = []
    for brand, state in zip(BRANDS, _beginnings(terms), strict=True):
        place = Place(brand, keyring_of(brand), world)
        place.disk.state = state
        places.append(place)
    return places


@cache
def _beginnings(terms: int) -> tuple[State, ...]:
    world = World(Random("beginning"))
    return tuple(begin(Place(brand, keyring_of(brand), world), terms) for brand in BRANDS)


def begin(place: Place, terms: int = 0) -> State:
    """Write a place's first entries, under a set of terms, and return what its disk holds then."""
    writer = MemoryWriter(place.disk)
    engine = Engine(writer, keyring=place.keyring, randomness=SimulatedRandomness(place.world), faults=NoFaults())
    settings: list[Write] = [
        PutSetting(REQUEST_KEY_SETTING, _hash(f"{place.name} requests").hex()),
        PutSetting(NETWORK_SETTING, NETWORK),
    ]
    partners = [brand for brand in BRANDS if brand is not place.brand]
    works = [
        CommandWork([_genesis(place)], writes=settings),
        CommandWork(_members()),
        *(CommandWork(_introduction(place.brand, brand, terms), writes=[_address(brand)]) for brand in partners),
    ]
    for work in works:
        results, _ = engine.commit([work], BEGINNING)
        assert not isinstance(results[0], Exception), results[0]
    return place.disk.state


def _address(brand: Brand) -> PartnerUrl:
    return PartnerUrl(Ledger(brand.ledger), f"https://{brand.program}")


def _genesis(place: Place) -> commands.AnyCommand:
    return commands.CreateLedger(
        id=names.genesis_id(place.ledger),
        ledger=place.ledger,
        points=Asset(place.brand.points),
        points_name=place.brand.points_name,
        currencies=(Asset(CURRENCY),),
        keys=own_keys(place.keyring),
        next_log_key=place.keyring.next_log_key,
    )


def _members() -> Sequence[commands.AnyCommand]:
    opened = [commands.OpenAccount(id=_uuid(f"open {each.name}"), account=each.account) for each in MEMBERS]
    issued = [
        commands.IssuePoints(id=_uuid(f"issue {each.name}"), account=each.account, amount=each.points)
        for each in MEMBERS
        if each.points
    ]
    return [*opened, *issued]


def _alias(owner: Brand, partner: Brand, member: Member) -> Alias:
    return Alias(_hash(f"alias {owner.name} {partner.name} {member.name}").hex()[:32])


def _introduction(own: Brand, partner: Brand, terms: int) -> Sequence[commands.AnyCommand]:
    """Return what makes `partner` known to `own`, with an agreement and every member's links."""
    signed = agreement_between(own, partner, terms)
    digest = agreement_digest(signed.agreement)
    ledger = Ledger(partner.ledger)
    links: list[commands.AnyCommand] = []
    for member in MEMBERS:
        ours, theirs = _alias(own, partner, member), _alias(partner, own, member)
        links += [
            commands.IssueLink(id=_uuid(f"issue {ours}"), account=member.account, partner=ledger, alias=ours),
            commands.AcceptLink(id=_uuid(f"accept {theirs}"), account=member.account, partner=ledger, alias=theirs),
        ]
    return [
        commands.AddPartner(
            id=names.partner_id(ledger),
            network=NETWORK,
            ledger=ledger,
            points=Asset(partner.points),
            keys=own_keys(keyring_of(partner)),
        ),
        commands.EnterAgreement(id=names.agreement_id(digest), request=digest, signed=signed),
        *links,
    ]


@cache
def _agreement_of(first: Brand, second: Brand, number: int) -> SignedAgreement:
    terms = pair_terms(number, first, second)
    agreement = Agreement(
        network=NETWORK,
        number=1,
        supersedes=None,
        parties=(_party(first), _party(second)),
        currency=Asset(CURRENCY),
        directions=terms.directions,
        valid_from=BEGINS_AT,
        valid_until=None,
        quote_life_seconds=terms.quote_life_seconds,
        notice_days=terms.notice_days,
        windows=terms.windows,
        transport=Transport(kind=terms.transport, cycle_seconds=0),
    )
    signatures = tuple(
        sign_agreement(agreement, ledger=Ledger(brand.ledger), key=keyring_of(brand).key(Role.APPROVAL))
        for brand in (first, second)
    )
    return SignedAgreement(agreement=agreement, signatures=signatures)


def agreement_between(one: Brand, other: Brand, terms: int) -> SignedAgreement:
    """Return the first agreement of two brands under a set of terms, signed by both."""
    first, second = sorted((one, other), key=lambda brand: brand.ledger)
    return _agreement_of(first, second, terms)


def _party(brand: Brand) -> Party:
    return Party(ledger=Ledger(brand.ledger), points=Asset(brand.points), keys=own_keys(keyring_of(brand)))
