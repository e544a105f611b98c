"""A log whose key was rotated: every key that it had got must have signed each checkpoint since."""

from collections.abc import Iterator

import pytest

from node.app.directory import create_node_directory
from node.app.key_files import ask_passphrase
from node.app.open import OpenedNode, open_node
from node.app.rotation import prepare_rotation
from node.app.system import SystemRandomness
from node.services.requests import OpenAccountRequest
from node.store.columns import METADATA
from protocol.audit.findings import Verdict
from protocol.identifiers import Account
from protocol.key_entries import encode_rotation
from protocol.ledger.state import LEDGER, ONLY
from protocol.note import Note, NoteSignature, format_note, parse_note
from tests.support.documents import AURORA, uuid
from tests.support.stores import DamagedStore
from tests.unit.node.services.fsck.damages import changing, checked, found

CHECKPOINTS = METADATA.tables["checkpoints"]


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DamagedStore]:
    """Yield the store of a node that has rotated its log's key, and has gone on."""
    place = tmp_path_factory.mktemp("rotated")
    made = create_node_directory(
        place / "aurora", ledger=AURORA.ledger, points="AUR", points_name="Aurora Miles", url="http://127.0.0.1:9"
    )
    with open_node(made.directory) as opened:
        open_account(opened, "ann")
        record = opened.node.reader.record(LEDGER, ONLY)
    assert record is not None
    ask = ask_passphrase(None)
    signed = prepare_rotation(made.directory, record, passphrase=ask, randomness=SystemRandomness())
    # The key that comes into use is read at the node's next start.
    with open_node(made.directory) as opened:
        opened.node.rotation.rotate(encode_rotation(signed)).result(20)
        open_account(opened, "bob")
    store = DamagedStore(made.directory / "ledger.sqlite", f"sqlite:///{place / 'copy.sqlite'}")
    yield store
    store.close()


def open_account(opened: OpenedNode, name: str) -> None:
    request = OpenAccountRequest(id=uuid(f"open {name}"), account=Account(f"member/{uuid(name)}"))
    opened.node.points.open_account(request).result(20)


def last_note(store: DamagedStore) -> Note:
    data = store.rows(CHECKPOINTS)[-1][4]
    assert isinstance(data, bytes)
    return parse_note(data)


def test_a_log_that_all_its_keys_have_signed_holds(rotated: DamagedStore) -> None:
    assert len(last_note(rotated).signatures) == 2
    report = checked(rotated)
    assert (report.verdict, found(report)) == (Verdict.HELD, {})


@pytest.mark.parametrize("kept", [0, 1])
def test_a_signature_that_is_gone_is_found(rotated: DamagedStore, kept: int) -> None:
    note = last_note(rotated)
    damage = changing(CHECKPOINTS, {"note": format_note(Note(note.text, (note.signatures[kept],)))})
    with rotated.damaged(CHECKPOINTS, damage):
        report = checked(rotated)
    (line,) = found(report)["checkpoints"]
    assert line.startswith(f"checkpoints[{len(rotated.rows(CHECKPOINTS)) - 1}].note: ")
    assert line.endswith("(signature_invalid)")


@pytest.mark.parametrize("which", [0, 1])
def test_a_signature_that_was_changed_is_found(rotated: DamagedStore, which: int) -> None:
    note = last_note(rotated)
    lines = list(note.signatures)
    spoiled = bytes([lines[which].blob[0] ^ 1]) + lines[which].blob[1:]
    lines[which] = NoteSignature(lines[which].name, lines[which].key_id, spoiled)
    with rotated.damaged(CHECKPOINTS, changing(CHECKPOINTS, {"note": format_note(Note(note.text, tuple(lines)))})):
        report = checked(rotated)
    assert [line.partition(": ")[0] for line in found(report)["checkpoints"]] == [
        f"checkpoints[{len(rotated.rows(CHECKPOINTS)) - 1}].note"
    ]
