"""Every kind of entry has an answer, pure, with the fields that its caller may see."""

from typing import get_args

import msgspec
import pytest

from node.services.answers import EntryAnswer, encode_answer
from node.services.render import render
from protocol.entries import AnyEntry, seal
from tests.support.documents import AURORA
from tests.support.history import examples

ENTRIES = [sealed.entry for sealed in examples().values()]


def test_other_kinds_have_an_answer_too() -> None:
    assert {type(entry) for entry in ENTRIES} <= set(get_args(AnyEntry))
    assert len(ENTRIES) > 15


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.__struct_config__.tag)
def test_an_answer_is_a_pure_function_of_its_entry(entry: AnyEntry) -> None:
    sealed = seal(entry)
    answer = render(sealed, ledger=AURORA.ledger)
    assert isinstance(answer, get_args(EntryAnswer))
    data = encode_answer(answer)
    assert data == encode_answer(render(seal(entry), ledger=AURORA.ledger))
    fields = msgspec.json.decode(data)
    assert list(fields)[:6] == ["id", "kind", "seq", "leaf", "time", "occurred_on"]
    assert fields["kind"] == entry.__struct_config__.tag
    assert fields["leaf"] == sealed.leaf
    assert not {"nonce", "prev", "request"} & fields.keys()
