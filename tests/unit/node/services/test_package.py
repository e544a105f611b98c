import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.peers.log_source import PackageSource
from node.services.audits.audit_state import AuditState
from node.services.audits.auditing import audit
from node.services.logs.package import StoreSource, export, write_package
from node.store.database import Database
from protocol.audit.findings import FindingCode, Verdict
from protocol.errors import CouldNotCheck
from tests.support.audits import MemorySource, alliance, busy_alliance, checkpoint_of, signed_checkpoint, verifier_of
from tests.support.documents import AURORA, BLUEBIRD
from tests.support.ledger import open_holder
from tests.support.nodes import database_path
from tests.support.stores import make_stores


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the stores of two brands after a lively day."""
    place = tmp_path_factory.mktemp("stores")
    make_stores(place)
    return place


@pytest.fixture
def database(stores: Path) -> Iterator[Database]:
    with Database.open(f"sqlite:///{database_path(stores, AURORA)}") as opened:
        yield opened


def test_an_exported_log_is_audited_like_the_store(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "aurora.zip"
    checkpoint = export(database.reader(), path)
    assert (checkpoint.origin, checkpoint.size) == (AURORA.ledger, 297)
    with PackageSource(path) as package:
        report = audit([package, StoreSource(database.reader())], vkeys=[verifier_of(AURORA)])
    assert (report.verdict, report.pairs) == (Verdict.HELD, ())
    assert [log.source for log in report.logs] == ["aurora.zip", AURORA.ledger]
    assert report.logs[0].messages == report.logs[1].messages == 6
    assert [path.name for path in tmp_path.iterdir()] == ["aurora.zip"]


def test_both_halves_of_a_day_match(stores: Path, tmp_path: Path) -> None:
    sources = []
    for side in (AURORA, BLUEBIRD):
        with Database.open(f"sqlite:///{database_path(stores, side)}") as opened:
            export(opened.reader(), tmp_path / f"{side.points}.zip")
        sources.append(PackageSource(tmp_path / f"{side.points}.zip"))
    told: list[tuple[str, int, int]] = []
    report = audit(sources, progress=lambda *each: told.append(each))
    for source in sources:
        source.close()
    assert report.verdict is Verdict.HELD
    (pair,) = report.pairs
    assert [(each.completed, each.returned, each.pending) for each in pair.directions] == [(1, 1, 1), (1, 0, 0)]
    assert told[:2] == [("AUR.zip", 256, 297), ("AUR.zip", 297, 297)]


def test_the_same_log_makes_the_same_file(database: Database, tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        export(database.reader(), tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.namelist() == [
            "checkpoint",
            "ledger.json",
            "tile/0/000",
            "tile/0/001.p/41",
            "tile/1/000.p/1",
            "tile/entries/000",
            "tile/entries/001.p/41",
            "messages/0",
        ]


def test_two_exports_to_one_name_do_not_spoil_each_other(database: Database, tmp_path: Path) -> None:
    class Interrupted(StoreSource):
        meanwhile = True

        def fetch(self, path: str) -> bytes | None:
            data = super().fetch(path)
            if self.meanwhile and path.startswith("tile/"):
                self.meanwhile = False
                export(database.reader(), tmp_path / "log.zip")
            return data

    export(database.reader(), tmp_path / "alone.zip")
    write_package(Interrupted(database.reader()), tmp_path / "log.zip")
    assert (tmp_path / "log.zip").read_bytes() == (tmp_path / "alone.zip").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone.zip", "log.zip"]


def test_a_package_holds_no_keys_and_nothing_erasable(database: Database, tmp_path: Path) -> None:
    export(database.reader(), tmp_path / "one.zip")
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        content = b"".join(archive.read(name) for name in archive.namelist())
    assert b"tallystick-seed" not in content
    assert b'"data":' not in content


@pytest.mark.parametrize("path", ["messages/x", "messages/-1", "messages/7", "tile/9/000", "tile/entries/002", "keys"])
def test_a_store_has_no_other_files(database: Database, path: str) -> None:
    assert StoreSource(database.reader()).fetch(path) is None


def test_an_empty_store_has_nothing_to_export(tmp_path: Path) -> None:
    with Database.open(f"sqlite:///{tmp_path / 'empty.sqlite'}") as opened:
        opened.migrate()
        with pytest.raises(CouldNotCheck, match="the log is empty"):
            export(opened.reader(), tmp_path / "empty.zip")


def test_a_long_page_of_messages_is_followed_by_the_next(tmp_path: Path) -> None:
    made = alliance()
    made.source.received = made.source.received * 257
    write_package(MemorySource(made.source.files()), tmp_path / "package.zip")
    with PackageSource(tmp_path / "package.zip") as package:
        assert package.fetch("messages/1") is not None
        assert package.fetch("messages/2") is None
    made.source.received = made.source.received[:256]
    write_package(MemorySource(made.source.files()), tmp_path / "package.zip")


@pytest.mark.parametrize(
    ("path", "data", "detail"),
    [
        ("checkpoint", None, "has no checkpoint"),
        ("checkpoint", b"no note", "the checkpoint cannot be read"),
        ("ledger.json", None, "has no ledger.json"),
        ("tile/0/000.p/19", None, "has no tile/0/000.p/19"),
        ("tile/0/000.p/19", bytes(19 * 32), "is not that of the log's entries"),
        ("tile/entries/000.p/19", None, "has no tile/entries/000.p/19"),
        ("tile/entries/000.p/19", b"", "the log's entries cannot be read"),
        ("tile/entries/000.p/19", b"\x00\x00" * 19, "do not make the root"),
    ],
)
def test_a_log_that_is_not_whole_is_not_packed(tmp_path: Path, path: str, data: bytes | None, detail: str) -> None:
    files = busy_alliance().source.files()
    del files[path]
    if data is not None:
        files[path] = data
    with pytest.raises(CouldNotCheck, match=detail):
        write_package(MemorySource(files), tmp_path / "package.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_cannot_be_written_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(CouldNotCheck, match="cannot be written: No such file"):
        write_package(MemorySource(busy_alliance().source.files()), tmp_path / "absent" / "package.zip")


def test_an_auditor_remembers_what_was_seen(tmp_path: Path) -> None:
    made = alliance()
    seen = AuditState(tmp_path / "seen")
    files = made.source.files()
    assert audit([MemorySource(files)], seen=seen).verdict is Verdict.HELD
    open_holder(made.source.ledger, "somebody")
    assert audit([MemorySource(made.source.files())], seen=seen).verdict is Verdict.HELD
    (kept,) = seen.checkpoints()
    assert kept.size == len(made.source.ledger.sealed)
    # The older copy is behind what was seen, and what was seen is not forgotten for it.
    older = audit([MemorySource(files)], seen=seen)
    assert [finding.code for finding in older.logs[0].findings] == [FindingCode.BEHIND]
    other = alliance()
    open_holder(other.source.ledger, "somebody else")
    forked = audit([MemorySource(other.source.files())], seen=seen)
    assert [finding.code for finding in forked.logs[0].findings] == [FindingCode.FORKED]
    assert list(seen.checkpoints()) == [kept]
    assert audit([MemorySource(made.destination.files()), MemorySource({})], seen=seen).verdict is Verdict.INCOMPLETE
    assert {each.origin for each in seen.checkpoints()} == {AURORA.ledger, BLUEBIRD.ledger}


def test_a_smaller_checkpoint_never_replaces_a_larger_one(tmp_path: Path) -> None:
    seen = AuditState(tmp_path)
    for entries in ([b"one", b"two"], [b"one"]):
        note = signed_checkpoint(AURORA, entries)
        seen.remember(checkpoint_of(AURORA, entries), note)
    assert [each.size for each in seen.checkpoints()] == [2]


def test_what_was_seen_must_be_readable_and_writable(tmp_path: Path) -> None:
    (tmp_path / "x.checkpoint").write_bytes(b"no note")
    with pytest.raises(CouldNotCheck, match="cannot be read"):
        list(AuditState(tmp_path).checkpoints())
    (tmp_path / "file").touch()
    with pytest.raises(CouldNotCheck, match="cannot be written"):
        audit([MemorySource(alliance().source.files())], seen=AuditState(tmp_path / "file" / "seen"))
