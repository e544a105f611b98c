"""Every table of fields in `specs/` lists exactly the fields that the code reads, with their types, in its order."""

import msgspec
import pytest

from protocol import agreement, consent, documents, envelope, messages, program, statement
from protocol.points import Step
from tests.support.pages import code, table, tables
from tests.support.schemas import schema

AGREEMENT: dict[str, type[msgspec.Struct]] = {
    "Agreement": agreement.Agreement,
    "Party": agreement.Party,
    "RoleKey": agreement.RoleKey,
    "Direction": agreement.Direction,
    "Step": Step,
    "Fee": agreement.Fee,
    "MemberLimits": agreement.MemberLimits,
    "InFlightLimits": agreement.InFlightLimits,
    "ConvertedExpiry": agreement.ConvertedExpiry,
    "Promotion": agreement.Promotion,
    "WindowCalendar": agreement.WindowCalendar,
    "Transport": agreement.Transport,
    "SignedAgreement": agreement.SignedAgreement,
    "AgreementSignature": agreement.AgreementSignature,
}
ENVELOPE: dict[str, type[msgspec.Struct]] = {
    "1. Frame": envelope.Frame,
    "2. Header": envelope.Header,
    "Acknowledgement": envelope.Acknowledgement,
    "Fence": envelope.Fence,
    "4. Envelope": envelope.Envelope,
    "Signature": envelope.DsseSignature,
    "5. Parcel": envelope._Parcel,
    "7. Sighting": envelope.Sighting,
}
PAPERS: dict[tuple[str, str], type[msgspec.Struct]] = {
    ("partners", "1. Introduction"): documents.Introduction,
    ("partners", "2. Invitation"): documents.Invitation,
    ("links", "1. AccountLink"): documents.AccountLink,
    ("links", "LinkLimits"): documents.LinkLimits,
    ("links", "2. SignedLink"): documents.SignedLink,
    ("links", "LinkTerms"): program.LinkTerms,
    ("links", "LinkExchange"): consent.LinkExchange,
    ("links", "SignedExchange"): consent.SignedExchange,
}
SETTLEMENT: dict[str, type[msgspec.Struct]] = {
    "Totals": statement.Totals,
    "Line": statement.Line,
    "DisputedLine": statement.DisputedLine,
    "AdjustedLine": statement.AdjustedLine,
    "Bill": statement.Bill,
    "CheckpointReference": statement.CheckpointReference,
    "Statement": statement.Statement,
    "StatementSignature": statement.StatementSignature,
    "SignedStatement": statement.SignedStatement,
}
PAGES: dict[tuple[str, str], type[msgspec.Struct]] = {
    **{("settlement", heading): struct for heading, struct in SETTLEMENT.items()},
    **{("agreement", heading): struct for heading, struct in AGREEMENT.items()},
    **{("envelope", heading): struct for heading, struct in ENVELOPE.items()},
    ("messages", "EntryReference"): messages.EntryReference,
    **PAPERS,
}
MEANT = {
    ("base64", "string"),
    ("signature", "string"),
    ("note or null", "string or null"),
    ("list of Signature", "list of DsseSignature"),
    ("Sighting", "body"),
    ("LinkLimits or absent", "LinkLimits or <class 'msgspec.UnsetType'>"),
    ("UnlinkReason", "<enum 'UnlinkReason'>"),
    ("reason", "<enum 'DisputeReason'>"),
    ("reason", "<enum 'AdjustmentReason'>"),
    ("true or false", "<class 'bool'>"),
}
"""What a page says where the code's type says less, or has a longer name."""

BODIES: dict[str, type[msgspec.Struct]] = {
    "prepare": messages.Prepare,
    "fulfil": messages.Fulfil,
    "reject": messages.Reject,
    "cancel": messages.Cancel,
    "query": messages.Query,
    "error": messages.Error,
}
ALONE: dict[str, type[msgspec.Struct]] = {
    "end": messages.End,
    "unlink": messages.Unlink,
    "hello": messages.Hello,
    "returned": messages.Returned,
    "returned_agreement": messages.ReturnedAgreement,
    "succeeded": messages.Succeeded,
}
"""Bodies that are about no conversion."""

OF_WINDOWS: dict[str, type[msgspec.Struct]] = {
    "close": messages.Close,
    "lines": messages.Lines,
    "dispute": messages.Dispute,
    "statement": messages.StatementSigned,
    "payment": messages.PaymentAdvice,
    "receipt": messages.Receipt,
}


def listed(page: str, heading: str) -> dict[str, str]:
    return {code(row["field"]): row["type"] for row in table(page, heading)}


@pytest.mark.parametrize(("page", "heading"), PAGES)
def test_a_table_of_fields_is_that_of_the_code(page: str, heading: str) -> None:
    on_page, in_code = listed(page, heading), schema(PAGES[page, heading])
    assert list(on_page) == list(in_code)
    for name, type_name in in_code.items():
        assert on_page[name] == type_name or (on_page[name], type_name) in MEANT, name


def test_every_table_of_fields_is_compared() -> None:
    compared = {*PAGES, ("messages", "Conversion"), *(("messages", kind) for kind in (*BODIES, *ALONE))}
    compared |= {("settlement", "3. The statement"), ("settlement", "WindowBody")}
    compared |= {("settlement", kind) for kind in OF_WINDOWS}
    pages = ("agreement", "envelope", "messages", "partners", "links", "settlement")
    found = {
        (page, heading)
        for page in pages
        for heading, listings in tables(page).items()
        if any("field" in row for listing in listings for row in listing[:1])
    }
    assert found == compared


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_has_the_fields_of_its_tables(kind: str) -> None:
    common, own = listed("messages", "Conversion"), listed("messages", kind)
    assert common.pop("kind") == "the kind"
    assert {**common, **own} == schema(BODIES[kind])
    assert [*common, *own] == list(schema(BODIES[kind]))


@pytest.mark.parametrize("kind", ALONE)
def test_a_body_that_stands_alone_has_the_fields_of_its_table(kind: str) -> None:
    fields = listed("messages", kind)
    assert fields.pop("kind") == "the kind"
    in_code = schema(ALONE[kind])
    assert list(fields) == list(in_code)
    for name, type_name in in_code.items():
        assert fields[name] == type_name or (fields[name], type_name) in MEANT, name


@pytest.mark.parametrize("kind", OF_WINDOWS)
def test_a_body_of_settlement_has_the_fields_of_its_tables(kind: str) -> None:
    fields = {**listed("settlement", "WindowBody"), **listed("settlement", kind)}
    assert fields.pop("kind") == "the kind"
    in_code = schema(OF_WINDOWS[kind])
    assert list(fields) == list(in_code)
    for name, type_name in in_code.items():
        assert fields[name] == type_name or (fields[name], type_name) in MEANT, name


def test_the_statement_explains_every_field_that_it_has() -> None:
    explained = [name for row in table("settlement", "3. The statement") for name in row["field"].split(", ")]
    assert sorted(map(code, explained)) == sorted(schema(statement.Statement))


def test_every_kind_of_body_has_its_row() -> None:
    settled = [code(row["kind"]) for row in table("settlement", "6. Messages")]
    assert settled == list(OF_WINDOWS)
    kinds = [code(row["kind"]) for row in table("messages", "2. Who may send")]
    assert sorted(kinds) == sorted([*BODIES, *ALONE])
