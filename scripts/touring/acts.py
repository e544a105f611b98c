"""The acts of the tour, in their order. Each does what a person or a system would do, and holds what it sees."""

import csv
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from node.client import NodeClient, RequestRefused
from node.client.points import JsonObject
from protocol.identifiers import Account
from scripts.alliance.brands import AURORA, BLUEBIRD, CEDAR
from scripts.touring.stage import Stage, TourFailed, fresh, until

ANN: Final = "M-000001"
BOB: Final = "M-000002"
POINTS: Final = 12_000
CONVERTED: Final = 5_300
OFFERED: Final = 500
GOODWILL: Final = 250

_ENTRY: Final = b"extra "
_INSIDE: Final = 40


class _Me(msgspec.Struct, frozen=True):
    account: str
    available: int
    held: int


class _Code(msgspec.Struct, frozen=True):
    code: str


class _Quote(msgspec.Struct, frozen=True):
    texts: tuple[str, ...]


class _Conversion(msgspec.Struct, frozen=True):
    id: str
    confirmation: str
    state: str
    text: str
    gives: int
    receipt: int


class _Link(msgspec.Struct, frozen=True):
    state: str


class _Links(msgspec.Struct, frozen=True):
    links: tuple[_Link, ...]


class _Trace(msgspec.Struct, frozen=True):
    state: str
    steps: tuple[object, ...]


class _Appeal(msgspec.Struct, frozen=True):
    state: str
    adjustment: str | None


@dataclass(slots=True)
class People:
    """Who takes part: ann's accounts, and the conversion that the tour is about."""

    ann: Account
    bob: Account
    ann_there: Account
    conversion: str = ""
    appeal: str = ""


def import_balances(stage: Stage, *, rows: int) -> People:
    """Leave the old system: a file of balances with control totals is taken in whole, and twice without harm."""
    file = stage.files / "balances.csv"
    total = 0
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(("external_ref", "points", "earned_on"))
        for number in range(1, rows + 1):
            points = POINTS if number <= 2 else number % 997 + 1
            total += points
            writer.writerow((f"M-{number:06d}", points, "2025-11-30"))
    totals = ("--count", str(rows), "--points", str(total))
    began = time.monotonic()
    stage.tallystick(AURORA, "import-balances", str(file), *totals, "--dry-run")
    stage.tallystick(AURORA, "import-balances", str(file), *totals)
    seconds = time.monotonic() - began
    again = stage.tallystick(AURORA, "import-balances", str(file), *totals)
    hold("before" in again or "already" in again, f"a second import says so: {again}")
    with stage.operator(BLUEBIRD) as operator:
        there = operator.open_account()
        operator.put(f"/v1/accounts/{there}/personal", {"external_ref": "guest-77", "locale": "zh"})
    me, friend = me_of(stage, ANN), me_of(stage, BOB)
    hold(me.available == friend.available == POINTS, "the members have what the file says")
    stage.tell(f"imported {rows:,} balances, {total:,} points, checked and taken in within {seconds:.1f} s")
    return People(Account(me.account), Account(friend.account), there)


def link(stage: Stage) -> None:
    """Let a member consent at Bluebird, read a code there, and type it at Aurora."""
    with stage.member(BLUEBIRD, "guest-77") as there, stage.member(AURORA, ANN) as here:
        code = there.post("/v1/me/links/codes", {"partner": AURORA.ledger}).read(_Code).code
        body = {"id": fresh(), "partner": BLUEBIRD.ledger, "code": code}
        here.post("/v1/me/links/typed", body)
        _refused(lambda: here.post("/v1/me/links/typed", {**body, "id": fresh()}), None)
    stage.tell(f"linked by the code {code}, which is good once")


def convert(stage: Stage, people: People) -> None:
    """Let the member ask what it would get, convert, and see the end of it."""
    with stage.member(AURORA, ANN) as app:
        quote = app.post("/v1/me/quotes", {"partner": BLUEBIRD.ledger, "amount": CONVERTED}).read(_Quote)
        order = fresh()
        body: JsonObject = {"id": order, "partner": BLUEBIRD.ledger, "amount": CONVERTED}
        began = time.monotonic()
        app.post("/v1/me/conversions", body)
        done = until(lambda: _ended(app, order), "the conversion to end")
        seconds = time.monotonic() - began
    hold(done.state == "completed", f"the conversion is {done.state}")
    with stage.member(BLUEBIRD, "guest-77") as there:
        arrived = there.get("/v1/me").read(_Me).available
    hold(arrived == done.gives, f"{arrived} points have arrived, and {done.gives} were told")
    people.conversion = done.id
    stage.tell(f"quoted: {' '.join(quote.texts)}")
    stage.tell(f"converted in {seconds * 1000:.0f} ms, confirmation {done.confirmation}: {done.text}")


def verify_receipt(stage: Stage, people: People) -> None:
    """Keep the receipt and verify it with no server."""
    path = stage.files / "receipt.txt"
    with stage.member(AURORA, ANN) as app:
        shown = app.get(f"/v1/me/conversions/{people.conversion}").read(_Conversion)
        receipt = until(lambda: app.find(f"/v1/me/receipts/{shown.receipt}"), "the receipt")
    path.write_bytes(receipt)
    vkey = stage.tallystick(None, "vkey", str(stage.alliance.nodes[AURORA].directory)).strip()
    said = stage.tallystick(None, "verify", str(path), "--vkey", vkey)
    hold(said.startswith("Held"), said)
    # A byte of the entry: one of a partner's cosignature, whose key is not asked for, would change nothing.
    at = receipt.index(_ENTRY) + len(_ENTRY) + _INSIDE
    path.write_bytes(receipt[:at] + bytes([receipt[at] ^ 1]) + receipt[at + 1 :])
    stage.tallystick(None, "verify", str(path), "--vkey", vkey, ends=(1, 3))
    stage.tell("the receipt verifies offline, and does not with one byte changed")


