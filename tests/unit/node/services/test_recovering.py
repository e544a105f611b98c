"""The end of a log comes back out of a package: entries by the rules, partners' messages by their signatures."""

import shutil
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from node.peers.log_source import PackageSource
from node.services.fsck.fsck import fsck
from node.services.logs.package import export
from node.services.partners.recovering import BroughtBack, recover
from protocol.audit.findings import Verdict
from protocol.audit.pages import CHECKPOINT_PATH
from protocol.checkpoint import Checkpoint, parse_checkpoint
from protocol.conversion import SourceState
from protocol.errors import CouldNotCheck
from protocol.note import Note, format_note, parse_note
from tests.support.nodes import Alliance, LocalNode, cancel, convert, database_path
from tests.support.rotating import rotate
from tests.support.succeeding import give


def copied(node: LocalNode, folder: Path) -> Path:
    """Copy the store of a running node."""
    copy = folder / "a.copy"
    with (
        closing(sqlite3.connect(database_path(folder, node.side))) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    return copy


def packed(node: LocalNode, folder: Path) -> Path:
    """Write a package of all that a node has, and return where it is."""
    package = folder / "a.zip"
    export(node.reader, package)
    return package


def put_back(node: LocalNode, folder: Path, copy: Path) -> None:
    """Stop a node and put an old copy in the place of its store."""
    node.stop()
    place = database_path(folder, node.side)
    for beside in place.parent.glob(f"{place.name}*"):
        beside.unlink()
    shutil.copy(copy, place)


def brought_back(node: LocalNode, package: Path, *, seen: Checkpoint | None = None) -> BroughtBack:
    """Bring what `package` has into the store of a node that is stopped, and hold that it is sound to the column."""
    node.start()
    node.writer.close()
    try:
        with PackageSource(package) as source:
            return recover(node.store, node.reader, source, seen=seen)
    finally:
        report = fsck(node.database)
        assert report.verdict is Verdict.HELD, [table.findings for table in report.tables if table.findings]
        node.stop()


def words(node: LocalNode) -> list[tuple[str, str]]:
    """Return what a node has taken in, HELLOs apart."""
    return [(each.kind, each.digest) for each in node.reader.messages_received() if each.kind != "hello"]


def test_the_end_of_a_log_and_the_words_that_it_rests_on_come_back(two: Alliance, tmp_path: Path) -> None:
    source, destination = two.pair
    convert(source, destination, name="known")
    two.talk()
    copy, began = copied(source, tmp_path), source.reader.latest_checkpoint()
    # The first word after the copy is one that no entry rests on: a HELLO.
    destination.restart()
    two.talk()
    lost = convert(source, destination, name="lost")
    back = convert(destination, source, name="back")
    two.talk()
    package, newest, heard = packed(source, tmp_path), source.reader.latest_checkpoint(), words(source)
    put_back(source, tmp_path, copy)
    found = brought_back(source, package)
    assert began is not None
    assert newest is not None
    assert (found.size, found.entries) == (newest.size, newest.size - began.size)
    assert found.messages >= 2
    again = brought_back(source, package)
    assert (again.size, again.entries, again.messages) == (newest.size, 0, 0)
    source.start()
    assert words(source) == heard
    two.talk()
    assert source.outgoing(lost).state is destination.outgoing(back).state is SourceState.CAPTURED
    # Both go on as if nothing had happened.
    more = convert(source, destination, name="more")
    two.talk()
    assert source.outgoing(more).state is SourceState.CAPTURED
    assert source.writer.gate.is_open


def test_a_word_that_no_entry_rests_on_keeps_its_place_in_time(two: Alliance, tmp_path: Path) -> None:
    source, destination = two.pair
    convert(source, destination, name="known")
    two.talk()
    copy = copied(source, tmp_path)
    handled = [each.log_size for each in source.reader.messages_received()]
    destination.restart()
    two.talk()
    convert(source, destination, name="lost")
    two.talk()
    package = packed(source, tmp_path)
    put_back(source, tmp_path, copy)
    brought_back(source, package)
    source.start()
    places = [each.log_size for each in source.reader.messages_received()]
    assert places[: len(handled)] == handled
    assert places == sorted(places)
    assert len(places) > len(handled)


def test_a_package_that_ends_before_what_was_signed_is_refused(two: Alliance, tmp_path: Path) -> None:
    source, destination = two.pair
    copy, package = copied(source, tmp_path), packed(source, tmp_path)
    convert(source, destination, name="lost")
    two.talk()
    newest = source.reader.latest_checkpoint()
    assert newest is not None
    seen = parse_checkpoint(parse_note(newest.note).text)
    put_back(source, tmp_path, copy)
    with pytest.raises(CouldNotCheck, match=f"this node has signed {newest.size} entries"):
        brought_back(source, package, seen=seen)


def test_a_package_of_another_history_is_refused(two: Alliance, tmp_path: Path) -> None:
    source, destination = two.pair
    copy = copied(source, tmp_path)
    convert(source, destination, name="one history")
    package = packed(source, tmp_path)
    put_back(source, tmp_path, copy)
    source.start()
    # The same key signs another history of the same length: neither is brought into the other.
    cancel(source, convert(source, destination, name="another"))
    source.stop()
    with pytest.raises(CouldNotCheck):
        brought_back(source, package)


def test_a_package_of_another_ledger_is_refused(two: Alliance, tmp_path: Path) -> None:
    source, destination = two.pair
    package = packed(destination, tmp_path)
    source.stop()
    with pytest.raises(CouldNotCheck, match="is none of"):
        brought_back(source, package)


def without_later_lines(package: Path) -> Path:
    """Return a copy of a package whose checkpoint bears the line of the log's first key alone."""
    changed = package.with_name("changed.zip")
    with zipfile.ZipFile(package) as before, zipfile.ZipFile(changed, "w") as after:
        for name in before.namelist():
            data = before.read(name)
            if name == CHECKPOINT_PATH:
                note = parse_note(data)
                data = format_note(Note(note.text, note.signatures[:1]))
            after.writestr(name, data)
    return changed


def test_a_package_that_an_old_key_of_the_log_has_signed_alone_is_refused(two: Alliance, tmp_path: Path) -> None:
    source, _ = two.pair
    rotate(source)
    copy = copied(source, tmp_path)
    give(source, 5)
    package = packed(source, tmp_path)
    put_back(source, tmp_path, copy)
    with pytest.raises(CouldNotCheck, match="has not signed"):
        brought_back(source, without_later_lines(package))
    assert brought_back(source, package).entries == 1
