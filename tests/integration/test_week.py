"""A week of settlement between three brands, counted a second time from both ledgers: nothing is ever rounded away.

Three whole nodes, one of them on PostgreSQL where there is a server; every window is closed, agreed, paid and
confirmed; one line in a hundred is disputed.
"""

import csv
from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import Final

import msgspec
import pytest
from structlog.testing import capture_logs

from node.peers.log_source import PackageSource
from node.services.audits.audit_papers import Wanted, papers_of
from node.services.audits.auditing import Auditing
from node.services.logs.package import export
from protocol.audit.findings import Verdict
from protocol.audit.papers import Papers
from protocol.audit.report import Report
from protocol.statement import SignedStatement
from scripts.alliance.brands import AURORA, BLUEBIRD, BRANDS, CEDAR, Brand
from tests.support import recount
from tests.support.nodes import FakeClock
from tests.support.postgres import PostgresServer
from tests.support.recount import Entry, Place
from tests.support.week import AWAY, BOUNCED, DISPUTED, REGRETTED, SEED, Fate, Moment, Week
from tests.support.week_books import Settled, billed_by, expected_balances, name_of, settled_of
from tests.support.week_report import check_the_report
from tests.support.week_terms import BEFORE, DAYS, FIRST, ORDERS_A_DAY, Pair, way_between
from tests.support.whole_nodes import street

pytestmark = [pytest.mark.integration, pytest.mark.slow]

UNIT: Final = 1_000_000
"""Millionths in a currency's unit."""

MIRRORED: Final = (
    ("payable", "receivable"),
    ("due", "due"),
    ("paid", "paid"),
    ("conversion_cost", "conversion_income"),
)
"""Accounts of one ledger, and those of its partner that hold the opposite."""

PAYMENTS: Final = frozenset({"payment_made", "payment_returned", "payment_received"})


@dataclass(frozen=True, kw_only=True, repr=False)
class Lived:
    """The week, what the nodes logged, and what all ledgers say after it."""

    week: Week
    logged: Sequence[Mapping[str, object]]
    entries: Mapping[Brand, Sequence[Entry]]
    settled: Mapping[Pair, Settled]


