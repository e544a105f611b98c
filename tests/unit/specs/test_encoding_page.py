"""The domains and the example in `specs/encoding.md` are those of the code."""

import re

from protocol.encoding import decode, digest_of, encode
from tests.support.pages import SPECS, code, page, table

SOURCES = [
    path.read_text(encoding="utf-8")
    for room in ("protocol", "node")
    for path in sorted((SPECS.parent / room).rglob("*.py"))
]


def test_every_domain_of_a_digest_is_listed() -> None:
    used = {domain for text in SOURCES for domain in re.findall(r'digest_of\("([a-z_-]+)"', text)}
    assert {code(row["domain"]) for row in table("encoding", "4. Digests")} == used


def test_every_domain_of_a_signature_is_listed() -> None:
    used = {line for text in SOURCES for line in re.findall(r'_DOMAIN: Final = b"(tallystick/[a-z/0-9-]+)\\n"', text)}
    assert {code(row["first line"]) for row in table("encoding", "5. Signatures")} == used


def test_the_example_holds() -> None:
    example = page("encoding").partition("## 6. Example")[2]
    (text,) = re.findall(r"^    (\{.*\})$", example, re.MULTILINE)
    (digest,) = re.findall(r"`([0-9a-f]{64})`", example)
    (length,) = re.findall(r"of (\d+) bytes", example)
    assert encode(decode(text.encode())) == text.encode()
    assert digest_of("body", text.encode()) == digest
    assert len(text.encode()) == int(length)
