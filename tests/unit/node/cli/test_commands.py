"""Each command that talks to a node: what it sends, what it prints, and with what status it ends."""

import json
from pathlib import Path
from uuid import UUID

import pytest

from tests.support.node_stand_in import NodeStandIn, answer, be_away, refuse
from tests.unit.node.cli.conftest import Command

ID = "3f0e9a52-7d2c-4c8e-9d52-1f6a3f1f9b01"
OTHER = "7c1d2b7e-58a4-4b0e-8a3b-0a5f2b9d6c02"
MEMBER = f"member/{ID}"
WRITTEN = {"id": ID, "kind": "k", "seq": 7, "leaf": "ab" * 32, "time": "t", "occurred_on": "2026-03-01"}
STATE = {
    "id": ID,
    "state": "pending",
    "reason": None,
    "direction": "out",
    "partner": "bluebird.example/main.1",
    "account": MEMBER,
    "source_points": 1000,
    "destination_points": 600,
    "fee_points": 25,
    "value": 6_000_000,
    "currency": "USD",
    "since": "2026-03-01T00:00:00.000000Z",
    "concluded_at": None,
    "expires_on": None,
    "waiting_for": "waiting for bluebird.example",
}
COMPLETED = {**STATE, "state": "completed", "waiting_for": None}
RETURNED = {**STATE, "state": "returned", "reason": "expired", "waiting_for": None}


