"""Grammar, examples and limits in `specs/names.md` are those of the code."""

import re

import msgspec
import pytest

from protocol import identifiers, limits
from protocol.errors import IdentifierInvalid
from tests.support.pages import Table, code, tables
from tests.support.schemas import NAMES

GRAMMARS, TYPES = tables("names")["2. Types"]
(LIMITS,) = tables("names")["5. Limits"]
PATTERNS = {
    "network": identifiers.HEX_16_PATTERN,
    "alias": identifiers.HEX_16_PATTERN,
    "nonce": identifiers.HEX_16_PATTERN,
    "digest": identifiers.DIGEST_PATTERN,
    "asset": identifiers.ASSET_PATTERN,
    "uuid": identifiers.UUID_PATTERN,
}
PARSERS = {
    "program": identifiers.parse_program,
    "ledger": identifiers.parse_ledger,
    "partner": identifiers.parse_partner,
    "network": identifiers.parse_network,
    "alias": identifiers.parse_alias,
    "digest": identifiers.parse_digest,
    "asset": identifiers.parse_asset,
    "uuid": identifiers.parse_id,
    "holder": identifiers.parse_holder,
}


def names(table: Table) -> list[str]:
    return [code(row["type"]) for row in table]


def test_every_type_of_the_pages_is_listed() -> None:
    listed = {*names(GRAMMARS), *names(TYPES)}
    assert {name for name in NAMES if "`" not in name and name != "body"} == listed - {"program", "partner"}


@pytest.mark.parametrize("row", GRAMMARS, ids=names(GRAMMARS))
def test_an_example_is_accepted_and_what_is_refused_is_refused(row: dict[str, str]) -> None:
    name, example, refused = code(row["type"]), code(row["example"]), code(row["refused"])
    if name in PARSERS:
        assert PARSERS[name](example) == example
        with pytest.raises(IdentifierInvalid):
            PARSERS[name](refused)
    if name in NAMES:
        assert msgspec.convert(example, type=NAMES[name]) == example
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(refused, type=NAMES[name])
    assert name in PARSERS or name in NAMES


@pytest.mark.parametrize("name", PATTERNS)
def test_a_grammar_is_that_of_the_code(name: str) -> None:
    (row,) = [row for row in GRAMMARS if code(row["type"]) == name]
    assert code(row["grammar"]) == PATTERNS[name]


def test_composed_grammars_are_those_of_the_code() -> None:
    grammars = {code(row["type"]): row["grammar"] for row in GRAMMARS}
    label = code(grammars["program"].partition(" where `label` is ")[2])
    program = code(grammars["program"].partition(" where ")[0]).replace("label", label)
    ledger, partner = (code(grammars[name]) for name in ("ledger", "partner"))
    holder = code(grammars["holder"]).replace("uuid", code(grammars["uuid"]))
    composed = {
        identifiers.PROGRAM_PATTERN: program,
        identifiers.LEDGER_PATTERN: ledger.replace("label", label).replace("program", program),
        identifiers.PARTNER_PATTERN: partner.replace("label", label).replace("program", program),
        identifiers.HOLDER_PATTERN: holder,
    }
    for in_code, on_page in composed.items():
        assert re.sub(r"\((?!\?)", "(?:", on_page) == in_code


def test_the_limits_are_those_of_the_code() -> None:
    on_page = {code(row["limit"]): int(row["value"].replace(",", "")) for row in LIMITS}
    in_code = {name: value for name, value in vars(limits).items() if name.isupper()}
    assert on_page == in_code
    assert list(on_page) == list(in_code)
