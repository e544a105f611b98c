"""The trace of a conversion: the same path from both sides, in one answer that proves itself without a server."""

from collections.abc import Iterator

import msgspec
import pytest

from protocol.agreement import SignedAgreement
from protocol.audit.findings import Verdict
from protocol.audit.trace import decode_trace
from protocol.audit.verify import FileKind, Verification, verify_file
from scripts.alliance.brands import AURORA, BLUEBIRD, CEDAR, Brand
from tests.support.documents import uuid
from tests.support.linked import Json, Linked, linked


@pytest.fixture(scope="module")
def brands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Linked]:
    with linked(tmp_path_factory.mktemp("traced")) as made:
        yield made


@pytest.fixture(scope="module")
def converted(brands: Linked) -> Json:
    """Return a conversion of Aurora's member that Bluebird has credited."""
    here, there = brands.open(AURORA), brands.open(BLUEBIRD, points=0)
    brands.link(BLUEBIRD, there, AURORA, here)
    done = brands.convert(AURORA, here, BLUEBIRD, 500)
    assert done["state"] == "completed"
    # What a log signs it publishes within a second.
    brands.street.talk(5)
    return done


def trace(brands: Linked, brand: Brand, conversion: object, **query: str) -> Json:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return brands.read(brand, f"/v1/conversions/{conversion}/trace?{asked}")


def rows(found: Json, name: str) -> list[Json]:
    listed = found[name]
    assert isinstance(listed, list)
    return listed


def check(brands: Linked, found: Json, *, changed: bytes | None = None) -> Verification:
    """Verify what proves a trace by the agreement that the auditor has from a party."""
    data = changed or msgspec.json.encode(found["evidence"], order="sorted")
    listed = brands.read(AURORA, "/v1/agreements")["agreements"]
    assert isinstance(listed, list)
    known = [msgspec.convert(each["agreement"], SignedAgreement) for each in listed]
    return verify_file(data, agreements=known)


def test_the_source_tells_the_whole_path_and_proves_it(brands: Linked, converted: Json) -> None:
    found = trace(brands, AURORA, converted["id"])
    assert (found["direction"], found["state"], found["account"]) == ("out", "completed", converted["account"])
    assert [(step["side"], step["kind"]) for step in rows(found, "steps")] == [
        ("us", "conversion_held"),
        ("partner", "fulfil"),
        ("us", "conversion_captured"),
    ]
    assert [(each["way"], each["kind"], each["waits"]) for each in rows(found, "messages")] == [
        ("sent", "prepare", False),
        ("received", "fulfil", False),
    ]
    (shown,) = rows(found, "partner_log")
    assert shown["outcome"] == "shown"
    settlement = found["settlement"]
    assert isinstance(settlement, dict)
    assert (settlement["window"], settlement["dec_seq"], settlement["state"]) == (1, 1, "open")
    assert settlement["billed"] is None
    result = check(brands, found)
    assert (result.verdict, result.kind) == (Verdict.HELD, FileKind.TRACE), result.lines
    assert any("signed: conversion" in line for line in result.lines)
    assert any("has the entry that it names" in line for line in result.lines)


def test_the_destination_tells_the_same_path_from_its_side(brands: Linked, converted: Json) -> None:
    found = trace(brands, BLUEBIRD, converted["id"])
    assert found == trace(brands, BLUEBIRD, converted["id"], source=AURORA.ledger)
    assert (found["direction"], found["state"]) == ("in", "completed")
    assert found["account"] != converted["account"]
    assert [(step["side"], step["kind"]) for step in rows(found, "steps")] == [
        ("partner", "prepare"),
        ("us", "conversion_credited"),
    ]
    assert [shown["outcome"] for shown in rows(found, "partner_log")] == ["shown"]
    assert check(brands, found).verdict is Verdict.HELD


def test_a_pending_one_says_who_is_waited_for_and_that_its_log_cannot_be_reached(brands: Linked) -> None:
    here, there = brands.open(AURORA), brands.open(CEDAR, points=0)
    brands.link(CEDAR, there, AURORA, here)
    client = brands.street.network.clients.pop(CEDAR.program)
    try:
        pending = brands.convert(AURORA, here, CEDAR)
        found = trace(brands, AURORA, pending["id"])
        assert (found["state"], found["settlement"]) == ("pending", None)
        assert "the points are safe on hold" in str(found["waiting_for"])
        assert "conversion cancel" in str(found["to_do"])
        assert found["last_failure"] is not None
        assert [each["waits"] for each in rows(found, "messages")] == [True]
        brands.call(AURORA, "POST", f"/v1/conversions/{pending['id']}/cancel", {})
        found = trace(brands, AURORA, pending["id"])
        assert [step["kind"] for step in rows(found, "steps")][-1] == "conversion_cancel_requested"
        assert check(brands, found).verdict is Verdict.HELD
    finally:
        brands.street.network.clients[CEDAR.program] = client
    brands.street.talk(60)
    found = trace(brands, AURORA, pending["id"])
    assert found["state"] in {"completed", "returned"}


def test_a_returned_one_says_why(brands: Linked) -> None:
    here, there = brands.open(AURORA), brands.open(BLUEBIRD, points=0)
    brands.link(BLUEBIRD, there, AURORA, here)
    close = {"id": brands.fresh()}
    assert brands.call(BLUEBIRD, "POST", f"/v1/accounts/{there}/close", close).is_success
    returned = brands.convert(AURORA, here, BLUEBIRD)
    assert returned["state"] == "returned"
    found = trace(brands, AURORA, returned["id"])
    assert [(step["side"], step["kind"]) for step in rows(found, "steps")] == [
        ("us", "conversion_held"),
        ("partner", "reject"),
        ("us", "conversion_released"),
    ]
    assert (found["waiting_for"], found["to_do"]) == (None, None)
    there_too = trace(brands, BLUEBIRD, returned["id"])
    assert (there_too["state"], there_too["account"]) == ("returned", None)


def test_one_that_was_forced_shows_the_entry_that_forced_it(brands: Linked) -> None:
    here, there = brands.open(AURORA), brands.open(CEDAR, points=0)
    brands.link(CEDAR, there, AURORA, here)
    client = brands.street.network.clients.pop(CEDAR.program)
    try:
        pending = brands.convert(AURORA, here, CEDAR)
        force = {"id": brands.fresh(), "reason": "partner_gone"}
        forced = brands.call(AURORA, "POST", f"/v1/conversions/{pending['id']}/force-release", force)
        if forced.is_success:
            found = trace(brands, AURORA, pending["id"])
            assert "conversion_forced" in [step["kind"] for step in rows(found, "steps")]
            assert "late answer" in str(found["waiting_for"])
    finally:
        brands.street.network.clients[CEDAR.program] = client
    brands.street.talk(60)


def test_what_proves_it_disproves_itself_when_it_is_changed(brands: Linked, converted: Json) -> None:
    found = trace(brands, AURORA, converted["id"])
    data = msgspec.json.encode(found["evidence"], order="sorted")
    other = data.replace(str(converted["id"]).encode(), uuid("another").encode(), 1)
    assert check(brands, found, changed=other).verdict is Verdict.BROKEN
    assert decode_trace(data).conversion == converted["id"]


def test_nobody_knows_a_conversion_that_never_was(brands: Linked) -> None:
    response = brands.call(AURORA, "GET", f"/v1/conversions/{uuid('never')}/trace")
    assert response.json()["code"] == "conversion_unknown"
    response = brands.call(AURORA, "GET", f"/v1/conversions/{uuid('never')}/trace?source={BLUEBIRD.ledger}")
    assert response.json()["code"] == "conversion_unknown"
