"""The program's terms over HTTP: shown, set, repeated, and what they are refused for."""

from pathlib import Path

from tests.support.api import Api, Json, api_of, request_id
from tests.unit.node.api.test_refusals import refused

PATH = "/v1/program"


def ask(name: str, **terms: object) -> Json:
    return {"id": request_id(name), "terms": terms, "reason": "opening"}


def put(api: Api, body: Json) -> tuple[int, Json]:
    response = api.call("PUT", PATH, body=body)
    return response.status_code, response.json()


def test_a_new_program_has_terms_of_no_entry(tmp_path: Path) -> None:
    with api_of(tmp_path / "new") as new:
        shown = new.read(PATH)
    assert shown["entered_seq"] is None
    assert isinstance(shown["terms"], dict)
    assert shown["terms"]["time_zone"] == "UTC"


def test_terms_are_shown_set_and_repeated(api: Api) -> None:
    before = api.read(PATH)
    body = ask("set", time_zone="Pacific/Kiritimati", pending_days=3)
    status, first = put(api, body)
    assert (status, first["kind"]) == (200, "program_set")
    assert put(api, body) == (200, first)
    after = api.read(PATH)
    assert after["entered_seq"] == first["seq"]
    assert isinstance(after["terms"], dict)
    assert after["terms"]["pending_days"] == 3
    assert after["terms"]["offsets"]
    assert str(after["today"]) > str(before["today"]), "the day begins at that island"


def test_what_was_shown_can_be_set_again(api: Api) -> None:
    terms = api.read(PATH)["terms"]
    assert isinstance(terms, dict)
    assert put(api, ask("same", **terms))[1]["code"] == "program_unchanged"
    status, answer = put(api, ask("other", **{**terms, "pending_days": 9}))
    assert status == 200, answer
    status, answer = put(api, ask("back", **terms))
    assert status == 200, answer


def test_terms_that_make_no_sense_are_refused(api: Api) -> None:
    for name, terms in (("zone", {"time_zone": "Europe/Atlantis"}), ("expiry", {"expiry": {"kind": "fixed"}})):
        status, answer = put(api, ask(name, **terms))
        assert (status, answer["code"]) == (422, "program_invalid")
    assert put(api, ask("word", pending=1))[1]["code"] == "request_invalid"
    refused(api, PATH, ask("post"), status=405, code="method_not_allowed")
