import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.entries import Posting
from protocol.errors import Code, Refusal
from protocol.identifiers import Account
from protocol.ledger.postings import is_holder, pair_amount, receive_pieces, split_pieces
from protocol.ledger.state import Piece
from tests.support.documents import AURORA
from tests.support.ledger import holder, new_ledger, open_holder

AUR = AURORA.points


def piece(seq: int, amount: int) -> Piece:
    return Piece(seq=seq, part=0, origin="own", earned_on="2026-01-01", expires_on=None, amount=amount)


@pytest.mark.parametrize("kind", ["member", "employee", "supplier"])
def test_holders_are_told_from_other_accounts_by_their_kind(kind: str) -> None:
    assert is_holder(holder("ann", kind))
    for other in ("issuance", "converted_in/member.example/main", "members/7", "payable/aurora.example/main"):
        assert not is_holder(Account(other))


@pytest.mark.parametrize(
    "postings",
    [
        (),
        (Posting(Account("a"), AUR, 5),),
        (Posting(Account("a"), AUR, -5), Posting(Account("b"), AUR, 0)),
        (Posting(Account("a"), AUR, 5), Posting(Account("b"), AUR, -5)),
        (Posting(Account("a"), AUR, -5), Posting(Account("b"), AUR, 5), Posting(Account("c"), AUR, 0)),
    ],
)
def test_postings_invalid_for_what_is_no_debit_and_credit(postings: tuple[Posting, ...]) -> None:
    with pytest.raises(Refusal) as caught:
        pair_amount(postings)
    assert caught.value.code == Code.POSTINGS_INVALID


@given(st.lists(st.integers(1, 50), max_size=6), st.integers(0, 300))
def test_pieces_split_in_order_and_none_is_lost_or_empty(amounts: list[int], wanted: int) -> None:
    pieces = [piece(seq, amount) for seq, amount in enumerate(amounts)]
    wanted = min(wanted, sum(amounts))
    first, rest = split_pieces(pieces, wanted)
    assert sum(one.amount for one in first) == wanted
    assert all(one.amount > 0 for one in (*first, *rest))
    units = [one.seq for one in pieces for _ in range(one.amount)]
    assert [one.seq for one in (*first, *rest) for _ in range(one.amount)] == units


def test_received_pieces_become_parts_of_the_entry_that_moves_them() -> None:
    ledger = new_ledger()
    open_holder(ledger, "ann")
    receive_pieces(ledger.state, holder("ann"), (piece(1, 5), piece(2, 6)), seq=9)
    assert [(one.seq, one.part, one.remaining) for one in ledger.state.lots(holder("ann"))] == [(9, 0, 5), (9, 1, 6)]
    assert ledger.account(holder("ann")).posted == 11
