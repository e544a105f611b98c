"""The exchange by files: in how many rounds it ends, and every file that should not have come."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from node.services.channel.exchange import PeerUnknown
from node.services.channel.exchange_files import ImportAnswer
from protocol.conversion import SourceState
from protocol.errors import (
    ExchangeFileDamaged,
    ExchangeFileIncomplete,
    ExchangeFileInvalid,
    ExchangeFileMisaddressed,
    Refusal,
    SignatureInvalid,
)
from protocol.exchange_file import decode_exchange_file, encode_exchange_file
from protocol.identifiers import Id
from protocol.ledger import commands
from tests.support.documents import AURORA, BLUEBIRD, COPPER, uuid
from tests.support.nodes import ANN, POINTS, Alliance, LocalNode, alliance, convert, make_alliance
from tests.support.transports import SIDES, carry_file, carry_files, carry_round, files_of, joined


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Alliance]:
    with joined(tmp_path / "apart", "files") as nodes:
        yield nodes


def brief(done: ImportAnswer) -> tuple[int, str, int, int, str]:
    return done.number, done.outcome, done.applied, done.waiting, done.next


def is_captured(node: LocalNode, conversion: Id) -> bool:
    return node.outgoing(conversion).state is SourceState.CAPTURED


def test_the_first_day_takes_two_rounds_and_the_next_ones_one(apart: Alliance) -> None:
    source, _ = apart.pair
    first = convert(*apart.pair, name="first")
    there, back = carry_round(apart)
    # HELLO and PREPARE share the first file: the HELLO is applied, the PREPARE waits until ours has been answered.
    assert brief(there) == (1, "applied", 1, 1, "export")
    assert brief(back) == (1, "applied", 1, 0, "export")
    assert not is_captured(source, first)
    there, back = carry_round(apart)
    assert brief(there) == (2, "applied", 1, 0, "export")
    assert brief(back) == (2, "applied", 1, 0, "export")
    assert is_captured(source, first)
    second = convert(*apart.pair, name="second")
    there, back = carry_round(apart)
    assert brief(there) == (3, "applied", 1, 0, "export")
    assert is_captured(source, second)
    assert carry_files(apart) == 0


def test_a_node_that_restarts_between_files_needs_one_round_more(apart: Alliance) -> None:
    carry_files(apart)
    conversion = convert(*apart.pair)
    apart.pair[1].restart()
    carry_round(apart)
    assert not is_captured(apart.pair[0], conversion)
    carry_round(apart)
    assert is_captured(apart.pair[0], conversion)


def test_a_file_holds_more_bodies_than_a_parcel(apart: Alliance) -> None:
    source, destination = apart.pair
    carry_files(apart)
    many = [uuid(f"many {number}") for number in range(600)]
    source.do(
        commands.IssuePoints(id=uuid("many"), account=ANN, amount=600 * 400),
        *(
            commands.OrderConversion(
                id=one, account=ANN, destination=destination.ledger, amount=400, accept_by="2026-03-01T13:00:00.000000Z"
            )
            for one in many
        ),
    )
    data = files_of(source).export(destination.ledger).data
    trailer = decode_exchange_file(data).trailer
    assert (trailer.parcels, trailer.bodies, trailer.prepares.count) == (3, 600, 600)
    assert trailer.prepares.source_points == str(600 * 400)
    done = files_of(destination).take(data)
    assert (done.parcels, done.bodies, done.applied, done.waiting) == (3, 600, 600, 0)
    carry_file(destination, source)
    assert all(is_captured(source, each) for each in many)
    assert destination.account().posted == POINTS + 600 * 250


def test_importing_twice_does_nothing_new(apart: Alliance) -> None:
    source, destination = apart.pair
    carry_files(apart)
    convert(source, destination)
    data = files_of(source).export(destination.ledger).data
    first = files_of(destination).take(data)
    entries, answered = destination.entries(), destination.rows()["messages_received"]
    second = files_of(destination).take(data)
    assert (first.outcome, second.outcome, second.next) == ("applied", "repeated", "nothing")
    assert (first.expected, second.expected) == (first.number + 1, first.number + 1)
    assert destination.entries() == entries
    assert destination.rows()["messages_received"] == answered
    carry_files(apart)
    assert is_captured(source, uuid("conversion"))


def test_files_out_of_order_end_as_in_order(apart: Alliance) -> None:
    source, destination = apart.pair
    carry_files(apart)
    convert(source, destination, name="early")
    early = files_of(source).export(destination.ledger).data
    convert(source, destination, name="late")
    late = files_of(source).export(destination.ledger).data
    # What was not acknowledged is in the later file again, so the earlier one is not needed any more.
    assert brief(files_of(destination).take(late))[1:] == ("applied", 2, 0, "export")
    assert brief(files_of(destination).take(early))[1:] == ("repeated", 0, 0, "nothing")
    carry_files(apart)
    assert is_captured(source, uuid("early"))
    assert is_captured(source, uuid("late"))


def test_a_file_after_a_gap_waits_for_the_one_before(apart: Alliance) -> None:
    source, destination = apart.pair
    carry_files(apart)
    for name in ("early", "late"):
        convert(source, destination, name=name)
    parcels = source.exchange.parcels(destination.ledger, count_max=2, bytes_max=1_000)
    assert len(parcels) == 1
    whole = decode_exchange_file(files_of(source).export(destination.ledger).data)
    late = source.exchange._streams.parcel(source.exchange.peer(destination.ledger), skip=1)
    gap = encode_exchange_file(whole.header, [late])
    assert brief(files_of(destination).take(gap))[1:] == ("waiting", 0, 1, "import_earlier")
    early = encode_exchange_file(whole.header, whole.parcels)
    assert brief(files_of(destination).take(early))[1:] == ("applied", 2, 0, "export")


def test_half_a_file_and_a_changed_byte_change_nothing(apart: Alliance) -> None:
    source, destination = apart.pair
    convert(source, destination)
    data = files_of(source).export(destination.ledger).data
    before = destination.rows()
    with pytest.raises(ExchangeFileIncomplete):
        files_of(destination).take(data[: len(data) // 2])
    changed = bytearray(data)
    changed[len(data) // 2] ^= 1
    with pytest.raises(ExchangeFileDamaged):
        files_of(destination).take(bytes(changed))
    with pytest.raises(ExchangeFileInvalid):
        files_of(destination).take(b"")
    assert destination.rows() == before


def test_a_file_without_a_parcel_is_none(apart: Alliance) -> None:
    source, destination = apart.pair
    header = decode_exchange_file(files_of(source).export(destination.ledger).data).header
    with pytest.raises(ExchangeFileInvalid):
        files_of(destination).take(encode_exchange_file(header, []))


def test_a_file_with_one_wrong_signature_is_refused_whole(apart: Alliance) -> None:
    source, destination = apart.pair
    convert(source, destination)
    whole = decode_exchange_file(files_of(source).export(destination.ledger).data)
    (parcel,) = whole.parcels
    place = parcel.index(b'"sig":"') + 10
    forged = parcel[:place] + (b"A" if parcel[place : place + 1] != b"A" else b"B") + parcel[place + 1 :]
    before = destination.rows()
    with pytest.raises(SignatureInvalid):
        files_of(destination).take(encode_exchange_file(whole.header, [parcel, forged]))
    assert destination.rows() == before


def test_a_file_for_someone_else_is_refused(tmp_path: Path) -> None:
    sides = (AURORA, BLUEBIRD, COPPER)
    make_alliance(tmp_path, sides)
    with alliance(tmp_path, sides) as nodes:
        first, second, third = nodes.nodes
        data = files_of(first).export(third.ledger).data
        with pytest.raises(ExchangeFileMisaddressed):
            files_of(second).take(data)
        with pytest.raises(ExchangeFileMisaddressed):
            files_of(first).take(data)


def test_a_stranger_is_told_so(apart: Alliance, tmp_path: Path) -> None:
    source, destination = apart.pair
    with pytest.raises(Refusal) as refused:
        files_of(source).export(COPPER.ledger)
    assert refused.value.code == "partner_unknown"
    (tmp_path / "other").mkdir()
    make_alliance(tmp_path / "other", (BLUEBIRD, COPPER))
    with alliance(tmp_path / "other", (BLUEBIRD, COPPER)) as others:
        data = files_of(others.nodes[1]).export(BLUEBIRD.ledger).data
    with pytest.raises(PeerUnknown):
        files_of(destination).take(data)


def test_under_an_agreement_on_files_nobody_is_dialled(apart: Alliance) -> None:
    convert(*apart.pair)
    apart.talk(120)
    assert apart.network.requests == []


def test_a_partner_that_cannot_be_dialled_gets_everything_in_answers(tmp_path: Path) -> None:
    with joined(tmp_path / "answers", "answers") as nodes:
        caller, called = nodes.pair
        nodes.talk(10)
        theirs = convert(called, caller, name="theirs", amount=250)
        nodes.talk(10)
        # Nothing waits at the caller, so it comes back only when its cycle is over.
        assert called.outgoing(theirs).state is SourceState.HELD
        nodes.talk(60)
        ours = convert(caller, called, name="ours")
        nodes.talk(60)
        assert is_captured(called, theirs)
        assert is_captured(caller, ours)
        assert {url for url, _ in nodes.network.requests} == {called.url}


def test_an_idle_caller_asks_once_a_cycle(tmp_path: Path) -> None:
    with joined(tmp_path / "answers", "answers") as nodes:
        nodes.talk(10)
        before = len(nodes.network.requests)
        nodes.talk(600)
        assert 9 <= len(nodes.network.requests) - before <= 11


def test_the_name_of_a_file_says_from_whom_to_whom_and_its_number(apart: Alliance) -> None:
    source, destination = apart.pair
    names = [files_of(source).export(destination.ledger).name for _ in range(2)]
    assert names == [f"aurora.example-main.1_bluebird.example-main.1_00000{number}.tallystick" for number in (1, 2)]
    source.restart()
    assert files_of(source).export(destination.ledger).name.endswith("_000003.tallystick")


def test_the_sides_are_those_of_the_parcels(apart: Alliance) -> None:
    source, destination = apart.pair
    whole = decode_exchange_file(files_of(source).export(destination.ledger).data)
    other = msgspec.structs.replace(whole.header, sender=SIDES[1].ledger, receiver=SIDES[0].ledger)
    with pytest.raises(ExchangeFileInvalid):
        encode_exchange_file(other, whole.parcels)
