"""Several processes on one store: one writes, another takes over, and nothing that was answered is lost."""

import os
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import make_url, text

from node.app.cluster import BEAT_SECONDS, SILENT_SECONDS_MAX, serve_one_of_several
from node.app.directory import Created, create_node_directory, database_url
from node.config import ConfigInvalid
from node.services.fsck.fsck import fsck
from node.store import postgres
from node.store.database import Database
from node.store.errors import StoreFailed
from node.store.rows import CommitRecord, PutSetting
from protocol.audit.findings import Verdict
from protocol.checkpoint import parse_checkpoint
from protocol.limits import TILE_WIDTH
from protocol.note import parse_note
from protocol.tiles import TileId, format_path
from tests.support.cluster import (
    ANN,
    Process,
    Writers,
    check,
    issue,
    open_ann,
    ready,
    running,
    working,
)
from tests.support.copied_stores import PostgresStore
from tests.support.crashing_node import poll
from tests.support.documents import uuid
from tests.support.postgres import PostgresServer, ServerUnavailableError
from tests.support.postgres_pair import PostgresPair, running_pair

pytestmark = pytest.mark.integration

BEFORE: Final = 40
"""Answered writes after which the process that writes is taken away."""

AFTER: Final = 40

WAITING: Final = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
SINCE: Final = WAITING.replace("SELECT pid", "SELECT xact_start")


@pytest.fixture
def created(tmp_path: Path, postgres_url: str) -> Created:
    return create(tmp_path / "aurora", postgres_url)


@pytest.fixture
def on_file(tmp_path: Path) -> Created:
    return create(tmp_path / "borealis")


@pytest.fixture
def servers() -> Iterator[PostgresPair]:
    """Start a primary and its standby; where no server is installed, CI fails and everybody else skips."""
    with ExitStack() as stack:
        try:
            started = stack.enter_context(running_pair())
        except ServerUnavailableError as error:
            if os.environ.get("CI") == "true":
                pytest.fail(str(error))
            pytest.skip(str(error))
        yield started


def create(directory: Path, url: str = "") -> Created:
    return create_node_directory(
        directory,
        ledger="aurora.example/main.1",
        points="AUR",
        points_name="Aurora Miles",
        url="",
        settings={"database_url": url},
    )


@pytest.fixture
def pair(created: Created) -> Iterator[tuple[Process, Process]]:
    with ExitStack() as stack:
        one = stack.enter_context(running(created, "one"))
        poll(lambda: one.says("writing"), "the first process to write")
        other = stack.enter_context(running(created, "other"))
        poll(lambda: ready(other), "the second process to answer")
        open_ann(other)
        yield one, other


def test_a_process_killed_while_it_writes_is_followed_by_the_other(
    created: Created, pair: tuple[Process, Process]
) -> None:
    one, other = pair
    with Writers(other) as writers:
        writers.reach(BEFORE)
        one.popen.kill()
        one.popen.wait()
        writers.reach(len(writers.acknowledged) + AFTER)
    assert other.says("writing")
    check(created, writers.acknowledged)


def test_a_process_that_was_stopped_and_wakes_up_after_the_take_over_writes_nothing(
    created: Created, pair: tuple[Process, Process]
) -> None:
    one, other = pair
    with Writers(other) as writers:
        writers.reach(BEFORE)
        one.popen.send_signal(signal.SIGSTOP)
        writers.reach(len(writers.acknowledged) + AFTER)
        assert other.says("deposing")
        one.popen.send_signal(signal.SIGCONT)
        poll(lambda: one.says("not_writing"), "the first process to find that it no longer writes")
        writers.reach(len(writers.acknowledged) + AFTER)
        # It stands by: what it is asked goes through the process that writes.
        more = poll(lambda: issue(one, 900_000_000), "a write through the process that stands by")
    assert (one.times("writing"), other.times("writing")) == (1, 1)
    check(created, [*writers.acknowledged, more])


def test_what_stands_by_answers_reads_while_nobody_writes(created: Created, pair: tuple[Process, Process]) -> None:
    one, other = pair
    assert issue(other, 1) is not None
    one.popen.send_signal(signal.SIGSTOP)
    shown = other.client.get(f"/v1/accounts/{ANN}")
    assert shown.json()["posted"] == 1
    poll(lambda: other.says("writing"), "the second process to write")
    one.popen.send_signal(signal.SIGCONT)
    # Neither has an address that it would share.
    assert (one.times("cannot_share"), other.times("cannot_share")) == (0, 0)


def test_several_processes_share_an_address_and_one_that_dies_is_replaced(created: Created) -> None:
    with working(created, 3) as workers:
        children = workers.children()
        assert len(children) == 3
        os.kill(min(children), signal.SIGKILL)
        poll(lambda: workers.times("listening") >= 4 or None, "another process to listen")
        open_ann(workers)
        workers.popen.terminate()
        assert workers.popen.wait(60) == 0
        assert all(not Path(f"/proc/{child}").exists() for child in children)


