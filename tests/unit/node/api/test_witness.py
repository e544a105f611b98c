"""A node as a witness: every answer of the standard's table, given by a running node over its own store."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from node.engine.work import CommandWork
from protocol.agreement import key_of
from protocol.checkpoint import cosignature_time, verify_extends
from protocol.identifiers import Digest, Ledger
from protocol.keys import Role
from protocol.ledger.commands import TakeSuccession
from protocol.ledger.names import succession_id
from protocol.ledger.state import PARTNERS
from protocol.limits import ADD_CHECKPOINT_BYTES_MAX
from protocol.messages import EntryReference, Predecessor, Succeeded, body_digest, encode_body
from protocol.note import KeyType, Verifier, parse_note
from protocol.witness import (
    SIZE_TYPE,
    TEXT_TYPE,
    monitor_path,
    parse_size,
    take_cosignatures,
)
from tests.support.api import Api, api_of, meet
from tests.support.documents import AURORA, BLUEBIRD, COPPER, digest
from tests.support.exchanges import EXCHANGES, LOG, STRANGERS, SUCCESSOR, Exchange

PATH = "/witness/v1/add-checkpoint"


def witness_of(api: Api) -> Verifier:
    return Verifier(api.node.ledger, key_of(api.node.ledger_keys, Role.WITNESS), KeyType.COSIGNATURE)


@pytest.fixture(scope="module")
def answers(api: Api) -> dict[str, httpx.Response]:
    """Return the answers to all exchanges, made one after the other."""
    return {each.name: api.call("POST", PATH, content=each.request, role=None) for each in EXCHANGES}


@pytest.mark.parametrize("exchange", EXCHANGES, ids=[each.name for each in EXCHANGES])
def test_a_witness_answers_as_the_standard_says(
    api: Api, answers: dict[str, httpx.Response], exchange: Exchange
) -> None:
    answer = answers[exchange.name]
    assert answer.status_code == exchange.status, answer.text
    if exchange.status == 409:
        assert answer.headers["content-type"] == SIZE_TYPE
        assert parse_size(answer.content) == exchange.size
    else:
        assert answer.headers["content-type"] == TEXT_TYPE
    if exchange.status == 200:
        text = parse_note(exchange.request.partition(b"\n\n")[2]).text
        (line,) = take_cosignatures(answer.content, text=text, witnesses=[witness_of(api)])
        assert cosignature_time(line) > 0
        assert answer.content == line.format().encode()


def test_every_answer_is_among_the_exchanges() -> None:
    assert {each.status for each in EXCHANGES} == {200, 400, 403, 404, 409, 422}
    assert len(EXCHANGES) >= 20


def test_a_monitor_sees_what_was_cosigned_last(api: Api, answers: dict[str, httpx.Response]) -> None:
    shown = api.call("GET", f"/witness/v1/{monitor_path(LOG.origin)}", role=None)
    assert shown.status_code == 200
    note = parse_note(shown.content)
    assert note.text == LOG.note(40).text
    log_line, cosignature = note.signatures
    assert log_line == LOG.note(40).signatures[0]
    assert answers["still more"].content == cosignature.format().encode()


def test_lines_of_others_are_not_kept(api: Api) -> None:
    with api.database.snapshot() as dump:
        rows = list(dump.rows("witnessed"))
    assert [(origin, size) for origin, size, _ in rows] == [(LOG.origin, 40)]


@pytest.mark.parametrize("origin", [COPPER.ledger, AURORA.ledger, ""])
def test_a_monitor_finds_nothing_of_other_logs(api: Api, origin: str) -> None:
    shown = api.call("GET", f"/witness/v1/{sha256(origin.encode()).hexdigest()}/checkpoint", role=None)
    assert (shown.status_code, shown.json()["code"]) == (404, "not_found")


def test_two_histories_that_were_signed_are_kept_as_evidence(api: Api, answers: dict[str, httpx.Response]) -> None:
    assert answers["another root of the same size"].status_code == 422
    found = api.read("/v1/evidence")["evidence"]
    assert isinstance(found, list)
    forks = {each["name"] for each in found if each["kind"] == "fork"}
    # The rewritten log and the one that was cut have each shown, by their own proofs, the roots that they had.
    assert forks == {f"{LOG.origin} 5", f"{LOG.origin} 20"}


def test_a_long_request_is_refused_before_it_is_read(api: Api) -> None:
    answer = api.call("POST", PATH, content=b" " * (ADD_CHECKPOINT_BYTES_MAX + 1), role=None)
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Api]:
    """Lend a node of its own that knows Bluebird."""
    with api_of(tmp_path / "aurora") as opened:
        meet(opened)
        yield opened


def test_of_requests_that_race_one_alone_is_cosigned(alone: Api) -> None:
    assert alone.node.witness.add_checkpoint(LOG.request(0, 5)).status == 200
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(alone.node.witness.add_checkpoint, [LOG.request(5, size) for size in range(6, 38)]))
    won = [size for size, reply in zip(range(6, 38), replies, strict=True) if reply.status == 200]
    assert len(won) == 1
    lost = {(reply.status, reply.body) for reply in replies if reply.status != 200}
    assert lost == {(409, b"%d\n" % won[0])}
    assert (
        parse_note(alone.node.witness.latest(monitor_path(LOG.origin).partition("/")[0])).text == LOG.note(won[0]).text
    )


def test_requests_of_one_commit_see_each_other(alone: Api) -> None:
    """Steps that race in any order: whatever is cosigned is one growing log, and nothing is ever rolled back."""
    steps = [(low, low + 2) for low in range(0, 40, 2)] + [(low, low + 6) for low in range(0, 34, 2)]
    cosigned: list[int] = []
    for _ in range(12):
        with ThreadPoolExecutor(16) as pool:
            replies = list(pool.map(lambda step: alone.node.witness.add_checkpoint(LOG.request(*step)), steps))
        cosigned += [size for (_, size), reply in zip(steps, replies, strict=True) if reply.status == 200]
    assert len(cosigned) == len(set(cosigned))
    for old, new in pairwise(sorted(cosigned)):
        verify_extends(old=LOG.checkpoint(old), new=LOG.checkpoint(new), proof=LOG.proof(old, new))
    kept = alone.node.reader.witnessed(LOG.origin)
    assert kept is not None
    assert kept.size == max(cosigned)


def test_a_witness_that_knows_itself_to_be_an_old_copy_cosigns_nothing(alone: Api) -> None:
    alone.node.gate.found_behind("another has seen more")
    answer = alone.call("POST", PATH, content=LOG.request(0, 5), role=None)
    assert (answer.status_code, answer.json()["code"]) == (503, "store_behind")
    assert alone.call("POST", PATH, content=STRANGERS.request(0, 5), role=None).status_code == 503
    assert alone.call("POST", PATH, content=b"nothing", role=None).status_code == 400


def test_a_witness_whose_start_is_not_answered_cosigns(alone: Api) -> None:
    alone.node.gate.close([BLUEBIRD.ledger])
    assert alone.call("POST", PATH, content=LOG.request(0, 5), role=None).status_code == 200


def test_a_witness_whose_clock_jumped_cosigns_nothing(alone: Api) -> None:
    alone.clock.jump(3_600)
    answer = alone.call("POST", PATH, content=LOG.request(0, 5), role=None)
    assert (answer.status_code, answer.json()["code"]) == (503, "clock")


def go_on(api: Api) -> None:
    """Let Aurora enter that Bluebird's ledger goes on as its second log."""
    record = api.node.reader.record(PARTNERS, BLUEBIRD.ledger)
    assert record is not None
    before = Predecessor(
        ledger=BLUEBIRD.ledger,
        first_seq=0,
        size=8,
        root=Digest(LOG.checkpoint(8).root.hex()),
        restored_size=5,
        restored_root=Digest(LOG.checkpoint(5).root.hex()),
    )
    body = Succeeded(
        network=record.network,
        sender=BLUEBIRD.ledger,
        receiver=AURORA.ledger,
        log=Ledger(SUCCESSOR.origin),
        predecessor=before,
        entry=EntryReference(seq=9, leaf=digest("the first recovery")),
    )
    digest_of_it = body_digest(encode_body(body))
    command = TakeSuccession(id=succession_id(body.log), request=digest_of_it, succeeded=body, digest=digest_of_it)
    api.node.submit(CommandWork([command])).result()


def test_a_successor_is_cosigned_from_its_beginning_and_the_log_before_no_more(alone: Api) -> None:
    assert alone.node.witness.add_checkpoint(LOG.request(0, 5)).status == 200
    assert alone.node.witness.add_checkpoint(SUCCESSOR.request(0, 3)).status == 404
    go_on(alone)
    assert alone.node.witness.add_checkpoint(LOG.request(5, 8)).status == 404
    assert alone.node.witness.add_checkpoint(SUCCESSOR.request(0, 3)).status == 200
    assert alone.node.witness.add_checkpoint(SUCCESSOR.request(3, 9)).status == 200
    for log, size in ((LOG, 5), (SUCCESSOR, 9)):
        shown = alone.call("GET", f"/witness/v1/{monitor_path(log.origin)}", role=None)
        assert parse_note(shown.content).text == log.note(size).text