@pytest.fixture
def third_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the URL of an empty PostgreSQL database, or nothing where there is no server."""
    try:
        server = request.getfixturevalue("postgres_server")
    except pytest.skip.Exception:
        yield ""
        return
    assert isinstance(server, PostgresServer)
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def lived(tmp_path: Path, third_database: str) -> Iterator[Lived]:
    places = {AURORA: "", BLUEBIRD: "", CEDAR: third_database}
    currencies = tuple(sorted({terms.currency for terms in FIRST.values()}))
    with street(tmp_path, places, clock=FakeClock(BEFORE), currencies=currencies, seed=SEED) as nodes:
        week = Week(nodes)
        with capture_logs() as logged:
            week.live()
        entries = {brand: recount.read_entries(nodes.nodes[brand]) for brand in BRANDS}
        settled = {pair: settled_of(week, pair, entries) for pair in FIRST}
        yield Lived(week=week, logged=logged, entries=entries, settled=settled)


def check_all_windows_are_confirmed_at_both_sides(lived: Lived) -> None:
    states = Counter[str]()
    for first, second in chain.from_iterable((pair, pair[::-1]) for pair in FIRST):
        windows = lived.week.windows(first, second)
        assert [each.window for each in windows] == list(range(1, DAYS + 2))
        states.update(each.state for each in windows)
    assert states == {"confirmed": 2 * DAYS * len(FIRST), "open": 2 * len(FIRST)}


def check_no_node_logged_a_failure(lived: Lived) -> None:
    assert [each for each in lived.logged if each["log_level"] not in {"info", "warning"}] == []


def check_both_sides_have_the_same_statements_to_the_byte(lived: Lived, settled: Settled) -> None:
    week, (first, second) = lived.week, settled.pair
    keys = [recount.approval_key(lived.entries[brand]) for brand in settled.pair]
    digests = [row.digest for row in week.statements(first, second)]
    assert digests == [row.digest for row in week.statements(second, first)]
    for previous, digest, window in zip([None, *digests], digests, range(1, DAYS + 1), strict=False):
        ours, theirs = (bytes(week.shown(digest, brand).signed) for brand in settled.pair)
        assert ours == theirs
        signed = msgspec.json.decode(ours, type=SignedStatement)
        assert (signed.statement.window, signed.statement.previous) == (window, previous)
        canonical = msgspec.json.encode(msgspec.json.decode(ours)["statement"], order="sorted")
        assert digest == sha256(b"tallystick/statement/v1\n" + canonical).hexdigest()
        assert [each.ledger for each in signed.signatures] == [first.ledger, second.ledger]
        for key, each in zip(keys, signed.signatures, strict=True):
            key.verify(b"tallystick/statement-signature/v1\n" + canonical, b64decode(each.signature))


def check_both_ledgers_have_the_same_lines(lived: Lived, settled: Settled) -> None:
    assert settled.lines == settled.decided()
    for source in settled.pair:
        numbers = sorted(line.dec_seq for line in settled.lines_of(source))
        assert numbers == list(range(1, len(numbers) + 1))
    ordered = {order.id: order.day for order in lived.week.lines(settled.pair)}
    assert {line.id: line.window for line in settled.lines.values()} == ordered
    assert len(ordered) > DAYS * ORDERS_A_DAY


def check_every_line_is_worth_what_its_terms_say(lived: Lived, settled: Settled) -> None:
    brands, terms_seen = {brand.ledger: brand for brand in settled.pair}, set[tuple[str, str | None, bool]]()
    for line in settled.lines.values():
        terms = {settled.pair: lived.week.agreed[line.agreement]}
        source, destination = brands[line.source], brands[line.destination]
        way, fee = way_between(terms, source, destination), 0
        if line.refund_of is None:
            (taken, given), fee = way.step_of(line.promotion), way.fee[0] + line.steps * way.fee[1]
        else:
            way = way_between(terms, destination, source)
            given, taken = way.step_of(line.promotion)
        expected = (line.steps * taken, line.steps * given, fee, line.steps * way.price_of(line.promotion))
        assert (line.source_points, line.destination_points, line.fee_points, line.value) == expected
        assert line.currency == FIRST[settled.pair].currency
        terms_seen.add((line.agreement, line.promotion, line.refund_of is not None))
    assert {is_refund for _, _, is_refund in terms_seen} == {True, False}
    # A promotion in two of the pairs, other prices from the middle of the week on in the third.
    assert len({(agreement, promotion) for agreement, promotion, _ in terms_seen}) == 2


def check_every_statement_states_what_the_ledgers_hold(_lived: Lived, settled: Settled) -> None:
    fulfils = recount.fulfils_of(chain.from_iterable(settled.entries.values()))
    for source in settled.pair:
        first_dec_seq = 1
        for window, bill in enumerate(settled.bills(source), 1):
            sums = recount.sums_of(settled.lines_of(source, window), fulfils, first_dec_seq=first_dec_seq)
            assert msgspec.structs.asdict(bill.totals) == sums
            first_dec_seq += bill.totals.count
        assert first_dec_seq == len(settled.lines_of(source)) + 1


def check_every_balance_follows_from_the_one_before(_lived: Lived, settled: Settled) -> None:
    carried, minor_unit = 0, FIRST[settled.pair].minor_unit
    for window, statement in enumerate(settled.statements, 1):
        assert (int(statement.opening_carry), statement.minor_unit) == (carried, minor_unit)
        first, second = (billed_by(bill, window) for bill in statement.directions)
        net, paid = carried + first - second, int(statement.minor_units) * minor_unit
        carried = int(statement.carry)
        assert int(statement.net) == net == carried + (paid if statement.payer == settled.parties[0] else -paid)
        assert abs(carried) < minor_unit
        assert carried * net >= 0
    assert all(statement.carry != "0" for statement in settled.statements)


def check_every_line_is_billed_once(lived: Lived, settled: Settled) -> None:
    amounts, given_back = billed_amounts(lived.week, settled), set[str]()
    open_lines = {
        (bill.source, bill.destination, line.dec_seq)
        for bill in settled.statements[-1].directions
        for line in bill.disputed
    }
    assert amounts.keys() == settled.lines.keys() - open_lines
    for place, billed in amounts.items():
        line = settled.lines[place]
        assert 0 <= billed[0] <= line.value
        assert sum(billed) >= 0
        assert all(amount < 0 for amount in billed[1:])
        given_back |= {line.id} if billed[1:] else set()
    assert given_back == (lived.week.regretted if settled.pair == REGRETTED[0] else set())
    assert sum(map(sum, amounts.values())) == sum(settled.billed(source) for source in settled.pair)


def billed_amounts(week: Week, settled: Settled) -> dict[Place, list[int]]:
    """Return every amount that the statements' CSV, the same at both parties, bill for each line, in their order."""
    found: defaultdict[Place, list[int]] = defaultdict(list)
    for row in week.statements(*settled.pair):
        texts = [week.node(brand).get(f"/v1/statements/{row.digest}", format="csv").decode() for brand in settled.pair]
        ours, theirs = (list(csv.DictReader(StringIO(text))) for text in texts)
        assert sorted(map(str, ours)) == sorted(map(str, theirs))
        for line in ours:
            if line["kind"] != "disputed":
                place = (line["source"], line["destination"], int(line["dec_seq"]))
                found[place].append(int(line["value_millionths"]))
    return found


