"""What a monitor reads: every figure that the specification names, from a node that has done something."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from node.services.access.credentials import CallerRole
from node.store.errors import StoreFailed
from node.store.reader import StoreReader
from tests.support.api import ANN, Api, agree, request_id, terms_with
from tests.support.documents import BLUEBIRD

PAGE = Path(__file__).resolve().parents[4] / "specs" / "metrics.md"
CAP = 20_000_000
PARTNER = ("partner", BLUEBIRD.ledger)


def figures(api: Api) -> dict[tuple[str, ...], float]:
    answer = api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *(text for pair in sorted(sample.labels.items()) for text in pair)): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_what_a_monitor_sees_of_a_conversion_under_way(api: Api) -> None:
    terms = terms_with()
    directions = terms["directions"]
    assert isinstance(directions, list)
    agree(api, **{**terms, "directions": [{**directions[0], "cap": CAP}, directions[1]]})
    before = figures(api)
    order = {"id": request_id("metrics"), "account": ANN, "partner": BLUEBIRD.ledger, "amount": 800}
    assert api.post("/v1/conversions", order).is_success
    api.clock.advance(100)
    after = figures(api)

    def grown(*key: str) -> float:
        return after[key] - before.get(key, 0.0)

    assert grown("tallystick_entries_total") == 1
    assert grown("tallystick_commits_total") >= 1
    assert grown("tallystick_commit_works_count") == grown("tallystick_commit_seconds_count", "stage", "write") >= 1
    assert grown("tallystick_log_entries") == 1
    assert grown("tallystick_outbox_bodies", *PARTNER) == 1
    assert after["tallystick_outbox_oldest_seconds", *PARTNER] >= 99
    assert [after["tallystick_conversions_undecided", "seconds", age] for age in ("0", "10", "60", "3600")] == [
        1,
        1,
        1,
        0,
    ]
    assert after["tallystick_cap_used_ratio", "direction", "out", *PARTNER] == pytest.approx(0.25)
    assert after["tallystick_last_entry_age_seconds",] >= 99
    assert (after["tallystick_ready",], after["tallystick_writer_failing",]) == (1, 0)
    route = ("method", "POST", "route", "/v1/conversions", "status", "201")
    assert grown("tallystick_http_request_seconds_count", *route) == 1


def test_the_page_names_every_figure_and_no_label_names_a_member(api: Api) -> None:
    named = set(re.findall(r"^\| `(tallystick_\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    text = api.get("/metrics").text
    told = {family.name for family in text_string_to_metric_families(text) if family.name.startswith("tallystick_")}
    assert told == named
    assert str(ANN) not in text
    assert ANN.partition("/")[2] not in text


def test_a_method_or_route_that_nobody_knows_makes_no_series_of_its_own(api: Api) -> None:
    for name in ("BREW", "STIR"):
        api.call(name, f"/v1/{name}/pot")
    text = api.get("/metrics").text
    assert "BREW" not in text
    assert 'method="other",route="none"' in text


def test_holds_are_counted_by_their_age(api: Api) -> None:
    def counted() -> list[float]:
        found = figures(api)
        return [found["tallystick_holds", "seconds", age] for age in ("0", "10", "60", "3600", "86400")]

    before = counted()
    for name, amount in (("older", 3), ("part", 5), ("ended", 7)):
        api.done("/v1/holds", {"id": request_id(name), "account": ANN, "amount": amount})
    api.clock.advance(4_000)
    api.done("/v1/holds", {"id": request_id("younger"), "account": ANN, "amount": 2})
    api.done(f"/v1/holds/{request_id('part')}/capture", {"id": request_id("a part"), "amount": 1, "final": False})
    api.done(f"/v1/holds/{request_id('ended')}/release", {"id": request_id("let go")})
    api.clock.advance(30)
    assert [after - first for after, first in zip(counted(), before, strict=True)] == [3, 3, 2, 2, 0]


def test_the_published_checkpoint_grows_old(api: Api) -> None:
    api.done("/v1/holds", {"id": request_id("entry"), "account": ANN, "amount": 1})
    api.clock.advance(200)
    figures(api)  # publishes what was signed until then
    found = figures(api)
    assert found["tallystick_checkpoint_age_seconds",] == found["tallystick_last_entry_age_seconds",] >= 200


def test_a_certificate_tells_when_it_ends(api: Api) -> None:
    ends_at = datetime(2027, 3, 1, tzinfo=UTC)
    api.node.metrics.certificate("tls.pem", ends_at)
    found = figures(api)["tallystick_certificate_end_timestamp_seconds", "file", "tls.pem"]
    assert found == ends_at.timestamp()


def test_what_cannot_be_read_is_left_out(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> object:
        raise StoreFailed("the disk is gone")

    monkeypatch.setattr(StoreReader, "outbox_heads", fail)
    found = figures(api)
    assert ("tallystick_outbox_bodies", *PARTNER) not in found
    assert found["tallystick_log_entries",] > 0


def test_figures_are_for_operators(api: Api) -> None:
    assert api.get("/metrics", role=CallerRole.BACKEND).status_code == 403
    assert api.call("GET", "/metrics", role=None).status_code == 401
