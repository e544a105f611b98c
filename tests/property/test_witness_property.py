"""Witnesses and policies from any bytes, against models that are written as the standards say it."""

from collections.abc import Collection
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from protocol.checkpoint import Checkpoint, sign_checkpoint, sign_cosignature, verify_extends
from protocol.errors import AddCheckpointInvalid, PolicyInvalid, ProtocolError
from protocol.keys import SigningKey
from protocol.merkle import Hash, MemoryTree
from protocol.note import KeyType, Verifier, format_vkey, parse_note
from protocol.policy import NONE, Policy, cosigners, format_policy, parse_policy
from protocol.witness import (
    Accepted,
    AddCheckpoint,
    Known,
    ReplyStatus,
    decide,
    format_add_checkpoint,
    format_size,
    parse_add_checkpoint,
    parse_size,
    take_cosignatures,
)
from tests.property.test_log_parsers import near, same
from tests.support.rfc6962 import leaves, proof, tree_root

ORIGIN = "aurora.example/main.1"
KEY = SigningKey(bytes(range(32)))
STRANGER = SigningKey(bytes(32))
COSIGNERS = [
    Verifier(f"w{number}.example", SigningKey(bytes([number]) * 32).public, KeyType.COSIGNATURE) for number in range(6)
]
LEAVES = leaves(12)
OTHERS = [Hash(bytes(32)), *LEAVES[1:]]
"""The same log with a first entry that was rewritten."""


def at(size: int, nodes: list[Hash] = LEAVES) -> Checkpoint:
    return Checkpoint(origin=ORIGIN, size=size, root=tree_root(nodes[:size]))


def request(old_size: int, size: int, nodes: list[Hash] = LEAVES, key: SigningKey = KEY) -> AddCheckpoint:
    path = tuple(proof(old_size, nodes[:size])) if 0 < old_size <= size else ()
    return AddCheckpoint(old_size=old_size, proof=path, note=parse_note(sign_checkpoint(at(size, nodes), key=key)))


REQUEST = format_add_checkpoint(request(6, 9))
COSIGNATURE = sign_cosignature(at(9), name=COSIGNERS[0].name, key=SigningKey(bytes(32)), time_seconds=1)
POLICY = "".join(
    [
        f"log {format_vkey(Verifier(ORIGIN, KEY.public))} https://aurora.example\n",
        *(f"witness w{number} {format_vkey(each)}\n" for number, each in enumerate(COSIGNERS)),
        "group g 2 w0 w1 w2\ngroup h any w3 w4\ngroup i all g h\nquorum i\n",
    ]
).encode()

SIZES = st.integers(min_value=0, max_value=12)


@given(data=near(REQUEST))
@example(data=REQUEST)
def test_requests(data: bytes) -> None:
    assert same(lambda: format_add_checkpoint(parse_add_checkpoint(data)), data, AddCheckpointInvalid)


@given(data=near(b"70000\n"))
@example(data=b"70000\n")
def test_sizes(data: bytes) -> None:
    assert same(lambda: format_size(parse_size(data)), data, AddCheckpointInvalid)


@given(data=near(COSIGNATURE.format().encode()))
def test_an_answer_that_was_changed_is_never_another_cosignature(data: bytes) -> None:
    text = parse_add_checkpoint(REQUEST).note.text
    try:
        taken = take_cosignatures(data, text=text, witnesses=[COSIGNERS[0]])
    except ProtocolError:
        return
    assert taken == (COSIGNATURE,)


@given(data=near(POLICY))
@example(data=POLICY)
def test_a_policy_is_written_as_it_was_read(data: bytes) -> None:
    try:
        policy = parse_policy(data)
    except PolicyInvalid:
        assert data != POLICY
    else:
        assert parse_policy(format_policy(policy)) == policy


