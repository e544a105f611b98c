"""The log as outsiders read it, checked with the keys that the node publishes."""

import json

import pytest

from protocol.audit.pages import decode_ledger_file, decode_messages_page
from protocol.checkpoint import Checkpoint, open_checkpoint
from protocol.merkle import Hash, leaf_hash, root_of
from protocol.note import parse_vkey
from protocol.proof import open_receipt
from protocol.tiles import BundleId, TileId, decode_bundle, decode_tile, format_path, tiles_of
from tests.support.api import ANN, Api, request_id
from tests.support.documents import AURORA


def published(api: Api) -> Checkpoint:
    verifier = parse_vkey(decode_ledger_file(api.get("/ledger.json").content).vkey)
    return open_checkpoint(api.call("GET", "/checkpoint", role=None).content, [verifier])


def earn(api: Api, name: str) -> int:
    body = {"id": request_id(name), "type": "issue", "account": ANN, "amount": 1}
    seq = api.done("/v1/transactions", body)["seq"]
    assert isinstance(seq, int)
    return seq


def test_the_ledger_names_itself_and_its_key(api: Api) -> None:
    assert api.call("GET", "/ledger.json", role=None).json() == {"ledger": AURORA.ledger, "vkey": api.created.vkey}


def test_a_checkpoint_is_published_at_most_once_a_second(api: Api) -> None:
    api.clock.advance(2)
    before = published(api)
    seq = earn(api, "a second")
    assert published(api) == before
    api.clock.advance(1)
    assert published(api).size == seq + 1


def test_tiles_lead_to_the_published_root(api: Api) -> None:
    items = [{"id": request_id(f"many {n}"), "type": "issue", "account": ANN, "amount": 1} for n in range(600)]
    api.done("/v1/transactions/batch", {"atomic": True, "items": items})
    api.clock.advance(2)
    checkpoint = published(api)
    leaves: list[Hash] = []
    for tile in tiles_of(checkpoint.size):
        data = api.call("GET", f"/{format_path(tile)}", role=None)
        assert data.headers["cache-control"].endswith("immutable")
        hashes = decode_tile(data.content, width=tile.width)
        if tile.level == 0:
            leaves += hashes
            entries = decode_bundle(api.get(f"/{format_path(BundleId(index=tile.index, width=tile.width))}").content,
                                    width=tile.width)  # fmt: skip
            assert [leaf_hash(entry) for entry in entries] == list(hashes)
    assert root_of(leaves) == checkpoint.root
    assert len(leaves) == checkpoint.size > 600


def test_a_tile_serves_each_of_its_prefixes_and_no_more(api: Api) -> None:
    earn(api, "prefix")
    api.clock.advance(2)
    size = min(published(api).size, 255)
    widest = api.get(f"/{format_path(TileId(level=0, index=0, width=size))}").content
    for width in {1, 2, size - 1}:
        assert api.get(f"/{format_path(TileId(level=0, index=0, width=width))}").content == widest[: 32 * width]
    index, width = divmod(published(api).size, 256)
    for place in (
        TileId(level=0, index=index, width=width + 1),
        TileId(level=0, index=index + 1),
        TileId(level=5, index=0),
    ):
        assert api.get(f"/{format_path(place)}").status_code == 404


def test_what_is_not_published_is_not_served(api: Api) -> None:
    api.clock.advance(2)
    before = published(api).size
    earn(api, "unpublished")
    index, width = divmod(before, 256)
    assert api.get(f"/{format_path(TileId(level=0, index=index, width=width + 1))}").status_code == 404
    assert api.get(f"/{format_path(BundleId(index=index, width=width + 1))}").status_code == 404


@pytest.mark.parametrize(
    "path", ["/tile/0/000.p/0", "/tile/0/000.p/256", "/tile/0/0", "/tile/0/x000/000", "/tile/00/000"]
)
def test_a_tile_has_one_path(api: Api, path: str) -> None:
    assert api.get(path).status_code in {404, 422}


def test_a_receipt_verifies_offline_at_once_and_later(api: Api) -> None:
    seq = earn(api, "receipt")
    verifier = parse_vkey(api.created.vkey)
    at_once = open_receipt(api.get(f"/v1/entries/{seq}/receipt").content, [verifier])
    assert at_once.index == seq
    entry = api.read(f"/v1/entries/{seq}")["entry"]
    assert json.loads(at_once.entry) == entry
    api.clock.advance(2)
    earn(api, "after the receipt")
    later = open_receipt(api.get(f"/v1/entries/{seq}/receipt").content, [verifier])
    assert later.entry == at_once.entry
    assert open_receipt(api.get("/v1/entries/0/receipt").content, [verifier]).index == 0


def test_entries_are_listed_in_their_order(api: Api) -> None:
    first = api.read("/v1/entries?limit=2")
    second = api.read(f"/v1/entries?limit=2&after={first['next']}")
    assert isinstance(first["entries"], list)
    assert isinstance(second["entries"], list)
    listed = first["entries"] + second["entries"]
    assert [each["seq"] for each in listed] == [0, 1, 2, 3]
    assert listed[0]["entry"]["kind"] == "genesis"
    assert [each["entry"]["prev"] for each in listed[1:]] == [each["leaf"] for each in listed[:-1]]
    last = api.read(f"/v1/entries?after={10**9}")
    assert last == {"entries": [], "next": None}


def test_there_is_a_first_page_of_messages_always(api: Api) -> None:
    page = decode_messages_page(api.get("/messages/0").content)
    assert (page.first, page.messages) == (0, ())


def test_an_auditor_sees_no_secret_of_a_request(api: Api) -> None:
    body = {"id": request_id("told"), "type": "issue", "account": ANN, "amount": 1, "metadata": {"name": "Ann Example"}}
    api.done("/v1/transactions", body)
    everything = api.get("/v1/entries?limit=256").text + api.get("/v1/entries?limit=256&after=255").text
    assert "Ann Example" not in everything
