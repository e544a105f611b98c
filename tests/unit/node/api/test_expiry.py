"""Expiry over HTTP: what has expired is told and posted page by page, once; pending points; reversals."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from node.engine.work import CommandWork
from node.services.access.credentials import CallerRole
from node.services.fsck.fsck import fsck
from node.services.program import expiry
from protocol.audit.findings import Verdict
from protocol.entries import AnyEntry, decode_entry
from protocol.errors import Code, Refusal
from protocol.identifiers import Account
from protocol.ledger import rules
from protocol.ledger.commands import AnyCommand
from protocol.ledger.lot_commands import ExpireLots
from protocol.ledger.moment import Moment
from protocol.ledger.program_commands import FreezeAccount, SetProgram
from protocol.ledger.view import View
from protocol.point_entries import PointsExpired
from protocol.program import ExpiryRule, ProgramTerms
from tests.support.api import ANN, BOB, Api, Json, api_of, open_accounts, request_id
from tests.support.documents import uuid
from tests.support.postgres import PostgresServer

ROLLING = ExpiryRule(kind="rolling", months=1)
DAY_SECONDS = 86_400


on_both = pytest.mark.parametrize("api", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Api]:
    url = None
    if getattr(request, "param", "sqlite") == "postgresql":
        server = request.getfixturevalue("postgres_server")
        assert isinstance(server, PostgresServer)
        url = server.url(server.create_database())
    with api_of(tmp_path / "aurora", url) as opened:
        open_accounts(opened)
        yield opened


def issue(api: Api, account: str, amount: int, name: str, *, expires_on: str | None = None) -> Json:
    body = {"id": request_id(name), "type": "issue", "account": account, "amount": amount}
    return api.done("/v1/transactions", body if expires_on is None else {**body, "expires_on": expires_on})


def set_terms(api: Api, rule: ExpiryRule, *, pending_days: int = 0) -> None:
    terms = ProgramTerms(expiry=rule, pending_days=pending_days)
    command = SetProgram(id=uuid(f"program {rule} {pending_days}"), terms=terms, reason="rule")
    api.node.submit(CommandWork([command])).result()


def pages(api: Api, **body: object) -> Iterator[Json]:
    after: object = None
    while True:
        page = api.done("/v1/expiry", {**body, **({"after": after} if after else {})})
        yield page
        after = page["next"]
        if after is None:
            return


def lost(api: Api) -> list[tuple[str, tuple[tuple[str, int], ...]]]:
    """Return whose points were posted as lost, with their last days."""
    entries = [decode_entry(data) for data in api.node.reader.entries_from(0, 1_000)]
    return [
        (entry.account, tuple((lot.expires_on, lot.amount) for lot in entry.lots))
        for entry in entries
        if isinstance(entry, PointsExpired)
    ]


def summed(found: Iterator[Json]) -> Mapping[str, int]:
    listed = list(found)
    return {name: sum(int(str(page[name])) for page in listed) for name in ("entries", "lots", "points", "refused")}


@on_both
def test_what_has_expired_is_told_then_posted_once(api: Api) -> None:
    issue(api, ANN, 5, "a", expires_on="2026-03-01")
    issue(api, ANN, 6, "b", expires_on="2026-03-02")
    issue(api, BOB, 7, "c", expires_on="2026-03-01")
    issue(api, BOB, 8, "d", expires_on="2026-04-01")
    assert api.read("/v1/expiry")["lots"] == 0
    api.clock.advance(2 * DAY_SECONDS)
    told = api.read("/v1/expiry")
    assert told == {
        "as_of": "2026-03-03",
        "entries": 2,
        "lots": 3,
        "points": 18,
        "months": [{"month": "2026-03", "lots": 3, "points": 18}],
        "refused": 0,
        "next": None,
    }
    assert api.read("/v1/expiry?as_of=2026-03-02")["points"] == 12
    assert api.done("/v1/expiry", {}) == told
    assert sorted(lost(api)) == sorted([(ANN, (("2026-03-01", 5), ("2026-03-02", 6))), (BOB, (("2026-03-01", 7),))])
    before = api.rows()
    assert api.done("/v1/expiry", {})["lots"] == 0
    assert api.rows() == before
    shown = api.read(f"/v1/accounts/{BOB}")
    assert shown["next_expiry"] == {"date": "2026-04-01", "amount": 8}


@on_both
def test_pages_are_bounded_and_a_run_that_begins_anew_goes_on(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        issue(api, ANN, 1, f"ann {number}", expires_on=f"2026-03-0{1 + number % 3}")
        issue(api, BOB, 1, f"bob {number}", expires_on="2026-03-01")
    api.clock.advance(3 * DAY_SECONDS)
    monkeypatch.setattr(expiry, "STEP_ACCOUNTS_MAX", 1)
    monkeypatch.setattr(expiry, "STEP_LOTS_MAX", 3)
    first = api.done("/v1/expiry", {})
    assert (first["lots"], first["next"] is None) == (3, False)
    assert summed(pages(api)) == {"entries": 5, "lots": 11, "points": 11, "refused": 0}
    assert sum(len(lots) for _, lots in lost(api)) == 14
    monkeypatch.setattr(expiry, "PREVIEW_ROWS_MAX", 1)
    assert api.read("/v1/expiry")["next"] is None


@on_both
def test_points_whose_clock_has_run_out_expire_and_others_of_it_do_not(api: Api) -> None:
    set_terms(api, ROLLING)
    issue(api, ANN, 5, "a")
    issue(api, BOB, 6, "b")
    api.clock.advance(20 * DAY_SECONDS)
    issue(api, BOB, 1, "c")
    shown = api.read(f"/v1/accounts/{ANN}")
    assert shown["next_expiry"] == {"date": "2026-04-01", "amount": 5}
    api.clock.advance(20 * DAY_SECONDS)
    assert api.read(f"/v1/accounts/{ANN}")["available"] == 10_000
    preview = summed(iter([api.read("/v1/expiry"), api.read("/v1/expiry?after=c/1-none/")]))
    assert (preview["lots"], preview["points"]) == (1, 5)
    assert summed(pages(api)) == {"entries": 1, "lots": 1, "points": 5, "refused": 0}
    assert lost(api) == [(ANN, (("2026-04-01", 5),))]
    listed = api.read("/v1/accounts")["accounts"]
    assert isinstance(listed, list)
    assert {row["account"]: row["posted"] for row in listed}[BOB] == 7


def test_a_day_that_has_not_come_is_refused(api: Api) -> None:
    for answer in (api.post("/v1/expiry", {"as_of": "2026-03-02"}), api.get("/v1/expiry?as_of=2026-03-02")):
        assert (answer.status_code, answer.json()["code"]) == (422, "date_invalid")
    for path in ("/v1/expiry?after=x", "/v1/expiry?as_of=2026-02-31"):
        assert api.get(path).status_code == 422


@pytest.mark.parametrize("role", [CallerRole.BACKEND, CallerRole.AUDITOR])
def test_only_operators_post(api: Api, role: CallerRole) -> None:
    assert api.post("/v1/expiry", {}, role=role).status_code == 403


def test_pending_points_are_shown_and_not_available(api: Api) -> None:
    set_terms(api, ExpiryRule(), pending_days=14)
    made = issue(api, ANN, 50, "late")
    assert (made["expiry"], made["expires_on"], made["spendable_on"]) == ("never", None, "2026-03-15")
    shown = api.read(f"/v1/accounts/{ANN}")
    assert (shown["posted"], shown["pending"], shown["available"]) == (10_050, 50, 10_000)
    assert shown["next_pending"] == {"date": "2026-03-15", "amount": 50}
    listed = api.read("/v1/accounts")["accounts"]
    assert isinstance(listed, list)
    assert {row["account"]: (row["pending"], row["available"]) for row in listed}[ANN] == (50, 10_000)
    api.clock.advance(14 * DAY_SECONDS)
    assert api.read(f"/v1/accounts/{ANN}")["available"] == 10_050


def test_a_redemption_is_reversed_in_parts_and_no_further(api: Api) -> None:
    bought = {"id": request_id("bought"), "type": "redeem", "account": ANN, "amount": 100}
    api.done("/v1/transactions", bought)
    body = {"id": request_id("back"), "type": "reverse", "reverses": request_id("bought"), "amount": 60}
    made = api.done("/v1/transactions", body)
    assert (made["kind"], made["asked"], made["postings"]) == (
        "points_reversed",
        60,
        [["redemption", "AUR", -60], [ANN, "AUR", 60]],
    )
    assert api.read(f"/v1/transactions/{request_id('back')}") == made
    assert api.done("/v1/transactions", body) == made
    too_much = api.post("/v1/transactions", {**body, "id": request_id("more")})
    assert (too_much.status_code, too_much.json()["code"]) == (409, "reversal_exceeded")
    unknown = api.post("/v1/transactions", {**body, "id": request_id("x"), "reverses": request_id("nothing")})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "reversal_unknown")
    rest = {key: value for key, value in body.items() if key != "amount"}
    assert api.done("/v1/transactions", {**rest, "id": request_id("rest")})["asked"] == 40


def test_points_of_a_frozen_account_expire_as_any_others(api: Api) -> None:
    issue(api, ANN, 5, "a", expires_on="2026-03-01")
    api.clock.advance(DAY_SECONDS)
    api.node.submit(CommandWork([FreezeAccount(id=uuid("freeze"), account=Account(ANN), reason="lost_card")])).result()
    assert summed(pages(api))["points"] == 5


def test_an_account_that_takes_no_part_yet_is_passed_over(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    issue(api, ANN, 5, "a", expires_on="2026-03-01")
    issue(api, BOB, 6, "b", expires_on="2026-03-01")
    api.clock.advance(DAY_SECONDS)
    decide = rules.decide

    def refuse(view: View, command: AnyCommand, moment: Moment) -> AnyEntry:
        if isinstance(command, ExpireLots) and command.account == ANN:
            raise Refusal(Code.ACCOUNT_IMPORTING, "the file is not in yet")
        return decide(view, command, moment)

    monkeypatch.setattr(rules, "decide", refuse)
    monkeypatch.setattr(expiry, "STEP_LOTS_MAX", 1)
    assert summed(pages(api)) == {"entries": 1, "lots": 1, "points": 6, "refused": 1}
    assert lost(api) == [(BOB, (("2026-03-01", 6),))]


def test_what_no_account_may_write_is_told(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    issue(api, ANN, 5, "a", expires_on="2026-03-01")
    api.clock.advance(DAY_SECONDS)
    monkeypatch.setattr(rules, "decide", _recover)
    answer = api.post("/v1/expiry", {})
    assert (answer.status_code, answer.json()["code"]) == (503, "recovering")


def _recover(*_asked: object) -> None:
    raise Refusal(Code.RECOVERING, "words are waited for")


@on_both
def test_the_store_is_what_the_log_leads_to_after_all_that(api: Api) -> None:
    set_terms(api, ROLLING, pending_days=1)
    issue(api, ANN, 5, "a")
    issue(api, ANN, 9, "dated", expires_on="2026-03-02")
    api.clock.advance(DAY_SECONDS)
    api.done("/v1/transactions", {"id": request_id("r"), "type": "redeem", "account": ANN, "amount": 12})
    back = {"id": request_id("back"), "type": "reverse", "reverses": request_id("r"), "amount": 2}
    api.done("/v1/transactions", back)
    api.clock.advance(40 * DAY_SECONDS)
    assert summed(pages(api))["lots"] == 1
    report = fsck(api.database)
    assert report.verdict is Verdict.HELD, report
