"""Every row of the sandbox's script, tried by a real node, leads to where the table says."""

from collections.abc import Iterator

import pytest

from node.app.sandbox_host import guest_of
from node.app.sandbox_script import LATE_SECONDS, REPEATS, SCRIPT, SPOILED_PARCELS, Act, Row, row_for
from protocol.audit.findings import Verdict
from protocol.audit.verify import verify_file
from protocol.entries import ConversionRefused, decode_entry, unseal
from protocol.errors import Code
from protocol.identifiers import Digest, Id
from protocol.ledger import rules
from protocol.ledger.view import Overlay
from tests.support.documents import AURORA, uuid
from tests.support.sandbox import ANN, SANDBOX, SANDBOX_URL, Stage, stage_of

COMPLETED = ("completed", None)
PENDING = ("pending", None)
REJECTING = [row for row in SCRIPT if row.act is Act.REJECT]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage_of(tmp_path_factory.mktemp("sandbox")) as lent:
        yield lent


def order(stage: Stage, act: Act) -> Id:
    stage.web.refused.clear()
    return stage.order(100 + next(row.ending for row in SCRIPT if row.act is act))


def test_endings_are_two_digits_once_each() -> None:
    endings = [row.ending for row in SCRIPT]
    assert len(set(endings)) == len(endings)
    assert all(0 < ending < 100 for ending in endings)
    assert {row.act for row in SCRIPT} == set(Act)
    assert [row_for(steps) for steps in (0, 100, 99, 1_000)] == [None] * 4


def test_an_amount_without_a_row_completes(stage: Stage) -> None:
    conversion = stage.order(100)
    stage.talk(1)
    assert stage.outcome(conversion) == COMPLETED
    assert stage.heard(conversion) == ["fulfil"]


@pytest.mark.parametrize("row", REJECTING, ids=[str(row.code) for row in REJECTING])
def test_each_reason_comes_back(stage: Stage, row: Row) -> None:
    conversion = stage.order(100 + row.ending)
    stage.talk(1)
    assert stage.outcome(conversion) == ("returned", row.code)


def test_silence_ends_by_a_cancellation(stage: Stage) -> None:
    conversion = order(stage, Act.SILENT)
    stage.talk(30)
    assert stage.outcome(conversion) == PENDING
    stage.call(f"/v1/conversions/{conversion}/cancel", {})
    stage.talk(1)
    assert stage.outcome(conversion) == ("returned", Code.CANCELLED)


def test_a_late_decision_comes(stage: Stage) -> None:
    conversion = order(stage, Act.LATE)
    stage.talk(LATE_SECONDS - 1)
    assert stage.outcome(conversion) == PENDING
    stage.talk(2)
    assert stage.outcome(conversion) == COMPLETED


def test_a_repeated_decision_counts_once(stage: Stage) -> None:
    frames = stage.sandbox.node.exchange.peer(AURORA.ledger).outgoing
    before = frames.end_seq
    conversion = order(stage, Act.REPEAT)
    stage.talk(5)
    assert stage.outcome(conversion) == COMPLETED
    assert frames.end_seq == before + 1 + REPEATS
    assert stage.heard(conversion) == ["fulfil"]


@pytest.mark.parametrize(("act", "code"), [(Act.FORGE, "signature_invalid"), (Act.ALTER, "envelope_invalid")])
def test_a_spoiled_envelope_is_refused_until_it_is_right(stage: Stage, act: Act, code: str) -> None:
    conversion = order(stage, act)
    stage.talk(30)
    assert stage.web.refused == [code] * SPOILED_PARCELS
    assert stage.outcome(conversion) == COMPLETED
    assert stage.heard(conversion) == ["fulfil"]


@pytest.mark.parametrize("act", [Act.OTHER_PREPARE, Act.OTHER_AMOUNT])
def test_a_false_fulfil_is_kept_and_changes_nothing(stage: Stage, act: Act) -> None:
    conversion = order(stage, act)
    stage.talk(2)
    assert stage.heard(conversion) == ["fulfil", "fulfil"]
    assert stage.outcome(conversion) == COMPLETED


def test_of_two_decisions_the_first_counts(stage: Stage) -> None:
    conversion = order(stage, Act.TWO_DECISIONS)
    stage.talk(2)
    assert stage.heard(conversion) == ["fulfil", "reject"]
    assert stage.outcome(conversion) == COMPLETED


@pytest.mark.parametrize("act", [Act.OTHER_AMOUNT, Act.TWO_DECISIONS])
def test_two_words_about_one_conversion_are_evidence_for_anybody(stage: Stage, act: Act) -> None:
    conversion = order(stage, act)
    stage.talk(2)
    stage.brand.node.accusations.gather()
    kept = stage.brand.node.accusations.page(before=None, limit=100).evidence
    (row,) = [each for each in kept if each.conversion == conversion]
    ((_, record),) = stage.brand.node.reader.agreements(SANDBOX)
    found = verify_file(stage.brand.node.accusations.file(Digest(row.digest)), agreements=[record.signed])
    assert (row.subject, found.verdict) == ("decision", Verdict.HELD)


def test_the_other_direction_works_with_the_guests_points(stage: Stage) -> None:
    guest = guest_of(AURORA.ledger)
    issued = stage.call("/v1/links", {"id": uuid("back"), "account": ANN, "partner": SANDBOX})
    link = {"id": uuid("back"), "account": guest, "document": issued["document"]}
    stage.call("/v1/links/accept", link, url=SANDBOX_URL)
    order = {"id": uuid("from the sandbox"), "account": guest, "partner": AURORA.ledger, "amount": 301}
    stage.call("/v1/conversions", order, url=SANDBOX_URL)
    stage.talk(1)
    # The script is about what the sandbox decides: what it asks for is decided by the brand.
    assert stage.sandbox.node.conversions.state(uuid("from the sandbox")).state == "completed"


def test_the_sandboxes_log_keeps_the_rules(stage: Stage) -> None:
    before = stage.brand.node.accounts.show(ANN).posted
    completed, returned = stage.order(1_000), stage.order(1_002)
    stage.talk(1)
    assert stage.outcome(completed) == COMPLETED
    assert stage.outcome(returned) == ("returned", Code.LINK_UNKNOWN)
    assert stage.brand.node.accounts.show(ANN).posted == before - 1_000
    view, refused = Overlay(complete=True), []
    for data in stage.sandbox.node.reader.entries(0, 10_000):
        rules.apply(view, unseal(data))
        entry = decode_entry(data)
        refused += [entry.conversion] if isinstance(entry, ConversionRefused) else []
    assert returned in refused
