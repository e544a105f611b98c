"""Vectors of settlement: statements that add up or do not, and the bodies that carry lines and totals."""

import json
from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.limits import INTEGER_MAX
from protocol.messages import encode_body
from protocol.statement import STATEMENT_BYTES_MAX, encode_statement
from scripts.published.documents import BYTES_MAX
from scripts.published.files import Case, VectorFile, case_of
from tests.support.mutations import (
    Json,
    Path,
    at,
    canonical,
    dotted,
    field_changes,
    liberties,
    nulled,
    parsed,
    replaced,
)
from tests.support.settlement import lines, statement
from tests.unit.protocol.test_settlement_bodies import BODIES
from tests.unit.protocol.test_statement import FIRST, FLAWS, SECOND

_TOTALS: Final = "directions.0.totals"
_DISPUTED: Final = "directions.0.disputed.0"
_ADJUSTED: Final = "directions.0.adjustments.0"

_CLOSED: Final = (("first_dec_seq", 0), ("count", -1), ("last_dec_seq", INTEGER_MAX + 1), ("value", "01"))
_SHOWN: Final = (("dec_seq", 0), ("window", 0), ("destination_points", 0), ("fee_points", -1), ("value", -1))
"""Numbers that totals and lines cannot have."""

_NULLABLE: Final = frozenset({"previous", "payer"})
"""Fields of a statement that may be null, though not in every statement."""


def statements() -> VectorFile:
    """Return statements that two parties can sign, and wrong neighbours of them."""
    accepted = {
        "nothing was converted": statement(),
        "a line is in dispute, and the second party pays": FIRST,
        "a dispute ends, a line is taken back, and the first party pays": SECOND,
        "sums beyond 2^53": statement(lines(1, [INTEGER_MAX] * 3)),
        "less than a minor unit": statement(lines(1, [9_999])),
    }
    refused = {flaw: msgspec.json.encode(make(), order="sorted") for flaw, make in FLAWS.items()}
    cases = [case_of(name, encode_statement(each)) for name, each in accepted.items()]
    cases += [case_of(name, data, error="statement_invalid") for name, data in {**refused, **dict(_wrong())}.items()]
    return VectorFile(
        format="statement",
        version=1,
        page="settlement.md",
        about="Statements without signatures, each judged by itself; `digest` is by what the next one names it.",
        cases=(*cases, _too_long()),
    )


def _wrong() -> Iterator[tuple[str, bytes]]:
    first, second = encode_statement(FIRST), encode_statement(SECOND)
    yield from ((f"liberty {number}", each) for number, each in enumerate(liberties(first)))
    yield from _wrong_fields(first, "")
    yield from _wrong_fields(first, _TOTALS)
    yield from _wrong_fields(first, _DISPUTED)
    yield from _wrong_fields(second, _ADJUSTED)
    for name in ("opening_carry", "net", "minor_units", f"{_TOTALS}.value"):
        yield from _misspelt(first, name)
    for name in (f"{_TOTALS}.first_dec_seq", f"{_DISPUTED}.value", "minor_unit", "window"):
        for number in (-1, INTEGER_MAX + 1):
            yield f"{name} = {number}", _sorted(replaced(first, _path(name), number))


def _misspelt(data: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield a sum as other texts that somebody may read as the same number."""
    text = str(at(parsed(data), _path(name)))
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    texts = [f"{sign}0{digits}", f" {text}", f"{text}.0", f"{text}e0", *([] if sign else [f"+{text}"])]
    for other in [*texts, *(["-0", ""] if text == "0" else [])]:
        yield f"{name} = {other!r}", canonical(replaced(data, _path(name), other))
    yield f"{name} as a number", canonical(replaced(data, _path(name), int(text)))
    yield f"{name} of 33 digits", canonical(replaced(data, _path(name), "9" * 33))


def _wrong_fields(data: bytes, above: str) -> Iterator[tuple[str, bytes]]:
    """Yield wrong forms of the fields that stand right below `above`: left out, of another type, one too many."""
    document = at(parsed(data), _path(above))
    assert isinstance(document, dict)
    own = {dotted((*_path(above), name)) for name in document}
    for what, each in field_changes(data):
        name, _, change = what.partition(" ")
        if (name in own and (change == "dropped" or name in _NULLABLE)) or what == f"a field more in {above}":
            yield what.strip(), each
    for path, each in nulled(data):
        if path in own - _NULLABLE:
            yield f"{path} = null", each


def _sorted(value: Json) -> bytes:
    """Return canonical bytes, also of a number beyond those that canonical JSON can have."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _path(name: str) -> Path:
    return tuple(int(part) if part.isdecimal() else part for part in name.split(".") if part)


def _too_long() -> Case:
    """Return a text beyond the bound, which nobody needs to read to its end."""
    pieces = (('{"a":"', 1), ("a", STATEMENT_BYTES_MAX), ('"}', 1))
    return Case(name="longer than the bound", data_repeated=pieces, error="statement_invalid")


def bodies() -> VectorFile:
    """Return a body of each kind of settlement, and wrong neighbours of those that carry totals and lines."""
    encoded = {str(body.__struct_config__.tag): encode_body(body) for body in BODIES}
    cases = [case_of(kind, data) for kind, data in encoded.items()]
    for kind, above, numbers in (("close", "totals", _CLOSED), ("lines", "lines.0", _SHOWN)):
        data = encoded[kind]
        wrong = dict(_wrong_fields(data, above))
        for name, number in numbers:
            wrong[f"{above}.{name} = {number}"] = _sorted(replaced(data, (*_path(above), name), number))
        cases += [case_of(f"{kind}: {name}", each, error="body_invalid") for name, each in wrong.items()]
    assert all(len(case.content) <= BYTES_MAX for case in cases), "bodies are published whole"
    return VectorFile(
        format="body",
        version=1,
        page="settlement.md",
        about="Bodies of settlement, as formats: whether a close follows the one before is for the ledger's rules.",
        cases=tuple(cases),
    )
