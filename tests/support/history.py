"""Two ledgers whose logs hold entries of every kind: what tests of formats, replays and hostile logs start from."""

from functools import cache

from protocol.agreement import Fee, MemberLimits
from protocol.appeal_entries import AppealOutcome
from protocol.entries import AnyEntry, Sealed
from protocol.fields import later
from protocol.identifiers import Account
from protocol.ledger import commands, names
from protocol.messages import Succeeded
from protocol.points import Step
from tests.support.appeals import appeal, rule, say
from tests.support.approving import adjust_points
from tests.support.departing import departed, import_balances
from tests.support.documents import (
    COPPER,
    YESTERDAY,
    agreement,
    digest,
    direction,
    promotion,
    signed_agreement,
    uuid,
)
from tests.support.governing import live_under_terms
from tests.support.keys import resume, rotate, suspend, take_log_key
from tests.support.leaving import forget_a_member
from tests.support.ledger import (
    MemoryLedger,
    Pair,
    add_partner,
    ask_cancel,
    convert,
    force,
    give_notice,
    issue,
    open_holder,
    order,
    pair_of,
    receive,
)
from tests.support.lots import lose_and_return
from tests.support.settled import settle_windows
from tests.support.succession import begin, end, give_back, succeed, take_back, take_succession, waive

FEE = Fee(points_per_conversion=5, points_per_step=1)
LIMITS = MemberLimits(
    out_points_per_day=100_000, out_points_per_year=None, in_points_per_day=None, in_points_per_year=100_000
)


@cache
def history() -> Pair:
    """Return two ledgers after a life of every kind of entry; do not execute commands on them."""
    march = promotion(name="march", starts_at=YESTERDAY, step=Step(source=2_000, destination=1_260))
    there = direction(fee=FEE, member_limits=LIMITS, promotions=(march,))
    pair = pair_of(signed=signed_agreement(agreement(there=there)))
    _own_points(pair.source, pair.sender)
    live_under_terms(pair.source)
    _conversions(pair)
    for ledger in (pair.source, pair.destination):
        import_balances(ledger)
    settle_windows(pair)
    lose_and_return(pair.source)
    adjust_points(pair.source, pair.sender)
    forget_a_member(pair)
    return pair


@cache
def succession() -> tuple[MemoryLedger, MemoryLedger]:
    """Return a ledger that succeeds itself, with a third brand that is gone, and the partner who gives its words back.

    What it had credited in the gap it credits again; do not execute commands on them.
    """
    pair = pair_of()
    lost, partner = pair.destination, pair.source
    add_partner(lost, COPPER)
    size = len(lost.sealed)
    convert(partner, lost, pair.sender, 1_200, name="lost")
    open_holder(lost, "dot")
    ledger = succeed(lost, size)
    waive(ledger, COPPER.ledger)
    asked = ledger.body(begin(ledger, partner.name))
    assert isinstance(asked, Succeeded)
    take_succession(partner, asked)
    take_back(ledger, partner, give_back(lost, size, partner))
    end(ledger, partner.name, words=1)
    name = uuid("override")
    ledger.execute(commands.OverrideStart(id=name, partners=(COPPER.ledger,), reason="partner_gone"))
    suspend(ledger, COPPER.ledger)
    resume(ledger, COPPER.ledger)
    rotate(ledger)
    take_log_key(ledger, COPPER)
    return ledger, partner


@cache
def examples() -> dict[str, Sealed]:
    """Return an entry of each kind by its tag, from one log or another."""
    pair = history()
    ledgers = (departed().source, *succession(), pair.source, pair.destination)
    found = {tag_of(sealed.entry): sealed for ledger in ledgers for sealed in ledger.sealed}
    return dict(sorted(found.items()))


def tag_of(entry: AnyEntry) -> str:
    """Return the kind of `entry` as its bytes name it."""
    tag = entry.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def _own_points(ledger: MemoryLedger, account: Account) -> None:
    friend = open_holder(ledger, "cid")
    issue(ledger, account, 50, expires_on="2026-06-30")
    salted = digest("metadata")
    ledger.execute(
        commands.RedeemPoints(id=uuid("redeem"), request=digest("r"), account=account, amount=20, metadata=salted)
    )
    ledger.execute(commands.TransferPoints(id=uuid("transfer"), source=account, destination=friend, amount=40))
    for name in ("capture", "release", "expire"):
        expires_at = later(ledger.wall, seconds=60) if name == "expire" else None
        ledger.execute(commands.PlaceHold(id=uuid(f"hold {name}"), account=account, amount=10, expires_at=expires_at))
    ledger.execute(commands.CaptureHold(id=uuid("capture"), hold=uuid("hold capture"), amount=4, final=True))
    ledger.execute(commands.ReleaseHold(id=uuid("release"), hold=uuid("hold release")))
    ledger.advance(seconds=60)
    expired = uuid("hold expire")
    ledger.execute(commands.ReleaseHold(id=names.expired_id(expired), hold=expired, expired=True))
    appeal(ledger, account, about=uuid("redeem"))
    say(ledger, asks=True)
    rule(ledger, AppealOutcome.REJECTED)
    closing = open_holder(ledger, "eve")
    ledger.execute(commands.CloseAccount(id=uuid("close"), account=closing))


def _conversions(pair: Pair) -> None:
    source, destination = pair.source, pair.destination
    credited = order(source, destination.name, pair.sender, 1_300, name="credited")
    receive(source, destination.body(receive(destination, source.body(credited))))
    late = order(source, destination.name, pair.sender, 400, name="late")
    destination.advance(days=1)
    receive(source, destination.body(receive(destination, source.body(late))))
    order(source, destination.name, pair.sender, 400, name="cancelled")
    wish = ask_cancel(source, name="cancelled")
    receive(source, destination.body(receive(destination, source.body(wish))))
    order(source, destination.name, pair.sender, 400, name="open")
    order(source, destination.name, pair.sender, 2_000, name="forced")
    force(source, name="forced")
    wish = ask_cancel(source, name="forced")
    receive(source, destination.body(receive(destination, source.body(wish))))
    source.wall = destination.wall
    back = order(destination, source.name, pair.receiver, 250, name="back", refund_of="credited")
    receive(destination, source.body(receive(source, destination.body(back))))
    receive(destination, source.body(give_notice(source, pair.signed)))
