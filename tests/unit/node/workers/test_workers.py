"""Workers: each a step that may be called at any time, again and again."""

import json
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.services.program import expiry
from node.workers import expire_points
from node.workers.expire_holds import ExpireHolds
from node.workers.expire_points import ExpirePoints
from node.workers.keep_state import KeepState, StateFileInvalid, read_state, write_state
from node.workers.runner import Runner
from protocol.errors import Code, Refusal, TallystickError
from tests.support.api import ANN, Api, api_of, open_accounts, request_id


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with api_of(tmp_path / "aurora") as opened:
        open_accounts(opened)
        yield opened


def hold(api: Api, name: str, *, expires_at: str | None) -> str:
    body = {"id": request_id(name), "account": ANN, "amount": 100, "expires_at": expires_at}
    api.done("/v1/holds", body)
    return f"/v1/holds/{request_id(name)}"


def test_holds_are_released_once_their_time_has_passed(api: Api) -> None:
    worker = ExpireHolds(api.node.points)
    early = hold(api, "early", expires_at="2026-03-01T12:01:00Z")
    late = hold(api, "late", expires_at="2026-03-02T00:00:00Z")
    kept = hold(api, "kept", expires_at=None)
    worker.step()
    assert [api.read(path)["state"] for path in (early, late, kept)] == ["open", "open", "open"]
    api.clock.advance(60)
    worker.step()
    before = api.rows()
    worker.step()
    assert api.rows() == before
    assert [api.read(path)["state"] for path in (early, late, kept)] == ["closed", "open", "open"]
    newest = api.read(f"/v1/accounts/{ANN}/history?limit=1")["entries"]
    assert isinstance(newest, list)
    assert (newest[0]["kind"], newest[0]["expired"]) == ("hold_released", True)


def test_a_hold_that_was_settled_meanwhile_is_passed_over(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    path = hold(api, "raced", expires_at="2026-03-01T12:01:00Z")
    api.done(f"{path}/release", {"id": request_id("release")})
    api.clock.advance(120)
    monkeypatch.setattr(api.node.points, "expired_holds", lambda _limit: [request_id("raced")])
    before = api.rows()
    ExpireHolds(api.node.points).step()
    assert api.rows() == before


def test_a_store_that_fails_does_not_stop_the_worker(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_hold: object) -> None:
        raise TallystickError("the disk is full")

    path = hold(api, "later", expires_at="2026-03-01T12:01:00Z")
    api.clock.advance(120)
    with monkeypatch.context() as patched:
        patched.setattr(api.node.points, "expire_hold", fail)
        with pytest.raises(TallystickError):
            ExpireHolds(api.node.points).step()
    ExpireHolds(api.node.points).step()
    assert api.read(path)["state"] == "closed"


def expiring(api: Api, name: str, expires_on: str) -> None:
    body = {"id": request_id(name), "type": "issue", "account": ANN, "amount": 5, "expires_on": expires_on}
    api.done("/v1/transactions", body)


def posted(api: Api) -> object:
    return api.read(f"/v1/accounts/{ANN}")["posted"]


def test_points_expire_once_a_day_a_little_at_a_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "STEP_LOTS_MAX", 1)
    monkeypatch.setattr(expire_points, "STEPS_MAX", 2)
    pauses: list[float] = []
    worker = ExpirePoints(api.node.expiry, api.clock, sleep=pauses.append)
    for number in range(3):
        expiring(api, f"points {number}", "2026-03-01")
    worker.step()
    assert posted(api) == 10_015
    expiring(api, "tomorrow's", "2026-03-02")
    api.clock.advance(86_400)
    worker.step()
    assert posted(api) == 10_010
    worker.step()
    worker.step()
    assert posted(api) == 10_005
    assert pauses
    before = api.rows()
    worker.step()
    assert api.rows() == before
    api.clock.advance(86_400)
    worker.step()
    assert posted(api) == 10_000


