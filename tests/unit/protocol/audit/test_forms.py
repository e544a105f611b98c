"""The short way to read an entry gives what `decode_entry` gives, for whatever bytes."""

import json
import random

import msgspec
import pytest

from protocol.audit.forms import read_entry, read_known_entry
from protocol.entries import AnyEntry, PointsIssued, PointsTransferred, decode_entry, encode_entry
from protocol.errors import EntryInvalid
from protocol.identifiers import Digest
from protocol.ledger import commands
from tests.support.documents import AURORA, uuid
from tests.support.ledger import MemoryLedger, new_ledger, open_holder


def busy() -> MemoryLedger:
    ledger = new_ledger(AURORA)
    ann, ben = open_holder(ledger, "ann", points=1_000), open_holder(ledger, "ben", points=0)
    ledger.execute(commands.IssuePoints(id=uuid("named"), account=ann, amount=7, expires_on="2026-12-31"))
    ledger.execute(commands.RedeemPoints(id=uuid("spent"), account=ann, amount=100, metadata=uuid_digest()))
    ledger.execute(commands.TransferPoints(id=uuid("given"), source=ann, destination=ben, amount=300))
    ledger.execute(commands.PlaceHold(id=uuid("hold"), account=ann, amount=300))
    return ledger


def uuid_digest() -> Digest:
    return Digest("5a" * 32)


def outcome(read: object, data: bytes) -> AnyEntry | str:
    assert callable(read)
    try:
        found: AnyEntry = read(data)
    except EntryInvalid as error:
        return str(error)
    return found


def test_every_entry_is_read_as_it_is_decoded() -> None:
    for sealed in busy().sealed:
        for read in (read_entry, read_known_entry):
            found = read(sealed.data)
            assert found == sealed.entry
            assert type(found) is type(sealed.entry)
            assert encode_entry(found) == sealed.data


def forms() -> list[bytes]:
    return [sealed.data for sealed in busy().sealed if isinstance(sealed.entry, PointsIssued | PointsTransferred)]


@pytest.mark.parametrize("seed", range(4))
def test_any_change_is_judged_as_the_decoder_judges_it(seed: int) -> None:
    rng = random.Random(seed)
    accepted = 0
    for data in forms():
        for _ in range(400):
            changed = bytearray(data)
            for _ in range(rng.choice((1, 1, 2))):
                at = rng.randrange(len(changed))
                changed[at : at + rng.choice((0, 1, 1))] = rng.choice(
                    (b"0", b"9", b"a", b"F", b" ", b'"', b",", b"-", b"\\", b"\n", b"\xc3", b"")
                )
            found = outcome(read_entry, bytes(changed))
            assert found == outcome(decode_entry, bytes(changed))
            accepted += not isinstance(found, str)
    assert accepted > 100


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("occurred_on", "2026-02-29"),
        ("occurred_on", "2028-02-29"),
        ("expires_on", "2027-02-30"),
        ("spendable_on", "2026-13-01"),
        ("time", "2026-02-30T00:00:00.000000Z"),
        ("time", "2026-02-28T24:00:00.000000Z"),
        ("nonce", "A" * 32),
        ("nonce", "0" * 30 + "  "),
        ("prev", "é" * 64),
        ("request", "g" * 64),
        ("metadata", "\\" * 32),
        ("metadata", " " * 64),
        ("seq", 2**53),
        ("seq", 2**53 - 1),
        ("seq", -1),
        ("seq", 1.0),
        ("expiry", "sometimes"),
        ("id", "É"),
        ("v", 2),
    ],
)
def test_each_field_has_the_decoder_s_grammar(name: str, value: object) -> None:
    changed = 0
    for data in forms():
        fields = json.loads(data)
        if name in fields:
            forged = msgspec.json.encode(fields | {name: value}, order="sorted")
            assert outcome(read_entry, forged) == outcome(decode_entry, forged)
            changed += 1
    assert changed
