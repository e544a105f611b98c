"""Valid example documents of every kind, from fixed seeds: three brands, an agreement, bodies, papers.

Every function returns a document that its own reader accepts; arguments replace parts. `msgspec.structs.replace`
changes what has no argument here. `tests.support.parcels` puts bodies into envelopes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from protocol.agreement import (
    Agreement,
    ConvertedExpiry,
    Direction,
    Fee,
    InFlightLimits,
    MemberLimits,
    Party,
    Promotion,
    RoleKey,
    SignedAgreement,
    Transport,
    WindowCalendar,
    agreement_digest,
    sign_agreement,
)
from protocol.documents import AccountLink, Introduction, sign_invitation, sign_link
from protocol.identifiers import Alias, Asset, Digest, Id, Ledger, Network, id_from_random
from protocol.keys import Role, SigningKey
from protocol.messages import (
    Body,
    Cancel,
    End,
    EntryReference,
    Error,
    Fulfil,
    Hello,
    Prepare,
    Query,
    Reject,
    body_digest,
    encode_body,
)
from protocol.points import Step


def hex_16(text: str) -> str:
    """Return 32 hex digits that `text` always leads to."""
    return sha256(text.encode()).hexdigest()[:32]


def digest(text: str) -> Digest:
    """Return a digest that `text` always leads to."""
    return Digest(sha256(text.encode()).hexdigest())


def uuid(text: str) -> Id:
    """Return an id that `text` always leads to."""
    return id_from_random(sha256(text.encode()).digest()[:16])


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A brand of the tests: its ledger, its points and its private keys."""

    ledger: Ledger
    points: Asset
    signing_keys: Mapping[Role, SigningKey]

    @property
    def keys(self) -> tuple[RoleKey, ...]:
        """Return the public keys as documents list them."""
        return tuple(RoleKey(role=role, key=self.signing_keys[role].public.text) for role in Role)

    @property
    def party(self) -> Party:
        """Return the brand as an agreement names it."""
        return Party(ledger=self.ledger, points=self.points, keys=self.keys)


def side(ledger: str, points: str) -> Side:
    """Return the brand that runs `ledger`; its keys are a function of the ledger's name."""
    keys = {role: SigningKey(sha256(f"{ledger} {role}".encode()).digest()) for role in Role}
    return Side(ledger=Ledger(ledger), points=Asset(points), signing_keys=keys)


def log_key(who: Side, number: int) -> SigningKey:
    """Return the key that a brand's log gets as number `number`; the first is number 0."""
    if not number:
        return who.signing_keys[Role.LOG]
    return SigningKey(sha256(f"{who.ledger} log {number}".encode()).digest())


AURORA: Final = side("aurora.example/main.1", "AUR")
BLUEBIRD: Final = side("bluebird.example/main.1", "BLU")
COPPER: Final = side("copper.example/main.1", "COP")
"""A third brand, which is no party of the documents below unless it is named."""

NETWORK: Final = Network(hex_16("network"))
USD: Final = Asset("USD")
YESTERDAY: Final = "2026-02-28T12:00:00.000000Z"
NOW: Final = "2026-03-01T12:00:00.000000Z"
SOON: Final = "2026-03-01T12:10:00.000000Z"
TODAY: Final = "2026-03-01"
CONVERSION: Final = uuid("conversion")
ALIAS: Final = Alias(hex_16("alias"))
EPOCH_NONCE: Final = hex_16("epoch")

THERE: Final = Step(source=400, destination=250)
BACK: Final = Step(source=250, destination=360)
NO_FEE: Final = Fee(points_per_conversion=0, points_per_step=0)
NO_MEMBER_LIMITS: Final = MemberLimits(
    out_points_per_day=None, out_points_per_year=None, in_points_per_day=None, in_points_per_year=None
)
NO_IN_FLIGHT_LIMITS: Final = InFlightLimits(conversions=None, value=None)
NEVER: Final = ConvertedExpiry(days=None)
WINDOWS: Final = WindowCalendar(starts_at="2026-01-01T00:00:00.000000Z", hours=24, due_days=5, minor_unit=10_000)
HTTPS: Final = Transport(kind="https", cycle_seconds=0)


