"""What partners read of each other's logs: closed ones by a pass, earlier ones with the cosignatures of their end."""

from pathlib import Path

import pytest

from node.services.logs.log import LogService
from node.services.logs.log_access import SCHEME, LogAccess, log_pass
from node.services.refusals import NodeCode, NodeRefusal
from node.store.rows_witness import PutPublished
from protocol.checkpoint import parse_checkpoint, sign_cosignature
from protocol.identifiers import Ledger
from protocol.keys import Role
from protocol.note import KeyType, Verifier, format_note, parse_note, signers_of
from protocol.proof import open_receipt, parse_receipt
from tests.support.documents import AURORA, BLUEBIRD, COPPER
from tests.support.nodes import Alliance, convert
from tests.support.settling import context_of
from tests.support.succeeding import put_back, succeed


def test_a_pass_of_one_node_opens_the_log_of_another_alone(three: Alliance) -> None:
    reader, read, third = three.nodes
    credential = log_pass(context_of(reader), read.ledger)
    assert credential is not None
    scheme, _, shown = credential.partition(" ")
    assert scheme == SCHEME
    assert LogAccess(context_of(read), is_open=False).check(shown) == reader.ledger
    for other in (reader, third):
        with pytest.raises(NodeRefusal) as refused:
            LogAccess(context_of(other), is_open=False).check(shown)
        assert refused.value.code == NodeCode.UNAUTHORIZED
    three.clock.advance(86_400)
    with pytest.raises(NodeRefusal):
        LogAccess(context_of(read), is_open=False).check(shown)
    assert log_pass(context_of(reader), Ledger("stranger.example/main.1")) is None


def test_a_receipt_of_an_earlier_log_has_the_cosignatures_of_its_end(two: Alliance, tmp_path: Path) -> None:
    node, partner = two.pair
    two.talk()
    with put_back(tmp_path, two, node):
        convert(node, partner, name="lost")
        two.talk()
    end = node.reader.latest_checkpoint()
    assert end is not None
    stated = parse_checkpoint(parse_note(end.note).text)
    key = COPPER.signing_keys[Role.WITNESS]
    line = sign_cosignature(stated, name="w.example", key=key, time_seconds=1)
    note = format_note(parse_note(end.note).with_signatures([line]))
    node.do(writes=[PutPublished(AURORA.ledger, end.size, note)])
    before = LogService(context_of(node)).receipt(1)
    succeed(node)
    two.talk()
    receipt = LogService(context_of(node)).receipt(1)
    assert receipt == before
    verifier = Verifier(AURORA.ledger, node.side.signing_keys[Role.LOG].public)
    witness = Verifier("w.example", key.public, KeyType.COSIGNATURE)
    assert open_receipt(receipt, [verifier]).checkpoint == stated
    assert signers_of(parse_note(parse_receipt(receipt).checkpoint), [verifier, witness]) == (verifier, witness)
    assert partner.ledger == BLUEBIRD.ledger
