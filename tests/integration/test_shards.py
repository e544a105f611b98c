"""One brand on two shards, as real processes: points go from member to member, and none is made or lost."""

from collections.abc import Iterator

import msgspec
import pytest

from node.cli.failures import COULD_NOT, HELD
from node.cli.main import run
from node.client import RequestRefused, new_id
from protocol.audit.report import Report
from protocol.identifiers import Account
from tests.architecture.sources import ROOT
from tests.support.shards import IN_FLIGHT, Router, sharded, slot_of, wait_for

pytestmark = pytest.mark.integration

ISSUED = 10_000


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    with sharded(tmp_path_factory.mktemp("shards")) as made:
        yield made


def members_of(router: Router) -> list[Account]:
    """Open an account at each shard and give it points of the brand."""
    members = [router.open_account(shard) for shard in router.shards]
    for shard, member in zip(router.shards, members, strict=True):
        shard.backend.issue(member, ISSUED)
    return members


def points_of(router: Router, account: Account) -> int:
    return router.home(account).backend.account(account).posted


def audited(router: Router, capsys: pytest.CaptureFixture[str]) -> Report:
    """Return what the audit of both logs finds, once both have published all that they have: nothing is under way."""
    command = ["audit", *(shard.node.url for shard in router.shards), "--json"]
    for shard in router.shards:
        command += ["--token-file", str(shard.node.token_file("auditor"))]

    def look() -> Report | None:
        capsys.readouterr()
        status = run(command)
        out = capsys.readouterr().out
        assert status in {HELD, COULD_NOT}, out
        report = msgspec.json.decode(out, type=Report)
        under_way = sum(each.pending for pair in report.pairs for each in pair.directions)
        return report if status == HELD and not under_way else None

    return wait_for(look, "an audit that holds")


def test_points_go_from_shard_to_shard_and_the_brand_owes_what_it_owed(
    router: Router, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = router.shards
    ann, bo = members_of(router)
    cy = router.open_account(first)
    outstanding = first.points() + second.points()
    assert router.transfer(ann, cy, 1_000, request_id=new_id()) is None
    states = [
        router.transfer(*pair, amount, request_id=new_id())
        for pair, amount in (((ann, bo), 2_500), ((cy, bo), 400), ((bo, ann), 1), ((bo, cy), 12_899))
    ]
    assert [state and state.state for state in states] == ["completed"] * 4
    assert {name: points_of(router, name) for name in (ann, bo, cy)} == {ann: 6_501, bo: 0, cy: 13_499}
    assert first.points() + second.points() == outstanding
    report = audited(router, capsys)
    moved = {log.ledger: log.figures.roll_forward for log in report.logs if log.figures is not None}
    out, back = moved[first.ledger], moved[second.ledger]
    assert (out.converted_out, out.converted_in) == (back.converted_in, back.converted_out)
    assert int(out.closing) + int(back.closing) == outstanding
    (pair,) = report.pairs
    assert [(each.completed, each.returned, each.pending) for each in pair.directions] == [(2, 0, 0), (2, 0, 0)]


def test_what_the_other_shard_refuses_is_back_with_its_sender(router: Router) -> None:
    ann, bo = members_of(router)
    first, second = router.shards
    outstanding = first.points() + second.points()
    assert router.transfer(ann, bo, 10, request_id=new_id())
    second.backend.redeem(bo, ISSUED + 10)
    second.backend.close_account(bo)
    state = router.transfer(ann, bo, 500, request_id=new_id())
    assert state is not None
    assert (state.state, state.reason) == ("returned", "account_closed")
    assert points_of(router, ann) == ISSUED - 10
    assert first.points() + second.points() == outstanding - ISSUED - 10


def test_a_member_who_lacks_the_points_moves_nothing(router: Router) -> None:
    ann, bo = members_of(router)
    with pytest.raises(RequestRefused) as refused:
        router.transfer(ann, bo, ISSUED + 1, request_id=new_id())
    assert refused.value.code == "insufficient_points"
    assert (points_of(router, ann), points_of(router, bo)) == (ISSUED, ISSUED)


def test_a_request_that_is_made_again_moves_nothing_more(router: Router) -> None:
    ann, bo = members_of(router)
    request_id = new_id()
    before = router.transfer(ann, bo, 700, request_id=request_id)
    assert router.transfer(ann, bo, 700, request_id=request_id) == before
    assert (points_of(router, ann), points_of(router, bo)) == (ISSUED - 700, ISSUED + 700)


def test_the_shards_agree_on_a_statement_by_which_nobody_owes_anything(router: Router) -> None:
    first, second = router.shards
    ann, bo = members_of(router)
    assert router.transfer(ann, bo, 1_200, request_id=new_id())
    window = max(row.window for row in first.operator.windows(second.ledger) if row.state == "open")
    first.operator.close_window(second.ledger, window)

    def confirmed() -> str | None:
        found = [
            next((row.digest for row in shard.operator.statements(partner.ledger) if row.window == window), None)
            for shard, partner in ((first, second), (second, first))
        ]
        return found[0] if found[0] == found[1] else None

    digest = wait_for(confirmed, "the statement")
    assert first.operator.statement(digest).state == "confirmed"
    statement = first.operator.statement(digest).signed.statement
    assert (statement.net, statement.payer, statement.carry) == ("0", None, "0")
    there, back = (each.totals for each in statement.directions)
    assert there.source_points == there.destination_points
    assert (there.value, back.value) == ("0", "0")
    assert there.count >= 1


def test_the_page_places_accounts_as_the_router_does() -> None:
    page = (ROOT / "specs" / "scale.md").read_text(encoding="utf-8")
    rows = [line.split("`") for line in page.splitlines() if line.strip().startswith("| `member/")]
    assert rows
    assert [(row[1], int(row[3])) for row in rows] == [(row[1], slot_of(Account(row[1]))) for row in rows]
    assert f"{IN_FLIGHT}" in page