def test_one_that_writes_a_file_and_is_killed_is_followed_by_another(on_file: Created) -> None:
    with working(on_file, 2) as workers:
        open_ann(workers)
        with Writers(workers) as writers:
            writers.reach(BEFORE)
            # Whoever looks at the store meanwhile, and closes it, takes nothing from the process that writes.
            with Database.open(database_url(on_file.directory, on_file.config)) as database:
                assert fsck(database).verdict is Verdict.HELD
            writers.reach(len(writers.acknowledged) + AFTER)
            os.kill(workers.writer(), signal.SIGKILL)
            writers.reach(len(writers.acknowledged) + AFTER)
        assert workers.times("writing") == 2
    check(on_file, writers.acknowledged)


def test_one_that_writes_a_file_and_was_stopped_is_ended_and_followed_by_another(on_file: Created) -> None:
    with working(on_file, 2) as workers:
        open_ann(workers)
        stopped = workers.writer()
        with Writers(workers) as writers:
            writers.reach(BEFORE)
            os.kill(stopped, signal.SIGSTOP)
            # What only answers goes on doing so.
            assert workers.client.get(f"/v1/accounts/{ANN}").json()["posted"] >= BEFORE
            writers.reach(len(writers.acknowledged) + AFTER)
        assert workers.says("ending_silent")
        assert stopped not in workers.children()
    check(on_file, writers.acknowledged)


def test_the_one_that_writes_answers_at_the_address_as_long_as_nobody_else_does(on_file: Created) -> None:
    with working(on_file, 2) as workers:
        (other,) = workers.children() - {workers.writer()}
        os.kill(other, signal.SIGSTOP)
        os.kill(other, signal.SIGKILL)
        poll(lambda: workers.says("sharing"), "the one that writes to answer by itself")
        assert workers.client.get("/livez").is_success
        poll(lambda: workers.times("not_sharing") == 2 or None, "it to leave the address to a new one")
        open_ann(workers)
        assert workers.times("writing") == 1


def test_one_that_only_answers_and_was_stopped_is_ended_and_replaced(on_file: Created) -> None:
    with working(on_file, 2) as workers:
        (other,) = workers.children() - {workers.writer()}
        os.kill(other, signal.SIGSTOP)
        poll(lambda: workers.says("ending_silent"), "it to be ended")
        poll(lambda: workers.times("not_sharing") == 2 or None, "another one to answer")
        open_ann(workers)
        assert workers.times("writing") == 1


def test_the_one_that_writes_keeps_the_address_where_the_other_cannot_listen(on_file: Created) -> None:
    with working(on_file, 2) as workers:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.prlimit(workers.writer(), resource.RLIMIT_NOFILE, (3, most))
        poll(lambda: workers.times("writing") == 2 or None, "the other one to write")
        poll(lambda: workers.times("cannot_share") >= 4 or None, "the first one to find that it cannot listen")
        open_ann(workers)


def test_who_only_answers_has_every_tile_of_what_who_writes_has_published(on_file: Created) -> None:
    with working(on_file, 2) as workers:
        open_ann(workers)
        with Writers(workers, threads=1) as writers:
            # Each process looks for what is new in its own time.
            assert workers.client.get(f"/{format_path(TileId(level=0, index=0, width=1))}").is_success
            time.sleep(0.5)
            for _ in range(60):
                size = parse_checkpoint(parse_note(workers.client.get("/checkpoint").content).text).size
                index = (size - 1) // TILE_WIDTH
                last = TileId(level=0, index=index, width=size - index * TILE_WIDTH)
                assert workers.client.get(f"/{format_path(last)}").is_success, (last, len(writers.acknowledged))
                time.sleep(0.05)


def test_processes_whose_starter_is_gone_stop(on_file: Created) -> None:
    with working(on_file, 2) as workers:
        children = workers.children()
        workers.popen.kill()
        workers.popen.wait()
        poll(lambda: not any(Path(f"/proc/{child}").exists() for child in children) or None, "all of them to stop")
        assert workers.times("alone") == 2


def test_only_one_that_shares_its_address_can_share_a_file(on_file: Created) -> None:
    with pytest.raises(ConfigInvalid, match="--workers"):
        serve_one_of_several(on_file.directory)


def test_a_promoted_standby_has_all_that_was_acknowledged(servers: PostgresPair, tmp_path: Path) -> None:
    created = create(tmp_path / "aurora", servers.url)
    with running(created, "one") as one:
        poll(lambda: one.says("writing"), "the process to write")
        open_ann(one)
        with Writers(one) as writers:
            writers.reach(BEFORE)
            servers.kill()
            servers.promote()
            writers.reach(len(writers.acknowledged) + AFTER)
    check(created, writers.acknowledged)