def check_a_payment_that_came_back_was_made_again(lived: Lived) -> None:
    pair, window = BOUNCED
    booked = [
        [entry.kind for entry in lived.entries[brand] if entry.window == window and entry.partner == partner.ledger]
        for brand, partner in (pair, pair[::-1])
    ]
    payments = sorted(tuple(kind for kind in kinds if kind in PAYMENTS) for kinds in booked)
    assert payments == [("payment_made", "payment_returned", "payment_made"), ("payment_received", "payment_received")]


def check_money_paid_carry_and_disputes_are_the_value_of_all_conversions(_lived: Lived, settled: Settled) -> None:
    for source in settled.pair:
        parts = settled.billed(source) + settled.in_dispute(source) + settled.given_up(source)
        assert parts == settled.value(source)
    carry = int(settled.statements[-1].carry)
    first, second = settled.pair
    owed = Fraction(settled.value(first) - settled.value(second), UNIT)
    withheld = Fraction(settled.in_dispute(first) - settled.in_dispute(second), UNIT)
    given_up = Fraction(settled.given_up(first) - settled.given_up(second), UNIT)
    assert Fraction(settled.paid(), UNIT) + Fraction(carry, UNIT) + withheld + given_up == owed
    assert settled.paid() % FIRST[settled.pair].minor_unit == 0


def check_every_account_holds_what_it_must_and_all_others_are_empty(lived: Lived) -> None:
    for brand in BRANDS:
        balances = recount.balances_of(lived.entries[brand])
        assert recount.without_holders(balances) == expected_balances(brand, lived.settled.values())
        members = {name: (posted, 0) for (name, _), posted in balances.items() if name.startswith("member/")}
        assert members == recount.read_accounts(lived.week.node(brand))


def check_accounts_of_partners_mirror_each_other(lived: Lived, settled: Settled) -> None:
    currency = FIRST[settled.pair].currency
    for one, other in (settled.pair, settled.pair[::-1]):
        here, there = (recount.balances_of(lived.entries[brand]) for brand in (one, other))
        for ours, theirs in MIRRORED:
            amount = here.get((f"{ours}/{name_of(other)}", currency), 0)
            assert amount == -there.get((f"{theirs}/{name_of(one)}", currency), 0)
        assert here[f"paid/{name_of(other)}", currency]


def check_caps_were_freed_with_every_confirmation(lived: Lived, settled: Settled) -> None:
    for source, destination in (settled.pair, settled.pair[::-1]):
        for at, other, direction in ((source, destination, "out"), (destination, source, "in")):
            exposure = lived.week.exposure(at, other, direction)
            assert (exposure.open, exposure.undecided) == (str(settled.in_dispute(source)), 0)
            # Had nothing been freed, the cap would have been reached in the middle of the week.
            assert exposure.cap is not None
            assert settled.value(source) > 1.5 * exposure.cap


def check_one_line_in_a_hundred_was_disputed_and_taken_up_again(lived: Lived, settled: Settled) -> None:
    week, before = lived.week, set[str]()
    for window, statement in enumerate(settled.statements, 1):
        new = {doubt.order.id for doubt in week.doubts[settled.pair, window]}
        listed: set[str] = {line.id for bill in statement.directions for line in bill.disputed}
        ended = {line.id for bill in statement.directions for line in bill.adjustments if line.value >= 0}
        assert listed == new | (before - ended)
        assert ended == {one for one, fate in week.fates_of(settled.pair, window).items() if fate is not Fate.KEPT}
        before = listed
    disputed = sum(len(week.doubts[settled.pair, window]) for window in range(1, DAYS + 1))
    assert disputed == round(len(settled.lines) * DISPUTED)


