import hashlib

import msgspec
import pytest

from protocol.agreement import (
    Agreement,
    ConvertedExpiry,
    Fee,
    InFlightLimits,
    MemberLimits,
    RoleKey,
    agreement_digest,
    check_agreement,
    check_keys,
    decode_signed_agreement,
    encode_agreement,
    encode_signed_agreement,
    key_of,
    round_trip_multiplies,
)
from protocol.errors import AgreementInvalid, KeyInvalid
from protocol.identifiers import Asset
from protocol.keys import Role
from protocol.limits import AGREEMENT_PROMOTIONS_MAX, ENTRY_BYTES_MAX, INTEGER_MAX
from protocol.points import Step
from tests.support.documents import (
    AURORA,
    BACK,
    BLUEBIRD,
    COPPER,
    HTTPS,
    NOW,
    SOON,
    WINDOWS,
    agreement,
    digest,
    direction,
    promotion,
    side,
    signed_agreement,
)
from tests.support.mutations import canonical, field_changes, liberties, nulled, parsed, variants

FULL = agreement(
    there=direction(
        fee=Fee(points_per_conversion=5, points_per_step=2),
        member_limits=MemberLimits(
            out_points_per_day=1, out_points_per_year=2, in_points_per_day=3, in_points_per_year=4
        ),
        in_flight=InFlightLimits(conversions=100, value=10_000_000),
        cap=1_000_000_000,
        expiry=ConvertedExpiry(days=365),
        promotions=(promotion(), promotion(name="summer", starts_at=NOW, ends_at=SOON)),
    ),
    supersedes=digest("before"),
    number=2,
    valid_until="2027-01-01T00:00:00.000000Z",
)
"""An agreement in which no field is null, except in the direction back."""

NULLABLE_TERMS = (
    "member_limits.out_points_per_day",
    "member_limits.out_points_per_year",
    "member_limits.in_points_per_day",
    "member_limits.in_points_per_year",
    "in_flight.conversions",
    "in_flight.value",
    "cap",
    "expiry.days",
)
NULLABLE = {
    "agreement.supersedes",
    "agreement.valid_until",
    "agreement.directions.0.promotions.0.budget_points",
    "agreement.directions.0.promotions.1.budget_points",
    *(f"agreement.directions.{number}.{name}" for number in (0, 1) for name in NULLABLE_TERMS),
}


def with_party(number: int, **parts: object) -> Agreement:
    """Return the example with other parts of one party."""
    parties = list(agreement().parties)
    parties[number] = msgspec.structs.replace(parties[number], **parts)
    return msgspec.structs.replace(agreement(), parties=tuple(parties))


@pytest.mark.parametrize("document", [agreement(), FULL])
def test_an_agreement_is_read_back(document: Agreement) -> None:
    signed = signed_agreement(document)
    data = encode_signed_agreement(signed)
    assert decode_signed_agreement(data) == signed
    assert canonical(parsed(data)) == data
    assert encode_agreement(document) in data


def test_an_agreement_has_one_encoding() -> None:
    for data in liberties(encode_signed_agreement(signed_agreement(FULL))):
        with pytest.raises(AgreementInvalid):
            decode_signed_agreement(data)


def test_an_agreement_has_all_its_fields_and_no_other() -> None:
    for what, data in field_changes(encode_signed_agreement(signed_agreement(FULL))):
        with pytest.raises(AgreementInvalid):
            pytest.fail(f"{what}: {decode_signed_agreement(data)}")


def test_only_some_fields_may_be_null() -> None:
    accepted = {what for what, data in nulled(encode_signed_agreement(signed_agreement(FULL))) if is_agreement(data)}
    assert accepted == NULLABLE


