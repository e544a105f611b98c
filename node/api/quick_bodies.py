"""The bodies of transactions, read in one pass: pure functions from bytes to what is asked.

What they mean, and what is wrong with one, is said by the models in `node/api/transactions.py`. A body that is not
plainly right is not read here (the functions return None): those models look at it then, and name each wrong field.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType
from starlette.exceptions import HTTPException

from node.api.requests import parse_json
from node.services.metadata import pack_metadata
from node.services.refusals import NodeRefusal
from node.services.requests import IssueRequest, RedeemRequest, ReverseRequest, TransactionRequest, TransferRequest
from protocol.identifiers import HOLDER_PATTERN, UUID_PATTERN, Account, Id
from protocol.limits import INTEGER_MAX

ITEMS_MAX: Final = 8_192
_NOTHING: Final = Raw(b"null")

_Id: TypeAlias = Annotated[Id, Meta(pattern=rf"\A{UUID_PATTERN}\Z")]
_Holder: TypeAlias = Annotated[Account, Meta(pattern=rf"\A{HOLDER_PATTERN}\Z")]
_Amount: TypeAlias = Annotated[int, Meta(ge=1, le=INTEGER_MAX)]
_Day: TypeAlias = Annotated[str, Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
_DayOrNone: TypeAlias = _Day | UnsetType | None


class _Transaction(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", kw_only=True):
    id: _Id
    occurred_on: _DayOrNone = UNSET
    metadata: Raw | UnsetType = UNSET


class _Issue(_Transaction, frozen=True, tag="issue", kw_only=True):
    account: _Holder
    amount: _Amount
    expires_on: _DayOrNone = UNSET


class _Redeem(_Transaction, frozen=True, tag="redeem", kw_only=True):
    account: _Holder
    amount: _Amount


class _Transfer(_Transaction, frozen=True, tag="transfer", kw_only=True):
    account: _Holder
    to: _Holder
    amount: _Amount


class _Reverse(_Transaction, frozen=True, tag="reverse", kw_only=True):
    reverses: _Id
    amount: _Amount | UnsetType | None = UNSET
    partial: bool | UnsetType = UNSET


_AnyTransaction: TypeAlias = _Issue | _Redeem | _Transfer | _Reverse


class _Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    atomic: bool
    items: Annotated[list[_AnyTransaction], Meta(min_length=1, max_length=ITEMS_MAX)]


_KEYS: Final = {_Issue: 4, _Redeem: 4, _Transfer: 5, _Reverse: 3}
"""How many keys an item has that leaves out what it may."""

_BATCH_KEYS: Final = 2
_ONE: Final = msgspec.json.Decoder(_AnyTransaction)
_MANY: Final = msgspec.json.Decoder(_Batch)


@dataclass(frozen=True, slots=True)
class BatchAsked:
    """Transactions to be done in one commit, with `atomic` all or none."""

    requests: Sequence[TransactionRequest]
    atomic: bool


class _Unclear(Exception):
    """The models are to look at the body."""


def read_transaction(body: bytes) -> TransactionRequest | None:
    """Return what the body of one transaction asks for, or None where it is not plainly right."""
    try:
        item = _ONE.decode(body)
        _check_keys(body, [item], 0)
        return _request(item)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, _Unclear):
        return None


def read_batch(body: bytes) -> BatchAsked | None:
    """Return what the body of a batch asks for, or None where it is not plainly right."""
    try:
        batch = _MANY.decode(body)
        _check_keys(body, batch.items, _BATCH_KEYS)
        return BatchAsked([_request(each) for each in batch.items], batch.atomic)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, _Unclear):
        return None


def _check_keys(body: bytes, items: Sequence[_AnyTransaction], keys: int) -> None:
    """Raise `_Unclear` if a key stands twice in an object: of two, the decoder takes the last.

    No text that the types let pass holds a colon, so that outside of metadata each colon stands behind one key.
    """
    for item in items:
        keys += _KEYS[type(item)]
        if item.occurred_on is not UNSET:
            keys += 1
        if not isinstance(item.metadata, UnsetType):
            keys += 1 + bytes(item.metadata).count(b":")
        if isinstance(item, _Issue):
            keys += item.expires_on is not UNSET
        elif isinstance(item, _Reverse):
            keys += (item.amount is not UNSET) + (item.partial is not UNSET)
    if body.count(b":") != keys:
        raise _Unclear


def _request(item: _AnyTransaction) -> TransactionRequest:
    day, metadata = _day(item.occurred_on), _packed(item.metadata)
    match item:
        case _Transfer():
            return TransferRequest(
                id=item.id,
                account=item.account,
                to=item.to,
                amount=item.amount,
                occurred_on=day,
                metadata=metadata,
            )
        case _Issue():
            return IssueRequest(
                id=item.id,
                account=item.account,
                amount=item.amount,
                expires_on=_day(item.expires_on),
                occurred_on=day,
                metadata=metadata,
            )
        case _Redeem():
            return RedeemRequest(
                id=item.id, account=item.account, amount=item.amount, occurred_on=day, metadata=metadata
            )
        case _Reverse():
            return ReverseRequest(
                id=item.id,
                reverses=item.reverses,
                amount=None if isinstance(item.amount, UnsetType) else item.amount,
                partial=item.partial is True,
                occurred_on=day,
                metadata=metadata,
            )


def _day(given: str | UnsetType | None) -> str | None:
    if given is None or isinstance(given, UnsetType):
        return None
    try:
        return date.fromisoformat(given).isoformat()
    except ValueError as error:
        raise _Unclear from error


def _packed(given: Raw | UnsetType) -> str | None:
    """Return metadata in its one form; it alone is any JSON, and is read as strictly as every body."""
    if isinstance(given, UnsetType) or given == _NOTHING:
        return None
    try:
        value = parse_json(bytes(given))
        if not isinstance(value, dict):
            raise _Unclear
        return pack_metadata(value)
    except (HTTPException, NodeRefusal) as error:
        raise _Unclear from error