def check_disputes_came_at_every_time_and_ended_in_every_way(lived: Lived) -> None:
    doubts = list(chain.from_iterable(lived.week.doubts.values()))
    assert {doubt.moment for doubt in doubts} == set(Moment)
    assert {doubt.order.source is doubt.by for doubt in doubts} == {True, False}
    assert set(lived.week.fates.values()) == set(Fate)
    # Where no operator looked, the node listed again what the statement before had listed, and ended nothing.
    pair, window = AWAY
    bills = lived.settled[pair].statements[window - 1].directions
    assert any(line.window < window for bill in bills for line in bill.disputed)
    assert not any(bill.adjustments for bill in bills)


def check_operators_are_told_of_every_line_that_is_still_in_dispute(lived: Lived) -> None:
    for brand in BRANDS:
        found = lived.week.exceptions(brand)
        open_lines = {
            (settled.partner(brand).ledger, line.window, line.id)
            for settled in lived.settled.values()
            if brand in settled.pair
            for bill in settled.statements[-1].directions
            for line in bill.disputed
        }
        assert {each.kind for each in found} == {"disputed"}
        assert {(each.partner, each.window, each.conversion) for each in found} == open_lines


def check_the_audit_of_all_three_logs_holds(lived: Lived, directory: Path) -> None:
    report, papers = audited(lived.week, directory)
    assert report.verdict is Verdict.HELD, "\n".join(report.lines())
    assert sorted(log.ledger or "" for log in report.logs) == [brand.ledger for brand in BRANDS]
    for log, brand in zip(report.logs, BRANDS, strict=True):
        assert log.figures is not None
        stated = {
            (line.account, line.asset): int(line.amount) for line in log.figures.trial_balance if line.amount != "0"
        }
        counted = recount.without_holders(recount.balances_of(lived.entries[brand]))
        assert {key: amount for key, amount in stated.items() if not key[0].endswith("/*")} == counted
    for pair, settled in zip(report.pairs, lived.settled.values(), strict=True):
        assert (pair.first, pair.second, pair.statements) == (*settled.parties, DAYS)
        assert pair.payments == sum(statement.payer is not None for statement in settled.statements)
        for direction, source in zip(pair.directions, settled.pair, strict=True):
            value = str(settled.value(source))
            assert [(each.payable, each.receivable) for each in direction.money] == [(value, value)]
            assert (direction.completed, direction.pending) == (len(settled.lines_of(source)), 0)
    check_the_report(papers, lived.entries, lived.settled.values(), directory)


def audited(week: Week, directory: Path) -> tuple[Report, Papers]:
    """Return the audit of three packages, as their operators would send them to an auditor, and its papers."""
    with ExitStack() as stack:
        sources = []
        for brand in BRANDS:
            package = directory / f"{brand.name}.zip"
            export(week.node(brand).node.reader, package)
            sources.append(stack.enter_context(PackageSource(package)))
        found = Auditing().audit(sources)
        return found.report, papers_of(found, Wanted())[0]


OF_ALL: Final = (
    check_no_node_logged_a_failure,
    check_all_windows_are_confirmed_at_both_sides,
    check_a_payment_that_came_back_was_made_again,
    check_every_account_holds_what_it_must_and_all_others_are_empty,
    check_disputes_came_at_every_time_and_ended_in_every_way,
    check_operators_are_told_of_every_line_that_is_still_in_dispute,
)
OF_EACH_PAIR: Final = (
    check_both_sides_have_the_same_statements_to_the_byte,
    check_both_ledgers_have_the_same_lines,
    check_every_line_is_worth_what_its_terms_say,
    check_every_statement_states_what_the_ledgers_hold,
    check_every_balance_follows_from_the_one_before,
    check_every_line_is_billed_once,
    check_money_paid_carry_and_disputes_are_the_value_of_all_conversions,
    check_accounts_of_partners_mirror_each_other,
    check_caps_were_freed_with_every_confirmation,
    check_one_line_in_a_hundred_was_disputed_and_taken_up_again,
)


def test_a_week_of_three_brands_is_settled_to_the_millionth(lived: Lived, tmp_path: Path) -> None:
    # One test, since a week is lived once: processes that share tests among them would each live their own.
    for check in OF_ALL:
        check(lived)
    for check_pair in OF_EACH_PAIR:
        for settled in lived.settled.values():
            check_pair(lived, settled)
    check_the_audit_of_all_three_logs_holds(lived, tmp_path)
