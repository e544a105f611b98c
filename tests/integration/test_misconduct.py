"""A hostile partner at the socket of a real node: every lie that it signs leaves a file that anybody can check.

From the act to the operator's list, to the exported file, to the verdict of a stranger who has public keys alone.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from node.app.directory import token_path
from node.cli.main import run
from node.services.access.credentials import CallerRole
from node.store.database import Database
from protocol.agreement import encode_signed_agreement
from protocol.checkpoint import Checkpoint, sign_checkpoint
from protocol.fields import later
from protocol.identifiers import Alias, Id
from protocol.keys import Role
from protocol.merkle import Hash
from protocol.messages import Body, Fulfil, Prepare, encode_body
from tests.architecture.sources import ROOT
from tests.support.crashing_node import Nursery, poll
from tests.support.documents import AURORA, BLUEBIRD, fulfil, hex_16, prepare, query, reject, uuid
from tests.support.nodes import ANN
from tests.support.processes import Brand, Pair, RemoteNode, begin, nodes_of, now
from tests.support.puppet import Puppet

pytestmark = pytest.mark.integration

STRIDE: Final = 97


@dataclass(frozen=True, slots=True)
class Scene:
    """BLUEBIRD's real node, its partner AURORA played by hand, and what strangers know: the agreement of the two."""

    pair: Pair
    puppet: Puppet
    agreement: Path

    @property
    def honest(self) -> Brand:
        """Return the brand whose node it is."""
        return self.pair.destination

    def tallystick(self, *arguments: str) -> int:
        """Run a command of BLUEBIRD's operator."""
        token = token_path(self.honest.directory, CallerRole.ADMINISTRATOR)
        return run([*arguments, "--node", self.honest.url, "--token-file", str(token)])

    def say(self, *bodies: Body, size: int | None = None, root: bytes = bytes(32)) -> list[Body]:
        """Say something, with a checkpoint of `size` entries if one is wanted."""
        self.puppet.checkpoint = None if size is None else self.checkpoint(size, root)
        return self.puppet.say(*bodies)

    def checkpoint(self, size: int, root: bytes) -> str:
        """Return a checkpoint of AURORA's log, as AURORA wants it to look."""
        stated = Checkpoint(origin=AURORA.ledger, size=size, root=Hash(root))
        return sign_checkpoint(stated, key=self.puppet.side.signing_keys[Role.LOG]).decode()

    def asked(self, name: str, *, steps: int = 1) -> Prepare:
        """Return a PREPARE of AURORA's that BLUEBIRD can credit."""
        with Database.open(self.honest.database) as database:
            ((cited, _),) = database.reader().agreements(AURORA.ledger)
        created = now()
        alias = Alias(hex_16(f"{BLUEBIRD.ledger} {AURORA.ledger}"))
        return prepare(
            conversion=uuid(name), steps=steps, cited=cited, alias=alias, created_at=created,
            accept_by=later(created, seconds=600),
        )  # fmt: skip

    def ordered(self, name: str) -> Prepare:
        """Let BLUEBIRD's member order a conversion to AURORA, and return the PREPARE as AURORA gets it."""
        order = {"id": uuid(name), "account": ANN, "partner": AURORA.ledger, "amount": 250}
        self.honest.client.post("/v1/conversions", json=order).raise_for_status()
        (sent,) = self.say()
        assert isinstance(sent, Prepare)
        return sent


@pytest.fixture
def scene(forked: Nursery, tmp_path: Path) -> Iterator[Scene]:
    pair = begin(tmp_path, witnesses=False)
    paper = tmp_path / "agreement.json"
    with Database.open(pair.destination.database) as database:
        ((_, record),) = database.reader().agreements(AURORA.ledger)
    paper.write_bytes(encode_signed_agreement(record.signed))
    with nodes_of(pair, forked) as nodes:
        nodes.start(pair.destination)
        puppet = Puppet(pair.source.side, RemoteNode(pair.destination))
        puppet.greet()
        # A node takes no orders before its partner has told what it holds of it.
        points = {"id": uuid("welcome"), "type": "issue", "account": ANN, "amount": 10_000}
        pair.destination.client.post("/v1/transactions", json=points).raise_for_status()
        yield Scene(pair, puppet, paper)
        nodes.stop()


def two_bodies_at_one_position(scene: Scene) -> Id:
    seq = scene.puppet.outgoing.end_seq
    scene.say(scene.asked("first"))
    scene.puppet.node.answer(scene.puppet.parcel_of(seq, [encode_body(scene.asked("second"))]))
    return uuid("first")


def fulfil_and_reject(scene: Scene) -> Id:
    sent = scene.ordered("decided twice")
    scene.say(fulfil(sent), reject(sent))
    return sent.id


def two_prepares(scene: Scene) -> Id:
    scene.say(scene.asked("ordered twice"), scene.asked("ordered twice", steps=2))
    return uuid("ordered twice")


def a_promise_beyond_the_end_of_the_log(scene: Scene) -> Id:
    said: Fulfil = fulfil(scene.ordered("promised"))
    scene.say(said, size=said.entry.seq)
    return said.id


def a_fork(scene: Scene) -> None:
    scene.say(query(), size=5)
    scene.say(size=6)
    scene.say(size=5, root=bytes(31) + b"1")


ACTS: Final = {
    "place": two_bodies_at_one_position,
    "decision": fulfil_and_reject,
    "order": two_prepares,
    "promise": a_promise_beyond_the_end_of_the_log,
    "log": a_fork,
}


@pytest.mark.parametrize("subject", ACTS)
def test_a_lie_leads_to_a_row_a_file_and_a_verdict(
    scene: Scene, subject: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    conversion = ACTS[subject](scene)

    def accused() -> dict[str, object] | None:
        capsys.readouterr()
        assert scene.tallystick("exceptions", "--json") == 0
        rows = json.loads(capsys.readouterr().out)["exceptions"]
        return next((row for row in rows if row["kind"] == "misconduct"), None)

    row = poll(accused, "the operator to be told")
    assert (row["reason"], row["partner"], row["conversion"]) == (subject, AURORA.ledger, conversion)
    assert "file of evidence" in str(row["to_do"])
    file = tmp_path / "evidence.json"
    assert scene.tallystick("evidence", "export", str(row["evidence"]), str(file)) == 0
    known = ["--agreement", str(scene.agreement)]
    assert run(["verify", str(file), *known]) == 0
    assert stranger(file, *known) == 0
    data = file.read_bytes()
    for place in range(0, len(data), STRIDE):
        file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert run(["verify", str(file), *known]) in {1, 3}, place
    assert stranger(file, *known) in {1, 3}


def stranger(*arguments: object) -> int:
    """Return the verdict of somebody who has the protocol's library and nothing else of ours."""
    command = [sys.executable, "-m", "protocol", "verify", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode
