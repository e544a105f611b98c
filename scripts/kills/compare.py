"""Comparing both nodes' books with the plan, with what clients were answered, and with each other."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain

import msgspec

from node.client.answers import ConversionState
from protocol.audit.findings import Verdict
from protocol.audit.report import LogReport, Report
from scripts.alliance.brands import Brand
from scripts.kills.books import Book, Flow, balances, flow, given
from scripts.kills.load import Answer
from scripts.kills.plan import OTHER, PAIR, REASONS, Flavour, Order, Plan

Books = Mapping[Brand, Book]


def completed_of(books: Books) -> frozenset[str]:
    """Return the conversions that their sources hold for completed."""
    return frozenset(each.id for book in books.values() for each in book.sent if each.state == "completed")


def compare(plan: Plan, books: Books, *, answers: Mapping[str, bytes], wishes: set[str]) -> Iterator[str]:
    """Yield everything in both books that is not as the plan, the clients' answers and the other book say."""
    completed = completed_of(books)
    yield from _compare_ends(plan, books)
    yield from _compare_halves(books)
    yield from _compare_answers(plan, books, answers)
    logged = frozenset(chain.from_iterable(book.wishes for book in books.values()))
    yield from (f"{wish}: its cancellation was answered and is not in the log" for wish in sorted(wishes - logged))
    for brand in PAIR:
        yield from _compare_entries(plan, books, completed, brand)
        yield from _compare_accounts(plan, books[brand], completed, brand)


def _compare_ends(plan: Plan, books: Books) -> Iterator[str]:
    orders = {order.id: order for order in plan.orders}
    for brand in PAIR:
        sent = books[brand].sent
        ordered = {order.id for order in plan.orders if order.source is brand}
        yield from _compare_names(f"conversions out of {brand.title}", [each.id for each in sent], ordered)
        for each in sent:
            if each.id in ordered:
                yield from _compare_end(orders[each.id], each)


def _compare_end(order: Order, found: ConversionState) -> Iterator[str]:
    allowed = {"completed": order.flavour is not Flavour.BARRED, "returned": order.flavour is not Flavour.PLAIN}
    if not allowed.get(found.state, False):
        yield f"{order.id}, {order.flavour}, is {found.state} ({found.reason})"
    if found.state == "returned" and found.reason != REASONS.get(order.flavour):
        yield f"{order.id}, {order.flavour}, was returned for {found.reason}"
    amounts = (found.source_points, found.destination_points, found.fee_points)
    expected = (order.steps * order.rate.source_step, order.steps * order.rate.destination_step, order.rate.fee_points)
    if amounts != expected:
        yield f"{order.id} is of {amounts} points, not of {expected}"


def _compare_halves(books: Books) -> Iterator[str]:
    for brand in PAIR:
        sent = {each.id: each for each in books[brand].sent}
        decided = books[OTHER[brand]].decided
        yield from _compare_names(f"decisions about {brand.title}'s", [each.id for each in decided], {*sent})
        for each in decided:
            half = sent.get(each.id)
            if half is None:
                continue
            points = half.destination_points if half.state == "completed" else 0
            if (each.state, each.destination_points) != (half.state, points):
                ours, theirs = f"{half.state} with {points} points", f"{each.state} with {each.destination_points}"
                yield f"{each.id} is {ours} where it began, and {theirs} where it was decided"


def _compare_names(what: str, found: list[str], expected: set[str]) -> Iterator[str]:
    missing, strange = len(expected.difference(found)), len({*found} - expected)
    doubled = len(found) - len({*found})
    if missing or strange or doubled:
        yield f"{what}: {missing} are missing, {strange} strange, {doubled} doubled"


def _compare_answers(plan: Plan, books: Books, answers: Mapping[str, bytes]) -> Iterator[str]:
    for order in plan.orders:
        if order.id not in answers:
            yield f"{order.id} was never answered"
            continue
        answer = msgspec.json.decode(answers[order.id], type=Answer)
        leaves = books[order.source].leaves
        if answer.id != order.id or answer.seq >= len(leaves) or leaves[answer.seq] != answer.leaf:
            yield f"{order.id}: entry {answer.seq} of {order.source.title} is not the one that was answered"


