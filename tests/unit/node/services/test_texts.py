"""Texts in two languages: the same keys and parts in each, right numbers and days, and a text for every entry."""

from string import Formatter
from typing import TypeVar, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.services.members.member_lines import Lines, confirmation_of, is_of, place_of
from node.services.members.texts import CATALOGUES, Speech, brand_of, locale_of
from node.store.reader import StoreReader
from protocol.ledger import rules
from protocol.ledger.tables import Table
from protocol.program import DEFAULT_TERMS, ProgramTerms, ZoneOffset
from tests.support.departing import departed
from tests.support.history import examples, history
from tests.support.ledger import MemoryLedger

_K = TypeVar("_K")
_R = TypeVar("_R")

TAIPEI = ProgramTerms(
    time_zone="Asia/Taipei", offsets=(ZoneOffset(starts_at="2000-01-01T00:00:00.000000Z", seconds=28_800),)
)
EN, ZH = Speech("en", DEFAULT_TERMS), Speech("zh", DEFAULT_TERMS)


def parts_of(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_both_languages_say_the_same_things() -> None:
    english, chinese = CATALOGUES["en"], CATALOGUES["zh"]
    assert list(english) == list(chinese)
    assert {key: parts_of(text) for key, text in english.items()} == {
        key: parts_of(text) for key, text in chinese.items()
    }
    assert all(text and not text.isspace() for texts in CATALOGUES.values() for text in texts.values())


def test_chinese_is_chinese() -> None:
    bare = {"moment", "statement.expires"}
    assert all(_has_chinese(text) for key, text in CATALOGUES["zh"].items() if key not in bare)
    assert not any(_has_chinese(text) for text in CATALOGUES["en"].values())


def _has_chinese(text: str) -> bool:
    return any("\u4e00" <= sign <= "\u9fff" for sign in text)


def test_every_plural_has_both_forms() -> None:
    keys = set(CATALOGUES["en"])
    singular = {key.removesuffix(".one") for key in keys if key.endswith(".one")}
    assert singular == {key.removesuffix(".other") for key in keys if key.endswith(".other")} - {"entry"}


@pytest.mark.parametrize(
    ("count", "english", "chinese"),
    [
        (0, "0 points", "0 积分"),
        (1, "1 point", "1 积分"),
        (-1, "−1 point", "−1 积分"),
        (4_998, "4,998 points", "4,998 积分"),
    ],
)
def test_points_are_counted_as_people_do(count: int, english: str, chinese: str) -> None:
    assert (EN.points(count), ZH.points(count)) == (english, chinese)


def test_days_and_times_are_those_of_the_program() -> None:
    assert (EN.date("2027-03-09"), ZH.date("2027-03-09")) == ("9 March 2027", "2027年3月9日")
    assert (EN.month("2027-12"), ZH.month("2027-12")) == ("December 2027", "2027年12月")
    evening = "2026-11-22T17:05:00.000000Z"
    assert EN.clock(evening) == "17:05"
    taipei = Speech("en", TAIPEI)
    assert taipei.moment(evening) == "23 November 2026, 01:05"
    assert taipei.since(evening, now="2026-11-22T18:00:00.000000Z") == "01:05"
    assert EN.since(evening, now="2026-11-23T01:00:00.000000Z") == "22 November 2026, 17:05"


def test_a_brand_is_called_by_its_name() -> None:
    assert brand_of("bluebird.example/main.1") == "Bluebird"


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("", None),
        ("zh-TW,zh;q=0.9,en;q=0.8", "zh"),
        ("fr,en-GB;q=0.3,zh;q=0.2", "en"),
        ("en;q=0, zh;q=0.1", "zh"),
        ("de", None),
        ("en;q=x", None),
        ("*", None),
    ],
)
def test_the_language_that_is_liked_best_is_spoken(header: str, locale: str | None) -> None:
    assert locale_of(header) == locale


@given(st.text())
def test_any_header_is_a_language_or_none(header: str) -> None:
    assert locale_of(header) in {None, "en", "zh"}


@pytest.mark.parametrize("kind", examples())
def test_a_confirmation_number_names_one_entry(kind: str) -> None:
    sealed = examples()[kind]
    number = confirmation_of(sealed)
    named = place_of(f" {number.lower()} ")
    assert named is not None
    assert named[0] == sealed.entry.seq
    assert is_of(sealed, named[1])
    assert not is_of(sealed, named[1][::-1] if named[1] != named[1][::-1] else "2222")


@given(st.text())
def test_any_text_is_a_confirmation_number_or_none(text: str) -> None:
    named = place_of(text)
    assert named is None or named[0] >= 0


class StateReader:
    """Reads the rows of a ledger in memory, as far as texts ask for them."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger

    def record(self, table: Table[_K, _R], key: _K) -> _R | None:
        return self._ledger.state.get(table, key)


def test_every_entry_of_an_account_is_told_in_both_languages() -> None:
    told: dict[str, set[str]] = {}
    for ledger in (history().source, history().destination, departed().source):
        reader = cast("StoreReader", StateReader(ledger))
        for sealed in ledger.sealed:
            for account in rules.holders_of(ledger.state, sealed.entry):
                for speech in (EN, ZH):
                    line = Lines(reader, speech, account).line(sealed, day="2026-03-01")
                    assert "{" not in line.text
                    told.setdefault(line.kind, set()).add(line.text)
    others = {CATALOGUES[locale]["entry.other"] for locale in CATALOGUES}
    assert {kind for kind, texts in told.items() if texts & others} <= {
        "action_proposed",
        "action_approved",
        "action_refused",
        "recovered",
    }
    assert {"points_issued", "conversion_held", "transfer_offered", "account_erased", "link_revoked"} <= set(told)
