"""What is known of the person behind an account: set, found, unique, and in no entry."""

import asyncio

from structlog.testing import capture_logs

from node.store.columns import METADATA, TableClass
from node.store.schema_members import PERSONAL
from tests.support.api import ANN, BOB, Api, request_id
from tests.support.documents import uuid

WHO = {"external_ref": "CRM-7781", "display_name": "Ann Lee", "email": "ann@example.com", "locale": "zh"}


def put(api: Api, account: str, **changes: object) -> int:
    return api.call("PUT", f"/v1/accounts/{account}/personal", body={**WHO, **changes}).status_code


def test_a_person_is_set_shown_and_found(api: Api) -> None:
    assert put(api, ANN) == 200
    shown = api.read(f"/v1/accounts/{ANN}/personal")
    assert {name: shown[name] for name in WHO} == WHO
    found = api.read("/v1/accounts?external_ref=CRM-7781")
    rows = found["accounts"]
    assert isinstance(rows, list)
    assert [row["account"] for row in rows] == [ANN]
    assert api.read("/v1/accounts?external_ref=CRM-0") == {"accounts": [], "next": None}


def test_who_may_know_nothing_of_people_cannot_try_their_references(api: Api) -> None:
    put(api, ANN)
    made = api.done("/v1/credentials", {"role": "viewer", "name": "desk"})
    headers = {"authorization": f"Bearer {made['token']}"}
    for reference in ("CRM-7781", "CRM-0"):
        refused = api.call("GET", f"/v1/accounts?external_ref={reference}", headers=headers, role=None)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert api.call("GET", "/v1/accounts", headers=headers, role=None).status_code == 200


def test_what_is_left_out_is_known_no_longer_and_the_first_day_stays(api: Api) -> None:
    put(api, ANN)
    before = api.read(f"/v1/accounts/{ANN}/personal")
    api.clock.advance(5)
    assert api.call("PUT", f"/v1/accounts/{ANN}/personal", body={}).status_code == 200
    after = api.read(f"/v1/accounts/{ANN}/personal")
    assert (after["external_ref"], after["email"], after["locale"]) == (None, None, "en")
    assert after["created_at"] == before["created_at"]
    assert str(after["updated_at"]) > str(before["updated_at"])


def test_a_reference_is_one_accounts_alone(api: Api) -> None:
    assert put(api, ANN) == 200
    response = api.call("PUT", f"/v1/accounts/{BOB}/personal", body=WHO)
    assert (response.status_code, response.json()["code"]) == (409, "reference_taken")
    assert put(api, BOB, external_ref="CRM-7782") == 200
    # The same again is no other account's.
    assert put(api, ANN) == 200


def test_two_of_one_commit_cannot_share_a_reference(api: Api) -> None:
    body = {"external_ref": "CRM-once"}
    requests = [
        api.client.request(
            "PUT",
            f"/v1/accounts/{account}/personal",
            json=body,
            headers={"authorization": f"Bearer {api.token()}"},
        )
        for account in (ANN, BOB)
    ]

    async def both() -> list[int]:
        return sorted(response.status_code for response in await asyncio.gather(*requests))

    assert api.runner.run(both()) == [200, 409]
    assert api.node.reader.account_of_reference("CRM-once") in {ANN, BOB}


def test_nobody_unknown_has_a_person(api: Api) -> None:
    nobody = f"member/{uuid('nobody')}"
    response = api.call("PUT", f"/v1/accounts/{nobody}/personal", body=WHO)
    assert (response.status_code, response.json()["code"]) == (404, "account_unknown")
    response = api.get(f"/v1/accounts/{nobody}/personal")
    assert (response.status_code, response.json()["code"]) == (404, "person_unknown")


def test_of_a_closed_account_nothing_more_is_kept(api: Api) -> None:
    carl = f"member/{uuid('carl')}"
    api.done("/v1/accounts", {"id": uuid("carl"), "kind": "member"})
    api.done(f"/v1/accounts/{carl}/close", {"id": request_id("close carl")})
    response = api.call("PUT", f"/v1/accounts/{carl}/personal", body=WHO)
    assert (response.status_code, response.json()["code"]) == (409, "account_closed")


def test_malformed_people_are_refused(api: Api) -> None:
    for change in ({"email": "no address"}, {"locale": "fr"}, {"display_name": "a\nb"}, {"external_ref": ""}):
        assert put(api, ANN, **change) == 422


def test_nothing_of_a_person_is_logged(api: Api) -> None:
    with capture_logs() as logged:
        put(api, ANN, external_ref="CRM-needle", display_name="Needle", email="needle@example.com")
        put(api, ANN, email="needle without a sign")
        api.get("/v1/accounts?external_ref=CRM-needle")
        api.get("/v1/accounts?external_ref=CRM-needle%0A")
    assert logged
    assert "eedle" not in str(logged)


def test_a_person_is_in_the_erasable_table_alone(api: Api) -> None:
    put(api, ANN, external_ref="CRM-needle", display_name="Needle", email="needle@example.com")
    holding = {name for name, rows in api.rows().items() if "eedle" in str(rows)}
    assert holding == {PERSONAL.name}
    assert METADATA.tables[PERSONAL.name].info["class"] is TableClass.OPERATIONAL
