"""The issuer's keys: which ones count, and how often they are looked for."""

import json
import threading
import time
from collections import Counter

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from node.services.access.issuer_keys import (
    KEYS_MAX,
    REFRESH_SECONDS,
    RETRY_SECONDS,
    STALE_SECONDS,
    WAITING_MAX,
    IssuerKeys,
    read_key_set,
)
from node.services.refusals import NodeRefusal
from tests.support.issuers import FakeKeySets, issuer_of, key_set, public_document, rsa_key
from tests.support.nodes import FakeClock

KNOWN = issuer_of().key_id


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def source() -> FakeKeySets:
    return FakeKeySets()


def test_keys_are_read_once_and_kept(clock: FakeClock, source: FakeKeySets) -> None:
    keys = IssuerKeys(source, clock)
    for _ in range(3):
        found = keys.find(KNOWN)
        assert found is not None
        assert found.algorithm == "ES256"
    assert source.asked == 1
    clock.advance(REFRESH_SECONDS + 1)
    assert keys.find(KNOWN)
    assert source.asked == 2


def test_an_unknown_key_is_looked_for_but_not_by_everybody(clock: FakeClock, source: FakeKeySets) -> None:
    keys = IssuerKeys(source, clock)
    assert [keys.find(f"made up {number}") for number in range(100)] == [None] * 100
    assert source.asked == 1
    clock.advance(RETRY_SECONDS)
    assert keys.find("made up again") is None
    assert source.asked == 2


def test_a_new_key_of_the_issuer_is_found(clock: FakeClock, source: FakeKeySets) -> None:
    keys = IssuerKeys(source, clock)
    assert keys.find(KNOWN)
    source.document = key_set(public_document(ec.generate_private_key(ec.SECP256R1()), "new"))
    assert keys.find("new") is None
    clock.advance(RETRY_SECONDS)
    assert keys.find("new")
    assert keys.find(KNOWN) is None


def test_keys_that_cannot_be_refreshed_hold_for_a_while(clock: FakeClock, source: FakeKeySets) -> None:
    keys = IssuerKeys(source, clock)
    assert keys.find(KNOWN)
    source.is_down = True
    clock.advance(STALE_SECONDS - 1)
    assert keys.find(KNOWN)
    clock.advance(2)
    for _ in range(2):
        with pytest.raises(NodeRefusal) as caught:
            keys.find(KNOWN)
        assert caught.value.code == "issuer_unavailable"
    source.is_down = False
    clock.advance(RETRY_SECONDS)
    assert keys.find(KNOWN)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b"\xff",
        b"[" * 100_000,
        json.dumps({"keys": [{}] * (KEYS_MAX + 1)}).encode(),
    ],
)
def test_what_is_no_key_set_is_one_error(data: bytes) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - any text
        read_key_set(data)
    assert not isinstance(caught.value, KeyError)


def test_what_is_no_key_set_leaves_the_keys_as_they_were(clock: FakeClock, source: FakeKeySets) -> None:
    keys = IssuerKeys(source, clock)
    assert keys.find(KNOWN)
    source.document = b"<html>"
    clock.advance(REFRESH_SECONDS + 1)
    assert keys.find(KNOWN)


EC_KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("document", "algorithm"),
    [
        (public_document(EC_KEY, "k"), "ES256"),
        (public_document(EC_KEY, "k", alg="ES256"), "ES256"),
        (public_document(ed25519.Ed25519PrivateKey.generate(), "k"), "EdDSA"),
        (public_document(rsa_key(), "k"), "RS256"),
        (public_document(rsa_key(), "k", alg="RS512"), None),
        (public_document(rsa_key(1_024), "k"), None),
        (public_document(ec.generate_private_key(ec.SECP384R1()), "k"), None),
        (public_document(EC_KEY, "k", use="enc"), None),
        (public_document(EC_KEY, "k" * 129), None),
        (public_document(EC_KEY, "k", kid=7), None),
        (public_document(EC_KEY, "k", d="AA"), None),
        (public_document(EC_KEY, "k", x="AA"), None),
        (public_document(EC_KEY, "k", crv="P-999"), None),
        ({"kty": "oct", "k": "c2VjcmV0", "kid": "k", "alg": "HS256"}, None),
        ({"kid": "k"}, None),
        ("no object", None),
    ],
)
def test_which_keys_are_usable(document: object, algorithm: str | None) -> None:
    found = read_key_set(key_set(document)).get("k")
    assert (None if found is None else found.algorithm) == algorithm


def test_an_issuer_that_is_slow_keeps_a_few_threads(clock: FakeClock, source: FakeKeySets) -> None:
    keys, let_go, found = IssuerKeys(source, clock), threading.Event(), Counter[str]()
    reply = source.fetch

    def slow() -> bytes:
        let_go.wait(30)
        return reply()

    def look(number: int) -> None:
        try:
            found[str(keys.find(f"made up {number}"))] += 1
        except NodeRefusal as refusal:
            found[refusal.code] += 1

    source.fetch = slow  # type: ignore[method-assign]
    threads = [threading.Thread(target=look, args=(number,)) for number in range(3 * WAITING_MAX)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 10
    while found.total() < 2 * WAITING_MAX and time.monotonic() < end:
        time.sleep(0.01)
    let_go.set()
    for thread in threads:
        thread.join(30)
    assert found == {"busy": 2 * WAITING_MAX, "None": WAITING_MAX}
