"""`/v1/appeals`: opened for a member, talked about, decided; what was written can be erased."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.services.access.credentials import CallerRole
from node.services.context import WriteWork
from node.store.rows import EraseMetadata
from protocol.identifiers import Digest
from tests.support.api import ANN, BOB, Api, Json, api_of, open_accounts, request_id
from tests.support.documents import uuid
from tests.unit.node.api.test_approvals import Person

APPEAL = uuid("appeal")
TEXT = "我的积分没有到账\nand nobody answers."


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with api_of(tmp_path / "aurora") as made:
        open_accounts(made)
        yield made


def open_appeal(api: Api, **changes: object) -> Json:
    body = {"id": APPEAL, "account": ANN, "reason": "not_received", "text": TEXT, "about": request_id("welcome")}
    return api.done("/v1/appeals", {**body, **changes})


def refused(api: Api, path: str, body: Json) -> str:
    return str(api.post(path, body).json()["code"])


def message(name: str, **more: object) -> Json:
    return {"id": request_id(name), "text": f"about {name}", **more}


def shown(api: Api) -> Json:
    return api.read(f"/v1/appeals/{APPEAL}")


def test_an_appeal_is_opened_talked_about_and_decided(api: Api) -> None:
    written = open_appeal(api)
    assert written["kind"] == "appeal_opened"
    assert shown(api)["state"] == "open"
    assert shown(api)["waiting_for"] == "the program is to answer"
    api.done(f"/v1/appeals/{APPEAL}/messages", message("question", asks=True))
    assert shown(api)["state"] == "waiting"
    api.done(f"/v1/appeals/{APPEAL}/messages", message("answer", by="holder"))
    assert shown(api)["state"] == "open"
    decision = {"id": request_id("decide"), "outcome": "rejected", "reason": "as_booked", "text": "It was right."}
    api.done(f"/v1/appeals/{APPEAL}/decision", decision)
    found = shown(api)
    assert (found["state"], found["outcome_reason"], found["overdue"]) == ("rejected", "as_booked", False)
    messages = found["messages"]
    assert isinstance(messages, list)
    assert [(each["kind"], each["by"], each["text"]) for each in messages] == [
        ("opened", "holder", TEXT),
        ("message", "program", "about question"),
        ("message", "holder", "about answer"),
        ("decided", "program", "It was right."),
    ]
    assert refused(api, f"/v1/appeals/{APPEAL}/messages", message("late")) == "appeal_decided"


def test_a_repeat_gets_the_same_answer(api: Api) -> None:
    first = open_appeal(api)
    api.clock.advance(3 * 86_400)
    api.node.confirm_clock()
    assert open_appeal(api) == first
    body: Json = {"id": APPEAL, "account": ANN, "reason": "something_else"}
    assert refused(api, "/v1/appeals", body) == "id_reused"


def test_no_text_is_in_the_log_and_an_erased_one_is_gone(api: Api) -> None:
    written = open_appeal(api)
    rows = api.rows()
    entries = b"".join(bytes(row[2]) for row in rows["entries"])  # type: ignore[call-overload]
    assert TEXT.encode() not in entries
    assert b"nobody answers" not in entries
    fields = written["fields"]
    assert isinstance(fields, dict)
    api.node.submit(WriteWork([EraseMetadata(Digest(str(fields["metadata"])))])).result()
    messages = shown(api)["messages"]
    assert isinstance(messages, list)
    assert [each["text"] for each in messages] == [None]


def test_an_appeal_is_about_what_is_the_accounts_own(api: Api) -> None:
    body: Json = {"id": APPEAL, "account": BOB, "reason": "not_received", "about": request_id("welcome")}
    assert refused(api, "/v1/appeals", body) == "subject_unknown"
    assert refused(api, "/v1/appeals", {**body, "about": uuid("nothing")}) == "subject_unknown"
    nobody = f"member/{uuid('nobody')}"
    assert refused(api, "/v1/appeals", {"id": APPEAL, "account": nobody, "reason": "x"}) == "account_unknown"
    assert api.get(f"/v1/appeals/{APPEAL}").json()["code"] == "appeal_unknown"
    assert refused(api, f"/v1/appeals/{APPEAL}/messages", message("x")) == "appeal_unknown"


def test_lists_say_what_is_overdue_and_so_do_the_exceptions(api: Api) -> None:
    open_appeal(api)
    later = {"id": uuid("later"), "account": BOB, "reason": "wrong_amount", "deadline": "2026-12-01"}
    today = api.clock.now().date()
    later["deadline"] = today.replace(year=today.year + 1).isoformat()
    api.done("/v1/appeals", later)
    assert api.read("/v1/appeals?state=overdue") == {"appeals": [], "next": None}
    api.clock.advance(31 * 86_400)
    api.node.confirm_clock()
    (row,) = listed(api, "state=overdue")
    assert (row["id"], row["overdue"], row["state"]) == (APPEAL, True, "open")
    assert [row["id"] for row in listed(api, "")] == [uuid("later"), APPEAL]
    assert [row["id"] for row in listed(api, f"account={ANN}&state=overdue")] == [APPEAL]
    assert [row["id"] for row in listed(api, f"account={BOB}&state=open")] == [uuid("later")]
    page = api.read("/v1/appeals?limit=1")
    assert [row["id"] for row in listed(api, f"after={page['next']}")] == [APPEAL]
    assert listed(api, f"state=overdue&after={row['seq']}") == []
    exceptions = api.read("/v1/exceptions")["exceptions"]
    assert isinstance(exceptions, list)
    (overdue,) = (each for each in exceptions if each["kind"] == "appeal_overdue")
    assert (overdue["about"], overdue["account"], overdue["reason"]) == (APPEAL, ANN, "not_received")


def listed(api: Api, query: str) -> list[Json]:
    rows = api.read(f"/v1/appeals?{query}")["appeals"]
    assert isinstance(rows, list)
    return rows


def test_an_auditor_opens_no_appeal(api: Api) -> None:
    body = {"id": APPEAL, "account": ANN, "reason": "not_received"}
    assert api.post("/v1/appeals", body, role=CallerRole.AUDITOR).json()["code"] == "forbidden"
    assert api.get("/v1/me/appeals").json()["code"] == "forbidden"


def test_a_decision_that_moves_points_is_an_adjustment_that_two_people_want(api: Api) -> None:
    open_appeal(api)
    agent, manager = Person(api, CallerRole.SUPPORT), Person(api, CallerRole.MANAGER)
    agent.propose("given", type="adjustment", account=ANN, amount=70, reason="not_received", appeal=APPEAL)
    assert shown(api)["state"] == "open"
    assert manager.approve("given").status_code == 201
    found = shown(api)
    assert (found["state"], found["outcome_reason"]) == ("upheld", "not_received")
    assert found["adjustment"] == request_id("given done")
    messages = found["messages"]
    assert isinstance(messages, list)
    assert [each["kind"] for each in messages] == ["opened", "adjusted"]
    events = api.read(f"/v1/events?account={ANN}&types=points.adjusted,appeal.decided")["events"]
    assert isinstance(events, list)
    assert [(each["type"], each["data"]["appeal"]) for each in events] == [
        ("points.adjusted", APPEAL),
        ("appeal.decided", APPEAL),
    ]
    agent.propose("twice", type="adjustment", account=ANN, amount=70, reason="not_received", appeal=APPEAL)
    assert manager.approve("twice").json()["code"] == "appeal_decided"
    assert refused(api, f"/v1/appeals/{APPEAL}/messages", message("late")) == "appeal_decided"
