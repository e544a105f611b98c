"""`tallystick exchange`: files written whole, files handed in, and what the operator is told."""

import json
from pathlib import Path

import httpx

from node.cli.exchange import FILE_TYPE
from protocol.exchange_file import FileHeader, encode_exchange_file
from tests.support.documents import AURORA, BLUEBIRD, NETWORK, NOW, hello, prepare
from tests.support.node_stand_in import NodeStandIn, answer, refuse
from tests.support.parcels import parcel_bytes
from tests.unit.node.cli.conftest import Command

EXPORTS, IMPORTS = "/v1/exchange/exports", "/v1/exchange/imports"
DATA = encode_exchange_file(
    FileHeader(network=NETWORK, sender=AURORA.ledger, receiver=BLUEBIRD.ledger, number=12, created_at=NOW, epoch=1),
    [parcel_bytes([hello(), prepare()])],
)
IMPORTED = {
    "sender": BLUEBIRD.ledger,
    "number": 12,
    "expected": 13,
    "outcome": "applied",
    "parcels": 1,
    "bodies": 2,
    "applied": 1,
    "waiting": 1,
    "next": "export",
}


def test_export_writes_the_file_and_tells_its_totals(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    node.on("POST", EXPORTS, lambda _request: httpx.Response(200, content=DATA))
    done = tallystick("exchange", "export", "bluebird.example", str(tmp_path / "out"))
    assert done.status == 0
    assert (tmp_path / "out").read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert node.body() == {"partner": BLUEBIRD.ledger}
    assert "wrote file 12 for bluebird.example/main.1" in done.out
    assert "1,200" in done.out


def test_export_prints_header_and_trailer_as_json(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    node.on("POST", EXPORTS, lambda _request: httpx.Response(200, content=DATA))
    done = json.loads(tallystick("exchange", "export", "bluebird.example", str(tmp_path / "out"), "--json").out)
    assert (done["header"]["number"], done["trailer"]["prepares"]["count"]) == (12, 1)


def test_export_of_what_is_no_file_writes_nothing(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    node.on("POST", EXPORTS, lambda _request: httpx.Response(200, content=DATA[:-3]))
    done = tallystick("exchange", "export", "bluebird.example", str(tmp_path / "out"))
    assert done.status == 1
    assert "exchange_file_incomplete" in done.err
    assert list(tmp_path.iterdir()) == []


def test_export_to_a_place_that_is_not_there_fails(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    node.on("POST", EXPORTS, lambda _request: httpx.Response(200, content=DATA))
    done = tallystick("exchange", "export", "bluebird.example", str(tmp_path / "no" / "out"))
    assert (done.status, "file_unreadable" in done.err) == (3, True)
    (tmp_path / "folder").mkdir()
    done = tallystick("exchange", "export", "bluebird.example", str(tmp_path / "folder"))
    assert (done.status, "file_unreadable" in done.err) == (3, True)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_import_hands_the_file_in_and_tells_what_to_do(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    node.on("POST", IMPORTS, answer(IMPORTED))
    (tmp_path / "in").write_bytes(DATA)
    done = tallystick("exchange", "import", str(tmp_path / "in"))
    assert done.status == 0
    assert node.requests[-1].content == DATA
    assert node.requests[-1].headers["content-type"] == FILE_TYPE
    assert "file 12 of bluebird.example/main.1: applied" in done.out
    assert "export a file for the partner" in done.out
    assert json.loads(tallystick("exchange", "import", str(tmp_path / "in"), "--json").out) == IMPORTED


def test_import_of_a_refused_or_missing_file_fails(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    node.on("POST", IMPORTS, refuse(422, "exchange_file_damaged"))
    (tmp_path / "in").write_bytes(b"x")
    done = tallystick("exchange", "import", str(tmp_path / "in"))
    assert (done.status, "exchange_file_damaged" in done.err) == (1, True)
    assert tallystick("exchange", "import", str(tmp_path / "none")).status == 3
