"""What a check says: findings with a stable code and a place, and the verdict that follows from them (specs/audit.md).

Three outcomes are told apart: what was checked held, something is wrong, or something could not be checked.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum, unique
from typing import Final

import msgspec

FINDINGS_MAX: Final = 100
"""Findings that one check lists; further ones are counted only, since one fault can have a million echoes."""


@unique
class Verdict(StrEnum):
    """The outcome of a check; the wrong outweighs the unchecked."""

    HELD = "held"
    INCOMPLETE = "incomplete"
    BROKEN = "broken"


EXIT_STATUS: Final[Mapping[Verdict, int]] = {Verdict.HELD: 0, Verdict.BROKEN: 1, Verdict.INCOMPLETE: 3}
"""The exit status of a program that ends in a verdict; 2 is for a command line that cannot be understood."""

_WEIGHT: Final = {verdict: weight for weight, verdict in enumerate(Verdict)}


@unique
class FindingCode(StrEnum):
    """The auditor's own codes; an entry that a rule refuses carries the rule's code, a malformed one its format's."""

    AGREEMENTS_DIFFER = "agreements_differ"
    BEHIND = "behind"
    DECISION_MISSING = "decision_missing"
    DECISIONS_CONTRADICT = "decisions_contradict"
    DECISIONS_GAPPED = "decisions_gapped"
    FIGURES_DIFFER = "figures_differ"
    FORKED = "forked"
    KEY_UNKNOWN = "key_unknown"
    KEYS_DIFFER = "keys_differ"
    LEDGER_DIFFERS = "ledger_differs"
    MESSAGE_MISADDRESSED = "message_misaddressed"
    MESSAGE_MISSING = "message_missing"
    MISSING = "missing"
    MONEY_DIFFERS = "money_differs"
    NOT_MATCHED = "not_matched"
    ORDER_MISSING = "order_missing"
    PAGE_INVALID = "page_invalid"
    PROMISE_BROKEN = "promise_broken"
    QUORUM_MISSING = "quorum_missing"
    ROOT_DIFFERS = "root_differs"
    RULE_FAILED = "rule_failed"
    SENDER_UNKNOWN = "sender_unknown"
    STATE_INVALID = "state_invalid"
    STATEMENTS_DIFFER = "statements_differ"
    TERMS_DIFFER = "terms_differ"
    TILE_DIFFERS = "tile_differs"
    UNREACHABLE = "unreachable"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong (`broken`) or could not be checked (`incomplete`), and where."""

    verdict: Verdict
    code: str
    place: str
    detail: str

    @property
    def line(self) -> str:
        """Return the finding as a person reads it."""
        return f"{self.place}: {self.detail} ({self.code})"


class Findings:
    """Collects the findings of one check in the order in which they were made."""

    __slots__ = ("_counts", "_listed")

    def __init__(self) -> None:
        """Start without findings."""
        self._listed: list[Finding] = []
        self._counts = dict.fromkeys(Verdict, 0)

    def broken(self, code: str, place: str, detail: str) -> None:
        """Note that what was found at `place` is wrong."""
        self.add(Finding(verdict=Verdict.BROKEN, code=str(code), place=place, detail=detail))

    def incomplete(self, code: str, place: str, detail: str) -> None:
        """Note that what `place` names could not be checked."""
        self.add(Finding(verdict=Verdict.INCOMPLETE, code=str(code), place=place, detail=detail))

    def add(self, finding: Finding) -> None:
        """Take a finding over as it was made."""
        self._counts[finding.verdict] += 1
        if len(self._listed) < FINDINGS_MAX:
            self._listed.append(finding)

    @property
    def listed(self) -> tuple[Finding, ...]:
        """Return the first findings, at most `FINDINGS_MAX`."""
        return tuple(self._listed)

    @property
    def count(self) -> int:
        """Return how many findings were made, listed or not."""
        return sum(self._counts.values())

    @property
    def verdict(self) -> Verdict:
        """Return what the findings come to."""
        return worst(verdict for verdict, count in self._counts.items() if count)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the weightiest of `verdicts`, or held when there are none."""
    return max(verdicts, key=_WEIGHT.__getitem__, default=Verdict.HELD)
