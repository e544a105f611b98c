"""The register of a program tells its terms in words, who was frozen or merged, and what a person let go on."""

from protocol.audit.program_register import program_said
from protocol.identifiers import Ledger
from protocol.ledger.program_commands import SetProgram
from protocol.program import ExpiryRule, KindPolicy, Limit, ProgramTerms, Screen
from tests.support.documents import uuid
from tests.support.governing import live_under_terms
from tests.support.ledger import new_ledger

OUT = Limit(
    activity="convert_out",
    scope="partner",
    per="year",
    measure="points",
    most=9_000,
    partner=Ledger("blue.example/main.1"),
)
TERMS = ProgramTerms(
    expiry=ExpiryRule(kind="fixed", months=18, round_to="quarter"),
    four_eyes=True,
    kinds=(KindPolicy(kind="supplier", may_convert=False, may_earn=False, may_redeem=False, may_transfer=False),),
    limits=(OUT,),
    screens=(Screen(name="device", window_minutes=60, most=2),),
)


def test_every_act_is_told_with_its_reason() -> None:
    ledger = new_ledger()
    live_under_terms(ledger)
    said = [each for sealed in ledger.sealed for each in program_said(sealed.entry)]
    words = [about.partition(" ")[2].partition(" ")[0] for about, _ in said[1:]]
    assert words == ["frozen", "open", words[2], "merged", "frozen"]
    assert said[3][0].endswith(": rejected")
    assert [why for _, why in said] == [
        "opening",
        "stolen_card",
        "card_found",
        "looked_at",
        "joined_twice",
        "stolen_card",
    ]


def test_terms_are_told_in_words() -> None:
    ledger = new_ledger()
    entry = ledger.execute(SetProgram(id=uuid("terms"), terms=TERMS, reason="opening")).entry
    ((about, why),) = program_said(entry)
    assert why == "opening"
    for words in (
        "fixed, 18 months, rounded to: quarter",
        "two persons decide",
        "at most 9,000 points convert_out per year and partner blue.example/main.1",
        "supplier may: nothing",
        "screen device: 2 in 60 minutes",
    ):
        assert words in about
