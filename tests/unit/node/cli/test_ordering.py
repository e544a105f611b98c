"""Orders out of a file: how it is read, in what parts it is sent, and what is said of it."""

import json
from pathlib import Path

import pytest

from node.cli.order_file import OrderFileInvalid, read_orders
from tests.support.documents import uuid
from tests.support.node_stand_in import NodeStandIn, answer
from tests.unit.node.cli.conftest import Command

ID, OTHER = uuid("first order"), uuid("second order")
WRITTEN = {"id": ID, "kind": "conversion_held", "seq": 7, "leaf": "ab" * 32, "time": "t", "occurred_on": "2026-03-01"}
PROBLEM = {"type": "t", "title": "t", "status": 422, "code": "less_than_a_step", "detail": "one step is 400"}
HEADER = "id,account,partner,amount,accept_within_seconds\n"


def write(tmp_path: Path, text: str, name: str = "orders.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_ordered_and_told_of(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    file = write(tmp_path, f"{HEADER}{ID},{ID},bluebird.example,900,60\n{OTHER},member/{ID},bluebird.example,9,\n")
    results = [{"status": 201, "answer": WRITTEN}, {"status": 422, "problem": PROBLEM}]
    node.on("POST", "/v1/conversions/batch", answer({"results": results}))
    done = tallystick("conversion", "order", str(file))
    assert done.status == 1
    assert "1 ordered, 0 under review, 1 refused" in done.out
    assert "less_than_a_step" in done.out
    made = {"account": f"member/{ID}", "partner": "bluebird.example/main.1"}
    first = {**made, "id": ID, "amount": 900, "accept_within_seconds": 60}
    assert node.body() == {"atomic": False, "items": [first, {**made, "id": OTHER, "amount": 9}]}


def test_json_orders_and_a_json_answer(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    orders = [{"id": ID, "account": ID, "partner": "bluebird.example", "amount": 900, "client": {"device": "d"}}]
    file = write(tmp_path, json.dumps(orders), "orders.json")
    node.on("POST", "/v1/conversions/batch", answer({"results": [{"status": 202, "answer": WRITTEN}]}))
    done = tallystick("conversion", "order", str(file), "--atomic", "--json")
    assert done.status == 0
    assert json.loads(done.out)["results"][0]["status"] == 202
    assert node.body()["atomic"] is True


def test_many_orders_go_in_several_requests(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    rows = "".join(f"{uuid(f'order {number}')},{ID},bluebird.example,900,\n" for number in range(1_001))
    file = write(tmp_path, HEADER + rows)
    full, rest = [{"results": [{"status": 201, "answer": WRITTEN}] * count} for count in (1_000, 1)]
    node.on("POST", "/v1/conversions/batch", answer(full), answer(rest))
    assert "1,001 ordered" in tallystick("conversion", "order", str(file)).out
    asked = [request for request in node.requests if request.url.path.endswith("/batch")]
    assert [len(json.loads(each.content)["items"]) for each in asked] == [1_000, 1]
    assert tallystick("conversion", "order", str(file), "--atomic").status == 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "header"),
        (HEADER, "0 orders"),
        ("id,account,partner\n", "header"),
        ("id,account,partner,amount,colour\n", "header"),
        (f"{HEADER}{ID},{ID},bluebird.example,9.5,\n", "amount"),
        (f"{HEADER}{ID},{ID},bluebird.example,1E3,\n", "amount"),
        (f"{HEADER}{ID},{ID},bluebird.example\n", "fields"),
        (f"{HEADER}{ID},{ID},bluebird.example,9,,,\n", "fields"),
        (f"{HEADER},{ID},bluebird.example,9,\n", "id is missing"),
        (f"{HEADER}no,{ID},bluebird.example,9,\n", "order 1"),
        (f"{HEADER}{ID},someone,bluebird.example,9,\n", "order 1"),
        (f"{HEADER}{ID},{ID},bluebird.example,9,\n{ID},{ID},bluebird.example,8,\n", "order 2"),
        (f'{HEADER}"{ID},{ID},bluebird.example,9,\n', "unexpected end"),
    ],
)
def test_a_file_that_is_wrong_orders_nothing(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(OrderFileInvalid, match=reason):
        read_orders(write(tmp_path, text))


@pytest.mark.parametrize("text", ["{", "{}", "[1]", "[]", "[" * 100_000, f'[{{"id": "{ID}"}}]'])
def test_json_that_is_wrong_orders_nothing(tmp_path: Path, text: str) -> None:
    with pytest.raises(OrderFileInvalid):
        read_orders(write(tmp_path, text, "orders.json"))


def test_json_with_a_field_that_no_order_has_is_refused(tmp_path: Path) -> None:
    order = {"id": ID, "account": ID, "partner": "bluebird.example", "amount": 9, "colour": "red"}
    with pytest.raises(OrderFileInvalid, match="colour"):
        read_orders(write(tmp_path, json.dumps([order]), "orders.json"))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(OrderFileInvalid):
        read_orders(tmp_path / "none.csv")