def transfer(stage: Stage, people: People) -> None:
    """Send points to a friend, who accepts them."""
    offer = fresh()
    with stage.member(AURORA, ANN) as ann, stage.member(AURORA, BOB) as bob:
        before = bob.get("/v1/me").read(_Me).available
        ann.post("/v1/me/transfers", {"id": offer, "to": people.bob, "amount": OFFERED})
        hold(ann.get("/v1/me").read(_Me).held >= OFFERED, "what is offered is set aside")
        bob.post(f"/v1/me/transfers/{offer}/accept", {"id": fresh()})
        hold(bob.get("/v1/me").read(_Me).available == before + OFFERED, "what was accepted has arrived")
    stage.tell(f"{OFFERED} points went to a friend, who accepted them")


def appeal(stage: Stage, people: People) -> None:
    """Let the member appeal, support trace the conversion and propose goodwill, and a second person approve it."""
    people.appeal = fresh()
    with stage.member(AURORA, ANN) as app:
        body = {"id": people.appeal, "reason": "points_missing", "text": "Where are they?", "about": people.conversion}
        app.post("/v1/me/appeals", body)
    with stage.colleague(AURORA, "support") as support, stage.colleague(AURORA, "manager") as manager:
        traced = support.get(f"/v1/conversions/{people.conversion}/trace").read(_Trace)
        proposal, entry = fresh(), fresh()
        action: JsonObject = {
            "type": "adjustment", "entry": entry, "account": people.ann, "amount": GOODWILL, "reason": "goodwill",
            "appeal": people.appeal,
        }  # fmt: skip
        support.post("/v1/approvals", {"id": proposal, "action": action})
        _refused(lambda: support.post(f"/v1/approvals/{proposal}/approve", {"id": fresh()}), "forbidden")
        manager.post(f"/v1/approvals/{proposal}/approve", {"id": fresh()})
        shown = support.get(f"/v1/appeals/{people.appeal}").read(_Appeal)
    hold(shown.adjustment == entry, f"the appeal is {shown.state}, and was decided by {shown.adjustment}")
    steps = len(traced.steps)
    stage.tell(f"the appeal was traced in {steps} steps; goodwill was proposed by one person and approved by another")


def erase(stage: Stage, people: People) -> None:
    """Forget a member who leaves: the person, the links, what was written; never the log."""
    with stage.member(AURORA, ANN) as app, stage.member(BLUEBIRD, "guest-77") as there:
        held = app.get("/v1/me/data").data
        hold(people.conversion.encode() in held, "the download has the conversion")
        with stage.colleague(AURORA, "support") as support:
            support.post(f"/v1/accounts/{people.ann}/erase", {"id": fresh(), "forfeit": True})
        _refused(lambda: app.get("/v1/me"), None)
        until(lambda: _ended_link(there), "the partner to forget the link")
    stage.tell("the member is erased: the token leads nowhere, and the partner has dropped the link")


def end_partner(stage: Stage) -> None:
    """Let Aurora and Cedar part: nothing new, all that is open is finished, and an archive stands for itself."""
    archive = stage.files / "archive.tar"
    end = ("partner", "end")
    # Each does its part, and says so while the other has not done its own.
    for brand, other in ((AURORA, CEDAR), (CEDAR, AURORA)):
        stage.tallystick(brand, *end, other.program, "--immediately", ends=(0, 3))
    for brand, other in ((AURORA, CEDAR), (CEDAR, AURORA)):
        more = ("--archive", str(archive)) if brand is AURORA else ()
        said = stage.tallystick(brand, *end, other.program, "--wait", "45", *more)
        hold("partner no more" in said, said)
    vkey = stage.tallystick(None, "vkey", str(stage.alliance.nodes[AURORA].directory)).strip()
    stage.tallystick(None, "audit", str(archive), "--vkey", vkey)
    stage.tell("Aurora and Cedar have parted; the archive is audited with no server")


def me_of(stage: Stage, name: str) -> _Me:
    """Return what a member of Aurora sees of itself."""
    with stage.member(AURORA, name) as app:
        return app.get("/v1/me").read(_Me)


def hold(held: bool, what: str) -> None:  # noqa: FBT001 - it reads as a sentence
    """Raise `TourFailed` unless it is so."""
    if not held:
        raise TourFailed(f"it does not hold: {what}")


def _ended(app: NodeClient, conversion: str) -> _Conversion | None:
    shown = app.get(f"/v1/me/conversions/{conversion}").read(_Conversion)
    return None if shown.state == "pending" else shown


def _ended_link(there: NodeClient) -> bool | None:
    links = there.get("/v1/me/links").read(_Links).links
    return all(each.state == "revoked" for each in links) or None


def _refused(ask: Callable[[], object], code: str | None) -> None:
    try:
        ask()
    except RequestRefused as refused:
        hold(code is None or refused.code == code, f"it is refused as {refused.code}")
    else:
        raise TourFailed("it was not refused")
