"""Balances of another system over HTTP: nothing counts before all of a file is in, and nothing comes in twice."""

from node.services.members.importing import ROWS_MAX
from tests.support.api import ANN, BOB, Api, Json, request_id
from tests.support.documents import digest, uuid
from tests.unit.node.api.test_refusals import refused, unchanged

IMPORTS = "/v1/imports"
DAY = "2026-02-01"


def row(name: str, points: int, **changes: object) -> Json:
    known = {"account": f"member/{uuid(name)}", "points": points, "earned_on": "2025-12-24"}
    return {**known, **changes}


def announced(name: str, rows: int, points: int) -> Json:
    return {"sha256": digest(name), "rows": rows, "points": points, "occurred_on": DAY}


def begin(api: Api, name: str, rows: int, points: int) -> str:
    answer = api.done(IMPORTS, announced(name, rows, points))
    assert isinstance(answer["fields"], dict)
    return str(answer["fields"]["file"])


def take_reference(api: Api, reference: str) -> None:
    """Let another account have a reference."""
    api.done("/v1/accounts", {"id": uuid(f"holder of {reference}"), "kind": "member"})
    path = f"/v1/accounts/member/{uuid(f'holder of {reference}')}/personal"
    assert api.call("PUT", path, body={"external_ref": reference}).is_success


def state(api: Api, file: str) -> Json:
    return api.read(f"{IMPORTS}/{file}")


def test_a_file_comes_in_and_counts_once_it_is_finished(api: Api) -> None:
    rows = [row("iris", 700, expires_on="2026-12-31"), row("iris", 50, origin="bluebird.example/main"), row("jon", 0)]
    file = begin(api, "first", 3, 750)
    iris = f"member/{uuid('iris')}"
    first = api.done(f"{IMPORTS}/{file}/rows", {"first_row": 1, "rows": rows[:2]})
    assert (first["first_row"], first["last_row"]) == (1, 2)
    assert state(api, file)["rows_done"] == 2
    assert api.get(f"/v1/accounts/{iris}").json()["code"] == "account_importing"
    listed_rows = api.read("/v1/accounts?limit=256")["accounts"]
    assert isinstance(listed_rows, list)
    assert {each["account"]: each["status"] for each in listed_rows}[iris] == "importing"
    spend = {"id": request_id("early"), "type": "redeem", "account": iris, "amount": 1}
    refused(api, "/v1/transactions", spend, status=409, code="account_importing")
    refused(api, f"{IMPORTS}/{file}/finish", {}, status=409, code="import_mismatch")
    exceptions = api.read("/v1/exceptions")["exceptions"]
    assert isinstance(exceptions, list)
    assert "import_open" in [each["kind"] for each in exceptions]
    assert api.done(f"{IMPORTS}/{file}/rows", {"first_row": 1, "rows": rows[:2]}) == first
    api.done(f"{IMPORTS}/{file}/rows", {"first_row": 3, "rows": rows[2:]})
    finished = api.done(f"{IMPORTS}/{file}/finish", {})
    assert api.done(f"{IMPORTS}/{file}/finish", {}) == finished
    shown = api.read(f"/v1/accounts/{iris}")
    assert shown["posted"] == 750
    lots = shown["lots"]
    assert isinstance(lots, list)
    assert [(lot["origin"], lot["remaining"]) for lot in lots] == [("own", 700), ("bluebird.example/main", 50)]
    api.done("/v1/transactions", spend)
    listed = api.read(f"{IMPORTS}?sha256={digest('first')}")["imports"]
    assert listed == [state(api, file)]
    assert state(api, file)["state"] == "finished"
    assert begin(api, "first", 3, 750) == file


def test_the_file_is_named_by_a_digest_that_nobody_can_guess(api: Api) -> None:
    file = begin(api, "secret", 1, 1)
    assert file != digest("secret")
    refused(api, IMPORTS, announced("other", 1, 1), status=409, code="import_open")
    api.done(f"{IMPORTS}/{file}/rows", {"first_row": 1, "rows": [row("kim", 1)]})
    api.done(f"{IMPORTS}/{file}/finish", {})
    refused(api, IMPORTS, announced("secret", 2, 1), status=409, code="id_reused")


def test_an_external_reference_gets_an_account_and_is_kept_beside_the_ledger(api: Api) -> None:
    rows = [row("x", 5, account=None, external_ref="CRM-1"), row("x", 7, account=None, external_ref="CRM-1")]
    rows[1]["earned_on"] = "2025-12-25"
    rows = [{name: value for name, value in each.items() if value is not None} for each in rows]
    file = begin(api, "references", 2, 12)
    api.done(f"{IMPORTS}/{file}/rows", {"first_row": 1, "rows": rows})
    api.done(f"{IMPORTS}/{file}/finish", {})
    found = api.read("/v1/accounts?external_ref=CRM-1")["accounts"]
    assert isinstance(found, list)
    assert [each["posted"] for each in found] == [12]
    assert all(b"CRM-1" not in bytes(data) for _, _, data in api.rows()["entries"] if isinstance(data, bytes))


