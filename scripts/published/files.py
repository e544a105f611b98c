"""The shape of a file of vectors (specs/vectors/README.md), and its bytes."""

import base64
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

Shown: TypeAlias = str | int | Sequence[str] | None
"""What a case expects of one property; bytes are written in lowercase hex."""

_ENCODER: Final = msgspec.json.Encoder()


class Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a verifier knows beforehand; a case's own replaces that of its file."""

    verifiers: tuple[str, ...] = ()
    text: str | None = None
    witness: str | None = None
    logs: tuple[str, ...] = ()


class MadeFrom(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a cosignature is made from: the key's seed in hex, its name, and the time in POSIX seconds, in decimal.

    A time may pass 2^53, and so it is a string.
    """

    seed: str
    name: str
    time: str


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Bytes, and what a reader of the format makes of them: an error's code, or the properties expected."""

    name: str
    data: str | None = None
    data_base64: str | None = None
    data_repeated: tuple[tuple[str, int], ...] | None = None
    given: Given | None = None
    made_from: MadeFrom | None = None
    error: str | None
    expected: Mapping[str, Shown] | None = None

    @property
    def content(self) -> bytes:
        """Return the case's data."""
        if self.data_base64 is not None:
            return base64.b64decode(self.data_base64, validate=True)
        if self.data_repeated is not None:
            return "".join(text * count for text, count in self.data_repeated).encode()
        assert self.data is not None, "a case has data"
        return self.data.encode()


class Link(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of a log, its leaf hash, and the root of the tree that ends in it."""

    data: str
    leaf: str
    root: str


class VectorFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """All cases of one format; `chain` is the beginning of one log."""

    format: str
    version: int
    page: str
    about: str
    given: Given | None = None
    cases: tuple[Case, ...]
    chain: tuple[Link, ...] = ()

    def given_to(self, case: Case) -> Given:
        """Return what a verifier of `case` knows."""
        return case.given or self.given or Given()


def case_of(
    name: str, data: bytes, *, error: str | None = None, given: Given | None = None, made_from: MadeFrom | None = None
) -> Case:
    """Return a case whose data are written as text where they are text."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        encoded = base64.b64encode(data).decode()
        return Case(name=name, data_base64=encoded, error=error, given=given, made_from=made_from)
    return Case(name=name, data=text, error=error, given=given, made_from=made_from)


def render(file: VectorFile) -> bytes:
    """Return the bytes of a file: JSON that people can read, in ASCII."""
    shown = msgspec.json.format(_ENCODER.encode(file), indent=1).decode()
    return "".join(each if each.isascii() else _escaped(each) for each in shown).encode("ascii") + b"\n"


def parse(data: bytes) -> VectorFile:
    """Return the file in `data`."""
    return msgspec.json.decode(data, type=VectorFile)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
