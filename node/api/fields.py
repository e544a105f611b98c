"""The fields that bodies share: strict, bounded, each with an example; an amount or a date has a code of its own."""

import re
from datetime import date, datetime
from typing import Annotated, Final, TypeAlias, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from protocol.encoding import JsonValue, encode
from protocol.errors import Code
from protocol.fields import format_time
from protocol.identifiers import (
    ASSET_PATTERN,
    DIGEST_PATTERN,
    HEX_16_PATTERN,
    HOLDER_PATTERN,
    LEDGER_PATTERN,
    UUID_PATTERN,
)
from protocol.limits import INTEGER_MAX, NAME_CHARACTERS_MAX, TEXT_CHARACTERS_MAX

EXAMPLE_ID: Final = "0193a2b4-7c1e-7f00-8a5b-3c9d2e4f6a10"
EXAMPLE_ACCOUNT: Final = "member/7d9f2c1a-5b3e-4d6f-9a8b-0c1d2e3f4a5b"
EXAMPLE_LEDGER: Final = "bluebird.example/main.1"
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_TIME_PATTERN: Final = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z$"
)
_TIME: Final = re.compile(_TIME_PATTERN.removesuffix("$"))


class Body(BaseModel):
    """A request's body: strict, frozen, nothing unknown."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


def _amount(value: object) -> int:
    if type(value) is not int or not 1 <= value <= INTEGER_MAX:
        raise PydanticCustomError(Code.AMOUNT_INVALID.value, "a whole number from 1 to 9007199254740991 is expected")
    return value


def _day(value: object) -> str:
    try:
        if isinstance(value, str) and _DAY.fullmatch(value):
            return date.fromisoformat(value).isoformat()
    except ValueError:
        pass
    raise PydanticCustomError(Code.DATE_INVALID.value, "a calendar day like 2026-01-31 is expected")


def _time(value: object) -> str:
    try:
        if isinstance(value, str) and _TIME.fullmatch(value):
            return format_time(datetime.fromisoformat(value))
    except ValueError:
        pass
    raise PydanticCustomError("time_invalid", "a time in UTC like 2026-01-31T12:00:00Z is expected")


def _whole(value: object) -> object:
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise PydanticCustomError("number_invalid", "a whole number is expected")
    return value


def encode_document(document: dict[str, object]) -> bytes:
    """Return a signed document's canonical bytes, or raise `EncodingInvalid` for what none can be."""
    return encode(cast("JsonValue", document))


IdText: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=f"^{UUID_PATTERN}$"),
    Field(description="A random UUID, version 4 or 7, chosen by the caller.", examples=[EXAMPLE_ID]),
]
HolderText: TypeAlias = Annotated[
    str, StringConstraints(pattern=f"^{HOLDER_PATTERN}$"), Field(examples=[EXAMPLE_ACCOUNT])
]
LedgerText: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=f"^{LEDGER_PATTERN}$", max_length=NAME_CHARACTERS_MAX),
    Field(examples=[EXAMPLE_LEDGER]),
]
AssetText: TypeAlias = Annotated[str, StringConstraints(pattern=f"^{ASSET_PATTERN}$"), Field(examples=["USD"])]
DigestText: TypeAlias = Annotated[str, StringConstraints(pattern=f"^{DIGEST_PATTERN}$")]
NetworkText: TypeAlias = Annotated[str, StringConstraints(pattern=f"^{HEX_16_PATTERN}$")]
AmountField: TypeAlias = Annotated[
    int,
    BeforeValidator(_amount),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": INTEGER_MAX, "examples": [1000]}),
]
DayText: TypeAlias = Annotated[
    str,
    BeforeValidator(_day),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-01-31"]}),
]
TimeText: TypeAlias = Annotated[
    str,
    BeforeValidator(_time),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "pattern": _TIME_PATTERN, "examples": ["2026-01-31T12:00:00Z"]}
    ),
]
ReasonText: TypeAlias = Annotated[str, StringConstraints(pattern="^[a-z_]{1,64}$"), Field(examples=["partner_gone"])]
PromotionText: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=TEXT_CHARACTERS_MAX),
    Field(examples=["spring"]),
]
WindowField: TypeAlias = Annotated[int, Field(ge=1, le=INTEGER_MAX, examples=[1])]
DocumentField: TypeAlias = Annotated[
    dict[str, object], Field(description="A signed document, as a node or `tallystick` wrote it.")
]
MetadataField: TypeAlias = Annotated[
    dict[str, object],
    Field(
        description="Erasable data of at most 4 KiB; the ledger keeps only a salted digest of it.",
        examples=[{"order": "A-1001"}],
    ),
]
WHOLE: Final = BeforeValidator(_whole)
"""A number in a path or a query has one spelling."""

Limit: TypeAlias = Annotated[int, WHOLE, Field(ge=1, le=256)]
Cursor: TypeAlias = Annotated[int, WHOLE, Field(ge=0, le=INTEGER_MAX)]
