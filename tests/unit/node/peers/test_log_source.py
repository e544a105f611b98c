import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from node.peers import log_source, package_source
from node.peers.log_source import ATTEMPTS_MAX, HttpSource, PackageSource, open_source
from protocol.errors import CouldNotCheck

Answer = Callable[[httpx.Request], httpx.Response]


def source(answer: Answer, pauses: list[float] | None = None, *, token: str | None = None) -> HttpSource:
    paused = [] if pauses is None else pauses
    return HttpSource("https://node.example/", token, transport=httpx.MockTransport(answer), pause=paused.append)


def test_a_file_of_a_node() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(404) if request.url.path == "/messages/0" else httpx.Response(200, content=b"bytes")

    with source(answer, token="secret") as made:
        assert made.label == "https://node.example"
        assert made.fetch("tile/0/000.p/5") == b"bytes"
        assert made.fetch("messages/0") is None
    assert [str(request.url) for request in asked] == [
        "https://node.example/tile/0/000.p/5",
        "https://node.example/messages/0",
    ]
    assert asked[0].headers["authorization"] == "Bearer secret"
    with source(answer) as open_to_all:
        open_to_all.fetch("checkpoint")
    assert "authorization" not in asked[-1].headers


@pytest.mark.parametrize(
    ("status", "detail"), [(401, r"token is needed \(--token-file\)"), (403, "token is needed"), (500, "answered 500")]
)
def test_other_answers_leave_the_check_open(status: int, detail: str) -> None:
    with source(lambda _request: httpx.Response(status)) as made, pytest.raises(CouldNotCheck, match=detail):
        made.fetch("tile/entries/000")


def test_a_redirect_is_not_followed() -> None:
    answer = httpx.Response(302, headers={"location": "https://elsewhere.example/"})
    with source(lambda _request: answer) as made, pytest.raises(CouldNotCheck, match="answered 302"):
        made.fetch("checkpoint")


def test_a_busy_node_is_asked_again_as_late_as_it_wants() -> None:
    answers = iter([
        httpx.Response(429, headers={"retry-after": "7"}),
        httpx.Response(503, headers={"retry-after": "Fri, 31 Dec 2027 23:59:59 GMT"}),
        httpx.Response(503, headers={"retry-after": "86400"}),
        httpx.Response(200, content=b"bytes"),
    ])  # fmt: skip
    pauses: list[float] = []
    with source(lambda _request: next(answers), pauses) as made:
        assert made.fetch("checkpoint") == b"bytes"
    assert pauses == [7.0, log_source.PAUSE_SECONDS, log_source.PAUSE_SECONDS_MAX]


def test_a_node_that_stays_busy_leaves_the_check_open() -> None:
    pauses: list[float] = []
    with source(lambda _request: httpx.Response(503), pauses) as made, pytest.raises(CouldNotCheck, match="too busy"):
        made.fetch("checkpoint")
    assert len(pauses) == ATTEMPTS_MAX - 1


def test_a_connection_that_fails_is_tried_again() -> None:
    failures = iter([httpx.ConnectError("refused"), httpx.ReadTimeout("slow")])

    def answer(_request: httpx.Request) -> httpx.Response:
        for failure in failures:
            raise failure
        return httpx.Response(200, content=b"bytes")

    pauses: list[float] = []
    with source(answer, pauses) as made:
        assert made.fetch("checkpoint") == b"bytes"
    assert pauses == [1.0, 2.0]

    def never(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with source(never) as made, pytest.raises(CouldNotCheck, match="ConnectError: refused"):
        made.fetch("checkpoint")


@pytest.mark.parametrize("url", ["ftp://node.example", "http://[", "http://a b"])
def test_a_url_that_cannot_be_asked_leaves_the_check_open(url: str) -> None:
    with HttpSource(url, pause=lambda _seconds: None) as made, pytest.raises(CouldNotCheck):
        made.fetch("checkpoint")


def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_source, "FILE_BYTES_MAX", 10)
    answer = httpx.Response(200, content=b"x" * 11)
    with source(lambda _request: answer) as made, pytest.raises(CouldNotCheck, match="too large: more than 10 bytes"):
        made.fetch("checkpoint")


def test_an_answer_that_trickles_in_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_source, "FILE_SECONDS", -1.0)
    answer = httpx.Response(200, content=b"note")
    with source(lambda _request: answer) as made, pytest.raises(CouldNotCheck, match="checkpoint takes too long"):
        made.fetch("checkpoint")


def test_a_packed_answer_is_neither_asked_for_nor_unpacked() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["accept-encoding"] == "identity"
        return httpx.Response(200, headers={"content-encoding": "gzip"}, content=gzip.compress(b"x" * 1_000_000))

    with source(answer) as made, pytest.raises(CouldNotCheck, match="answered packed"):
        made.fetch("checkpoint")


@pytest.fixture(params=["zip", "directory"])
def package(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    files = {"checkpoint": b"note", "tile/0/000": b"hashes"}
    if request.param == "directory":
        for name, data in files.items():
            place = tmp_path / "package" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        return tmp_path / "package"
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return tmp_path / "package.zip"


def test_a_file_of_a_package(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with PackageSource(package) as made:
        assert made.label == package.name
        assert made.fetch("checkpoint") == b"note"
        assert made.fetch("tile/0/000") == b"hashes"
        assert made.fetch("tile/0/001") is None
        assert made.fetch("tile") is None
        monkeypatch.setattr(package_source, "FILE_BYTES_MAX", 3)
        with pytest.raises(CouldNotCheck, match="longer than 3 bytes"):
            made.fetch("checkpoint")


def test_what_is_no_package_leaves_the_check_open(tmp_path: Path) -> None:
    for content in (b"", b"no zip", b"PK\x03\x04"):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(CouldNotCheck, match="no audit package"):
            PackageSource(tmp_path / "file")
    with pytest.raises(CouldNotCheck, match="no audit package"):
        PackageSource(tmp_path / "absent")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_package_leaves_the_check_open(tmp_path: Path, method: int) -> None:
    path = tmp_path / "package.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("checkpoint", b"note " * 100)
    whole = path.read_bytes()
    # The stream of LZMA comes after nine bytes of its properties.
    begin = whole.index(b"checkpoint") + len("checkpoint") + 9 * (method == zipfile.ZIP_LZMA)
    path.write_bytes(whole[:begin] + b"\xff" * 8 + whole[begin + 8 :])
    with PackageSource(path) as made, pytest.raises(CouldNotCheck, match="cannot be read"):
        made.fetch("checkpoint")


def test_a_file_that_cannot_be_opened_leaves_the_check_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkpoint").touch()

    def refuse(*_arguments: object, **_named: object) -> object:
        raise PermissionError("not yours")

    with PackageSource(tmp_path) as made:
        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(CouldNotCheck, match="not yours"):
            made.fetch("checkpoint")


def test_a_place_is_a_url_or_a_path(tmp_path: Path) -> None:
    for place, kind in (
        ("https://node.example", HttpSource),
        ("http://node.example", HttpSource),
        (str(tmp_path), PackageSource),
    ):
        opened = open_source(place, token="secret")
        assert isinstance(opened, kind)
        opened.close()


@pytest.mark.parametrize("place", ["127.0.0.1:8420", "nowhere.zip", "ftp://node.example"])
def test_a_place_that_is_neither_is_told_what_one_looks_like(place: str) -> None:
    with pytest.raises(CouldNotCheck, match=f"{place} is no file here, and no URL of a node like http://"):
        open_source(place)
