"""A second count of ledgers that settle: from the entries that each node lists, in plain integers, by nobody's rules.

Nothing here asks the code that keeps the books: accounts are sums of postings, lines are what the entries of the two
ledgers say of each conversion, and a window's sums are sums of its lines.
"""

from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeAlias

import msgspec
from nacl.signing import VerifyKey

from protocol.merkle import Hash
from tests.support.rfc6962 import tree_root
from tests.support.whole_nodes import WholeNode

PAGE: Final = 256
HOLDERS: Final = ("member/", "employee/", "supplier/")

Place: TypeAlias = tuple[str, str, int]
"""Source, destination and decision number: where a line stands for ever."""

Balances: TypeAlias = dict[tuple[str, str], int]
"""The sum of all postings of an account, by its name and the asset."""


class RoleKey(msgspec.Struct, frozen=True):
    """A public key of a ledger, and what it may sign."""

    role: str
    key: str


class Entry(msgspec.Struct, frozen=True):
    """What the count reads of an entry; an entry has those of these fields that its kind has."""

    kind: str
    time: str
    postings: list[tuple[str, str, int]] | None = None
    partner: str = ""
    source: str = ""
    destination: str = ""
    conversion: str = ""
    agreement: str = ""
    promotion: str | None = None
    refund_of: str | None = None
    steps: int = 0
    source_points: int = 0
    destination_points: int = 0
    fee_points: int = 0
    value: int = 0
    currency: str = ""
    window: int = 0
    dec_seq: int = 0
    fulfil: str = ""
    minor_units: str = "0"
    keys: tuple[RoleKey, ...] = ()


class _Listed(msgspec.Struct, frozen=True):
    seq: int
    entry: Entry


class _Page(msgspec.Struct, frozen=True):
    entries: tuple[_Listed, ...]
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A credited conversion as one ledger's entries tell it."""

    source: str
    destination: str
    dec_seq: int
    window: int
    id: str
    agreement: str
    promotion: str | None
    refund_of: str | None
    steps: int
    source_points: int
    destination_points: int
    fee_points: int
    value: int
    currency: str

    @property
    def place(self) -> Place:
        """Return where it stands."""
        return self.source, self.destination, self.dec_seq


def read_entries(node: WholeNode) -> list[Entry]:
    """Return the whole log as the node lists it."""
    found: list[_Listed] = []
    query: dict[str, str | int] = {"limit": PAGE}
    while True:
        page = node.read("/v1/entries", _Page, **query)
        found += page.entries
        if page.next is None:
            assert [each.seq for each in found] == list(range(len(found)))
            return [each.entry for each in found]
        query["after"] = page.next


class _Account(msgspec.Struct, frozen=True):
    account: str
    posted: int
    held: int


class _Accounts(msgspec.Struct, frozen=True):
    accounts: tuple[_Account, ...]
    next: str | None


def read_accounts(node: WholeNode) -> dict[str, tuple[int, int]]:
    """Return what every holder has, and how much of it is on hold, as the node lists it."""
    found: dict[str, tuple[int, int]] = {}
    query: dict[str, str | int] = {"limit": PAGE}
    while True:
        page = node.read("/v1/accounts", _Accounts, **query)
        found |= {row.account: (row.posted, row.held) for row in page.accounts}
        if page.next is None:
            return found
        query["after"] = page.next


def of_kind(entries: Iterable[Entry], *kinds: str) -> Iterator[Entry]:
    """Yield the entries of some kinds."""
    return (entry for entry in entries if entry.kind in kinds)


def approval_key(entries: Sequence[Entry]) -> VerifyKey:
    """Return the key under which a ledger signs statements, as its genesis names it."""
    (text,) = (each.key for each in entries[0].keys if each.role == "approval")
    return VerifyKey(b64decode(text))


def balances_of(entries: Iterable[Entry]) -> Balances:
    """Return every account that is not empty."""
    sums: defaultdict[tuple[str, str], int] = defaultdict(int)
    for entry in entries:
        posted: defaultdict[str, int] = defaultdict(int)
        for account, asset, amount in entry.postings or ():
            sums[account, asset] += amount
            posted[asset] += amount
        assert not any(posted.values()), f"the postings of a {entry.kind} do not sum to zero"
    return {key: amount for key, amount in sums.items() if amount}


def without_holders(balances: Balances) -> Balances:
    """Return the structural and money accounts."""
    return {key: amount for key, amount in balances.items() if not key[0].startswith(HOLDERS)}


def lines_sent(entries: Sequence[Entry], own: str) -> dict[Place, Line]:
    """Return the lines out of `own`, from what it held and captured; no number and no conversion stands twice."""
    held = {entry.conversion: entry for entry in of_kind(entries, "conversion_held")}
    captured = list(of_kind(entries, "conversion_captured"))
    lines = [
        _line(held[entry.conversion], source=own, destination=held[entry.conversion].destination, decided=entry)
        for entry in captured
    ]
    return _placed(lines)


def lines_decided(entries: Sequence[Entry], own: str) -> dict[Place, Line]:
    """Return the lines into `own`, from what it credited."""
    credited = of_kind(entries, "conversion_credited")
    return _placed(_line(entry, source=entry.source, destination=own, decided=entry) for entry in credited)


def _line(terms: Entry, *, source: str, destination: str, decided: Entry) -> Line:
    return Line(
        source=source,
        destination=destination,
        dec_seq=decided.dec_seq,
        window=decided.window,
        id=terms.conversion,
        agreement=terms.agreement,
        promotion=terms.promotion,
        refund_of=terms.refund_of,
        steps=terms.steps,
        source_points=terms.source_points,
        destination_points=terms.destination_points,
        fee_points=terms.fee_points,
        value=terms.value,
        currency=terms.currency,
    )


def _placed(lines: Iterable[Line]) -> dict[Place, Line]:
    found = list(lines)
    placed = {line.place: line for line in found}
    assert len(placed) == len(found) == len({(line.source, line.id) for line in found})
    return placed


def fulfils_of(entries: Iterable[Entry]) -> dict[str, str]:
    """Return the digests of the FULFILs that were captured on, by conversion."""
    return {entry.conversion: entry.fulfil for entry in of_kind(entries, "conversion_captured")}


def sums_of(lines: Iterable[Line], fulfils: Mapping[str, str], *, first_dec_seq: int) -> dict[str, int | str]:
    """Return what the lines of one direction and window sum to, as a statement states it.

    Their numbers must have no gap; `root` is that of the RFC 6962 tree over the digests of their FULFILs.
    """
    ordered = sorted(lines, key=lambda line: line.dec_seq)
    assert [line.dec_seq for line in ordered] == list(range(first_dec_seq, first_dec_seq + len(ordered)))
    leaves = [Hash(sha256(b"\x00" + bytes.fromhex(fulfils[line.id])).digest()) for line in ordered]
    return {
        "first_dec_seq": first_dec_seq,
        "last_dec_seq": first_dec_seq + len(ordered) - 1,
        "count": len(ordered),
        "source_points": str(sum(line.source_points for line in ordered)),
        "destination_points": str(sum(line.destination_points for line in ordered)),
        "fee_points": str(sum(line.fee_points for line in ordered)),
        "value": str(sum(line.value for line in ordered)),
        "root": tree_root(leaves).hex(),
    }
