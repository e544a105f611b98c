"""A log of a few bundles with entries of the commonest kinds, and what can be wrong with its files."""

from functools import cache

from protocol.entries import encode_entry
from protocol.ledger import commands
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
    }


def _grown(files: Files, entries: list[bytes]) -> Files:
    """Return files of a log that has grown since its checkpoint, so that the last ones are full."""
    full = tile_files([*entries, *entries[: 3 * 256 - ENTRIES]])
    kept = {path: data for path, data in files.items() if ".p/" not in path or not path.startswith("tile/")}
    last = {path: full[path] for path in ("tile/entries/002", "tile/0/002")}
    upper = {path: data for path, data in files.items() if path.startswith("tile/1/")}
    return {**kept, **last, **upper}