def test_a_slow_commit_is_followed_by_a_smaller_one(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    run = api.node.expiry.run

    def slow(as_of: str | None, after: str | None, *, lots_max: int) -> expiry.ExpiryStep:
        asked.append(lots_max)
        api.clock.advance(1.0 if len(asked) < 5 else 0.0)
        return run(as_of, after, lots_max=lots_max)

    for number in range(70):
        expiring(api, f"points {number}", "2026-03-01")
    api.clock.advance(86_400)
    monkeypatch.setattr(api.node.expiry, "run", slow)
    pauses: list[float] = []
    ExpirePoints(api.node.expiry, api.clock, sleep=pauses.append).step()
    assert asked == [32, 16, 8, 4, 4, 8]
    assert pauses == [1.0, 1.0, 1.0, 1.0, expire_points.PAUSE_SECONDS]
    assert posted(api) == 10_000


def test_what_cannot_be_posted_now_is_posted_later(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_day: str, _after: str | None, *, lots_max: int) -> None:
        raise Refusal(Code.RECOVERING, "not now")

    expiring(api, "points", "2026-03-01")
    api.clock.advance(86_400)
    worker = ExpirePoints(api.node.expiry, api.clock)
    with monkeypatch.context() as patched:
        patched.setattr(api.node.expiry, "run", refuse)
        worker.step()
    assert posted(api) == 10_005
    worker.step()
    assert posted(api) == 10_000


def test_the_state_file_follows_the_newest_checkpoint(api: Api, tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    worker = KeepState(api.node.log, path)
    assert read_state(path) is None
    worker.step()
    first = read_state(path)
    assert first == api.node.log.newest().note
    changed = path.stat().st_mtime_ns
    worker.step()
    assert path.stat().st_mtime_ns == changed
    hold(api, "one more", expires_at=None)
    worker.step()
    assert read_state(path) != first
    assert path.stat().st_mode & 0o077 == 0
    assert json.loads(path.read_text())["v"] == 1


def test_the_state_file_does_not_go_back_with_a_store_that_lacks_the_last_commits(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = api.node.log.newest()
    hold(api, "lost", expires_at=None)
    worker = KeepState(api.node.log, tmp_path / "state.json")
    worker.step()
    kept = read_state(tmp_path / "state.json")
    assert kept != before.note
    monkeypatch.setattr(api.node.log, "newest", lambda: before)
    worker.step()
    assert read_state(tmp_path / "state.json") == kept


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"x"'])
def test_a_damaged_state_file_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(StateFileInvalid):
        read_state(path)


def test_a_state_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(StateFileInvalid):
        write_state(tmp_path / "missing" / "state.json", b"note")


def test_a_step_that_fails_is_called_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.workers.runner._AFTER_FAILURE_SECONDS", 0.0)
    calls, third = [0], threading.Event()

    def step() -> None:
        calls[0] += 1
        if calls[0] == 1:
            raise RuntimeError("once")
        if calls[0] == 3:
            third.set()

    runner = Runner()
    runner.run("test", step, every_seconds=0.001)
    assert third.wait(10)
    runner.stop(wake=lambda: None)
    after = calls[0]
    assert calls[0] == after


def test_stopping_wakes_what_waits() -> None:
    woken, waiting = threading.Event(), threading.Event()

    def wait(_seconds: float) -> None:
        waiting.set()
        woken.wait(30)

    runner = Runner()
    runner.run("test", lambda: None, every_seconds=30, wait=wait)
    assert waiting.wait(10)
    runner.stop(wake=woken.set)
    assert not [thread for thread in threading.enumerate() if thread.name == "test"]


def test_a_state_file_that_does_not_fit_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_state(path, b"before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # As on a full disk, a part of it can be written.
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        with pytest.raises(StateFileInvalid):
            write_state(path, b"a longer note, of which the beginning fits")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_state(path) == b"before"