def test_rows_are_looked_at_and_nothing_is_written(api: Api) -> None:
    take_reference(api, "CRM-2")
    rows = [row("new", 1), row("x", 1, account=ANN), row("y", 1, account=BOB, external_ref="CRM-2")]
    body = {"sha256": digest("looked at"), "first_row": 10, "rows": rows}
    with unchanged(api):
        faults = api.done(f"{IMPORTS}/checks", body)["faults"]
    assert isinstance(faults, list)
    told = [(fault["row"], fault["column"], fault["code"]) for fault in faults]
    assert told == [
        (11, "account", "account_exists"),
        (12, "account", "account_exists"),
        (12, "external_ref", "reference_taken"),
    ]


def test_rows_that_stand_for_those_of_a_lost_file_must_be_what_came_in(api: Api) -> None:
    file = begin(api, "lost", 4, 10)
    rows = [row("ida", 1), row("x", 2, account=None, external_ref="CRM-7"), row("jil", 3), row("kai", 4)]
    del rows[1]["account"]
    api.done(f"{IMPORTS}/{file}/rows", {"first_row": 1, "rows": rows[:2]})
    swapped = [rows[1], rows[0], *rows[2:]]
    more = [row("ida", 2), {**rows[1], "external_ref": "CRM-8"}, row("jil", 30), rows[3]]
    with unchanged(api):
        assert api.done(f"{IMPORTS}/checks", {"file": file, "first_row": 1, "rows": rows})["faults"] == []
        for wrong in (swapped, more):
            faults = api.done(f"{IMPORTS}/checks", {"file": file, "first_row": 1, "rows": wrong})["faults"]
            assert isinstance(faults, list)
            assert [(fault["row"], fault["code"]) for fault in faults] == [(1, "id_reused"), (2, "id_reused")]
        # Without the import they belong to, they are another file's: its accounts are those of this one.
        faults = api.done(f"{IMPORTS}/checks", {"sha256": digest("else"), "first_row": 1, "rows": rows})["faults"]
        assert isinstance(faults, list)
        assert {(fault["row"], fault["code"]) for fault in faults} == {(1, "account_exists"), (2, "reference_taken")}
    api.done(f"{IMPORTS}/{file}/rows", {"first_row": 3, "rows": rows[2:]})
    api.done(f"{IMPORTS}/{file}/finish", {})


def test_rows_to_look_at_are_of_one_file(api: Api) -> None:
    body = {"first_row": 1, "rows": [row("a", 1)]}
    checks = f"{IMPORTS}/checks"
    refused(api, checks, body, status=422, code="request_invalid")
    both = {**body, "sha256": digest("one"), "file": digest("one")}
    refused(api, checks, both, status=422, code="request_invalid")
    refused(api, checks, {**body, "file": digest("one")}, status=404, code="import_unknown")


def test_rows_are_refused_together_and_the_first_wrong_one_is_named(api: Api) -> None:
    file = begin(api, "wrong", 2, 2)
    rows = [row("lea", 1), row("x", 1, account=ANN)]
    problem = refused(api, f"{IMPORTS}/{file}/rows", {"first_row": 1, "rows": rows}, status=409, code="account_exists")
    errors = problem["errors"]
    assert isinstance(errors, list)
    assert errors[0]["field"] == "rows.1"
    take_reference(api, "CRM-3")
    taken = [row("lea", 1, external_ref="CRM-3"), row("max", 1)]
    body = {"first_row": 1, "rows": taken}
    refused(api, f"{IMPORTS}/{file}/rows", body, status=409, code="reference_taken")
    api.done(f"{IMPORTS}/{file}/rows", {"first_row": 1, "rows": [row("lea", 1), row("max", 1)]})
    api.done(f"{IMPORTS}/{file}/finish", {})


def test_what_is_no_import_and_no_row_is_refused(api: Api) -> None:
    path = f"{IMPORTS}/{digest('nobody')}"
    assert api.get(path).status_code == 404
    refused(api, f"{path}/finish", {}, status=404, code="import_unknown")
    refused(api, f"{path}/rows", {"first_row": 1, "rows": [row("a", 1)]}, status=404, code="import_unknown")
    for wrong in ({"points": -1}, {"points": "1e3"}, {"account": None}, {"origin": "stolen"}, {"kind": "robot"}):
        body = {"first_row": 1, "rows": [{**row("a", 1), **wrong}]}
        refused(api, f"{path}/rows", body, status=422, code="request_invalid")
    many = {"first_row": 1, "rows": [row("a", 1)] * (ROWS_MAX + 1)}
    refused(api, f"{path}/rows", many, status=422, code="request_invalid")
