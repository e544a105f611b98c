"""Names and ids: their types, their grammar, and the parsers that enforce it.

A `ledger` is one log, `aurora.example/main.1`: program, shard, generation. A successor goes on under the next
generation, while agreements, bodies and envelopes keep naming the first. A `partner` is a counterparty across
generations, `bluebird.example/main`: the accounts of a partner are named by it.
"""

import re
from typing import Final, NewType
from uuid import UUID

from protocol.errors import IdentifierInvalid
from protocol.limits import NAME_CHARACTERS_MAX

Network = NewType("Network", str)
Program = NewType("Program", str)
Ledger = NewType("Ledger", str)
Partner = NewType("Partner", str)
Account = NewType("Account", str)
Asset = NewType("Asset", str)
Id = NewType("Id", str)
Alias = NewType("Alias", str)
Digest = NewType("Digest", str)
"""A SHA-256 digest as 64 lowercase hex digits, as documents carry it."""

_LABEL: Final = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
PROGRAM_PATTERN: Final = rf"{_LABEL}(?:\.{_LABEL})+"
LEDGER_PATTERN: Final = rf"{PROGRAM_PATTERN}/{_LABEL}\.[1-9][0-9]{{0,5}}"
PARTNER_PATTERN: Final = rf"{PROGRAM_PATTERN}/{_LABEL}"
UUID_PATTERN: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
HOLDER_PATTERN: Final = rf"(?:member|employee|supplier)/{UUID_PATTERN}"
ASSET_PATTERN: Final = "[A-Z][A-Z0-9]{1,11}"
HEX_16_PATTERN: Final = "[0-9a-f]{32}"
DIGEST_PATTERN: Final = "[0-9a-f]{64}"

_PROGRAM: Final = re.compile(PROGRAM_PATTERN)
_LEDGER: Final = re.compile(LEDGER_PATTERN)
_PARTNER: Final = re.compile(PARTNER_PATTERN)
_UUID: Final = re.compile(UUID_PATTERN)
_HOLDER: Final = re.compile(HOLDER_PATTERN)
_ASSET: Final = re.compile(ASSET_PATTERN)
_HEX_16: Final = re.compile(HEX_16_PATTERN)
_DIGEST: Final = re.compile(DIGEST_PATTERN)

HOLDER_KINDS: Final = ("member", "employee", "supplier")


def _matched(pattern: re.Pattern[str], text: str, what: str) -> str:
    if len(text) > NAME_CHARACTERS_MAX or not pattern.fullmatch(text):
        raise IdentifierInvalid(f"{text[:80]!r} is not {what}")
    return text


def parse_program(text: str) -> Program:
    """Return `text` as a program's name, a lowercase DNS name, or raise `IdentifierInvalid`."""
    return Program(_matched(_PROGRAM, text, "a program name like aurora.example"))


def parse_ledger(text: str) -> Ledger:
    """Return `text` as a ledger's name, program/shard.generation, or raise `IdentifierInvalid`."""
    return Ledger(_matched(_LEDGER, text, "a ledger name like aurora.example/main.1"))


def parse_partner(text: str) -> Partner:
    """Return `text` as a partner's name, program/shard, or raise `IdentifierInvalid`."""
    return Partner(_matched(_PARTNER, text, "a partner name like aurora.example/main"))


def parse_id(text: str) -> Id:
    """Return `text` as a client's id, a random UUID (RFC 9562 version 4 or 7, lowercase), or raise."""
    if not _UUID.fullmatch(text):
        raise IdentifierInvalid(f"{text[:80]!r} is not a lowercase random UUID (version 4 or 7)")
    return Id(text)


def parse_holder(text: str) -> Account:
    """Return `text` as a holder's account, kind/UUID, or raise `IdentifierInvalid`."""
    return Account(_matched(_HOLDER, text, "an account like member/<uuid>"))


def parse_asset(text: str) -> Asset:
    """Return `text` as the code of points or of a currency, or raise `IdentifierInvalid`."""
    return Asset(_matched(_ASSET, text, "an asset code like AUR or USD"))


def parse_network(text: str) -> Network:
    """Return `text` as a network id, 32 lowercase hex digits, or raise `IdentifierInvalid`."""
    return Network(_matched(_HEX_16, text, "a network id of 32 lowercase hex digits"))


def parse_alias(text: str) -> Alias:
    """Return `text` as a link's alias, 32 lowercase hex digits, or raise `IdentifierInvalid`."""
    return Alias(_matched(_HEX_16, text, "an alias of 32 lowercase hex digits"))


def parse_digest(text: str) -> Digest:
    """Return `text` as a SHA-256 digest in lowercase hex, or raise `IdentifierInvalid`."""
    return Digest(_matched(_DIGEST, text, "a SHA-256 digest of 64 lowercase hex digits"))


def partner_of(ledger: Ledger) -> Partner:
    """Return the counterparty that `ledger` is a generation of."""
    return Partner(ledger.rpartition(".")[0])


def program_of(ledger: Ledger) -> Program:
    """Return the program that runs `ledger`."""
    return Program(ledger.partition("/")[0])


def first_of(log: Ledger) -> Ledger:
    """Return the name by which partners know `log` in all its generations: that of the first."""
    return Ledger(f"{partner_of(log)}.1")


def generation_of(ledger: Ledger) -> int:
    """Return the generation number of `ledger`, from 1."""
    return int(ledger.rpartition(".")[2])


def successor_of(log: Ledger) -> Ledger:
    """Return the name of the log that comes after `log`."""
    return Ledger(f"{partner_of(log)}.{generation_of(log) + 1}")


def holder_account(kind: str, account_id: Id) -> Account:
    """Return the account of the holder `account_id` of `kind` member, employee or supplier."""
    return parse_holder(f"{kind}/{account_id}")


def id_from_random(random_bytes: bytes) -> Id:
    """Return a version 4 UUID made of 16 random bytes."""
    return Id(str(UUID(bytes=random_bytes, version=4)))
