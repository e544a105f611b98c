"""What anybody may read without a credential: no entry's content, no account and no amount is in any of it."""

import json
from collections.abc import Iterator

import pytest

from node.api.app import routes_of
from node.api.auth import Requires
from protocol.tiles import TileId, format_path, tiles_of
from tests.support.api import ANN, BOB, Api, request_id
from tests.support.documents import AURORA, BLUEBIRD, uuid

AMOUNT = 7_654_321
NOTE = "a birthday present for Ann Example"
CHARACTERS_MIN = 10
"""Shorter texts of entries (kinds of entries, dates, codes of points) are words that anything may contain."""

WORDS = frozenset("abcdefghijklmnopqrstuvwxyz_0")
"""Names of fields and kinds, and a digest of nothing, consist of these alone."""

NUMBER_MIN = 100_000
UNTOLD = {"/livez", "/readyz", "/ledger.json", "/checkpoint"}
TOLD = {
    "/tile/{level}/{place:path}",
    "/past/{generation}/checkpoint",
    "/past/{generation}/ledger.json",
    "/past/{generation}/tile/{level}/{place:path}",
    "/witness/v1/{origin}/checkpoint",
}


@pytest.fixture
def busy(api: Api) -> Api:
    """Return a node that has done everything with members and a partner."""
    items = [
        {
            "id": request_id(f"leak {n}"),
            "type": "issue",
            "account": ANN,
            "amount": AMOUNT + n,
            "metadata": {"note": NOTE},
        }
        for n in range(300)
    ]
    api.done("/v1/transactions/batch", {"atomic": True, "items": items})
    transfer = {"id": request_id("leak"), "type": "transfer", "source": ANN, "destination": BOB, "amount": AMOUNT}
    api.post("/v1/transactions", transfer)
    api.post("/v1/conversions", {"id": uuid("leak"), "account": ANN, "partner": BLUEBIRD.ledger, "amount": 4_000})
    api.clock.advance(2)
    return api


def public_places(size: int) -> Iterator[str]:
    """Yield every path that answers without a credential: of tiles all, full and partial.

    The OpenAPI document is not among them: it is the same for every node.
    """
    yield from (*sorted(UNTOLD), "/past/1/checkpoint", "/past/1/ledger.json", "/past/1/tile/0/000")
    yield from (
        f"/witness/v1/{'0' * 64}/checkpoint",
        "/v1/accounts",
        f"/v1/accounts/{ANN}",
        "/v1/entries/1",
        "/nothing",
    )
    for tile in tiles_of(size):
        yield f"/{format_path(tile)}"
        yield f"/{format_path(TileId(level=tile.level, index=tile.index, width=1))}"
        yield f"/tile/entries/{format_path(tile).split('/', 2)[2]}"


def told_in(document: object) -> Iterator[str]:
    """Yield each text and number of an entry that would tell a stranger something."""
    if isinstance(document, dict):
        for each in document.values():
            yield from told_in(each)
    elif isinstance(document, list):
        for each in document:
            yield from told_in(each)
    elif isinstance(document, str) and len(document) >= CHARACTERS_MIN and set(document) - WORDS:
        yield document
    elif isinstance(document, int) and document >= NUMBER_MIN:
        yield str(document)


def test_all_routes_without_a_credential_are_looked_at() -> None:
    open_to_all = {
        route.path
        for route in routes_of()
        if "GET" in (route.methods or ())
        and not any(isinstance(each.dependency, Requires) for each in route.dependencies)
    }
    assert open_to_all == UNTOLD | TOLD


def test_nothing_of_an_entry_is_public(busy: Api) -> None:
    newest = busy.node.reader.latest_checkpoint()
    assert newest is not None
    entries = busy.node.reader.entries_from(0, newest.size)
    secrets = {text for entry in entries for text in told_in(json.loads(entry))} | {NOTE}
    secrets.remove(AURORA.ledger)
    assert {ANN, str(AMOUNT), str(AMOUNT + 299)} <= secrets
    answers = [busy.call("GET", path, role=None) for path in public_places(newest.size)]
    assert sum(answer.is_success for answer in answers) > len(UNTOLD) + 4
    everything = b"\n".join(part for answer in answers for part in (answer.content, str(dict(answer.headers)).encode()))
    assert [text for text in sorted(secrets) if text.encode() in everything] == []
    assert not any(entry in everything for entry in entries)


def test_partial_tiles_of_every_published_size_stay(api: Api) -> None:
    kept: dict[str, bytes] = {}
    size = 0
    for number in (1, 2, 120, 140):
        items = [
            {"id": request_id(f"{number} {n}"), "type": "issue", "account": ANN, "amount": 1} for n in range(number)
        ]
        api.done("/v1/transactions/batch", {"atomic": True, "items": items})
        api.clock.advance(2)
        size = int(api.call("GET", "/checkpoint", role=None).text.split("\n")[1])
        kept |= {path: api.call("GET", path, role=None).content for path in map(path_of, tiles_of(size))}
    assert size > 256
    assert sum(".p/" in path for path in kept) > 4
    for path, content in kept.items():
        assert content
        assert api.call("GET", path, role=None).content == content


def path_of(tile: TileId) -> str:
    return f"/{format_path(tile)}"


def test_what_a_reader_has_already_is_not_sent_again(api: Api) -> None:
    api.clock.advance(2)
    for path in ("/checkpoint", "/tile/0/000.p/3", "/tile/entries/000.p/3"):
        found = api.get(path)
        tag = found.headers["etag"]
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = api.call("GET", path, headers={"if-none-match": known})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == tag
            assert again.headers["cache-control"] == found.headers["cache-control"]
        assert api.call("GET", path, headers={"if-none-match": '"other"'}).content == found.content
    before = api.call("GET", "/checkpoint", role=None).headers["etag"]
    api.done("/v1/transactions", {"id": request_id("more"), "type": "issue", "account": ANN, "amount": 1})
    api.clock.advance(2)
    assert api.call("GET", "/checkpoint", headers={"if-none-match": before}, role=None).status_code == 200


def test_caches_may_keep_hashes_for_ever_and_a_refusal_never(api: Api) -> None:
    api.clock.advance(2)
    kept = {path: api.get(path).headers["cache-control"] for path in ("/checkpoint", "/tile/0/000.p/3", "/ledger.json")}
    assert kept == {
        "/checkpoint": "public, no-cache",
        "/tile/0/000.p/3": "public, max-age=31536000, immutable",
        "/ledger.json": "no-cache",
    }
    assert api.get("/tile/entries/000.p/3").headers["cache-control"] == "private, max-age=31536000, immutable"
    # What is beyond the end today is there tomorrow.
    assert api.get("/tile/0/x001/000").headers["cache-control"] == "no-store"