def promotion(
    *,
    name: str = "spring",
    starts_at: str = "2026-04-01T00:00:00.000000Z",
    ends_at: str = "2026-05-01T00:00:00.000000Z",
    step: Step = THERE,
    budget_points: int | None = 1_000_000,
) -> Promotion:
    """Return a promotion."""
    return Promotion(
        name=name, starts_at=starts_at, ends_at=ends_at, step=step, price=2_600_000, budget_points=budget_points
    )


def direction(
    source: Side = AURORA,
    destination: Side = BLUEBIRD,
    *,
    step: Step = THERE,
    price: int = 2_500_000,
    steps_min: int = 1,
    steps_max: int = 1_000,
    fee: Fee = NO_FEE,
    member_limits: MemberLimits = NO_MEMBER_LIMITS,
    in_flight: InFlightLimits = NO_IN_FLIGHT_LIMITS,
    cap: int | None = None,
    expiry: ConvertedExpiry = NEVER,
    promotions: tuple[Promotion, ...] = (),
) -> Direction:
    """Return the terms of one direction: no limits, no cap, no promotions, points that never expire."""
    return Direction(
        source=source.ledger,
        destination=destination.ledger,
        step=step,
        price=price,
        steps_min=steps_min,
        steps_max=steps_max,
        fee=fee,
        member_limits=member_limits,
        in_flight=in_flight,
        cap=cap,
        expiry=expiry,
        promotions=promotions,
    )


def agreement(
    first: Side = AURORA,
    second: Side = BLUEBIRD,
    *,
    there: Direction | None = None,
    back: Direction | None = None,
    network: Network = NETWORK,
    number: int = 1,
    supersedes: Digest | None = None,
    currency: Asset = USD,
    valid_from: str = "2026-01-01T00:00:00.000000Z",
    valid_until: str | None = None,
    quote_life_seconds: int = 900,
    windows: WindowCalendar = WINDOWS,
    transport: Transport = HTTPS,
) -> Agreement:
    """Return an agreement of two brands, whose ledgers' names must be in order, as `check_agreement` accepts it."""
    return Agreement(
        network=network,
        number=number,
        supersedes=supersedes,
        parties=(first.party, second.party),
        currency=currency,
        directions=(there or direction(first, second), back or direction(second, first, step=BACK, price=2_400_000)),
        valid_from=valid_from,
        valid_until=valid_until,
        quote_life_seconds=quote_life_seconds,
        notice_days=30,
        windows=windows,
        transport=transport,
    )


def signed_agreement(document: Agreement | None = None, *, signers: Sequence[Side] | None = None) -> SignedAgreement:
    """Return `document` with the signatures of `signers`: those among the three brands that are its parties."""
    document = document or agreement()
    names = [party.ledger for party in document.parties]
    chosen = [one for one in (AURORA, BLUEBIRD, COPPER) if one.ledger in names] if signers is None else signers
    signatures = [sign_agreement(document, ledger=one.ledger, key=one.signing_keys[Role.APPROVAL]) for one in chosen]
    return SignedAgreement(agreement=document, signatures=tuple(signatures))


def entry_reference(seq: int = 7) -> EntryReference:
    """Return a reference to an entry of the sender's ledger."""
    return EntryReference(seq=seq, leaf=digest(f"leaf {seq}"))


def prepare(
    *,
    conversion: Id = CONVERSION,
    source: Side = AURORA,
    destination: Side = BLUEBIRD,
    steps: int = 3,
    cited: Digest | None = None,
    alias: Alias = ALIAS,
    created_at: str = NOW,
    accept_by: str = SOON,
) -> Prepare:
    """Return a PREPARE on the terms of `agreement()`, which it cites unless another digest is given."""
    return Prepare(
        network=NETWORK,
        source=source.ledger,
        destination=destination.ledger,
        id=conversion,
        agreement=cited or agreement_digest(agreement()),
        promotion=None,
        refund_of=None,
        steps=steps,
        source_points=steps * THERE.source,
        destination_points=steps * THERE.destination,
        fee_points=0,
        value=steps * 2_500_000,
        currency=USD,
        alias=alias,
        created_at=created_at,
        accept_by=accept_by,
        entry=entry_reference(),
    )


def digest_of_body(body: Body) -> Digest:
    """Return the digest under which others quote `body`."""
    return body_digest(encode_body(body))


