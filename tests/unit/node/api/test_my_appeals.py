"""`/v1/me/appeals`: a member appeals, answers and withdraws, and sees nobody else's."""

from collections.abc import Iterator

import pytest

from tests.support.api import ANN, BOB, Api, Json, api_of, open_accounts, request_id
from tests.support.documents import uuid
from tests.support.issuers import claims_at, signed, with_issuer

APPEAL = uuid("mine")


@pytest.fixture(scope="module")
def brand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    directory = tmp_path_factory.mktemp("appealing")
    with api_of(directory / "aurora", settings=with_issuer(directory)) as api:
        open_accounts(api)
        yield api


def call(api: Api, who: str, asked: str, body: object = None) -> tuple[int, Json]:
    token = signed(claims_at(api.clock.now().timestamp(), sub=who))
    headers = {"authorization": f"Bearer {token}"}
    method, _, path = asked.partition(" ")
    response = api.call(method, f"/v1/me/appeals{path}", body=body, headers=headers, role=None)
    answer: Json = response.json()
    return response.status_code, answer


def test_a_member_appeals_answers_and_withdraws(brand: Api) -> None:
    about = request_id("welcome")
    body = {"id": APPEAL, "reason": "wrong_amount", "text": "Five were missing.", "about": about}
    status, written = call(brand, ANN, "POST ", body)
    assert (status, written["kind"]) == (201, "appeal_opened")
    brand.done(f"/v1/appeals/{APPEAL}/messages", {"id": request_id("ask"), "text": "Which day?", "asks": True})
    _, shown = call(brand, ANN, f"GET /{APPEAL}")
    assert (shown["state"], shown["waiting_for"]) == ("waiting", "the program has asked, and the holder is to answer")
    said = {"id": request_id("say"), "text": "On Monday."}
    assert call(brand, ANN, f"POST /{APPEAL}/messages", said)[0] == 201
    _, page = call(brand, ANN, "GET ?state=open")
    rows = page["appeals"]
    assert isinstance(rows, list)
    assert APPEAL in [row["id"] for row in rows]
    assert {row["account"] for row in rows} == {ANN}
    status, _ = call(brand, ANN, f"POST /{APPEAL}/withdrawal", {"id": request_id("withdraw")})
    assert status == 201
    _, shown = call(brand, ANN, f"GET /{APPEAL}")
    messages = shown["messages"]
    assert isinstance(messages, list)
    assert shown["state"] == "withdrawn"
    assert [each["by"] for each in messages] == ["holder", "program", "holder", "holder"]


def test_a_member_sees_and_moves_no_appeal_of_another(brand: Api) -> None:
    name = uuid("anns")
    call(brand, ANN, "POST ", {"id": name, "reason": "not_received"})
    for method, path, body in (
        ("GET", f"/{name}", None),
        ("POST", f"/{name}/messages", {"id": uuid("x"), "text": "not mine"}),
        ("POST", f"/{name}/withdrawal", {"id": uuid("y")}),
    ):
        status, answer = call(brand, BOB, f"{method} {path}", body)
        assert (status, answer["code"]) == (404, "appeal_unknown")
    assert call(brand, BOB, "GET ")[1] == {"appeals": [], "next": None}
    status, answer = call(brand, BOB, "POST ", {"id": uuid("z"), "reason": "x", "about": request_id("welcome")})
    assert (status, answer["code"]) == (404, "subject_unknown")


def test_a_member_sets_no_deadline_and_speaks_for_nobody(brand: Api) -> None:
    body = {"id": uuid("w"), "reason": "x", "deadline": "2027-01-01"}
    assert call(brand, ANN, "POST ", body)[1]["code"] == "request_invalid"
    assert call(brand, ANN, "POST ", {"id": uuid("w"), "reason": "x", "account": BOB})[1]["code"] == "request_invalid"
