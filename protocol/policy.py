"""Trust policies: which logs are known, and which witnesses must have cosigned (C2SP tlog-policy; specs/policy.md).

Names in a policy are bytes that mean nothing outside of it. They are kept as text in which a byte that is not UTF-8
stands for itself, as a lone surrogate: compare them, and show them by `repr` alone.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from protocol.checkpoint import Checkpoint, parse_checkpoint, parse_decimal, verify_checkpoint
from protocol.errors import CouldNotCheck, KeyInvalid, PolicyInvalid, QuorumMissing
from protocol.limits import POLICY_BYTES_MAX, POLICY_ITEMS_MAX
from protocol.note import KeyType, Note, Verifier, format_vkey, parse_vkey, signers_of

NONE: Final = "none"
"""The quorum that asks for no witness; nothing else can go by this name."""

ANY: Final = "any"
ALL: Final = "all"

_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_SPACE: Final = re.compile(r"[ \t]+")
_ITEM: Final = re.compile(r"[^\x00-\x20\x7f\ud800-\udc7f\udd00-\udfff]+")
_ESCAPING: Final = "surrogateescape"


@dataclass(frozen=True, slots=True)
class KnownLog:
    """A log whose checkpoints are accepted; the key's name is its origin. `url` is where it can be read, if said."""

    verifier: Verifier
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness under its name in the policy; `url` is where it is asked, if said."""

    name: str
    verifier: Verifier
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Cosigns when at least `threshold` of its members do: witnesses, and groups before it."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy without contradictions. `quorum` names a witness, a group, or `NONE`."""

    logs: tuple[KnownLog, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    groups: tuple[Group, ...] = ()
    quorum: str = NONE

    def __post_init__(self) -> None:
        """Raise `PolicyInvalid` for what no policy says (C2SP tlog-policy, Policy file syntax and structure)."""
        if max(len(self.logs), len(self.witnesses), len(self.groups)) > POLICY_ITEMS_MAX:
            raise PolicyInvalid(f"a policy has at most {POLICY_ITEMS_MAX} logs, witnesses or groups")
        _require_keys([each.verifier for each in self.logs], [each.verifier for each in self.witnesses])
        urls = [*(each.url for each in self.logs), *(each.url for each in self.witnesses)]
        _require_items(url for url in urls if url is not None)
        names = _Names()
        for witness in self.witnesses:
            names.define(witness.name)
        for group in self.groups:
            names.join(group)
            names.define(group.name)
        if self.quorum != NONE:
            names.require(self.quorum)

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        """Return the keys of all logs and all witnesses."""
        return (*(each.verifier for each in self.logs), *(each.verifier for each in self.witnesses))


@dataclass(frozen=True, slots=True, kw_only=True)
class Endorsement:
    """A checkpoint that a policy accepts: the witnesses that cosigned it are enough."""

    checkpoint: Checkpoint
    witnesses: tuple[Witness, ...]


def parse_policy(data: bytes) -> Policy:
    """Return the policy in the file `data`, or raise `PolicyInvalid` naming the line."""
    if len(data) > POLICY_BYTES_MAX:
        raise PolicyInvalid(f"a policy has at most {POLICY_BYTES_MAX} bytes")
    if _CONTROL.search(data):
        raise PolicyInvalid("a policy has no control characters but tabs and newlines")
    *lines, rest = data.decode(errors=_ESCAPING).split("\n")
    if rest:
        raise PolicyInvalid("the last line does not end: the file may have been cut off")
    reader = _Reader()
    for number, line in enumerate(lines, 1):
        try:
            reader.read([item for item in _SPACE.split(line) if item])
        except (PolicyInvalid, KeyInvalid) as error:
            raise PolicyInvalid(f"line {number}: {error}") from error
    return reader.policy()


def format_policy(policy: Policy) -> bytes:
    """Return `policy` as a file."""
    lines: list[tuple[str, ...]] = []
    lines += [("log", format_vkey(each.verifier), each.url or "") for each in policy.logs]
    lines += [("witness", each.name, format_vkey(each.verifier), each.url or "") for each in policy.witnesses]
    lines += [("group", each.name, str(each.threshold), *each.members) for each in policy.groups]
    lines.append(("quorum", policy.quorum))
    return "".join(" ".join(line).rstrip(" ") + "\n" for line in lines).encode(errors=_ESCAPING)


def verify_by_policy(note: Note, policy: Policy) -> Endorsement:
    """Return what `policy` accepts of `note`, a checkpoint, or raise.

    Raises `CheckpointInvalid` for another text, `SignatureInvalid` when the log's own signature is missing or any
    signature of a key of the policy does not verify, `CouldNotCheck` for a log that the policy does not know, and
    `QuorumMissing` when too few witnesses have cosigned.
    """
    origin = parse_checkpoint(note.text).origin
    if all(each.verifier.name != origin for each in policy.logs):
        raise CouldNotCheck(f"the policy does not know the log {origin[:80]}")
    checkpoint = verify_checkpoint(note, policy.verifiers)
    signers = frozenset(signers_of(note, policy.verifiers))
    require_quorum(policy, signers)
    witnesses = tuple(each for each in policy.witnesses if each.verifier in signers)
    return Endorsement(checkpoint=checkpoint, witnesses=witnesses)


def require_quorum(policy: Policy, signers: Collection[Verifier]) -> None:
    """Raise `QuorumMissing` unless `signers`, whose signatures were verified, are as many as `policy` asks for."""
    if policy.quorum != NONE and policy.quorum not in cosigners(policy, signers):
        missing = [each.verifier.name for each in policy.witnesses if each.verifier not in signers]
        text = f"too few witnesses for the policy's quorum; not among the cosigners: {', '.join(missing)}"
        raise QuorumMissing(text, lines=quorum_lines(policy, signers))


def cosigners(policy: Policy, signers: Collection[Verifier]) -> frozenset[str]:
    """Return the names of the witnesses and groups of `policy` that cosigned, given whose signatures were verified."""
    names = {each.name for each in policy.witnesses if each.verifier in signers}
    for group in policy.groups:
        if len(names.intersection(group.members)) >= group.threshold:
            names.add(group.name)
    return frozenset(names)


def quorum_lines(policy: Policy, signers: Collection[Verifier]) -> tuple[str, ...]:
    """Return in words what `policy` asks for and of whom it has it, a line for each group that counts, the quorum last.

    `signers` are those whose signatures were verified.
    """
    if policy.quorum == NONE:
        return ("the policy asks for no witness",)
    agreed, groups = cosigners(policy, signers), {each.name: each for each in policy.groups}
    if policy.quorum not in groups:
        return (f"the policy asks for the witness {_named(policy, policy.quorum)}: {_did(policy.quorum, agreed)}",)
    # Whatever a group names stands above it, so from the last group up each one that counts is known before it is met.
    counting = {policy.quorum}
    for group in reversed(policy.groups):
        counting |= {*group.members} if group.name in counting else set()
    return tuple(_group_line(policy, group, agreed) for group in policy.groups if group.name in counting)


def _group_line(policy: Policy, group: Group, agreed: Collection[str]) -> str:
    told = ", ".join(f"{_named(policy, name)} {_did(name, agreed)}" for name in group.members)
    verdict = "enough" if group.name in agreed else "not enough"
    asked = f"{group.threshold} of {len(group.members)}"
    kind = "the quorum" if group.name == policy.quorum else "the group"
    return f"{kind} {group.name!r} asks for {asked}: {told}: {verdict}"


def _named(policy: Policy, name: str) -> str:
    """Return a member's name in the policy, and that of its key where it is another."""
    keys = [each.verifier.name for each in policy.witnesses if each.name == name and each.verifier.name != name]
    return f"{name!r} ({keys[0]})" if keys else repr(name)


def _did(name: str, agreed: Collection[str]) -> str:
    return "has cosigned" if name in agreed else "is missing"


class _Names:
    """The names that are defined so far, and those that a group has taken in."""

    def __init__(self) -> None:
        self._defined: set[str] = set()
        self._members: set[str] = set()

    def define(self, name: str) -> None:
        _require_items([name])
        if name == NONE or name in self._defined:
            raise PolicyInvalid(f"the name {name[:80]!r} is taken")
        self._defined.add(name)

    def require(self, name: str) -> None:
        if name not in self._defined:
            raise PolicyInvalid(f"the name {name[:80]!r} is not defined above")

    def join(self, group: Group) -> None:
        if not 1 <= group.threshold <= len(group.members):
            raise PolicyInvalid(f"{group.threshold} of {len(group.members)} members cannot be asked for")
        for name in group.members:
            self.require(name)
            if name in self._members:
                raise PolicyInvalid(f"the name {name[:80]!r} is a member already")
            self._members.add(name)


class _Reader:
    """Reads a policy line by line; a name can only be used below the line that defines it."""

    def __init__(self) -> None:
        self._names = _Names()
        self._logs: list[KnownLog] = []
        self._witnesses: list[Witness] = []
        self._groups: list[Group] = []
        self._quorum: str | None = None
        self._readers: dict[str, Callable[[Sequence[str]], None]] = {
            "log": self._log,
            "witness": self._witness,
            "group": self._group,
            "quorum": self._take_quorum,
        }

    def read(self, items: Sequence[str]) -> None:
        if not items or items[0].startswith("#"):
            return
        if items[0] not in self._readers:
            raise PolicyInvalid(f"{items[0][:80]!r} begins no line of a policy")
        self._readers[items[0]](items[1:])

    def policy(self) -> Policy:
        if self._quorum is None:
            raise PolicyInvalid("a policy has a line with its quorum, which may be none")
        return Policy(
            logs=tuple(self._logs),
            witnesses=tuple(self._witnesses),
            groups=tuple(self._groups),
            quorum=self._quorum,
        )

    def _log(self, items: Sequence[str]) -> None:
        _require_count(items, at_least=1, at_most=2)
        self._logs.append(KnownLog(parse_vkey(items[0]), *items[1:]))

    def _witness(self, items: Sequence[str]) -> None:
        _require_count(items, at_least=2, at_most=3)
        self._names.define(items[0])
        self._witnesses.append(Witness(items[0], parse_vkey(items[1]), *items[2:]))

    def _group(self, items: Sequence[str]) -> None:
        _require_count(items, at_least=3)
        name, threshold_text, *members = items
        thresholds = {ANY: 1, ALL: len(members)}
        threshold = thresholds.get(threshold_text, parse_decimal(threshold_text))
        if threshold is None:
            raise PolicyInvalid(f"{threshold_text[:80]!r} is no number of members")
        group = Group(name, threshold, tuple(members))
        self._names.join(group)
        self._names.define(name)
        self._groups.append(group)

    def _take_quorum(self, items: Sequence[str]) -> None:
        _require_count(items, at_least=1, at_most=1)
        if self._quorum is not None:
            raise PolicyInvalid("a policy has one quorum")
        if items[0] != NONE:
            self._names.require(items[0])
        self._quorum = items[0]


def _require_count(items: Sequence[str], *, at_least: int, at_most: int = POLICY_BYTES_MAX) -> None:
    if not at_least <= len(items) <= at_most:
        raise PolicyInvalid(f"{len(items)} words after the first are too few or too many for this line")


def _require_items(items: Iterable[str]) -> None:
    if not all(map(_ITEM.fullmatch, items)):
        raise PolicyInvalid("a name or a URL in a policy is not empty and has no white space")


def _require_keys(logs: Sequence[Verifier], witnesses: Sequence[Verifier]) -> None:
    for verifiers, key_type in ((logs, KeyType.ED25519), (witnesses, KeyType.COSIGNATURE)):
        if any(each.type is not key_type for each in verifiers):
            raise PolicyInvalid("a log has a key of type 0x01, a witness one of type 0x04")
        if len({each.key for each in verifiers}) < len(verifiers):
            raise PolicyInvalid("two logs or two witnesses have the same key")
    if len({(each.name, each.key_id) for each in (*logs, *witnesses)}) < len(logs) + len(witnesses):
        raise PolicyInvalid("two keys have the same name and key id")
    _require_items(each.name for each in (*logs, *witnesses))