def fulfil(about: Prepare | None = None, *, window: int = 1, dec_seq: int = 1, decided_at: str = NOW) -> Fulfil:
    """Return the FULFIL of a PREPARE."""
    about = about or prepare()
    return Fulfil(
        network=about.network,
        source=about.source,
        destination=about.destination,
        id=about.id,
        prepare=digest_of_body(about),
        decided_at=decided_at,
        window=window,
        dec_seq=dec_seq,
        destination_points=about.destination_points,
        value=about.value,
        expires_on=None,
        entry=entry_reference(8),
    )


def reject(about: Prepare | None = None, *, by: Cancel | None = None, reason: str = "expired") -> Reject:
    """Return the REJECT of a PREPARE, or of the CANCEL `by` which it was refused."""
    about = about or prepare()
    return Reject(
        network=about.network,
        source=about.source,
        destination=about.destination,
        id=about.id,
        prepare=digest_of_body(about),
        cancel=None if by is None else digest_of_body(by),
        reason=reason,
        decided_at=NOW,
        entry=entry_reference(9),
    )


def cancel(about: Prepare | None = None) -> Cancel:
    """Return the CANCEL of a PREPARE."""
    about = about or prepare()
    return Cancel(
        network=about.network,
        source=about.source,
        destination=about.destination,
        id=about.id,
        prepare=digest_of_body(about),
        accept_by=about.accept_by,
        entry=about.entry,
    )


def query(about: Prepare | None = None) -> Query:
    """Return the QUERY about a PREPARE."""
    about = about or prepare()
    return Query(
        network=about.network,
        source=about.source,
        destination=about.destination,
        id=about.id,
        prepare=digest_of_body(about),
    )


def error(about: Query | None = None, *, reason: str = "conversion_unknown") -> Error:
    """Return the ERROR that answers a QUERY."""
    about = about or query()
    return Error(
        network=about.network,
        source=about.source,
        destination=about.destination,
        id=about.id,
        about=digest_of_body(about),
        reason=reason,
    )


def hello(sender: Side = AURORA, receiver: Side = BLUEBIRD, *, epoch: int = 1, bodies_sent: int = 0) -> Hello:
    """Return a HELLO that opens an epoch."""
    return Hello(
        network=NETWORK,
        sender=sender.ledger,
        receiver=receiver.ledger,
        epoch=epoch,
        epoch_nonce=EPOCH_NONCE,
        bodies_sent=bodies_sent,
    )


def end(sender: Side = AURORA, receiver: Side = BLUEBIRD) -> End:
    """Return the END of `agreement()`, thirty days ahead."""
    return End(
        network=NETWORK,
        sender=sender.ledger,
        receiver=receiver.ledger,
        agreement=agreement_digest(agreement()),
        given_at=NOW,
        ends_at="2026-04-01T00:00:00.000000Z",
        entry=entry_reference(),
    )


def every_body() -> tuple[Body, ...]:
    """Return one body of each kind, in the order of `protocol.messages`."""
    return (prepare(), fulfil(), reject(by=cancel()), cancel(), query(), error(), end(), hello())


def introduction(who: Side = AURORA, *, currencies: tuple[Asset, ...] = (USD,)) -> Introduction:
    """Return how a brand introduces itself."""
    program = who.ledger.partition("/")[0]
    return Introduction(
        network=NETWORK,
        ledger=who.ledger,
        points=who.points,
        currencies=currencies,
        url=f"https://node.{program}",
        keys=who.keys,
    )


def invitation_bytes(who: Side = AURORA) -> bytes:
    """Return a brand's invitation, signed."""
    return sign_invitation(introduction(who), key=who.signing_keys[Role.APPROVAL])


def account_link(issuer: Side = BLUEBIRD, audience: Side = AURORA, *, alias: Alias = ALIAS) -> AccountLink:
    """Return the word of `issuer` to `audience` that an alias stands for an account."""
    return AccountLink(
        network=NETWORK, issuer=issuer.ledger, audience=audience.ledger, alias=alias, issued_at=YESTERDAY
    )


def link_bytes(issuer: Side = BLUEBIRD, audience: Side = AURORA, *, alias: Alias = ALIAS) -> bytes:
    """Return an account link, signed by its issuer."""
    return sign_link(account_link(issuer, audience, alias=alias), key=issuer.signing_keys[Role.CHANNEL])