def test_a_process_that_waits_for_the_standby_is_not_taken_for_silent(servers: PostgresPair, tmp_path: Path) -> None:
    created = create(tmp_path / "aurora", servers.url)
    with running(created, "one") as one, ThreadPoolExecutor(1) as pool:
        poll(lambda: one.says("writing"), "the first process to write")
        with running(created, "other") as other:
            poll(lambda: ready(other), "the second process to answer")
            open_ann(other)
            with servers.falling_behind():
                written = pool.submit(issue, other, 1)
                time.sleep(SILENT_SECONDS_MAX + 4 * BEAT_SECONDS)
                # What the standby may not have is shown to nobody.
                assert other.client.get(f"/v1/accounts/{ANN}").json()["posted"] == 0
                assert not written.done()
            assert written.result(60) is not None
            assert (one.times("writing"), other.times("writing"), other.times("deposing")) == (1, 0, 0)


def test_who_takes_over_on_an_older_copy_writes_nothing(
    created: Created, postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    store = PostgresStore(postgres_server, str(make_url(postgres_url).database))
    elsewhere = replace(created, directory=tmp_path / "elsewhere")
    shutil.copytree(created.directory, elsewhere.directory)
    with running(created, "one") as one:
        poll(lambda: one.says("writing"), "the first process to write")
        open_ann(one)
        store.copy(postgres_server.directory / "older")
        with running(elsewhere, "other") as other:
            poll(lambda: ready(other), "the second process to answer")
            assert issue(one, 1) is not None
            time.sleep(2 * BEAT_SECONDS)
            other.popen.send_signal(signal.SIGSTOP)
            one.stop()
            store.put_back(postgres_server.directory / "older")
            other.popen.send_signal(signal.SIGCONT)

            def asked() -> str | None:
                answer = other.client.post("/v1/accounts", json={"id": uuid("bob"), "kind": "member"})
                code = "" if answer.is_success else str(answer.json()["code"])
                return None if code == "not_writing" else code or "opened"

            assert poll(asked, "the second process to take over") == "store_behind"


def test_a_commit_waits_for_the_standby_whoever_cancels_that(servers: PostgresPair) -> None:
    with Database.open(servers.url) as database, ThreadPoolExecutor(1) as pool:
        database.migrate()
        with database.writer() as writer:
            with servers.falling_behind():
                written = pool.submit(writer.commit, CommitRecord(old_size=0, writes=(PutSetting("kept", "twice"),)))
                for _ in range(4):
                    poll(lambda: servers.ask(WAITING) or None, "the commit to wait for the standby")
                    servers.ask(WAITING.replace("SELECT pid", "SELECT pg_cancel_backend(pid)"))
                    time.sleep(0.3)
                poll(lambda: servers.ask(WAITING) or None, "the commit to wait for the standby again")
                assert not written.done()
            assert written.result(60) is None


def test_a_role_that_wants_no_warnings_hides_none_from_a_commit(servers: PostgresPair) -> None:
    servers.ask("ALTER ROLE postgres SET client_min_messages = error")
    with Database.open(servers.url) as database, ThreadPoolExecutor(1) as pool:
        database.migrate()
        with database.writer() as writer:
            with servers.falling_behind():
                written = pool.submit(writer.commit, CommitRecord(old_size=0, writes=(PutSetting("kept", "twice"),)))
                first = poll(lambda: servers.ask(SINCE) or None, "the commit to wait for the standby")
                servers.ask(WAITING.replace("SELECT pid", "SELECT pg_cancel_backend(pid)"))
                poll(lambda: servers.ask(SINCE) not in (first, []) or None, "the commit to wait for the standby again")
                assert not written.done()
            assert written.result(60) is None


def test_a_commit_that_the_standby_may_not_have_is_found_by_no_later_question(
    servers: PostgresPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Database.open(servers.url) as database, ThreadPoolExecutor(1) as pool:
        database.migrate()
        with database.writer() as writer, servers.falling_behind():
            monkeypatch.setattr(postgres, "_A_RECORD", "SELECT 1 / 0")
            written = pool.submit(writer.commit, CommitRecord(old_size=0, writes=(PutSetting("kept", "twice"),)))
            poll(lambda: servers.ask(WAITING) or None, "the commit to wait for the standby")
            servers.ask(WAITING.replace("SELECT pid", "SELECT pg_cancel_backend(pid)"))
            with pytest.raises(StoreFailed, match="division by zero"):
                written.result(60)
            with pytest.raises(StoreFailed, match="closed"):
                writer.head()


def test_no_server_that_follows_another_one_is_read_unless_the_url_says_so(servers: PostgresPair) -> None:
    url = servers.url.replace("&target_session_attrs=read-write", "")
    standby_first = make_url(url).update_query_dict({"host": make_url(url).query["host"][::-1]})
    for each in (url, standby_first):
        with Database.open(each) as database, database.connection() as connection:
            assert connection.execute(text("SELECT pg_is_in_recovery()")).scalar_one() is False
    named = standby_first.update_query_dict({"target_session_attrs": "any"})
    with Database.open(named) as database, database.connection() as connection:
        assert connection.execute(text("SELECT pg_is_in_recovery()")).scalar_one() is True
