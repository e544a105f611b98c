"""What is at stake with a partner, as its operator sees it: what is open each way, beside the cap."""

from pathlib import Path

from tests.support.api import ANN, Api, Json, agree, api_of, meet, request_id, terms_with
from tests.support.documents import BLUEBIRD

CAP = 20_000_000


def exposure(api: Api) -> list[Json]:
    partners = api.read("/v1/partners")["partners"]
    assert isinstance(partners, list)
    (found,) = (each["exposure"] for each in partners if each["ledger"] == BLUEBIRD.ledger)
    assert isinstance(found, list)
    return found


def order(api: Api, name: str, amount: int) -> Json:
    body = {"id": request_id(name), "account": ANN, "partner": BLUEBIRD.ledger, "amount": amount}
    answer: Json = api.post("/v1/conversions", body).json()
    return answer


def capped() -> Json:
    terms = terms_with()
    directions = terms["directions"]
    assert isinstance(directions, list)
    return {**terms, "directions": [{**directions[0], "cap": CAP}, directions[1]]}


def test_nothing_is_at_stake_without_an_agreement(tmp_path: Path) -> None:
    with api_of(tmp_path / "node") as api:
        meet(api)
        assert exposure(api) == []


def test_what_is_ordered_is_open_until_the_cap_is_reached(api: Api) -> None:
    assert [each["cap"] for each in exposure(api)] == [None, None]
    agree(api, **capped())
    before = {"direction": "in", "currency": "USD", "open": "0", "cap": None, "undecided": 0}
    value = order(api, "one", 1_200)["value"]
    there = {"direction": "out", "currency": "USD", "open": str(value), "cap": CAP, "undecided": 1}
    assert exposure(api) == [there, before]
    assert order(api, "too much", 4_000)["code"] == "cap_reached"
    assert exposure(api) == [there, before]
