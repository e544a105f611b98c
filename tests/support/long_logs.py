"""A log of a few bundles with entries of the commonest kinds, and what can be wrong with its files."""

from collections.abc import Sequence
from functools import cache
from typing import cast

import msgspec

from protocol.encoding import ZERO_DIGEST
from protocol.entries import AnyEntry, Entry, PointsTransferred, decode_entry, encode_entry, transfer_postings
from protocol.identifiers import Digest, Id
from protocol.ledger import commands
from protocol.merkle import leaf_hash
from protocol.tiles import encode_bundle
from tests.support.audits import Files, Half, alliance, files_of, tile_files
from tests.support.documents import uuid
from tests.support.ledger import open_holder

ENTRIES = 700


@cache
def long_half() -> Half:
    """Return a ledger that has three bundles: some holders, who transfer and redeem day by day."""
    half = alliance(points=100_000).source
    ledger = half.ledger
    holders = [open_holder(ledger, f"holder {number}", points=1_000) for number in range(8)]
    number = 0
    while len(ledger.sealed) < ENTRIES:
        one, other = holders[number % 8], holders[(number + 3) % 8]
        if number % 5:
            ledger.execute(commands.TransferPoints(id=uuid(f"t{number}"), source=one, destination=other, amount=3))
        else:
            ledger.execute(commands.RedeemPoints(id=uuid(f"t{number}"), account=one, amount=1))
        if number % 50 == 0:
            ledger.advance(seconds=43_200)
        number += 1
    return half


def faulty_logs() -> dict[str, Files]:
    """Return the files of that log, as they are and with one thing wrong, by what is wrong."""
    half = long_half()
    entries = [sealed.data for sealed in half.ledger.sealed]
    good, second, tile = half.files(), "tile/entries/001", "tile/0/001"
    spaced = [*entries[:300], entries[300].replace(b",", b", ", 1), *entries[301:]]
    later = [*entries[:300], *entries[301:]]
    changed = [*entries[:299], encode_entry(half.ledger.sealed[5].entry), *entries[300:]]
    nonsense = [*entries[:400], b"{}", *entries[401:]]
    return {
        "nothing": good,
        "an entry is missing": files_of(half.ledger.side, later, half.received),
        "an entry is another": files_of(half.ledger.side, changed, half.received),
        "an entry is not canonical": files_of(half.ledger.side, spaced, half.received),
        "an entry is none": files_of(half.ledger.side, nonsense, half.received),
        "an entry was changed afterwards": {**good, second: tile_files(changed)[second]},
        "a bundle is missing": {path: data for path, data in good.items() if path != second},
        "a bundle is cut": {**good, second: good[second][:-1]},
        "a bundle is short": {**good, second: encode_bundle(entries[256:500])},
        "a tile is missing": {path: data for path, data in good.items() if path != tile},
        "a tile is another": {**good, tile: good[tile][32:] + good[tile][:32]},
        "a tile is cut": {**good, tile: good[tile][:-32]},
        "the last tile is full": _grown(good, entries),
        **{fault: files_of(half.ledger.side, changed, half.received) for fault, changed in _broken(entries).items()},
    }


def _broken(entries: Sequence[bytes]) -> dict[str, list[bytes]]:
    """Return the entries with one that a rule refuses, each following the one before it, by what is wrong."""
    read = [decode_entry(data) for data in entries]
    before, entry = read[299], read[300]
    assert isinstance(entry, PointsTransferred), "most entries of the log are transfers"
    source, destination = (posting.account for posting in entry.postings)
    too_much = transfer_postings(entry.postings[0].asset, 1_000_000, debit=source, credit=destination)
    changed: dict[str, Entry] = {
        "an entry moves too much": msgspec.structs.replace(entry, postings=too_much),
        "an id is taken": msgspec.structs.replace(entry, id=read[290].id),
        "an id is none": msgspec.structs.replace(entry, id=Id("transfer")),
        "a day is to come": msgspec.structs.replace(entry, occurred_on="2199-01-01"),
        "a time is not later": msgspec.structs.replace(entry, time=before.time),
        "a genesis is not the first": msgspec.structs.replace(read[0], time=entry.time),
    }
    first = read[512]
    assert isinstance(first, PointsTransferred), "most entries of the log are transfers"
    changed_first = msgspec.structs.replace(first, postings=too_much)
    chained = {fault: _chained([*read[:300], each, *read[301:]]) for fault, each in changed.items()}
    chained["the first of a bundle moves too much"] = _chained([*read[:512], changed_first, *read[513:]])
    return {**chained, "a bundle does not follow": [*entries[:256], *_chained(read[256:], prev=ZERO_DIGEST)]}


def _chained(read: Sequence[Entry], *, prev: Digest | None = None) -> list[bytes]:
    """Return the bytes of entries that stand one after the other, the first after `prev` or what it names."""
    first, entries = read[0].seq, []
    leaf = prev or read[0].prev
    for seq, entry in enumerate(read, first):
        data = encode_entry(cast("AnyEntry", msgspec.structs.replace(entry, seq=seq, prev=leaf)))
        leaf = Digest(leaf_hash(data).hex())
        entries.append(data)
    return entries


def _grown(files: Files, entries: list[bytes]) -> Files:
    """Return files of a log that has grown since its checkpoint, so that the last ones are full."""
    full = tile_files([*entries, *entries[: 3 * 256 - ENTRIES]])
    kept = {path: data for path, data in files.items() if ".p/" not in path or not path.startswith("tile/")}
    last = {path: full[path] for path in ("tile/entries/002", "tile/0/002")}
    upper = {path: data for path, data in files.items() if path.startswith("tile/1/")}
    return {**kept, **last, **upper}
