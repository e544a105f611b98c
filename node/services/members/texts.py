"""Texts for members in their language: one catalogue each, with numbers, days and times as people there write them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from node.services.members import texts_en, texts_zh
from node.store.rows_members import Locale
from protocol.fields import parse_time
from protocol.identifiers import Ledger, program_of
from protocol.program import ProgramTerms, day_of, offset_at

CATALOGUES: Final[Mapping[Locale, Mapping[str, str]]] = {"en": texts_en.TEXTS, "zh": texts_zh.TEXTS}
_SINGULAR: Final = 1


@dataclass(frozen=True, slots=True)
class Speech:
    """One language, and the program's clock."""

    locale: Locale
    terms: ProgramTerms

    def say(self, key: str, **parts: str) -> str:
        """Return the text of `key` with its parts."""
        return CATALOGUES[self.locale][key].format(**parts)

    def points(self, count: int) -> str:
        """Return an amount of points."""
        plural = "one" if abs(count) == _SINGULAR else "other"
        return self.say(f"points.{plural}", count=self.number(count))

    def number(self, count: int) -> str:
        """Return a whole number with its thousands apart: both languages write them with commas."""
        return f"{count:,}".replace("-", "−")

    def date(self, day: str) -> str:
        """Return a calendar day."""
        year, month, number = day.split("-")
        return self.say("date", year=year, month=self.say(f"month.{int(month)}"), day=str(int(number)))

    def month(self, month: str) -> str:
        """Return a month like 2026-01."""
        year, number = month.split("-")
        return self.say("month", year=year, month=self.say(f"month.{int(number)}"))

    def moment(self, time: str) -> str:
        """Return a time by the program's clock, with its day."""
        return self.say("moment", date=self.date(day_of(self.terms, time)), time=self.clock(time))

    def since(self, time: str, *, now: str) -> str:
        """Return a time in the past: by the clock alone where that was today."""
        is_today = day_of(self.terms, time) == day_of(self.terms, now)
        return self.clock(time) if is_today else self.moment(time)

    def clock(self, time: str) -> str:
        """Return hours and minutes of a time by the program's clock."""
        return f"{parse_time(time) + timedelta(seconds=offset_at(self.terms, time)):%H:%M}"


def brand_of(ledger: str) -> str:
    """Return how a partner is called: the first part of its program's name."""
    return program_of(Ledger(ledger)).partition(".")[0].capitalize()


def locale_of(accepted: str) -> Locale | None:
    """Return the language that an `Accept-Language` header likes best among ours, or None (RFC 9110 §12.5.4)."""
    best: tuple[float, Locale] | None = None
    for part in accepted.split(","):
        tag, _, quality = part.strip().partition(";q=")
        found = next((each for each in CATALOGUES if tag.lower().partition("-")[0] == each), None)
        weight = _weight(quality)
        if found is not None and weight > 0 and (best is None or weight > best[0]):
            best = (weight, found)
    return None if best is None else best[1]


def _weight(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0