@given(
    old=SIZES,
    size=SIZES,
    last=st.none() | SIZES,
    rewritten=st.booleans(),
    forged=st.booleans(),
    unknown=st.booleans(),
    flip=st.none() | st.integers(min_value=0, max_value=10_000),
)
def test_a_witness_does_what_the_table_says(
    *, old: int, size: int, last: int | None, rewritten: bool, forged: bool, unknown: bool, flip: int | None
) -> None:
    asked = request(old, size, OTHERS if rewritten else LEAVES, STRANGER if forged else KEY)
    if flip is not None and asked.proof:
        first, *rest = asked.proof
        changed = Hash((int.from_bytes(first) ^ 1 << flip % 256).to_bytes(32))
        asked = AddCheckpoint(old_size=old, proof=(changed, *rest), note=asked.note)
    known = Known(trusted=() if unknown else (Verifier(ORIGIN, KEY.public),), last=None if last is None else at(last))
    decision = decide(asked, known)
    status = ReplyStatus.COSIGNED if isinstance(decision, Accepted) else decision.reply.status
    changed_proof = flip is not None and bool(asked.proof)
    if unknown:
        assert status == 404
    elif forged:
        assert status == 403
    elif old > size:
        assert status == 400
    elif old != (last or 0):
        assert status == 409
    elif changed_proof or (rewritten and old > 0):
        assert status == 422
    else:
        assert status == 200


@given(steps=st.lists(st.tuples(SIZES, SIZES, st.booleans()), max_size=12))
def test_what_a_witness_has_cosigned_is_one_history(steps: list[tuple[int, int, bool]]) -> None:
    trusted = (Verifier(ORIGIN, KEY.public),)
    last: Checkpoint | None = None
    accepted: list[Checkpoint] = []
    for old, size, rewritten in steps:
        decision = decide(request(old, size, OTHERS if rewritten else LEAVES), Known(trusted=trusted, last=last))
        if isinstance(decision, Accepted):
            last = decision.checkpoint
            accepted.append(last)
    histories = [nodes for nodes in (LEAVES, OTHERS) if all(each == at(each.size, nodes) for each in accepted)]
    assert histories
    for earlier, later in pairwise(accepted):
        tree = MemoryTree(histories[0][: later.size])
        verify_extends(old=earlier, new=later, proof=tree.consistency_proof(earlier.size) if earlier.size else ())


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Return a policy whose groups take in names that are defined above them, each at most once."""
    free = [f"w{number}" for number in range(len(COSIGNERS))]
    lines = [f"witness {name} {format_vkey(each)}" for name, each in zip(free, COSIGNERS, strict=True)]
    for number in range(draw(st.integers(min_value=0, max_value=4))):
        members = draw(st.lists(st.sampled_from(free), min_size=1, unique=True))
        threshold = draw(st.integers(min_value=1, max_value=len(members)).map(str) | st.sampled_from(["any", "all"]))
        lines.append(f"group g{number} {threshold} {' '.join(members)}")
        free = [name for name in free if name not in members] + [f"g{number}"]
    lines.append(f"quorum {draw(st.sampled_from([*free, NONE]))}")
    return parse_policy("".join(f"{line}\n" for line in lines).encode())


def has_witnessed(policy: Policy, name: str, signers: Collection[Verifier]) -> bool:
    """Tell it as the standard does: a group has witnessed if at least k of its n members have."""
    for witness in policy.witnesses:
        if witness.name == name:
            return witness.verifier in signers
    (group,) = [each for each in policy.groups if each.name == name]
    return sum(has_witnessed(policy, member, signers) for member in group.members) >= group.threshold


@given(policy=policies(), signers=st.sets(st.sampled_from(COSIGNERS)), more=st.sampled_from(COSIGNERS))
def test_a_quorum_is_what_the_standard_says(policy: Policy, signers: set[Verifier], more: Verifier) -> None:
    found = cosigners(policy, signers)
    names = [*(each.name for each in policy.witnesses), *(each.name for each in policy.groups)]
    assert found == {name for name in names if has_witnessed(policy, name, signers)}
    assert found <= cosigners(policy, {*signers, more})