def test_account_open_prints_the_account_and_draws_an_id(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", "/v1/accounts", answer({**WRITTEN, "account": MEMBER}, status=201))
    done = tallystick("account", "open", "--kind", "employee")
    assert (done.status, done.out) == (0, f"{MEMBER}\n")
    assert node.body()["kind"] == "employee"
    assert UUID(str(node.body()["id"])).version == 4
    assert node.requests[-1].headers["authorization"] == "Bearer ts_backend_00000000_secret"


def test_a_given_id_is_sent(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", "/v1/accounts", answer({**WRITTEN, "account": MEMBER}, status=201))
    assert tallystick("account", "open", "--id", ID).status == 0
    assert node.body() == {"id": ID, "kind": "member"}


def test_json_is_the_answer_itself(tallystick: Command, node: NodeStandIn) -> None:
    body = {**WRITTEN, "account": MEMBER, "more": [1, 2]}
    node.on("POST", "/v1/accounts", answer(body, status=201))
    assert json.loads(tallystick("account", "open", "--json").out) == body


@pytest.mark.parametrize("name", [ID, MEMBER])
def test_account_show_tells_points_and_lots(tallystick: Command, node: NodeStandIn, name: str) -> None:
    lot = {"origin": "own", "earned_on": "2026-01-01", "expires_on": None, "remaining": 1234}
    state = {"account": MEMBER, "status": "open", "posted": 1234567, "held": 0, "available": 1234567}
    more = {"lots": [lot], "next_expiry": {"date": "2026-05-01", "amount": 1000}, "open_conversions": 0}
    node.on("GET", f"/v1/accounts/{MEMBER}", answer({**state, **more}))
    done = tallystick("account", "show", name)
    assert done.status == 0
    assert "1,234,567" in done.out
    assert "1,000 on 2026-05-01" in done.out
    assert "own" in done.out


def test_account_balance_tells_what_was_posted_at_a_moment(tallystick: Command, node: NodeStandIn) -> None:
    time = "2026-01-31T23:10:00.000000Z"
    body = {"account": MEMBER, "seq": 17, "time": time, "posted": 1234567}
    node.on("GET", f"/v1/accounts/{MEMBER}/balance", answer(body))
    done = tallystick("account", "balance", MEMBER, "--on", "2026-01-31")
    assert done.status == 0
    assert "1,234,567" in done.out
    assert f"17, {time}" in done.out
    assert str(node.requests[-1].url).endswith("/balance?on=2026-01-31")
    assert json.loads(tallystick("account", "balance", MEMBER, "--seq", "17", "--json").out) == body
    assert str(node.requests[-1].url).endswith("/balance?seq=17")


def test_account_list_and_history_are_tables(tallystick: Command, node: NodeStandIn) -> None:
    row = {"account": MEMBER, "status": "open", "posted": 10, "held": 2, "available": 8}
    node.on("GET", "/v1/accounts", answer({"accounts": [row], "next": None}))
    assert MEMBER in tallystick("account", "list").out
    entries = [
        {**WRITTEN, "kind": "points_issued", "postings": [["issuance", "AUR", -5], [MEMBER, "AUR", 5]]},
        {**WRITTEN, "kind": "account_opened"},
    ]
    node.on("GET", f"/v1/accounts/{MEMBER}/history", answer({"entries": entries, "next": None}))
    lines = tallystick("account", "history", MEMBER).out.splitlines()
    assert lines[1].split() == ["7", "2026-03-01", "points_issued", "5", ID]
    assert lines[2].split() == ["7", "2026-03-01", "account_opened", "–", ID]


def test_account_close(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", f"/v1/accounts/{MEMBER}/close", answer(WRITTEN, status=201))
    done = tallystick("account", "close", MEMBER, "--id", OTHER)
    assert (done.status, node.body()) == (0, {"id": OTHER})
    assert done.out == f"{MEMBER} is closed (entry 7, id {ID})\n"


def test_points_issue_redeem_transfer(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", "/v1/transactions", answer(WRITTEN, status=201))
    common = {"id": OTHER, "account": MEMBER, "amount": 5}
    tallystick("points", "issue", ID, "5", "--expires-on", "2027-01-01", "--id", OTHER)
    assert node.body() == {**common, "type": "issue", "expires_on": "2027-01-01"}
    tallystick("points", "redeem", ID, "5", "--occurred-on", "2026-01-01", "--id", OTHER)
    assert node.body() == {**common, "type": "redeem", "occurred_on": "2026-01-01"}
    done = tallystick("points", "transfer", ID, OTHER, "5", "--id", OTHER)
    assert node.body() == {**common, "type": "transfer", "to": f"member/{OTHER}"}
    assert done.out.startswith("transferred 5 from ")


def test_hold_place_capture_release_show(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", "/v1/holds", answer(WRITTEN, status=201))
    node.on("POST", f"/v1/holds/{ID}/capture", answer(WRITTEN, status=201))
    node.on("POST", f"/v1/holds/{ID}/release", answer(WRITTEN, status=201))
    assert tallystick("hold", "place", ID, "5", "--id", OTHER).status == 0
    assert node.body() == {"id": OTHER, "account": MEMBER, "amount": 5}
    assert tallystick("hold", "capture", ID, "--amount", "3", "--keep", "--id", OTHER).status == 0
    assert node.body() == {"id": OTHER, "amount": 3, "final": False}
    assert tallystick("hold", "release", ID, "--id", OTHER).status == 0
    state = {"id": ID, "account": MEMBER, "amount": 5, "remaining": 2, "expires_at": None, "state": "open"}
    node.on("GET", f"/v1/holds/{ID}", answer({**state, "conversion": False}))
    assert "remaining:" in tallystick("hold", "show", ID).out


def test_link_issue_writes_the_document_and_accept_sends_it(
    tallystick: Command, node: NodeStandIn, tmp_path: Path
) -> None:
    document = {"signature": "s", "link": {"alias": "ab", "v": 1}}
    node.on("POST", "/v1/links", answer({**WRITTEN, "document": document}, status=201))
    node.on("POST", "/v1/links/accept", answer(WRITTEN, status=201))
    path = tmp_path / "link.json"
    assert tallystick("link", "issue", ID, "bluebird.example", "--out", str(path), "--id", OTHER).status == 0
    assert node.body() == {"id": OTHER, "account": MEMBER, "partner": "bluebird.example/main.1"}
    # Signed papers are kept in their canonical form.
    assert path.read_bytes() == b'{"link":{"alias":"ab","v":1},"signature":"s"}'
    assert tallystick("link", "accept", ID, str(path), "--id", OTHER).status == 0
    assert node.body() == {"id": OTHER, "account": MEMBER, "document": document}
    link = {"direction": "issued", "partner": "bluebird.example/main.1", "alias": "ab" * 16}
    node.on("GET", "/v1/links", answer({"links": [link]}))
    assert "ab" * 16 in tallystick("link", "list", ID).out


def test_quote_says_what_is_used_and_what_stays(tallystick: Command, node: NodeStandIn) -> None:
    offer = {"partner": "cedar.example/main.1", "steps": 2, "used": 1000, "stays": 40, "fee": 0, "gives": 800}
    more = {"value": 6_000_000, "currency": "USD", "expires_days": 730, "valid_until": "2026-03-01T00:10:00.000000Z"}
    node.on("POST", "/v1/quotes", answer({**offer, **more}))
    done = tallystick("quote", ID, "cedar.example", "1040")
    assert node.body() == {"account": MEMBER, "partner": "cedar.example/main.1", "amount": 1040}
    assert "6.00 USD" in done.out
    assert "730 days after" in done.out


def test_convert_orders_and_says_that_it_is_pending(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", "/v1/conversions", answer(WRITTEN, status=201))
    done = tallystick("convert", ID, "bluebird.example", "1500", "--accept-within", "60", "--id", OTHER)
    assert done.status == 0
    assert "on hold until the partner decides" in done.out
    assert node.body() == {
        "id": OTHER,
        "account": MEMBER,
        "partner": "bluebird.example/main.1",
        "amount": 1500,
        "accept_within_seconds": 60,
    }


@pytest.mark.parametrize(
    ("state", "status", "words"),
    [
        (COMPLETED, 0, "completed: 1,025 points gave 600 at bluebird.example/main.1"),
        (RETURNED, 1, "returned (expired): 1,025 points are the member's again"),
        (STATE, 3, "pending: 1,025 points; waiting for bluebird.example"),
    ],
)
def test_convert_and_wait_ends_as_the_conversion_does(
    tallystick: Command, node: NodeStandIn, *, state: dict[str, object], status: int, words: str
) -> None:
    node.on("POST", "/v1/conversions", answer(WRITTEN, status=201))
    node.on("GET", f"/v1/conversions/{ID}", answer(state))
    done = tallystick("convert", ID, "bluebird.example", "1500", "--wait")
    assert (done.status, done.err) == (status, "")
    assert words in done.out


def test_conversion_show_list_cancel(tallystick: Command, node: NodeStandIn) -> None:
    node.on("GET", f"/v1/conversions/{ID}", answer(COMPLETED))
    assert "completed" in tallystick("conversion", "show", ID).out
    node.on("GET", "/v1/conversions", answer({"conversions": [RETURNED], "next": None}))
    assert "expired" in tallystick("conversion", "list", "--state", "returned").out
    assert node.requests[-1].url.params["state"] == "returned"
    node.on("POST", f"/v1/conversions/{ID}/cancel", answer(STATE, status=202))
    assert "pending" in tallystick("conversion", "cancel", ID).out


def test_partner_invite_accept_list(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    invitation, reply = tmp_path / "invitation.json", tmp_path / "reply.json"
    node.on("POST", "/v1/partners/invitations", answer({"signature": "s", "introduction": {}}, status=201))
    assert tallystick("partner", "invite", "--out", str(invitation)).status == 0
    assert node.body() == {}
    written = {**WRITTEN, "ledger": "bluebird.example/main.1", "fingerprint": "ABCD-EFGH", "reply": {"b": 1, "a": 2}}
    node.on("POST", "/v1/partners", answer(written, status=201))
    done = tallystick("partner", "accept", str(invitation), "--fingerprint", "ABCD-EFGH", "--reply", str(reply))
    assert node.body() == {"invitation": {"signature": "s", "introduction": {}}, "fingerprint": "ABCD-EFGH"}
    assert "bluebird.example/main.1 is a partner (entry 7)" in done.out
    assert reply.read_bytes() == b'{"a":2,"b":1}'
    assert "cedar.example/main.1" in tallystick("partner", "list").out


def test_a_refusal_is_one_line_with_code_and_advice(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", "/v1/transactions", refuse(422, "insufficient_points", "it has 5 of 10"))
    done = tallystick("points", "redeem", ID, "10")
    assert (done.status, done.out) == (1, "")
    assert done.err == (
        "tallystick: insufficient_points: it has 5 of 10 -- see what is available: tallystick account show\n"
    )


def test_a_refusal_in_json_is_the_problem(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", "/v1/transactions", refuse(422, "insufficient_points", "it has 5 of 10"))
    done = tallystick("points", "redeem", ID, "10", "--json")
    assert json.loads(done.err)["code"] == "insufficient_points"
    assert done.err.count("\n") == 1


def test_a_node_that_is_away_is_status_3_and_names_the_id(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", "/v1/transactions", be_away)
    done = tallystick("points", "redeem", ID, "10", "--id", OTHER)
    assert done.status == 3
    assert done.err.startswith("tallystick: node_unreachable: http://node.example cannot be reached")
    assert f"--id {OTHER}" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "line",
    [
        ["points", "issue", "nobody", "5"],
        ["points", "issue", ID, "five"],
        ["points", "issue", ID],
        ["account", "open", "--kind", "pet"],
        ["account", "open", "--id", "1"],
        ["convert", ID, "bluebird.example", "5", "--accept-within", "0"],
        ["audit", NODE_URL := "http://node.example", "--vkey", "nonsense"],
        ["audit", NODE_URL, "--token-file", "a", "--token-file", "b"],
        ["export"],
        ["frobnicate"],
    ],
)
def test_what_cannot_be_understood_is_status_2(tallystick: Command, node: NodeStandIn, line: list[str]) -> None:
    done = tallystick(*line)
    assert (done.status, done.out) == (2, "")
    assert "Traceback" not in done.err
    assert node.requests == []


@pytest.mark.parametrize("amount", ["1,000", "1.5", "1_000", "٣", "ten"])
def test_what_is_no_amount_is_told_how_one_is_written(tallystick: Command, node: NodeStandIn, amount: str) -> None:
    done = tallystick("points", "issue", ID, amount)
    assert (done.status, node.requests) == (2, [])
    assert f"'{amount}' is no whole number: give digits alone, as 1000" in done.err


@pytest.mark.parametrize("word", ["Good will", "good-will", "goodwill2", "", "x" * 65])
@pytest.mark.parametrize("line", [["account", "freeze", ID], ["appeal", "open", ID], ["partner", "suspend", "b"]])
def test_what_is_no_reason_is_told_how_one_is_written(
    tallystick: Command, node: NodeStandIn, line: list[str], word: str
) -> None:
    done = tallystick(*line, "--reason", word)
    assert (done.status, node.requests) == (2, [])
    assert f"'{word}' is no word of a to z and _, as service_outage" in done.err


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8420", "node.example", "ftp://node.example", "http://", "http://[", "http://a:x"]
)
def test_what_is_no_url_of_a_node_is_told_how_one_looks(tallystick: Command, node: NodeStandIn, url: str) -> None:
    done = tallystick("account", "list", "--node", url)
    assert (done.status, node.requests) == (2, [])
    assert f"'{url}' is no URL like http://127.0.0.1:8420" in done.err


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_document_that_is_none_is_one_line(tallystick: Command, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "link.json"
    path.write_bytes(content)
    done = tallystick("link", "accept", ID, str(path))
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert done.err.startswith("tallystick: encoding_invalid: ")


def test_a_file_that_is_not_there_could_not_be_checked(tallystick: Command, tmp_path: Path) -> None:
    for command in (["link", "accept", ID], ["verify"], ["audit"]):
        done = tallystick(*command, str(tmp_path / "missing"))
        assert done.status == 3
        assert "Traceback" not in done.err


def test_help_ends_well(tallystick: Command) -> None:
    done = tallystick("--help")
    assert done.status == 0
    assert "convert" in done.out
