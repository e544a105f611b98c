"""Log lines: ids of the request and the conversion in, nothing of what a client sent."""

import asyncio
import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, TextIO

import pytest
import structlog

from node.telemetry import REQUEST_LINES, configure_logging, log_context
from protocol.errors import Code, Refusal
from tests.support.api import ANN, Api, api_of, open_accounts, request_id


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    driver = logging.getLogger("psycopg")
    before, driver_before = (root.handlers[:], root.level), driver.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = before
    driver.setLevel(driver_before)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_one_json_object_with_the_ids_around_it(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="info", form="json")
    with log_context(request="r1", conversion="c1"):
        structlog.get_logger().info("done", size=3)
    structlog.get_logger().debug("unseen")
    (line,) = lines(capsys)
    assert {name: line[name] for name in ("event", "level", "request", "conversion", "size")} == {
        "event": "done",
        "level": "info",
        "request": "r1",
        "conversion": "c1",
        "size": 3,
    }


def test_an_exception_is_told_by_its_class_code_and_place(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="info", form="json")
    try:
        raise Refusal(Code.ACCOUNT_UNKNOWN, "there is no account member/secret") from ValueError("secret")
    except Refusal:
        structlog.get_logger().exception("failed")
    (line,) = lines(capsys)
    assert (line["error"], line["code"], line["cause"]) == ("Refusal", "account_unknown", "ValueError")
    assert "test_telemetry.py" in str(line["places"])
    assert "secret" not in str(line)


def test_other_peoples_loggers_speak_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="info", form="json")
    logging.getLogger("uvicorn.error").warning("careful")
    (line,) = lines(capsys)
    assert (line["event"], line["level"]) == ("careful", "warning")


def test_the_driver_of_a_database_does_not_repeat_what_its_caller_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="debug", form="json")
    logging.getLogger("psycopg").warning("error ignored terminating a pipeline")
    assert lines(capsys) == []
    logging.getLogger("psycopg").error("error processing a notice")
    assert [line["level"] for line in lines(capsys)] == ["error"]


def test_a_person_can_read_the_console_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="info", form="console")
    structlog.get_logger().info("done", size=3)
    assert "done" in capsys.readouterr().err


def test_requests_are_logged_without_tokens_accounts_or_metadata(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure_logging(level="debug", form="json")
    with api_of(tmp_path_factory.mktemp("node") / "aurora") as api:
        open_accounts(api)
        body = {
            "id": request_id("x"),
            "type": "issue",
            "account": ANN,
            "amount": 1,
            "metadata": {"name": "Ann Example"},
        }
        api.post("/v1/transactions", body)
        api.post("/v1/transactions", {**body, "amount": 2})
        api.get(f"/v1/accounts/{ANN}")
        api.get(f"/v1/conversions/{request_id('conversion')}")
        api.call("GET", "/v1/accounts", headers={"authorization": f"Bearer {api.token()}x"}, role=None)
        fail(api, monkeypatch)
        secrets = ["Ann Example", ANN.split("/")[1], api.token(), api.token().split("_")[3]]
    written = capsys.readouterr().err
    assert not [secret for secret in secrets if secret in written]
    logged = [json.loads(line) for line in written.splitlines()]
    assert {"/v1/accounts/{kind}/{account_id}", "/v1/transactions"} <= {line.get("route") for line in logged}
    assert any(line.get("conversion") == request_id("conversion") for line in logged)
    assert all(line["request"] for line in logged if line["event"] == "request")


def fail(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(f"about {ANN}")

    monkeypatch.setattr(api.node.accounts, "show", broken)
    assert api.get(f"/v1/accounts/{ANN}").status_code == 500


def test_a_line_is_json_whatever_a_library_has_logged(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="info", form="json")
    structlog.get_logger().info("odd", half="\ud800", kind=int, own=NotImplemented)
    structlog.get_logger().info("odd", own=NotImplemented)
    first, second = lines(capsys)
    assert (first["half"], first["kind"]) == ("\ud800", "<class 'int'>")
    assert second["own"] == "NotImplemented"


def log_request(method: str = "POST", **ids: str) -> None:
    async def answer() -> None:
        for status in (200, 201):
            REQUEST_LINES.add(
                request="r1", method=method, route="/v1/transactions", status=status, milliseconds=1.0, **ids
            )
        await asyncio.sleep(0)

    asyncio.run(answer())


def test_the_lines_of_requests_are_what_the_processors_would_make(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="info", form="json")
    log_request()
    for status in (200, 201):
        structlog.get_logger().info(
            "request", request="r1", method="POST", route="/v1/transactions", status=status, milliseconds=1.0
        )
    written = re.sub(r"\d{4}-[0-9T:.-]{14,22}Z", "now", capsys.readouterr().err).splitlines()
    assert written[:2] == written[2:]
    assert all("now" in line for line in written)


@pytest.mark.parametrize(("method", "ids"), [('A"B', {}), ("POST", {"conversion": "c1"})])
def test_the_line_of_an_unusual_request_is_json_as_well(
    capsys: pytest.CaptureFixture[str], method: str, ids: dict[str, str]
) -> None:
    configure_logging(level="info", form="json")
    log_request(method, **ids)
    assert [(line["method"], line["request"], line.get("conversion")) for line in lines(capsys)] == [
        (method, "r1", ids.get("conversion"))
    ] * 2


def test_the_lines_of_requests_follow_the_level_and_the_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="warning", form="json")
    log_request()
    assert capsys.readouterr().err == ""
    configure_logging(level="info", form="console")
    log_request()
    assert "request" in capsys.readouterr().err


@contextmanager
def a_full_disk() -> Iterator[TextIO]:
    """Lend a file that takes nothing, not even at its end."""
    file = Path("/dev/full").open("w", encoding="utf-8", buffering=1)  # noqa: SIM115 - closing it fails, too
    yield file
    with suppress(OSError):
        file.close()


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_line_that_cannot_be_written_stops_no_work(
    form: Literal["json", "console"], monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_full_disk() as full:
        monkeypatch.setattr(sys, "stderr", full)
        configure_logging(level="info", form=form)
        for _ in range(3):
            structlog.get_logger().error("commit_failed", works=1)
        assert REQUEST_LINES.file is not None
        REQUEST_LINES.file.write("a line\n")
        REQUEST_LINES.file.flush()
        monkeypatch.undo()
