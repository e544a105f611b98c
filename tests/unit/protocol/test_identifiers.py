from collections.abc import Callable
from uuid import UUID

import pytest

from protocol.errors import IdentifierInvalid
from protocol.identifiers import (
    HOLDER_KINDS,
    Id,
    Ledger,
    generation_of,
    holder_account,
    id_from_random,
    parse_alias,
    parse_asset,
    parse_digest,
    parse_holder,
    parse_id,
    parse_ledger,
    parse_network,
    parse_partner,
    parse_program,
    partner_of,
    program_of,
)
from protocol.limits import NAME_CHARACTERS_MAX

LABEL_63 = "a" * 63
UUID_4 = "0b236a74-6870-46b8-a461-23c53e8ba14c"
UUID_7 = "01955555-5555-7555-8555-555555555555"

VALID: dict[Callable[[str], str], list[str]] = {
    parse_program: ["aurora.example", "a.b", "1.2", "a-b.c--d.example", "xn--bcher-kva.example", f"{LABEL_63}.a"],
    parse_ledger: ["aurora.example/main.1", "a.b/1.999999", f"a.b/{LABEL_63}.10", "a.b/west-2.7"],
    parse_partner: ["aurora.example/main", "a.b/1", f"a.b/{LABEL_63}"],
    parse_id: [UUID_4, UUID_7],
    parse_holder: [f"{kind}/{UUID_4}" for kind in HOLDER_KINDS],
    parse_asset: ["AUR", "USD", "A1", "ABCDEFGHIJKL"],
    parse_network: ["0" * 32, "0123456789abcdef" * 2],
    parse_alias: ["f" * 32],
    parse_digest: ["0" * 64, "0123456789abcdef" * 4],
}

INVALID: dict[Callable[[str], str], list[str]] = {
    parse_program: [
        "aurora",
        "Aurora.example",
        ".example",
        "aurora.",
        "aurora..example",
        "-a.example",
        "a-.example",
        "a.example-",
        f"{LABEL_63}a.example",
        "a_b.example",
        "a b.example",
        "bücher.example",
        "aurora.example/main",
        "aurora.example:443",
        ".".join(["a"] * 65),
    ],
    parse_ledger: [
        "aurora.example",
        "aurora.example/main",
        "aurora.example/main.0",
        "aurora.example/main.01",
        "aurora.example/main.1000000",
        "aurora.example/main.-1",
        "aurora.example/main.1.1",
        "aurora.example/Main.1",
        "aurora.example/.1",
        "aurora.example//main.1",
        "aurora.example/main/x.1",
        "aurora.example/main.\u0661",
        "aurora/main.1",
        f"{'a.' * 60}example/main.1",
    ],
    parse_partner: ["aurora.example/main.1", "aurora.example", "aurora.example/", "aurora/main", "/main"],
    parse_id: [
        UUID_4.upper(),
        UUID_4.replace("-", ""),
        f"{{{UUID_4}}}",
        f"urn:uuid:{UUID_4}",
        "00000000-0000-0000-0000-000000000000",
        "0b236a74-6870-16b8-a461-23c53e8ba14c",
        "0b236a74-6870-46b8-c461-23c53e8ba14c",
        UUID_4[:-1],
        UUID_4 + "0",
    ],
    parse_holder: [UUID_4, f"members/{UUID_4}", f"member/{UUID_4.upper()}", f"Member/{UUID_4}", f"issuance/{UUID_4}"],
    parse_asset: ["A", "aur", "1AU", "AUR ", "ABCDEFGHIJKLM", "A_B", "ÄUR"],
    parse_network: ["0" * 31, "0" * 33, "F" * 32, "g" * 32, "\u0660" * 32],
    parse_alias: ["0" * 31, "F" * 32],
    parse_digest: ["0" * 63, "0" * 65, "A" * 64, "0x" + "0" * 62],
}


@pytest.mark.parametrize(("parse", "text"), [(parse, text) for parse, texts in VALID.items() for text in texts])
def test_a_name_is_returned_as_it_is(parse: Callable[[str], str], text: str) -> None:
    assert parse(text) == text


@pytest.mark.parametrize(("parse", "text"), [(parse, text) for parse, texts in INVALID.items() for text in texts])
def test_another_spelling_is_refused(parse: Callable[[str], str], text: str) -> None:
    with pytest.raises(IdentifierInvalid):
        parse(text)


@pytest.mark.parametrize("parse", VALID)
def test_nothing_stands_around_a_name(parse: Callable[[str], str]) -> None:
    text = VALID[parse][0]
    for around in ("", text + "\n", "\n" + text, text + " ", " " + text, text + "\0", text + "\ud800", text + "\u2028"):
        with pytest.raises(IdentifierInvalid):
            parse(around)


def test_a_name_is_bounded_in_length() -> None:
    longest = "a" * 60 + "." + "b" * 60 + "." + "c" * (NAME_CHARACTERS_MAX - 122)
    assert parse_program(longest) == longest
    with pytest.raises(IdentifierInvalid):
        parse_program(longest + "c")


def test_a_ledger_is_a_generation_of_a_partner_of_a_program() -> None:
    ledger = Ledger("aurora.example/west-2.17")
    assert partner_of(ledger) == parse_partner("aurora.example/west-2")
    assert program_of(ledger) == parse_program("aurora.example")
    assert generation_of(ledger) == 17


@pytest.mark.parametrize("kind", HOLDER_KINDS)
def test_a_holder_has_a_kind_and_an_id(kind: str) -> None:
    assert holder_account(kind, Id(UUID_4)) == f"{kind}/{UUID_4}"


def test_only_holders_are_holders() -> None:
    with pytest.raises(IdentifierInvalid):
        holder_account("issuance", Id(UUID_4))


@pytest.mark.parametrize("random_bytes", [bytes(16), b"\xff" * 16, bytes(range(16))])
def test_random_bytes_make_an_id(random_bytes: bytes) -> None:
    made = parse_id(id_from_random(random_bytes))
    assert UUID(made).version == 4
    assert UUID(made).bytes[0] == random_bytes[0]
