"""The small parts of the services: tokens, digests of requests, metadata, next expiry, rendering."""

import hashlib
import hmac
import json
from itertools import count

import pytest

from node.services.access.credentials import CallerRole
from node.services.access.tokens import adopt_token, issue_credential
from node.services.answers import encode_answer
from node.services.members.accounts import next_expiry, next_pending
from node.services.metadata import METADATA_BYTES_MAX, metadata_digest, metadata_row, pack_metadata
from node.services.refusals import NodeRefusal
from node.services.request_digest import RequestDigests
from node.services.requests import IssueRequest, RedeemRequest, TransactionRequest, digest_request
from protocol.identifiers import Account
from protocol.ledger.lots import DatedLot
from protocol.ledger.state import Lot
from tests.support.documents import NOW, uuid
from tests.support.keyrings import SeededRandomness

KEY = bytes(range(32))
DIGESTS = RequestDigests(KEY)
REQUEST = IssueRequest(id=uuid("request"), account=Account(f"member/{uuid('ann')}"), amount=100)


def test_a_token_is_kept_as_a_hash_of_its_secret() -> None:
    issued = issue_credential(CallerRole.BACKEND, name="shop", now=NOW, randomness=SeededRandomness("token"))
    start, role, prefix, secret = issued.token.split("_", 3)
    assert (start, role, len(prefix), len(secret)) == ("ts", "backend", 8, 43)
    assert (issued.row.prefix, issued.row.role, issued.row.name) == (prefix, "backend", "shop")
    assert issued.row.hash == hashlib.sha256(secret.encode()).hexdigest()
    assert issued.token not in repr(issued)
    adopted = adopt_token(issued.token, name="shop", now=NOW, randomness=SeededRandomness("other"))
    assert (adopted.row.hash, adopted.row.prefix) == (issued.row.hash, prefix)


@pytest.mark.parametrize("token", ["", "ts_backend", "ts_root_00000000_" + "a" * 43, "ts_backend_0000000_" + "a" * 43])
def test_what_is_no_token_is_not_adopted(token: str) -> None:
    with pytest.raises(NodeRefusal) as refused:
        adopt_token(token, name="x", now=NOW, randomness=SeededRandomness("x"))
    assert refused.value.code == "unauthorized"


def test_a_requests_digest_is_keyed_and_covers_every_field() -> None:
    found = digest_request(DIGESTS, REQUEST)
    fields: dict[str, object] = {"id": REQUEST.id, "account": REQUEST.account, "amount": 100}
    fields |= {"expires_on": None, "occurred_on": None, "metadata": None}
    message = json.dumps({"kind": "IssueRequest", "fields": fields}, sort_keys=True, separators=(",", ":")).encode()
    assert found == hmac.new(KEY, message, "sha256").hexdigest()
    assert digest_request(RequestDigests(bytes(32)), REQUEST) != found


def test_every_change_of_a_request_changes_its_digest() -> None:
    changed: list[TransactionRequest] = [
        IssueRequest(id=uuid("other"), account=REQUEST.account, amount=100),
        IssueRequest(id=REQUEST.id, account=Account(f"member/{uuid('bob')}"), amount=100),
        IssueRequest(id=REQUEST.id, account=REQUEST.account, amount=101),
        IssueRequest(id=REQUEST.id, account=REQUEST.account, amount=100, expires_on="2027-01-01"),
        IssueRequest(id=REQUEST.id, account=REQUEST.account, amount=100, occurred_on="2027-01-01"),
        IssueRequest(id=REQUEST.id, account=REQUEST.account, amount=100, metadata="{}"),
        RedeemRequest(id=REQUEST.id, account=REQUEST.account, amount=100),
    ]
    digests = {digest_request(DIGESTS, each) for each in (REQUEST, *changed)}
    assert len(digests) == len(changed) + 1


def test_metadata_has_one_text_and_a_salted_digest() -> None:
    packed = pack_metadata({"b": [1, True, None], "a": "ä\n"})
    assert packed == '{"a":"ä\\n","b":[1,true,null]}'
    first = metadata_row(packed, SeededRandomness("one"))
    second = metadata_row(packed, SeededRandomness("two"))
    assert first is not None
    assert second is not None
    assert first.digest != second.digest
    assert (first.data, len(first.salt)) == (packed.encode(), 16)
    expected = hashlib.sha256(b"tallystick/metadata/v1\n" + first.salt + first.data).hexdigest()
    assert first.digest == metadata_digest(first.salt, first.data) == expected
    assert metadata_row(None, SeededRandomness("none")) is None
    assert pack_metadata(None) is None


def test_metadata_is_bounded() -> None:
    fits = {"text": "x" * (METADATA_BYTES_MAX - 11)}
    packed = pack_metadata(fits)
    assert packed is not None
    assert len(packed) == METADATA_BYTES_MAX
    deep: object = 1
    for _ in range(8):
        deep = [deep]
    for value in ({"text": fits["text"] + "x"}, {"rate": 0.5}, {"big": 2**53}, {"deep": deep}):
        with pytest.raises(NodeRefusal) as refused:
            pack_metadata(value)
        assert refused.value.code == "request_invalid"


def lots(*places: tuple[str | None, int], spendable_on: str | None = None) -> list[DatedLot]:
    numbers = count()
    found = [
        Lot(
            seq=next(numbers),
            part=0,
            origin="own",
            earned_on="2026-01-01",
            expires_on=day,
            remaining=remaining,
            spendable_on=spendable_on,
        )
        for day, remaining in places
    ]
    return [(lot.expires_on, lot) for lot in found]


def test_the_next_expiry_is_the_first_day_that_can_still_lose_points() -> None:
    assert next_expiry([], today="2026-03-01") is None
    assert next_expiry(lots((None, 5)), today="2026-03-01") is None
    assert next_expiry(lots(("2026-02-28", 5)), today="2026-03-01") is None
    found = next_expiry(
        lots((None, 5), ("2026-03-02", 3), ("2026-03-01", 4), ("2026-03-01", 2), ("2026-02-01", 9)), today="2026-03-01"
    )
    assert found is not None
    assert (found.date, found.amount) == ("2026-03-01", 6)


def test_the_next_pending_points_are_those_of_the_first_day_to_come() -> None:
    assert next_pending(lots((None, 5)), today="2026-03-01") is None
    assert next_pending(lots((None, 5), spendable_on="2026-03-01"), today="2026-03-01") is None
    pending = lots((None, 5), spendable_on="2026-03-09") + lots((None, 2), (None, 1), spendable_on="2026-03-02")
    found = next_pending(pending, today="2026-03-01")
    assert found is not None
    assert (found.date, found.amount) == ("2026-03-02", 3)


def test_an_answers_bytes_follow_its_fields() -> None:
    found = next_expiry(lots(("2026-03-02", 3)), today="2026-03-01")
    assert encode_answer(found) == b'{"date":"2026-03-02","amount":3}'
