"""An example for every request and answer of the OpenAPI document, made of its schemas and of what fields are called.

Where a field says what it looks like, that is taken; else a name like `ledger` or `leaf` does. So a new route has its
examples from the first day, and a field that no example fits is found by a test, not by a reader. Whoever gets a field
wrong is told the same example.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias, cast

from node.api.fields import EXAMPLE_ACCOUNT, EXAMPLE_ID, EXAMPLE_LEDGER

Schema: TypeAlias = Mapping[str, object]

_JSON: Final = "json"
_DEPTH_MAX: Final = 12
_DIGEST: Final = "5f2b51ca2fdc5baa31ec02e002f69aec6e8a6c2f7dd12a4c1b1b2d3c4e5f6a7b"
_TIME: Final = "2026-01-31T12:00:00.000000Z"
_BY_NAME: Final[Mapping[str, str]] = {
    "account": EXAMPLE_ACCOUNT,
    "agreement": _DIGEST,
    "alias": "9c1f0e8b7a6d5c4b3a29181706f5e4d3",
    "asset": "AUR",
    "code": "account_unknown",
    "conversion": EXAMPLE_ID,
    "currency": "USD",
    "day": "2026-01-31",
    "destination": EXAMPLE_LEDGER,
    "digest": _DIGEST,
    "earned_on": "2025-11-30",
    "email": "ann@example.com",
    "expires_on": "2026-12-31",
    "file": _DIGEST,
    "fingerprint": "3F9A-1C77-08D2-6B4E-A5F0-9E21-7C38-44DB",
    "from": EXAMPLE_ACCOUNT,
    "hold": EXAMPLE_ID,
    "id": EXAMPLE_ID,
    "kind": "points_issued",
    "leaf": _DIGEST,
    "ledger": EXAMPLE_LEDGER,
    "month": "2026-01",
    "network": "00112233445566778899aabbccddeeff",
    "occurred_on": "2026-01-31",
    "origin": "own",
    "partner": EXAMPLE_LEDGER,
    "points": "AUR",
    "reason": "cap_reached",
    "signature": "bm90IGEgc2lnbmF0dXJlIGJ1dCBhcyBsb25nIGFzIG9uZSBpcw==",
    "source": EXAMPLE_LEDGER,
    "state": "pending",
    "time": _TIME,
    "types": "points.issued",
    "url": "https://bluebird.example",
    "witnesses": "witness.example",
}
_BY_END: Final = (("_at", _TIME), ("_on", "2026-01-31"), ("_until", _TIME), ("_points", "1200"), ("_id", EXAMPLE_ID))
_WRITTEN: Final = re.compile(r"\^\[\^\\x00-(?:\\x08\\x0b-)?\\x1f\\x7f\](?:\{1,([0-9]+)\}|\+)\$")
"""The pattern of a text that people write: all but control characters."""
_SPELT: Final = re.compile(r"\^\[([^^\]]+)\]\{(?:([0-9]+),)?([0-9]+)\}\$")
"""The pattern of so many of certain characters."""
_TEXTS: Final = (
    EXAMPLE_ID, EXAMPLE_ACCOUNT, EXAMPLE_LEDGER, "bluebird.example/main", _DIGEST, "00112233445566778899aabbccddeeff",
    "USD", "AUR", "2026-01-31", _TIME, "2026-01-31T12:00:00Z", "partner_gone", "own", "1", "spring", "1/2",
    "bluebird.example", "https://bluebird.example", "ann@example.com", "UTC", "urn:tallystick:problem:busy", "0", "x",
    "ABCD2345", "text", "A" * 43, "A" * 64, "a" * 32, "+0123456", "12:00", "22FK-9QZ3",
)  # fmt: skip


def form_of(pattern: str, *, name: str) -> str:
    """Return in words what a text in the field `name` looks like that fits `pattern`."""
    if found := _WRITTEN.fullmatch(pattern):
        length = f" of 1 to {found[1]} characters" if found[1] else ""
        return f"a text{length} without control characters"
    if found := _SPELT.fullmatch(pattern):
        least = f"{found[2]} to " if found[2] else ""
        return f"a text of {least}{found[3]} of the characters {found[1]}"
    example = _text({"pattern": pattern}, name)
    return f"a text like {example}" if example else f"a text that fits {pattern}"


def add_examples(document: dict[str, object]) -> None:
    """Give every JSON request and every JSON answer an example, where it has none."""
    schemas = cast("Schema", cast("Schema", document["components"])["schemas"])
    for media in medias(document):
        if not {"example", "examples"} & set(media):
            media["example"] = example_of(cast("Schema", media["schema"]), schemas)


def medias(document: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """Yield what the document says of every JSON body: of each request, and of each answer."""
    for path in cast("Mapping[str, Schema]", document["paths"]).values():
        for operation in path.values():
            found = cast("Mapping[str, Schema]", operation)
            answers = cast("Mapping[str, Schema]", found.get("responses", {}))
            for body in (found.get("requestBody", {}), *answers.values()):
                content = cast("Mapping[str, dict[str, object]]", body.get("content", {}))
                yield from (media for kind, media in content.items() if kind.endswith(_JSON) and "schema" in media)


def example_of(schema: Schema, schemas: Schema, *, name: str = "", depth: int = 0) -> object:
    """Return a value that `schema` accepts and a reader understands; `name` is what the field is called."""
    schema = _resolved(schema, schemas)
    given = _given(schema)
    if given is not None:
        return given
    choices = _choices(schema)
    if choices:
        return example_of(choices[0], schemas, name=name, depth=depth)
    match schema.get("type"):
        case "object":
            return _object(schema, schemas, depth)
        case "array":
            return _array(schema, schemas, name, depth)
        case "integer" | "number":
            least = schema.get("minimum", 0)
            return max(least, 1) if isinstance(least, int) else 1
        case "string":
            return _text(schema, name)
        case kind:
            return False if kind == "boolean" else {}


def _given(schema: Schema) -> object:
    """Return what the schema itself gives as an example, or None."""
    for several in ("examples", "enum"):
        values = schema.get(several)
        if isinstance(values, list) and values:
            return values[0]
    return next((schema[one] for one in ("example", "const", "default") if schema.get(one) is not None), None)


def _resolved(schema: Schema, schemas: Schema) -> Schema:
    while "$ref" in schema:
        schema = cast("Schema", schemas[str(schema["$ref"]).rpartition("/")[2]])
    parts = schema.get("allOf")
    if isinstance(parts, list) and len(parts) == 1:
        return {**_resolved(parts[0], schemas), **{key: value for key, value in schema.items() if key != "allOf"}}
    return schema


def _choices(schema: Schema) -> list[Schema]:
    found = schema.get("anyOf") or schema.get("oneOf") or ()
    options = cast("Sequence[Schema]", found)
    return [each for each in options if each.get("type") != "null"]


def _object(schema: Schema, schemas: Schema, depth: int) -> dict[str, object]:
    properties = cast("Mapping[str, Schema]", schema.get("properties") or {})
    required = cast("Sequence[str]", schema.get("required") or ())
    wanted = [name for name in properties if name in required or (depth < 2 and _shows(properties[name]))]  # noqa: PLR2004
    if depth > _DEPTH_MAX:
        wanted = []
    return {name: example_of(properties[name], schemas, name=name, depth=depth + 1) for name in wanted}


def _shows(schema: Schema) -> bool:
    """Return whether an optional field says by itself what it looks like."""
    return bool({"example", "examples", "const"} & set(schema)) or any(map(_shows, _choices(schema)))


def _array(schema: Schema, schemas: Schema, name: str, depth: int) -> list[object]:
    items = schema.get("items")
    least = schema.get("minItems", 1)
    count = max(least, 1) if isinstance(least, int) else 1
    if not isinstance(items, dict) or depth > _DEPTH_MAX:
        return []
    return [example_of(items, schemas, name=name.removesuffix("s"), depth=depth + 1)] * count


def _text(schema: Schema, name: str) -> str:
    by_end = next((text for end, text in _BY_END if name.endswith(end)), "text")
    fitting = (text for text in (_BY_NAME.get(name, by_end), *_TEXTS) if _fits(text, schema))
    return next(fitting, "")


def _fits(text: str, schema: Schema) -> bool:
    pattern, shortest, longest = schema.get("pattern"), schema.get("minLength"), schema.get("maxLength")
    if isinstance(pattern, str) and not re.search(pattern, text):
        return False
    if schema.get("format") == "date" and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return False
    if schema.get("format") == "date-time" and "T" not in text:
        return False
    return not (isinstance(shortest, int) and len(text) < shortest) and not (
        isinstance(longest, int) and len(text) > longest
    )
