"""The judge of a storm of kills: a storm that went well passes, and each thing that can be wrong is found."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

import msgspec
import pytest

from node.client import NodeUnreachable
from node.client.answers import AccountState, ConversionState
from protocol.audit.figures import RollForward
from protocol.audit.findings import Verdict
from protocol.audit.matching import DirectionReport
from protocol.audit.report import LogReport, Report
from protocol.identifiers import Asset
from scripts.alliance.brands import AURORA, BLUEBIRD, Brand
from scripts.kills.__main__ import parse_arguments
from scripts.kills.books import Book, Flow, Incoming, balances, flow, given
from scripts.kills.compare import compare, compare_audit, completed_of, reasons_of
from scripts.kills.judge import Judgement
from scripts.kills.load import reason_of
from scripts.kills.plan import DELAY_SECONDS_MAX, OTHER, PAIR, REASONS, Flavour, Order, draw
from scripts.kills.report import Summary, lines_of, summarise
from scripts.kills.settle import Statement, compare_statements
from scripts.kills.storm import POINTS, Struck
from tests.support.reports import direction_report, log_report, pair_report

CONVERSIONS: Final = 60
PLAN: Final = draw(7, conversions=CONVERSIONS, kills=5)
DONE: Final = frozenset(order.id for order in PLAN.orders if order.flavour in {Flavour.PLAIN, Flavour.HASTY})
WISHES: Final = {order.id for order in PLAN.orders if order.flavour is Flavour.CANCELLED}
FIRST: Final = next(order for order in PLAN.orders if order.source is AURORA and order.id in DONE)
BARRED: Final = next(order for order in PLAN.orders if order.flavour is Flavour.BARRED)

Books = dict[Brand, Book]
Spoil = Callable[[Books], None]


def leaf(order: Order) -> str:
    return order.id.replace("-", "") * 2


def answer(order: Order) -> bytes:
    seq = [each for each in PLAN.orders if each.source is order.source].index(order)
    return msgspec.json.encode({"id": order.id, "seq": seq, "leaf": leaf(order), "state": "pending"})


ANSWERS: Final = {order.id: answer(order) for order in PLAN.orders}


def sent(order: Order) -> ConversionState:
    done = order.id in DONE
    return ConversionState(
        id=order.id,
        state="completed" if done else "returned",
        reason=None if done else REASONS[order.flavour],
        partner=order.destination.ledger,
        source_points=order.steps * order.rate.source_step,
        destination_points=order.steps * order.rate.destination_step,
        fee_points=order.rate.fee_points,
        since="2026-01-01T00:00:00.000000Z",
        concluded_at="2026-01-01T00:00:02.000000Z",
    )


def decided(order: Order) -> Incoming:
    done = order.id in DONE
    points = order.steps * order.rate.destination_step
    return Incoming(id=order.id, state="completed" if done else "returned", destination_points=points if done else 0)


def account(name: str, posted: int) -> AccountState:
    return AccountState(account=name, status="open", posted=posted, held=0, available=posted)


def book(brand: Brand) -> Book:
    ours = [order for order in PLAN.orders if order.source is brand]
    theirs = [order for order in PLAN.orders if order.source is not brand]
    kinds = [
        *("conversion_held" for _ in ours),
        *("conversion_captured" if order.id in DONE else "conversion_released" for order in ours),
        *("conversion_credited" if order.id in DONE else "conversion_refused" for order in theirs),
    ]
    return Book(
        sent=tuple(map(sent, ours)),
        decided=tuple(map(decided, theirs)),
        accounts={name: account(name, posted) for name, posted in balances(PLAN, DONE, brand).items()},
        leaves=tuple(map(leaf, ours)),
        kinds=Counter(kinds),
        wishes=frozenset(order.id for order in ours if order.id in WISHES),
    )


def faults(books: Books, answers: dict[str, bytes] = ANSWERS) -> list[str]:
    return list(compare(PLAN, books, answers=answers, wishes=WISHES))


def changed(books: Books, brand: Brand, order: Order, **fields: object) -> None:
    found = [msgspec.structs.replace(each, **fields) if each.id == order.id else each for each in books[brand].sent]
    books[brand] = replace(books[brand], sent=tuple(found))


def decided_otherwise(books: Books, **fields: object) -> None:
    brand = FIRST.destination
    found = [msgspec.structs.replace(each, **fields) if each.id == FIRST.id else each for each in books[brand].decided]
    books[brand] = replace(books[brand], decided=tuple(found))


def with_account(books: Books, **fields: int) -> None:
    name = FIRST.person.account(AURORA)
    spoilt = msgspec.structs.replace(books[AURORA].accounts[name], **fields)
    books[AURORA] = replace(books[AURORA], accounts={**books[AURORA].accounts, name: spoilt})


def with_kinds(books: Books, brand: Brand, kind: str) -> None:
    books[brand] = replace(books[brand], kinds=Counter(books[brand].kinds) + Counter([kind]))


def doubled(books: Books) -> None:
    books[AURORA] = replace(books[AURORA], sent=(*books[AURORA].sent, books[AURORA].sent[0]))


def undecided(books: Books) -> None:
    books[BLUEBIRD] = replace(books[BLUEBIRD], decided=books[BLUEBIRD].decided[1:])


def overwritten(books: Books) -> None:
    books[AURORA] = replace(books[AURORA], leaves=("00" * 32, *books[AURORA].leaves[1:]))


def shortened(books: Books) -> None:
    books[AURORA] = replace(books[AURORA], leaves=books[AURORA].leaves[:-1])


def forgotten(books: Books) -> None:
    books[AURORA] = replace(books[AURORA], wishes=frozenset())


def unopened(books: Books) -> None:
    books[AURORA] = replace(books[AURORA], accounts=dict([*books[AURORA].accounts.items()][1:]))


SPOILT: Final[dict[str, tuple[Spoil, str]]] = {
    "pending": (lambda books: changed(books, AURORA, FIRST, state="pending"), "is pending"),
    "returned": (lambda books: changed(books, AURORA, FIRST, state="returned", reason="expired"), "is returned"),
    "completed": (lambda books: changed(books, BARRED.source, BARRED, state="completed"), "barred, is completed"),
    "reason": (lambda books: changed(books, BARRED.source, BARRED, reason="cap_reached"), "for cap_reached"),
    "amounts": (lambda books: changed(books, AURORA, FIRST, destination_points=1), "is of"),
    "doubled": (doubled, "1 doubled"),
    "undecided": (undecided, "1 are missing"),
    "decided otherwise": (lambda books: decided_otherwise(books, state="returned"), "where it was decided"),
    "credited otherwise": (lambda books: decided_otherwise(books, destination_points=1), "where it was decided"),
    "overwritten": (overwritten, "is not the one that was answered"),
    "shortened": (shortened, "is not the one that was answered"),
    "forgotten": (forgotten, "its cancellation"),
    "unopened": (unopened, "accounts of Aurora Air: 1 are missing"),
    "balance": (lambda books: with_account(books, posted=1), "holds 1 points"),
    "hold": (lambda books: with_account(books, held=400), "400 points on hold"),
    "open": (lambda books: with_account(books, open_conversions=1), "1 conversions open"),
    "held twice": (lambda books: with_kinds(books, AURORA, "conversion_held"), "were held"),
    "captured twice": (lambda books: with_kinds(books, AURORA, "conversion_captured"), "were captured"),
    "credited twice": (lambda books: with_kinds(books, BLUEBIRD, "conversion_credited"), "were credited"),
    "refused twice": (lambda books: with_kinds(books, BLUEBIRD, "conversion_refused"), "were refused"),
    "released twice": (lambda books: with_kinds(books, AURORA, "conversion_released"), "were released"),
}


def good_books() -> Books:
    return {brand: book(brand) for brand in PAIR}


def test_books_that_fit_have_no_faults() -> None:
    books = good_books()
    assert faults(books) == []
    assert completed_of(books) == DONE
    assert sum(reasons_of(books).values()) == CONVERSIONS - len(DONE)


@pytest.mark.parametrize("what", SPOILT)
def test_a_wrong_book_is_found(what: str) -> None:
    spoil, words = SPOILT[what]
    books = good_books()
    spoil(books)
    assert any(words in fault for fault in faults(books)), faults(books)


def test_an_order_without_an_answer_is_found() -> None:
    missing = {name: data for name, data in ANSWERS.items() if name != FIRST.id}
    assert faults(good_books(), missing) == [f"{FIRST.id} was never answered"]


FLOWS: Final = {brand: flow(PLAN.orders, DONE, brand) for brand in PAIR}


def rolled(brand: Brand) -> RollForward:
    out, into = FLOWS[brand], FLOWS[OTHER[brand]]
    closing = str(sum(balances(PLAN, DONE, brand).values()))
    return RollForward(
        points=Asset(brand.points),
        opening="0",
        issued=str(given(PLAN)),
        converted_in=str(into.destination_points),
        redeemed="0",
        converted_out=str(out.source_points),
        fees=str(out.fee_points),
        expired="0",
        adjusted="0",
        closing=closing,
        holders=closing,
    )


def log(brand: Brand) -> LogReport:
    return log_report(brand.ledger, rolled(brand))


def direction(brand: Brand) -> DirectionReport:
    one = FLOWS[brand]
    names = brand.ledger, OTHER[brand].ledger
    return direction_report(*names, completed=one.completed, returned=one.returned, value=one.value)


def report(directions: Iterable[DirectionReport], *, verdict: Verdict = Verdict.HELD) -> Report:
    pair = pair_report(AURORA.ledger, BLUEBIRD.ledger, directions, verdict=verdict)
    return Report(verdict=verdict, logs=tuple(map(log, PAIR)), pairs=(pair,), unmatched=())


def test_an_audit_that_comes_to_the_second_count_has_no_faults() -> None:
    assert list(compare_audit(PLAN, report(map(direction, PAIR)), DONE)) == []


def test_an_audit_that_comes_to_something_else_is_found() -> None:
    there, back = map(direction, PAIR)
    replaced = msgspec.structs.replace
    owed = replaced(there, money=(replaced(there.money[0], receivable="1"),))
    for audited, words in [
        (report([there, back], verdict=Verdict.BROKEN), "verdict is broken"),
        (report([replaced(there, pending=1), back]), "matches"),
        (report([owed, back]), "millionths by the second count"),
        (report([there]), "has not matched"),
        (replaced(report([there, back]), logs=(log(AURORA),)), "no figures of Bluebird"),
    ]:
        assert any(words in fault for fault in compare_audit(PLAN, audited, DONE)), words
    fewer = DONE - {FIRST.id}
    assert any("converted_out points" in fault for fault in compare_audit(PLAN, report([there, back]), fewer))


def test_statements_are_compared_byte_by_byte_and_with_what_was_converted() -> None:
    nothing = {brand: Flow() for brand in PAIR}
    none: dict[Brand, tuple[Statement, ...]] = dict.fromkeys(PAIR, ())
    assert list(compare_statements(none, nothing)) == ["there is no statement"]
    assert any("is billed for" in fault for fault in compare_statements(none, FLOWS))
    sides = {
        AURORA: (Statement(digest="aa", signed=b'{"a":1}'),),
        BLUEBIRD: (Statement(digest="aa", signed=b'{"a": 1}'),),
    }
    assert "other statements" in next(compare_statements(sides, nothing))


def test_a_plan_follows_from_its_seed() -> None:
    assert draw(7, conversions=CONVERSIONS, kills=5) == PLAN
    assert draw(8, conversions=CONVERSIONS, kills=5) != PLAN
    assert {order.flavour for order in PLAN.orders} == {*Flavour}
    assert {order.source for order in PLAN.orders} == {*PAIR}
    assert len({order.id for order in PLAN.orders}) == CONVERSIONS


def test_every_kill_waits_for_fewer_orders_than_are_sent() -> None:
    plan = draw(1, conversions=1_000, kills=10)
    assert [kill.released for kill in plan.kills] == sorted(kill.released for kill in plan.kills)
    assert all(kill.answered < kill.released < len(plan.orders) for kill in plan.kills)
    assert all(kill.early or kill.delay_seconds <= DELAY_SECONDS_MAX for kill in plan.kills)


def test_points_are_only_moved_by_the_second_count() -> None:
    before = 2 * given(PLAN)
    after = sum(sum(balances(PLAN, DONE, brand).values()) for brand in PAIR)
    moved = sum(one.destination_points - one.source_points - one.fee_points for one in FLOWS.values())
    assert after == before + moved
    assert sum(balances(PLAN, frozenset(), AURORA).values()) == given(PLAN) == POINTS * (len(PLAN.people) + 1)


def test_why_a_request_got_no_answer_is_said_in_short() -> None:
    texts = {
        "http://x broke off the connection: [Errno 104]": "broken off",
        "http://x cannot be reached: ConnectError: [Errno 111]": "not running",
        "http://x cannot answer now: busy: too many requests": "busy",
        "the answer is not what a node gives": "the answer is not what a node gives",
    }
    assert {text: reason_of(NodeUnreachable(text)) for text in texts} == texts


def summary(*found: str) -> Summary:
    at = "2026-01-01T00:00:01.000000Z"
    judgement = Judgement(faults=[*found], completed=40, returned=Counter(expired=20), repeated=CONVERSIONS)
    judgement.spans = (("2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:02.000000Z"), (at, at))
    struck = [Struck(victim=AURORA, at=at, answered=12, under_way=3)]
    return summarise(PLAN, judgement, struck=struck, unanswered=Counter(busy=1), store="sqlite", seconds=(10.04, 20.0))


def test_the_summary_counts_the_conversions_that_a_kill_met() -> None:
    good = summary()
    assert good.is_good
    assert (good.kills[0].victim, good.kills[0].open, good.storm_seconds) == ("Aurora Air", 1, 10.0)
    assert "everything held" in "\n".join(lines_of(good))


def test_a_summary_with_a_fault_is_not_good() -> None:
    bad = summary("a point is missing")
    assert not bad.is_good
    text = "\n".join(lines_of(bad))
    assert "FAULT: a point is missing" in text
    assert "everything held" not in text


@pytest.mark.parametrize("arguments", [["--kills", "10", "--conversions", "43"], ["--store", "x"], ["--kills", "0"]])
def test_a_wrong_command_line_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(arguments)
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
