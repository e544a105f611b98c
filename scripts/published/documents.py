"""Vectors of canonical JSON and of entries."""

from collections.abc import Iterator
from typing import Final

from protocol.merkle import leaf_hash, root_of
from protocol.tiles import encode_bundle
from scripts.published.files import Case, Link, VectorFile, case_of
from tests.support.history import examples, history
from tests.support.mutations import canonical, field_changes, liberties, nulled, parsed, replaced
from tests.unit.protocol.test_encoding import CANONICAL, OTHER

BYTES_MAX: Final = 4_096
"""No case is published at greater length; texts that repeat one piece are."""

CHAIN_ENTRIES: Final = 9
RICH: Final = "points_issued"
"""The kind of entry of which every field is published in every wrong form."""

NULLABLE: Final = frozenset({"expires_on", "metadata", "request", "spendable_on"})
"""Its fields that may be null."""


def encoding() -> VectorFile:
    """Return texts that are canonical JSON and texts that are not."""
    accepted = [case_of(f"canonical {number}", data) for number, data in enumerate(CANONICAL)]
    refused = [case_of(name, data, error="encoding_invalid") for name, data in OTHER.items() if len(data) <= BYTES_MAX]
    return VectorFile(
        format="encoding",
        version=1,
        page="encoding.md",
        about="Canonical JSON. `digest` is the value's digest in the domain `body`.",
        cases=(*accepted, *refused, *_long()),
    )


def _long() -> Iterator[Case]:
    pieces = {
        "arrays deep beyond any stack": (("[", 200_000), ("]", 200_000)),
        "objects deep beyond any stack": (('{"a":', 100_000), ("1", 1), ("}", 100_000)),
        "deep and unclosed, long": (("[", 500_000),),
        "a string beyond the bound": (('"', 1), ("a", 1_048_575), ('"', 1)),
        "a number of 5,000 digits": (("1", 5_000),),
    }
    for name, repeated in pieces.items():
        yield Case(name=name, data_repeated=repeated, error="encoding_invalid")
    longest = (('"', 1), ("a", 1_048_574), ('"', 1))
    yield Case(name="a string as long as the bound", data_repeated=longest, error=None)


def entries() -> VectorFile:
    """Return an entry of every kind, wrong neighbours of each, and the beginning of a log."""
    cases = [case for kind, sealed in examples().items() for case in _entry(kind, sealed.data)]
    chained = [sealed.data for sealed in history().source.sealed[:CHAIN_ENTRIES]]
    leaves = [leaf_hash(data) for data in chained]
    chain = [
        Link(data=data.decode(), leaf=leaves[at].hex(), root=root_of(leaves[: at + 1]).hex())
        for at, data in enumerate(chained)
    ]
    return VectorFile(
        format="entry",
        version=1,
        page="entries.md",
        about="Entries of every kind, as formats: no rule of a ledger is applied. `chain` is the beginning of one log.",
        cases=tuple(cases),
        chain=tuple(chain),
    )


def _entry(kind: str, data: bytes) -> Iterator[Case]:
    yield case_of(kind, data)
    document = parsed(data)
    assert isinstance(document, dict)
    own = sorted(set(document) - {"v", "kind"})
    refused = {"a field more": canonical({**document, "zz": 1})}
    for name in (own[0], own[-1]):
        refused[f"{name} dropped"] = canonical({key: each for key, each in document.items() if key != name})
    if kind == RICH:
        refused |= dict(_neighbours(kind, data))
    for name, each in refused.items():
        yield case_of(f"{kind}: {name}", each, error="entry_invalid")


def _neighbours(kind: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    yield from ((f"liberty {number}", each) for number, each in enumerate(liberties(data)))
    yield from ((name.strip(), each) for name, each in field_changes(data))
    yield from ((f"{path} = null", each) for path, each in nulled(data) if path not in NULLABLE)
    yield "another version", canonical(replaced(data, ("v",), 2))
    yield "a kind that there is not", canonical(replaced(data, ("kind",), f"{kind}x"))
    yield "as in a bundle", encode_bundle([data])
