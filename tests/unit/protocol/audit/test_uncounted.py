"""A FULFIL that its own signer's close or statement does not count, and whatever an honest brand signs of that kind."""

from collections.abc import Sequence
from itertools import accumulate

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.audit.evidence import Uncounted, encode_evidence, prove
from protocol.audit.findings import Verdict
from protocol.audit.known import KnownKeys
from protocol.audit.miscount import account_of, other_leaf
from protocol.audit.verify import verify_file
from protocol.envelope import Sighting
from protocol.errors import CouldNotCheck, ProtocolError, StatementInvalid
from protocol.identifiers import Digest, Network
from protocol.messages import Body, Close, Fulfil, StatementSigned
from protocol.settlement.lines import line_of
from protocol.settlement.statements import compute_statement
from tests.support.documents import AURORA, BLUEBIRD, COPPER, digest, fulfil, hex_16, query, reject, signed_agreement
from tests.support.evidence import (
    COUNTED,
    HONEST,
    billed,
    closed,
    credited,
    naming,
    sighted,
    standing,
    tree_of,
    uncounted,
    uncounted_long_ago,
)
from tests.support.settlement import AGREEMENT, asked, checkpoints, close, signed_statement

KNOWN = KnownKeys(agreements=(signed_agreement(),))
OTHER = Network(hex_16("another alliance"))
HELD = uncounted(closed(), credited(2))


def changed(**fields: object) -> Uncounted:
    return msgspec.structs.replace(HELD, **fields)


def account(body: Body, *, epoch: int = 1) -> Uncounted:
    """Return the evidence with another account of the window."""
    return changed(account=sighted(body, after=2, epoch=epoch))


def far(**fields: object) -> Uncounted:
    """Return the evidence of two epochs with another proof of where the entries stand."""
    held = uncounted_long_ago()
    assert held.standing is not None
    return msgspec.structs.replace(held, standing=msgspec.structs.replace(held.standing, **fields))


def said_in(number: int, body: Body) -> Sighting:
    """Return what BLUEBIRD said in another epoch."""
    return sighted(body, after=1, epoch=number)


def stated(**fields: object) -> StatementSigned:
    """Return BLUEBIRD's statement with another head than its document."""
    return msgspec.structs.replace(billed(), **fields)


def overcounted() -> Close:
    totals = msgspec.structs.replace(closed().totals, count=4)
    return msgspec.structs.replace(closed(), totals=totals)