def _compare_entries(plan: Plan, books: Books, completed: frozenset[str], brand: Brand) -> Iterator[str]:
    out = flow(plan.orders, completed, brand)
    kinds, theirs = books[brand].kinds, books[OTHER[brand]].kinds
    pairs = [
        ("held", kinds.get("conversion_held", 0), out.completed + out.returned),
        ("captured", kinds.get("conversion_captured", 0), out.completed),
        ("credited", theirs.get("conversion_credited", 0), out.completed),
        ("released", kinds.get("conversion_released", 0), out.returned),
        ("refused", theirs.get("conversion_refused", 0), out.returned),
    ]
    yield from (
        f"{found} of {expected} conversions out of {brand.title} were {what}"
        for what, found, expected in pairs
        if found != expected
    )


def _compare_accounts(plan: Plan, book: Book, completed: frozenset[str], brand: Brand) -> Iterator[str]:
    counted = balances(plan, completed, brand)
    yield from _compare_names(f"accounts of {brand.title}", [*book.accounts], {*counted})
    for name, expected in counted.items():
        account = book.accounts.get(name)
        if account is None:
            continue
        if account.posted != expected:
            yield f"{brand.title}'s {name} holds {account.posted} points, and {expected} by the second count"
        if (account.held, account.open_conversions) != (0, 0):
            still = f"{account.held} points on hold and {account.open_conversions} conversions open"
            yield f"{brand.title}'s {name} has {still}"


def compare_audit(plan: Plan, report: Report, completed: frozenset[str]) -> Iterator[str]:
    """Yield where the audit of both logs does not come to the second count."""
    flows = {brand: flow(plan.orders, completed, brand) for brand in PAIR}
    if report.verdict is not Verdict.HELD:
        yield f"the audit's verdict is {report.verdict}"
    logs = {str(log.ledger): log for log in report.logs}
    for brand in PAIR:
        log = logs.get(brand.ledger)
        if log is None or log.figures is None:
            yield f"the audit has no figures of {brand.title}"
        else:
            yield from _compare_figures(brand, log, _rolled(plan, out=flows[brand], into=flows[OTHER[brand]]))
    yield from _compare_directions(report, flows)


def _rolled(plan: Plan, *, out: Flow, into: Flow) -> dict[str, int]:
    closing = given(plan) + into.destination_points - out.source_points - out.fee_points
    return {
        "opening": 0,
        "issued": given(plan),
        "converted_in": into.destination_points,
        "converted_out": out.source_points,
        "fees": out.fee_points,
        "redeemed": 0,
        "expired": 0,
        "adjusted": 0,
        "closing": closing,
        "holders": closing,
    }


def _compare_figures(brand: Brand, log: LogReport, expected: dict[str, int]) -> Iterator[str]:
    assert log.figures is not None, "asked before"
    rolled = log.figures.roll_forward
    for name, amount in expected.items():
        if int(getattr(rolled, name)) != amount:
            yield f"{brand.title}'s {name} points are {getattr(rolled, name)}, and {amount} by the second count"


def _compare_directions(report: Report, flows: Mapping[Brand, Flow]) -> Iterator[str]:
    directions = {str(each.source): each for pair in report.pairs for each in pair.directions}
    for brand, expected in flows.items():
        found = directions.get(brand.ledger)
        if found is None:
            yield f"the audit has not matched the conversions out of {brand.title}"
            continue
        ends = (found.completed, found.returned, found.pending)
        if ends != (expected.completed, expected.returned, 0):
            yield f"the audit matches {ends} conversions out of {brand.title}"
        money = {(each.payable, each.receivable) for each in found.money}
        if money != {(str(expected.value), str(expected.value))}:
            yield f"{brand.title} owes {expected.value} millionths by the second count, and {money} by the audit"


def reasons_of(books: Books) -> Counter[str]:
    """Return for what reasons conversions were returned, and how many for each."""
    return Counter(
        each.reason or each.state for book in books.values() for each in book.sent if each.state == "returned"
    )
