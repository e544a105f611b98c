"""The shortest trace: leaves steps out of a failing seed for as long as it fails in the same way."""

from typing import Final

from scripts.simulation.run import Outcome, Settings, Simulation

RUNS_MAX: Final = 400


def shrink(failed: Outcome, settings: Settings, *, runs_max: int = RUNS_MAX) -> Outcome:
    """Return the outcome with the fewest steps, found in at most `runs_max` runs, that violates the same invariant.

    Halves, quarters, and so on of the steps are left out in turn (Zeller and Hildebrandt's delta debugging).
    """
    assert failed.violation is not None, "there is something to shrink"
    best, size, runs = failed, max(len(failed.taken) // 2, 1), 0
    while size and runs < runs_max:
        start, shorter = 0, False
        while start < len(best.taken) and runs < runs_max:
            runs += 1
            left = best.taken[:start] + best.taken[start + size :]
            tried = Simulation(failed.seed, settings, only=left).run()
            if tried.violation is not None and tried.violation.invariant == failed.violation.invariant:
                best, shorter = tried, True
            else:
                start += size
        size = min(size, len(best.taken)) if shorter and size == 1 else size // 2
    return best
