"""What an agent signs: all that a node has to sign with each key, and nothing that is another's or another kind."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.app.agent_rules import SigningRules, check_follows
from node.ports import SignerRefused
from node.services.logs.log_access import log_pass
from protocol.agreement import sign_agreement
from protocol.checkpoint import Checkpoint, sign_checkpoint, sign_cosignature
from protocol.conversion import SourceState
from protocol.documents import sign_invitation, sign_link
from protocol.envelope import seal_envelope
from protocol.identifiers import Digest
from protocol.keys import PublicKey, Role, Signer
from protocol.merkle import Hash
from protocol.note import sign_note
from protocol.statement import sign_statement
from tests.support.documents import AURORA, BLUEBIRD, COPPER, Side, account_link, agreement, introduction
from tests.support.nodes import alliance, convert, make_alliance
from tests.support.parcels import header
from tests.support.settlement import statement
from tests.support.settling import context_of

ROOT: Final = Hash(b"\x01" * 32)
OTHER_ROOT: Final = Hash(b"\x02" * 32)
RULES: Final = SigningRules(AURORA.ledger, {role: key.public for role, key in AURORA.signing_keys.items()})


def checkpoint(size: int, *, origin: str = AURORA.ledger, root: Hash = ROOT) -> Checkpoint:
    return Checkpoint(origin=origin, size=size, root=root)


@dataclass(frozen=True)
class Judged:
    """A signer that asks the rules first and remembers what it was asked."""

    role: Role
    side: Side = AURORA
    floor: Checkpoint | None = None
    rules: SigningRules = RULES
    asked: list[bytes] = field(default_factory=list)

    @property
    def public(self) -> PublicKey:
        return self.side.signing_keys[self.role].public

    def sign(self, message: bytes) -> bytes:
        self.asked.append(message)
        self.rules.check(self.role, message, floor=self.floor)
        return self.side.signing_keys[self.role].sign(message)


class JudgedKeyring:
    def __init__(self, side: Side) -> None:
        keys = {role: key.public for role, key in side.signing_keys.items()}
        self._signers = {role: Judged(role, side, rules=SigningRules(side.ledger, keys)) for role in Role}

    def key(self, role: Role) -> Signer:
        return self._signers[role]

    def log_keys(self) -> list[Signer]:
        return [self.key(Role.LOG)]

    def committed(self, note: bytes) -> None:
        pass

    def last_committed(self) -> bytes | None:
        return None

    @property
    def next_log_key(self) -> Digest:
        raise NotImplementedError


STATEMENT: Final = statement()
SIGNED: Final[dict[str, tuple[Role, Callable[[Signer], object]]]] = {
    "checkpoint": (Role.LOG, lambda key: sign_checkpoint(checkpoint(5), key=key)),
    "successor": (
        Role.LOG, lambda key: sign_checkpoint(checkpoint(1, origin="aurora.example/main.2"), key=key)
    ),
    "cosignature": (
        Role.WITNESS,
        lambda key: sign_cosignature(
            checkpoint(5, origin=BLUEBIRD.ledger), name=AURORA.ledger, key=key, time_seconds=1_700_000_000
        ),
    ),
    "envelope": (Role.CHANNEL, lambda key: seal_envelope(header([]), key=key)),
    "link": (Role.CHANNEL, lambda key: sign_link(account_link(AURORA, BLUEBIRD), key=key)),
    "agreement": (Role.APPROVAL, lambda key: sign_agreement(agreement(), ledger=AURORA.ledger, key=key)),
    "invitation": (Role.APPROVAL, lambda key: sign_invitation(introduction(AURORA), key=key)),
    "statement": (
        Role.APPROVAL,
        lambda key: sign_statement(STATEMENT, ledger=AURORA.ledger, key=key, approval=key.public),
    ),
}  # fmt: skip
MESSAGES: Final[dict[str, bytes]] = {}
for _name, (_role, _sign) in SIGNED.items():
    _signer = Judged(_role)
    _sign(_signer)
    MESSAGES[_name] = _signer.asked[-1]


@pytest.mark.parametrize("name", SIGNED)
def test_the_keys_sign_what_a_node_has_to_sign_and_each_its_own_kinds(name: str) -> None:
    role, message = SIGNED[name][0], MESSAGES[name]
    RULES.check(role, message, floor=None)
    for other in set(Role) - {role}:
        with pytest.raises(SignerRefused):
            RULES.check(other, message, floor=None)


@pytest.mark.parametrize("name", SIGNED)
def test_no_key_signs_for_another_ledger(name: str) -> None:
    copper = SigningRules(COPPER.ledger, {role: key.public for role, key in COPPER.signing_keys.items()})
    if name == "cosignature":
        bluebird = SigningRules(BLUEBIRD.ledger, {role: key.public for role, key in BLUEBIRD.signing_keys.items()})
        with pytest.raises(SignerRefused, match="own log"):
            bluebird.check(Role.WITNESS, MESSAGES[name], floor=None)
        return
    with pytest.raises(SignerRefused):
        copper.check(SIGNED[name][0], MESSAGES[name], floor=None)


@pytest.mark.parametrize("name", SIGNED)
def test_no_message_can_be_cut_off_or_go_on(name: str) -> None:
    role, message = SIGNED[name][0], MESSAGES[name]
    for each in (message[:-1], message[: len(message) // 2], b"", message + b"x", b"x" + message, message + b"\xff\n"):
        with pytest.raises(SignerRefused):
            RULES.check(role, each, floor=None)


@given(st.sampled_from(list(Role)), st.binary(max_size=80), st.sampled_from(sorted(MESSAGES)), st.integers(0, 400))
def test_any_message_is_judged(role: Role, data: bytes, name: str, place: int) -> None:
    for message in (data, MESSAGES[name][:place] + data + MESSAGES[name][place + len(data) :]):
        try:
            RULES.check(role, message, floor=None)
        except SignerRefused:
            continue
        assert role is SIGNED[name][0]


def texts_of_checkpoints() -> Iterator[tuple[str, str]]:
    root = MESSAGES["checkpoint"].decode().split("\n")[2]
    yield "an extension", f"{AURORA.ledger}\n5\n{root}\nmore\n"
    yield "no entry", f"{AURORA.ledger}\n0\n{root}\n"
    yield "a negative size", f"{AURORA.ledger}\n-1\n{root}\n"
    yield "no ledger", f"aurora\n5\n{root}\n"
    yield "another shard", f"aurora.example/other.1\n5\n{root}\n"


@pytest.mark.parametrize(("_what", "text"), list(texts_of_checkpoints()))
def test_a_checkpoint_is_a_whole_one_of_the_own_log(_what: str, text: str) -> None:
    with pytest.raises(SignerRefused):
        RULES.check(Role.LOG, text.encode(), floor=None)


def test_a_checkpoint_never_goes_back_behind_what_is_durable() -> None:
    floor = checkpoint(5)
    later = [checkpoint(5), checkpoint(6, root=OTHER_ROOT), checkpoint(1, origin="aurora.example/main.2")]
    for each in later:
        check_follows(each, floor)
        sign_checkpoint(each, key=Judged(Role.LOG, floor=floor))
    earlier = [checkpoint(4), checkpoint(5, root=OTHER_ROOT)]
    for each in earlier:
        with pytest.raises(SignerRefused, match="goes back behind"):
            sign_checkpoint(each, key=Judged(Role.LOG, floor=floor))
    with pytest.raises(SignerRefused):
        check_follows(checkpoint(9), checkpoint(1, origin="aurora.example/main.2"))


def test_what_was_signed_and_is_not_durable_may_be_signed_otherwise() -> None:
    # The commit failed: the next one has the same size and another root.
    signer = Judged(Role.LOG, floor=checkpoint(5))
    sign_checkpoint(checkpoint(8), key=signer)
    sign_checkpoint(checkpoint(6), key=signer)
    sign_checkpoint(checkpoint(6, root=OTHER_ROOT), key=signer)


def test_an_agreement_names_the_own_approval_key() -> None:
    stranger = {role: key.public for role, key in COPPER.signing_keys.items()}
    rules = SigningRules(AURORA.ledger, stranger)
    for name in ("agreement", "invitation"):
        with pytest.raises(SignerRefused):
            rules.check(Role.APPROVAL, MESSAGES[name], floor=None)


def test_a_witness_states_a_time() -> None:
    text = MESSAGES["cosignature"].decode()
    for line in ("time 0", "time -1", "time 01", "time", "time 99999999999999999999"):
        with pytest.raises(SignerRefused):
            RULES.check(Role.WITNESS, text.replace("time 1700000000", line).encode(), floor=None)


def test_a_note_of_another_kind_is_none_of_the_channels() -> None:
    with pytest.raises(SignerRefused):
        sign_note("tallystick/log-pass/v1\nnetwork\n", name=AURORA.ledger, key=Judged(Role.CHANNEL))
    lines = f"tallystick/log-pass/v1\nnetwork\n{BLUEBIRD.ledger}\n{AURORA.ledger}\nnow\n"
    with pytest.raises(SignerRefused):
        sign_note(lines, name=AURORA.ledger, key=Judged(Role.CHANNEL))


def test_two_nodes_convert_and_read_each_others_logs_under_these_rules(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path_factory.mktemp("judged")
    monkeypatch.setattr("tests.support.nodes.SideKeyring", JudgedKeyring)
    make_alliance(directory, (AURORA, BLUEBIRD))
    with alliance(directory) as two:
        two.talk()
        source, destination = two.pair
        conversion = convert(source, destination)
        two.talk()
        assert source.outgoing(conversion).state is SourceState.CAPTURED
        context = replace(context_of(source), keyring=JudgedKeyring(source.side))
        assert log_pass(context, destination.ledger) is not None
