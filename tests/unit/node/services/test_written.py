"""A row, encoded, is byte for byte the answer that `render` makes of the same entry."""

import pytest

from node.services.answers import encode_answer
from node.services.render import render
from node.services.written import row_of
from protocol.entries import AnyEntry, ConversionHeld, PointsIssued, PointsRedeemed, PointsTransferred, seal
from protocol.point_entries import PointsReversed
from tests.support.documents import AURORA
from tests.support.history import examples

ENTRIES = [sealed.entry for sealed in examples().values()]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.__struct_config__.tag)
def test_a_row_is_encoded_like_the_answer(entry: AnyEntry) -> None:
    sealed = seal(entry)
    row = row_of(sealed, ledger=AURORA.ledger)
    assert encode_answer(row) == encode_answer(render(sealed, ledger=AURORA.ledger))


def test_every_kind_of_transaction_and_an_order_is_among_them() -> None:
    assert {PointsIssued, PointsRedeemed, PointsTransferred, PointsReversed, ConversionHeld} <= {
        type(each) for each in ENTRIES
    }
