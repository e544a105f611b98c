"""The log's key is rotated to the one that it has committed to, and to no other."""

from collections.abc import Iterator

import msgspec
import pytest

from protocol.encoding import ZERO_DIGEST
from protocol.errors import Code, EntryInvalid
from protocol.identifiers import Digest, Ledger, Network
from protocol.key_entries import (
    LOG_KEYS_MAX,
    LogKeyRotated,
    SignedRotation,
    decode_rotation,
    encode_rotation,
    sign_rotation,
    verify_rotation,
)
from protocol.keys import Role, Signer, SigningKey
from protocol.ledger import commands, names
from protocol.ledger.rotation import log_keys
from protocol.ledger.state import LEDGER, ONLY, PARTNERS, LedgerRecord, PartnerRecord
from tests.support.documents import AURORA, BLUEBIRD, COPPER, hex_16, log_key
from tests.support.keys import rotate, take_log_key
from tests.support.ledger import (
    MemoryLedger,
    add_partner,
    genesis_of,
    new_ledger,
    refused,
    replay,
    rows_of,
)


def record_of(ledger: MemoryLedger) -> LedgerRecord:
    record = ledger.state.get(LEDGER, ONLY)
    assert record is not None
    return record


def signed(
    *,
    ledger: Ledger = AURORA.ledger,
    number: int = 1,
    before: Signer | None = None,
    after: Signer | None = None,
    next_log_key: Digest = ZERO_DIGEST,
) -> SignedRotation:
    return sign_rotation(
        ledger=ledger,
        number=number,
        before=before or log_key(AURORA, 0),
        after=after or log_key(AURORA, 1),
        next_log_key=next_log_key,
    )


def command(document: SignedRotation) -> commands.RotateLogKey:
    return commands.RotateLogKey(id=names.log_key_id(document.statement.number), signed=document)


def test_a_log_gets_its_next_keys_one_after_the_other() -> None:
    ledger = new_ledger()
    assert log_keys(record_of(ledger)) == (log_key(AURORA, 0).public,)
    for number in (1, 2, 3):
        entry = rotate(ledger, number).entry
        assert isinstance(entry, LogKeyRotated)
        verify_rotation(
            SignedRotation(
                statement=entry.statement(AURORA.ledger),
                signature_before=entry.signature_before,
                signature=entry.signature,
            )
        )
    assert log_keys(record_of(ledger)) == tuple(log_key(AURORA, number).public for number in range(4))
    assert record_of(ledger).next_log_key == log_key(AURORA, 4).public.digest
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def refusals() -> Iterator[tuple[str, SignedRotation]]:
    stolen = SigningKey(b"\x07" * 32)
    yield "to a key of the thief's", signed(after=stolen)
    yield "by another key", signed(before=stolen)
    yield "of another ledger", signed(ledger=BLUEBIRD.ledger)
    yield "out of turn", signed(number=2)
    yield "to itself", signed(next_log_key=log_key(AURORA, 1).public.digest)
    both = signed()
    yield "without the old key", msgspec.structs.replace(both, signature_before=both.signature)
    yield "without the new key", msgspec.structs.replace(both, signature=both.signature_before)
    bad = msgspec.structs.replace(both.statement, key="A" * 43 + "=")
    yield "to no key", msgspec.structs.replace(both, statement=bad)
    other = msgspec.structs.replace(both.statement, next_log_key=log_key(AURORA, 9).public.digest)
    yield "to other terms", msgspec.structs.replace(both, statement=other)


@pytest.mark.parametrize(("what", "document"), list(refusals()), ids=str)
def test_rotation_invalid_when_it_is_not_the_one_that_was_committed_to(what: str, document: SignedRotation) -> None:
    ledger = new_ledger()
    with refused(Code.ROTATION_INVALID, ledger):
        ledger.execute(command(document))
    assert what


