"""Evidence against partners through the API: listed, paged, and handed out byte for byte."""

from hashlib import sha256

import pytest

from node.services.access.credentials import CallerRole
from node.services.channel.accusations import AccuseWork, Cursor
from node.services.channel.misconduct import TO_DO
from protocol.agreement import SignedAgreement
from protocol.audit.evidence import Contradiction, Subject, encode_evidence
from protocol.audit.findings import Verdict
from protocol.audit.known import PartnerKeys
from protocol.audit.verify import verify_file
from protocol.identifiers import Network
from protocol.ledger.state import PARTNERS
from tests.support.api import Api, Json
from tests.support.documents import BLUEBIRD, fulfil, prepare, reject, signed_agreement, uuid
from tests.support.evidence import sighted

FIRST = Contradiction(first=sighted(fulfil(), after=1), second=sighted(reject(), after=2))
SECOND = Contradiction(first=sighted(fulfil(prepare(conversion=uuid("two")))), second=sighted(fulfil()))


@pytest.fixture
def accused(api: Api) -> Json:
    """Let the node have two files of evidence against Bluebird, and return the newest page of them."""
    record = api.node.reader.record(PARTNERS, BLUEBIRD.ledger)
    assert record is not None
    keys = PartnerKeys(
        ledger=BLUEBIRD.ledger, network=Network(FIRST.first.envelope.header().network), keys=BLUEBIRD.keys
    )
    found = [(keys, FIRST), (keys, SECOND)]
    api.node.submit(AccuseWork(api.node.reader, found, Cursor())).result()
    return api.read("/v1/evidence")


def agreement() -> SignedAgreement:
    return signed_agreement()


def test_evidence_is_listed_newest_first_and_paged(api: Api, accused: Json) -> None:
    listed = accused["evidence"]
    assert isinstance(listed, list)
    assert [(row["subject"], row["kind"], row["conversion"]) for row in listed] == [
        ("place", "contradiction", uuid("two")),
        ("decision", "contradiction", fulfil().id),
    ]
    assert {row["partner"] for row in listed} == {BLUEBIRD.ledger}
    assert accused["next"] is None
    page = api.read("/v1/evidence?limit=1")
    assert (page["evidence"], page["next"]) == (listed[:1], 1)
    assert api.read("/v1/evidence?limit=1&before=1")["evidence"] == listed[1:]


def test_the_file_is_what_was_found_and_proves_it_to_anybody(api: Api, accused: Json) -> None:
    digest = sha256(encode_evidence(FIRST)).hexdigest()
    answered = api.get(f"/v1/evidence/{digest}", role=CallerRole.AUDITOR)
    assert answered.content == encode_evidence(FIRST)
    assert verify_file(answered.content, agreements=[agreement()]).verdict is Verdict.HELD
    unknown = api.get(f"/v1/evidence/{'0' * 64}")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert api.get("/v1/evidence/x").status_code == 422


def test_evidence_is_for_operators_and_auditors(api: Api) -> None:
    assert api.get("/v1/evidence", role=CallerRole.BACKEND).status_code == 403
    assert api.get("/v1/evidence", role=CallerRole.AUDITOR).status_code == 200


def test_an_operator_is_told_what_to_do(api: Api, accused: Json) -> None:
    found = api.read("/v1/exceptions")["exceptions"]
    assert isinstance(found, list)
    rows = [row for row in found if row["kind"] == "misconduct"]
    listed = accused["evidence"]
    assert isinstance(listed, list)
    assert [row["evidence"] for row in rows] == [each["digest"] for each in listed[::-1]]
    assert [row["to_do"] for row in rows] == [TO_DO[Subject.DECISION], TO_DO[Subject.PLACE]]
    assert [row["partner"] for row in rows] == [BLUEBIRD.ledger] * 2


def test_every_subject_has_something_to_do() -> None:
    assert set(TO_DO) == set(Subject)
    assert all("file of evidence" in text for text in TO_DO.values())
