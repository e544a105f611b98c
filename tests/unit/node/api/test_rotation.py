"""A rotation that is handed in over HTTP is entered, or refused with its own code."""

import json

from node.services.fsck.fsck import fsck
from protocol.audit.findings import Verdict
from protocol.checkpoint import sign_checkpoint
from protocol.key_entries import encode_rotation, sign_rotation
from protocol.keys import Role, SigningKey
from protocol.note import parse_note
from protocol.witness import AddCheckpoint, format_add_checkpoint
from tests.support.api import Api, Json, meet
from tests.support.documents import AURORA, BLUEBIRD, COPPER, Side, log_key, side
from tests.support.logs import TestLog
from tests.unit.node.api.test_refusals import refused

PATH = "/v1/ledger/log-key"
TAKEN = "/v1/partners/log-keys"
DOVE = side("dove.example/main.1", "DOV")


def rotation_of(side: Side, *, number: int = 1) -> Json:
    signed = sign_rotation(
        ledger=side.ledger,
        number=number,
        before=log_key(side, number - 1),
        after=log_key(side, number),
        next_log_key=log_key(side, number + 1).public.digest,
    )
    document: Json = json.loads(encode_rotation(signed))
    return document


def test_a_rotation_to_a_key_that_the_node_does_not_hold_is_refused(api: Api) -> None:
    refused(api, PATH, {"rotation": rotation_of(AURORA)}, status=503, code="signer_refused")


def test_what_is_no_rotation_is_refused(api: Api) -> None:
    refused(api, PATH, {"rotation": {"v": 1}}, status=422, code="entry_invalid")
    refused(api, PATH, {"rotation": {"V": 1}}, status=422, code="encoding_invalid")
    refused(api, PATH, {}, status=422, code="request_invalid")


def test_a_witness_asks_for_every_key_that_it_knows_of(api: Api) -> None:
    meet(api, DOVE)
    log = TestLog(DOVE.ledger, DOVE.signing_keys[Role.LOG])

    def asked(old: int, size: int, *later: SigningKey) -> int:
        note = parse_note(sign_checkpoint(log.checkpoint(size), key=log_key(DOVE, 0), later=later))
        content = format_add_checkpoint(AddCheckpoint(old_size=old, proof=log.proof(old, size), note=note))
        return api.call("POST", "/witness/v1/add-checkpoint", content=content, role=None).status_code

    assert asked(0, 5) == 200
    api.done(TAKEN, {"partner": DOVE.ledger, "rotation": rotation_of(DOVE)})
    assert asked(5, 6) == 403
    assert asked(5, 6, log_key(DOVE, 1)) == 200
    assert fsck(api.database, state=None).verdict is Verdict.HELD


def test_a_partners_rotation_is_taken_once_and_by_its_own_keys(api: Api) -> None:
    body = {"partner": BLUEBIRD.ledger, "rotation": rotation_of(BLUEBIRD)}
    first = api.done(TAKEN, body)
    assert first["kind"] == "partner_log_key_rotated"
    assert api.done(TAKEN, body) == first
    refused(api, TAKEN, {**body, "rotation": rotation_of(AURORA, number=2)}, status=422, code="rotation_invalid")
    refused(api, TAKEN, {**body, "partner": COPPER.ledger}, status=404, code="partner_unknown")
    refused(api, TAKEN, {**body, "rotation": {}}, status=422, code="entry_invalid")