def is_agreement(data: bytes) -> bool:
    try:
        decode_signed_agreement(data)
    except AgreementInvalid:
        return False
    return True


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{}", b" " * (ENTRY_BYTES_MAX + 1), b"[" * 60_000])
def test_what_is_no_agreement_is_refused(data: bytes) -> None:
    with pytest.raises(AgreementInvalid):
        decode_signed_agreement(data)


@pytest.mark.parametrize(
    ("why", "document"),
    [
        ("order of parties", agreement(BLUEBIRD, AURORA)),
        ("one party twice", agreement(AURORA, AURORA)),
        ("directions swapped", agreement(there=direction(BLUEBIRD, AURORA), back=direction(AURORA, BLUEBIRD))),
        ("one direction twice", agreement(back=direction(AURORA, BLUEBIRD))),
        ("direction to a stranger", agreement(there=direction(AURORA, COPPER))),
        ("direction to itself", agreement(there=direction(AURORA, AURORA))),
        ("same points", with_party(1, points=AURORA.points)),
        ("minimum above maximum", agreement(there=direction(steps_min=11, steps_max=10))),
        ("minimum above maximum, back", agreement(back=direction(BLUEBIRD, AURORA, steps_min=2, steps_max=1))),
        ("promotion twice", agreement(there=direction(promotions=(promotion(), promotion())))),
        ("promotions' order", agreement(there=direction(promotions=(promotion(name="b"), promotion(name="a"))))),
        ("promotion ends at once", agreement(there=direction(promotions=(promotion(starts_at=NOW, ends_at=NOW),)))),
        ("promotion ends first", agreement(there=direction(promotions=(promotion(starts_at=SOON, ends_at=NOW),)))),
        (
            "promotion back ends first",
            agreement(back=direction(BLUEBIRD, AURORA, promotions=(promotion(starts_at=SOON, ends_at=NOW),))),
        ),
        ("ends at once", agreement(valid_from=NOW, valid_until=NOW)),
        ("ends first", agreement(valid_from=SOON, valid_until=NOW)),
        ("no keys", with_party(0, keys=())),
        ("a key missing", with_party(1, keys=BLUEBIRD.keys[:3])),
        ("keys' order", with_party(0, keys=AURORA.keys[::-1])),
    ],
)
def test_an_agreement_that_contradicts_itself_is_refused(why: str, document: Agreement) -> None:
    with pytest.raises(AgreementInvalid):
        check_agreement(document)
    with pytest.raises(AgreementInvalid):
        encode_agreement(document)
    unsigned = msgspec.structs.replace(signed_agreement(), agreement=document)
    with pytest.raises(AgreementInvalid):
        decode_signed_agreement(encode_signed_agreement(unsigned))


@pytest.mark.parametrize(
    "document",
    [
        agreement(there=direction(steps_min=10, steps_max=10)),
        agreement(there=direction(promotions=(promotion(name="a"), promotion(name="b")))),
        agreement(
            there=direction(promotions=(promotion(),)), back=direction(BLUEBIRD, AURORA, promotions=(promotion(),))
        ),
        agreement(valid_from=NOW, valid_until=SOON),
        agreement(side("aurora.example/east.1", "AUR"), side("aurora.example/west.1", "AUR")),
        agreement(windows=msgspec.structs.replace(WINDOWS, due_days=0)),
    ],
)
def test_what_does_not_contradict_itself_is_accepted(document: Agreement) -> None:
    signed = msgspec.structs.replace(signed_agreement(), agreement=document)
    assert decode_signed_agreement(encode_signed_agreement(signed)).agreement == document
    assert encode_agreement(document)


@pytest.mark.parametrize(
    "document",
    [
        agreement(valid_from="2026-02-30T00:00:00.000000Z"),
        agreement(valid_until="2026-02-30T00:00:00.000000Z"),
        agreement(windows=msgspec.structs.replace(WINDOWS, starts_at="soon")),
        agreement(windows=msgspec.structs.replace(WINDOWS, hours=0)),
        agreement(windows=msgspec.structs.replace(WINDOWS, hours=8_785)),
        agreement(windows=msgspec.structs.replace(WINDOWS, due_days=367)),
        agreement(windows=msgspec.structs.replace(WINDOWS, minor_unit=0)),
        agreement(transport=msgspec.structs.replace(HTTPS, kind="carrier pigeon")),
        agreement(transport=msgspec.structs.replace(HTTPS, kind="https\n")),
        agreement(transport=msgspec.structs.replace(HTTPS, cycle_seconds=2_678_401)),
        agreement(quote_life_seconds=0),
        agreement(quote_life_seconds=86_401),
        agreement(number=0),
        agreement(currency=Asset("usd")),
        agreement(there=direction(step=Step(source=0, destination=1))),
        agreement(there=direction(step=Step(source=1, destination=INTEGER_MAX + 1))),
        agreement(there=direction(price=-1)),
        agreement(there=direction(steps_min=0)),
        agreement(there=direction(cap=0)),
        agreement(there=direction(expiry=ConvertedExpiry(days=0))),
        agreement(there=direction(expiry=ConvertedExpiry(days=36_526))),
        agreement(there=direction(promotions=(promotion(name=""),))),
        agreement(there=direction(promotions=(promotion(name="\ud800"),))),
        agreement(there=direction(promotions=(promotion(name="x" * 1_001),))),
        agreement(there=direction(promotions=(promotion(budget_points=0),))),
        agreement(there=direction(promotions=tuple(promotion(name=f"{n:02}") for n in range(17)))),
    ],
)
def test_a_field_outside_its_bounds_is_refused(document: Agreement) -> None:
    with pytest.raises(AgreementInvalid):
        encode_agreement(document)


def test_an_agreement_is_bounded_in_size() -> None:
    names = [f"{number:02}{'ü' * 998}" for number in range(AGREEMENT_PROMOTIONS_MAX)]
    crowded = direction(promotions=tuple(promotion(name=name) for name in names))
    encode_agreement(agreement(there=crowded))
    twice = msgspec.structs.replace(crowded, source=BLUEBIRD.ledger, destination=AURORA.ledger)
    with pytest.raises(AgreementInvalid):
        encode_agreement(agreement(there=crowded, back=twice))


def test_an_agreement_is_cited_by_a_digest_of_its_bytes() -> None:
    data = encode_agreement(FULL)
    assert agreement_digest(FULL) == hashlib.sha256(b"tallystick/agreement/v1\n" + data).hexdigest()


def test_the_digest_changes_with_every_field() -> None:
    changed = [each for each in variants(FULL) if isinstance(each, Agreement)]
    assert len(changed) > 80
    assert len({agreement_digest(each) for each in [FULL, *changed]}) == len(changed) + 1


def test_a_party_is_found_by_its_ledger() -> None:
    document = agreement()
    assert document.party(AURORA.ledger) == document.other(BLUEBIRD.ledger) == AURORA.party
    assert document.party(BLUEBIRD.ledger) == document.other(AURORA.ledger) == BLUEBIRD.party
    assert document.direction(AURORA.ledger) == document.directions[0]
    assert document.direction(BLUEBIRD.ledger) == document.directions[1]
    for find in (document.party, document.other, document.direction):
        with pytest.raises(AgreementInvalid):
            find(COPPER.ledger)


def test_a_key_is_found_by_its_role() -> None:
    for role in Role:
        assert AURORA.party.key(role) == AURORA.signing_keys[role].public
    for keys in ((), AURORA.keys[1:], (RoleKey(role=Role.LOG, key="A" * 43 + "="),)):
        with pytest.raises(KeyInvalid):
            key_of(keys, Role.LOG)


@pytest.mark.parametrize(
    "keys",
    [
        (),
        AURORA.keys[1:],
        AURORA.keys[::-1],
        (*AURORA.keys, AURORA.keys[3]),
        (*AURORA.keys[:3], RoleKey(role=Role.APPROVAL, key=AURORA.keys[0].key)),
        (*AURORA.keys[:3], RoleKey(role=Role.APPROVAL, key="A" * 43 + "=")),
        (*AURORA.keys[:3], RoleKey(role=Role.APPROVAL, key="-" * 44)),
    ],
)
def test_there_is_one_key_a_role(keys: tuple[RoleKey, ...]) -> None:
    check_keys(AURORA.keys)
    with pytest.raises(KeyInvalid):
        check_keys(keys)


def test_a_fee_is_per_conversion_and_per_step() -> None:
    there, back = FULL.directions
    assert [there.fee_points(steps) for steps in (1, 2, 1_000)] == [7, 9, 2_005]
    assert back.fee_points(1_000) == 0


def test_converted_points_expire_by_days_or_never() -> None:
    there, back = FULL.directions
    assert there.expires_on("2026-03-01") == "2027-03-01"
    assert there.expires_on("9999-03-01") == "9999-12-31"
    assert back.expires_on("2026-03-01") is None


@pytest.mark.parametrize(
    ("document", "grows"),
    [
        (agreement(), False),
        (agreement(back=direction(BLUEBIRD, AURORA, step=Step(source=250, destination=400))), False),
        (agreement(back=direction(BLUEBIRD, AURORA, step=Step(source=250, destination=401))), True),
        (agreement(there=direction(promotions=(promotion(step=Step(source=360, destination=250)),))), False),
        (agreement(there=direction(promotions=(promotion(step=Step(source=359, destination=250)),))), True),
        (
            agreement(
                there=direction(promotions=(promotion(step=Step(source=380, destination=250)),)),
                back=direction(
                    BLUEBIRD, AURORA, step=BACK, promotions=(promotion(step=Step(source=250, destination=381)),)
                ),
            ),
            True,
        ),
    ],
)
def test_a_loop_that_makes_points_is_found_among_all_steps(document: Agreement, *, grows: bool) -> None:
    check_agreement(document)
    assert round_trip_multiplies(document) is grows