def test_rotation_invalid_when_it_is_done_again() -> None:
    ledger = new_ledger()
    first = rotate(ledger)
    assert ledger.execute(command(signed())) == first
    with refused(Code.ROTATION_INVALID, ledger):
        ledger.execute(command(signed(number=2)))


def test_rotation_invalid_when_the_key_has_another_use() -> None:
    channel = AURORA.signing_keys[Role.CHANNEL]
    ledger = MemoryLedger(AURORA)
    ledger.execute(msgspec.structs.replace(genesis_of(AURORA), next_log_key=channel.public.digest))
    with refused(Code.ROTATION_INVALID, ledger):
        ledger.execute(command(signed(after=channel)))


def test_rotation_invalid_when_the_log_has_enough_keys() -> None:
    ledger = new_ledger()
    for number in range(1, LOG_KEYS_MAX):
        rotate(ledger, number)
    with refused(Code.ROTATION_INVALID, ledger):
        rotate(ledger, LOG_KEYS_MAX)


def test_a_rotation_is_read_back_or_refused() -> None:
    document = signed()
    data = encode_rotation(document)
    assert decode_rotation(data) == document
    for bad in (b"", b"{}", data + b" ", data[:-1]):
        with pytest.raises(EntryInvalid):
            decode_rotation(bad)


def known_of(ledger: MemoryLedger) -> PartnerRecord:
    record = ledger.state.get(PARTNERS, BLUEBIRD.ledger)
    assert record is not None
    return record


@pytest.fixture
def partnered() -> MemoryLedger:
    ledger = new_ledger()
    add_partner(ledger, BLUEBIRD)
    return ledger


def test_a_partners_log_is_known_by_its_next_keys(partnered: MemoryLedger) -> None:
    for number in (1, 2):
        take_log_key(partnered, BLUEBIRD, number)
    assert log_keys(known_of(partnered)) == tuple(log_key(BLUEBIRD, number).public for number in range(3))
    assert known_of(partnered).next_log_key == log_key(BLUEBIRD, 3).public.digest
    assert rows_of(replay(partnered)) == rows_of(partnered.state)


def take(document: SignedRotation) -> commands.TakeLogKey:
    name = names.partner_log_key_id(BLUEBIRD.ledger, document.statement.number)
    return commands.TakeLogKey(id=name, partner=BLUEBIRD.ledger, signed=document)


def of_bluebird(number: int, *, after: Signer | None = None, before: Signer | None = None) -> SignedRotation:
    old, new = before or log_key(BLUEBIRD, number - 1), after or log_key(BLUEBIRD, number)
    return signed(ledger=BLUEBIRD.ledger, number=number, before=old, after=new)


def test_rotation_invalid_when_a_partners_is_by_another_key_or_of_another_log(partnered: MemoryLedger) -> None:
    stolen = SigningKey(b"\x07" * 32)
    for document in (of_bluebird(1, before=stolen), of_bluebird(2), signed(after=stolen)):
        with refused(Code.ROTATION_INVALID, partnered):
            partnered.execute(take(document))


def test_rotation_invalid_when_a_partner_had_committed_to_another_key(partnered: MemoryLedger) -> None:
    take_log_key(partnered, BLUEBIRD)
    with refused(Code.ROTATION_INVALID, partnered):
        partnered.execute(take(of_bluebird(2, after=SigningKey(b"\x07" * 32))))


def test_partner_unknown_when_a_strangers_log_gets_a_key(partnered: MemoryLedger) -> None:
    with refused(Code.PARTNER_UNKNOWN, partnered):
        take_log_key(partnered, COPPER)


def test_partner_mismatch_when_a_rotation_is_of_another_network(partnered: MemoryLedger) -> None:
    entry = take_log_key(partnered, BLUEBIRD).entry
    ledger = new_ledger()
    add_partner(ledger, BLUEBIRD)
    with refused(Code.PARTNER_MISMATCH, ledger):
        ledger.judge(msgspec.structs.replace(entry, network=Network(hex_16("elsewhere"))))