REFUSED: dict[str, Uncounted] = {
    "a FULFIL that is counted": uncounted(closed(), fulfil(asked(2, value=2), window=1, dec_seq=2)),
    "a FULFIL of the next window": uncounted(closed(), credited(6, window=2)),
    "the FULFIL's own leaf": changed(leaf=HELD.fulfil.frame.body),
    "no other leaf": changed(leaf=None, path=()),
    "another leaf than the path leads from": changed(leaf=COUNTED[2].fulfil),
    "a leaf that is in another place": changed(leaf=COUNTED[0].fulfil, path=HELD.path),
    "a path that is too short": changed(path=HELD.path[:-1]),
    "a leaf where none is needed": msgspec.structs.replace(uncounted(closed(), credited(6)), leaf=digest("a leaf")),
    "a path where none is needed": msgspec.structs.replace(uncounted(closed(), credited(6)), path=(digest("a node"),)),
    "a leaf beside a window after this one": msgspec.structs.replace(
        uncounted(closed(), credited(6, window=2)), leaf=digest("a leaf")
    ),
    "no FULFIL": changed(fulfil=sighted(reject(), after=1)),
    "no account": account(query(asked(1))),
    "an account of the FULFIL's source": changed(
        account=sighted(close(BLUEBIRD, ()), sender=AURORA, receiver=BLUEBIRD)
    ),
    "a FULFIL that another brand has to say": changed(
        fulfil=sighted(fulfil(asked(99, source=BLUEBIRD), dec_seq=2), after=1)
    ),
    "a close that another brand has to say": account(close(BLUEBIRD, ())),
    "a statement of another alliance": account(stated(network=OTHER)),
    "a statement of another window": account(stated(window=2)),
    "a statement of other parties": account(stated(receiver=COPPER.ledger)),
    "totals that are none": account(overcounted()),
    "two epochs": changed(fulfil=said_in(2, credited(2))),
    "a log without the account": far(account_index=4),
    "a log without the FULFIL": far(fulfil_path=()),
    "a log of somebody else": far(checkpoint=standing(side=AURORA).checkpoint),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_an_honest_brand_can_have_signed_is_no_evidence(what: str) -> None:
    found = verify_file(encode_evidence(REFUSED[what]), agreements=KNOWN.agreements)
    assert found.verdict is Verdict.BROKEN, found


def test_a_line_in_dispute_is_counted_and_proves_nothing() -> None:
    with pytest.raises(ProtocolError):
        prove(uncounted(billed(), fulfil(asked(5, value=5), window=1, dec_seq=5)), KNOWN)


def test_the_close_of_a_successor_stands_where_its_log_has_both() -> None:
    assert prove(uncounted_long_ago(), KNOWN).name == "1"
    lost = far(**msgspec.to_builtins(standing(entries=(*HONEST[:3], b"another entry", *HONEST[4:]))))
    with pytest.raises(ProtocolError):
        prove(lost, KNOWN)


def test_a_statement_that_bills_other_parties_is_no_account() -> None:
    assert account_of(stated(receiver=COPPER.ledger)) is None
    with pytest.raises(StatementInvalid):
        billed().signed.statement.bill(COPPER.ledger)


WINDOWS = st.lists(st.integers(0, 4), min_size=1, max_size=4)


@given(WINDOWS, st.data())
def test_nothing_that_an_honest_brand_signs_convicts_it(counts: Sequence[int], data: st.DataObject) -> None:
    """An honest brand numbers its FULFILs on, closes what it credited, and signs statements of just that."""
    firsts = list(accumulate(counts, initial=1))
    words = [
        [
            naming(fulfil(asked(first + index), window=number, dec_seq=first + index), 3, HONEST[3])
            for index in range(count)
        ]
        for number, (first, count) in enumerate(zip(firsts, counts, strict=False), start=1)
    ]
    decided = [body for own in words for body in own if isinstance(body, Fulfil)]
    windows = [[line_of(asked(body.dec_seq), body) for body in own if isinstance(body, Fulfil)] for own in words]
    if not decided:
        return
    number = data.draw(st.integers(1, len(counts)))
    own = windows[number - 1]
    said: Body = close(AURORA, own, window=number, first_dec_seq=firsts[number - 1])
    if number == 1 and data.draw(st.booleans()):
        document = compute_statement(
            own,
            agreement=AGREEMENT,
            closes=(close(AURORA, own), close(BLUEBIRD, ())),
            checkpoints=checkpoints(),
            previous=None,
        )
        said = msgspec.structs.replace(billed(), signed=signed_statement(document, signers=[BLUEBIRD]))
    one = data.draw(st.sampled_from(decided))
    found = account_of(said)
    assert found is not None
    digests = [each.fulfil for each in own]
    forged = st.tuples(st.sampled_from(digests or [digest("a leaf")]), paths(digests))
    place, path = data.draw(st.one_of(st.just(other_leaf(one, found, digests)), forged, st.just((None, ()))))
    epochs = data.draw(st.sampled_from([(1, 1), (2, 1)]))
    evidence = Uncounted(
        account=sighted(naming(said, 5, HONEST[5]), after=2, epoch=epochs[0]),
        fulfil=sighted(one, after=1, epoch=epochs[1]),
        leaf=place,
        path=path,
        standing=data.draw(st.sampled_from([None, standing()])),
    )
    with pytest.raises((ProtocolError, CouldNotCheck)):
        prove(evidence, KNOWN)


def paths(digests: Sequence[Digest]) -> st.SearchStrategy[tuple[Digest, ...]]:
    """Return paths out of the tree of `digests`, and others."""
    tree = tree_of([bytes.fromhex(each) for each in digests])
    true = [tuple(Digest(node.hex()) for node in tree.inclusion_proof(index)) for index in range(len(digests))]
    return st.one_of(
        st.sampled_from([*true, ()]), st.lists(st.sampled_from([digest("a"), *digests]), max_size=3).map(tuple)
    )
