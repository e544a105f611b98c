"""Exchange files over the API: made, taken in, refused."""

import json
from collections.abc import Iterator

import msgspec
import pytest

from node.api.exchange import FILE_TYPE
from node.services.access.credentials import CallerRole
from protocol.documents import sign_invitation
from protocol.exchange_file import FILE_BYTES_MAX, FileHeader, decode_exchange_file, encode_exchange_file
from protocol.keys import Role
from tests.support.api import Api, Json, agree, api_of, meet, terms_with
from tests.support.documents import AURORA, BLUEBIRD, COPPER, NETWORK, NOW, hello, introduction
from tests.support.parcels import parcel_bytes

EXPORTS, IMPORTS = "/v1/exchange/exports", "/v1/exchange/imports"
HEADER = FileHeader(network=NETWORK, sender=BLUEBIRD.ledger, receiver=AURORA.ledger, number=3, created_at=NOW, epoch=1)
GREETING = encode_exchange_file(HEADER, [parcel_bytes([hello(BLUEBIRD, AURORA)], sender=BLUEBIRD, receiver=AURORA)])


@pytest.fixture
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with api_of(tmp_path_factory.mktemp("node") / "aurora") as opened:
        meet(opened)
        yield opened


def take(api: Api, data: bytes) -> tuple[int, Json]:
    answer = api.call("POST", IMPORTS, content=data, headers={"content-type": FILE_TYPE})
    return answer.status_code, answer.json()


def test_an_export_is_a_file_with_a_name(api: Api) -> None:
    answer = api.post(EXPORTS, {"partner": BLUEBIRD.ledger})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == FILE_TYPE
    assert "aurora.example-main.1_bluebird.example-main.1_000001.tallystick" in answer.headers["content-disposition"]
    file = decode_exchange_file(answer.content)
    assert (file.header.sender, file.header.receiver, file.header.number) == (AURORA.ledger, BLUEBIRD.ledger, 1)
    assert (file.trailer.parcels, file.trailer.bodies) == (1, 1)


def test_an_import_tells_what_it_did_and_what_is_next(api: Api) -> None:
    counts = {"parcels": 1, "bodies": 1, "waiting": 0}
    who = {"sender": BLUEBIRD.ledger, "number": 3, "expected": 4}
    assert take(api, GREETING) == (200, {**who, **counts, "outcome": "applied", "applied": 1, "next": "export"})
    assert take(api, GREETING) == (200, {**who, **counts, "outcome": "repeated", "applied": 0, "next": "nothing"})


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 422, "exchange_file_invalid"),
        (GREETING[:-10], 422, "exchange_file_incomplete"),
        (GREETING.replace(b'"number":3', b'"number":4'), 422, "exchange_file_damaged"),
    ],
)
def test_what_does_not_hold_is_refused(api: Api, data: bytes, status: int, code: str) -> None:
    before = api.rows()
    answered, problem = take(api, data)
    assert (answered, problem["code"]) == (status, code)
    assert api.rows() == before


def test_a_file_is_read_however_long_it_may_be(api: Api) -> None:
    # A long one has a digit more than any other body.
    assert take(api, b" " * 10_000_000)[1]["code"] == "exchange_file_invalid"
    for length in (str(FILE_BYTES_MAX + 1), "9" * 5_000):
        headers = {"content-type": FILE_TYPE, "content-length": length}
        answer = api.call("POST", IMPORTS, content=b" ", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


def test_files_of_and_for_others_are_refused(api: Api) -> None:
    ours = api.post(EXPORTS, {"partner": BLUEBIRD.ledger}).content
    assert take(api, ours)[1]["code"] == "exchange_file_misaddressed"
    stranger = encode_exchange_file(
        msgspec.structs.replace(HEADER, sender=COPPER.ledger),
        [parcel_bytes([hello(COPPER, AURORA)], sender=COPPER, receiver=AURORA)],
    )
    status, problem = take(api, stranger)
    assert (status, problem["code"]) == (404, "partner_unknown")
    answer = api.post(EXPORTS, {"partner": COPPER.ledger})
    assert (answer.status_code, answer.json()["code"]) == (404, "partner_unknown")


def test_only_operators_exchange_files(api: Api) -> None:
    for role in (CallerRole.BACKEND, CallerRole.AUDITOR):
        assert api.post(EXPORTS, {"partner": BLUEBIRD.ledger}, role=role).status_code == 403


def test_a_partner_that_listens_nowhere_is_known_and_sent_nothing(api: Api) -> None:
    quiet = msgspec.structs.replace(introduction(BLUEBIRD), url=None)
    invitation = json.loads(sign_invitation(quiet, key=BLUEBIRD.signing_keys[Role.APPROVAL]))
    api.done("/v1/partners", {"invitation": invitation})
    agree(api, **{**terms_with(), "transport": {"kind": "files", "cycle_seconds": 86_400}})
    partners = api.read("/v1/partners")["partners"]
    assert isinstance(partners, list)
    assert [each["url"] for each in partners] == [None]
    assert api.node.agreements.papers() == []
    assert api.node.exchange.due(api.clock.monotonic()) == []
