import pytest

from protocol.checkpoint import Checkpoint, format_checkpoint, sign_checkpoint, sign_cosignature
from protocol.errors import (
    CheckpointInvalid,
    CouldNotCheck,
    PolicyInvalid,
    ProtocolError,
    QuorumMissing,
    SignatureInvalid,
)
from protocol.keys import SigningKey
from protocol.limits import POLICY_BYTES_MAX, POLICY_ITEMS_MAX
from protocol.merkle import EMPTY_ROOT
from protocol.note import KeyType, Note, Verifier, format_vkey, parse_note, sign_note
from protocol.policy import (
    Group,
    KnownLog,
    Policy,
    Witness,
    cosigners,
    format_policy,
    parse_policy,
    quorum_lines,
    require_quorum,
    verify_by_policy,
)

ORIGIN = "aurora.example/main.1"
LOG = SigningKey(bytes(range(32)))
KEYS = [SigningKey(bytes([number]) * 32) for number in range(6)]
LOG_VERIFIER = Verifier(ORIGIN, LOG.public)
COSIGNERS = [Verifier(f"w{number}.example", key.public, KeyType.COSIGNATURE) for number, key in enumerate(KEYS)]
L = format_vkey(LOG_VERIFIER)
W = [format_vkey(each) for each in COSIGNERS]
CHECKPOINT = Checkpoint(origin=ORIGIN, size=0, root=EMPTY_ROOT)

SAME_KEY_ID = [SigningKey(number.to_bytes(32)) for number in (3_758, 34_615)]
"""Two keys that have one key id under the log's name: found by trying 34,616 seeds."""

TWO_LEVELS = f"""\
# Two of three of one house, and any of another.
log {L} https://aurora.example

  witness X1 {W[0]}
\twitness  X2 {W[1]}\thttps://x2.example/witness/v1
witness X3 {W[2]} \t
   # An indented comment.
group X 2 X1 X2 X3
witness Y1 {W[3]}
witness Y2 {W[4]}
group Y any Y1 Y2
group X-and-Y all X Y
quorum X-and-Y
witness Z {W[5]}
""".encode()


def note(*numbers: int) -> Note:
    signed = parse_note(sign_checkpoint(CHECKPOINT, key=LOG))
    return signed.with_signatures(
        sign_cosignature(CHECKPOINT, name=COSIGNERS[number].name, key=KEYS[number], time_seconds=1)
        for number in numbers
    )


def policy(*lines: str) -> Policy:
    return parse_policy("".join(f"{line}\n" for line in lines).encode())


def test_a_policy_of_two_levels_is_read() -> None:
    read = parse_policy(TWO_LEVELS)
    assert read.logs == (KnownLog(LOG_VERIFIER, "https://aurora.example"),)
    assert [each.name for each in read.witnesses] == ["X1", "X2", "X3", "Y1", "Y2", "Z"]
    assert [each.url for each in read.witnesses] == [None, "https://x2.example/witness/v1", None, None, None, None]
    assert read.groups == (
        Group("X", 2, ("X1", "X2", "X3")),
        Group("Y", 1, ("Y1", "Y2")),
        Group("X-and-Y", 2, ("X", "Y")),
    )
    assert read.quorum == "X-and-Y"
    assert read.verifiers == (LOG_VERIFIER, *COSIGNERS)


def test_a_policy_is_written_in_one_way() -> None:
    read = parse_policy(TWO_LEVELS)
    written = format_policy(read)
    assert parse_policy(written) == read
    assert format_policy(parse_policy(written)) == written
    assert written.startswith(f"log {L} https://aurora.example\nwitness X1 {W[0]}\nwitness X2 {W[1]} https".encode())
    assert written.endswith(b"\ngroup X 2 X1 X2 X3\ngroup Y 1 Y1 Y2\ngroup X-and-Y 2 X Y\nquorum X-and-Y\n")


@pytest.mark.parametrize(
    ("numbers", "enough"),
    [
        ((), False),
        ((0, 1, 2), False),
        ((0, 3), False),
        ((3, 4, 5), False),
        ((0, 1, 3), True),
        ((0, 2, 4), True),
        ((0, 1, 2, 3, 4, 5), True),
    ],
)
def test_the_quorum_of_two_levels(numbers: tuple[int, ...], *, enough: bool) -> None:
    read = parse_policy(TWO_LEVELS)
    if enough:
        endorsed = verify_by_policy(note(*numbers), read)
        assert endorsed.checkpoint == CHECKPOINT
        assert [each.verifier for each in endorsed.witnesses] == [COSIGNERS[number] for number in numbers]
    else:
        with pytest.raises(QuorumMissing):
            verify_by_policy(note(*numbers), read)


def test_one_witness_can_be_the_quorum() -> None:
    one = policy(f"log {L}", f"witness w {W[0]}", "quorum w")
    verify_by_policy(note(0), one)
    with pytest.raises(QuorumMissing) as caught:
        verify_by_policy(note(1), one)
    assert "w0.example" in str(caught.value)
    assert isinstance(caught.value, CouldNotCheck)


def test_no_witness_need_be_asked_for() -> None:
    none = policy(f"log {L}", "quorum none")
    assert verify_by_policy(note(), none).witnesses == ()
    assert policy("quorum none") == Policy()
    require_quorum(none, [])


def test_two_lines_of_one_witness_count_once() -> None:
    two = policy(f"log {L}", f"witness a {W[0]}", f"witness b {W[1]}", "group g 2 a b", "quorum g")
    with pytest.raises(QuorumMissing):
        verify_by_policy(note(0, 0), two)
    verify_by_policy(note(0, 1), two)


def test_another_log_cannot_be_checked() -> None:
    others = policy(f"log {format_vkey(Verifier('bluebird.example/main.1', LOG.public))}", "quorum none")
    with pytest.raises(CouldNotCheck):
        verify_by_policy(note(), others)


def test_a_false_signature_is_not_a_missing_one() -> None:
    one = policy(f"log {L}", f"witness w {W[0]}", "quorum none")
    forged = sign_cosignature(CHECKPOINT, name=COSIGNERS[0].name, key=KEYS[0], time_seconds=1)
    later = forged.blob[:7] + b"\x02" + forged.blob[8:]
    with pytest.raises(SignatureInvalid):
        verify_by_policy(note().with_signatures([type(forged)(forged.name, forged.key_id, later)]), one)
    text = format_checkpoint(CHECKPOINT)
    with pytest.raises(SignatureInvalid):
        verify_by_policy(sign_note(text, name=ORIGIN, key=KEYS[1]), one)
    with pytest.raises(CheckpointInvalid):
        verify_by_policy(sign_note("text\n", name=ORIGIN, key=LOG), one)


def test_a_key_of_a_change_signs_for_the_same_log() -> None:
    two = policy(f"log {format_vkey(Verifier(ORIGIN, KEYS[0].public))}", f"log {L}", "quorum none")
    assert verify_by_policy(note(), two).checkpoint == CHECKPOINT


def test_the_names_that_cosigned_are_those_of_witnesses_and_groups() -> None:
    read = parse_policy(TWO_LEVELS)
    assert cosigners(read, [COSIGNERS[0], COSIGNERS[3], LOG_VERIFIER]) == {"X1", "Y1", "Y"}


REFUSED = {
    "nothing": "",
    "no quorum": f"log {L}\n",
    "two quorums": "quorum none\nquorum none\n",
    "an unknown line": "logs\nquorum none\n",
    "a keyword in capitals": "Quorum none\n",
    "a log without a key": "log\nquorum none\n",
    "a log with too much": f"log {L} https://a.example more\nquorum none\n",
    "a log with another text": "log aurora.example\nquorum none\n",
    "a log with a witness's key": f"log {W[0]}\nquorum none\n",
    "a witness with a log's key": f"witness w {L}\nquorum none\n",
    "a witness without a key": "witness w\nquorum none\n",
    "a witness with too much": f"witness w {W[0]} https://w.example more\nquorum none\n",
    "one log twice": f"log {L}\nlog {L}\nquorum none\n",
    "one log under two names": f"log {L}\nlog {format_vkey(Verifier('b.example', LOG.public))}\nquorum none\n",
    "one witness twice": f"witness a {W[0]}\nwitness b {W[0]}\nquorum none\n",
    "two witnesses of one name": f"witness a {W[0]}\nwitness a {W[1]}\nquorum none\n",
    "a witness named none": f"witness none {W[0]}\nquorum none\n",
    "a group named none": f"witness a {W[0]}\ngroup none 1 a\nquorum none\n",
    "a group named as a witness": f"witness a {W[0]}\ngroup a 1 a\nquorum a\n",
    "a group of itself": "group g 1 g\nquorum g\n",
    "a group of nobody": "group g any\nquorum g\n",
    "a group of none": "group g any none\nquorum g\n",
    "a group without a number": f"witness a {W[0]}\ngroup g a\nquorum g\n",
    "a group of zero": f"witness a {W[0]}\ngroup g 0 a\nquorum g\n",
    "a group of more than it has": f"witness a {W[0]}\ngroup g 2 a\nquorum g\n",
    "a number with a zero before it": f"witness a {W[0]}\ngroup g 01 a\nquorum g\n",
    "a number that is none": f"witness a {W[0]}\ngroup g most a\nquorum g\n",
    "a member twice": f"witness a {W[0]}\ngroup g 2 a a\nquorum g\n",
    "a member of two groups": f"witness a {W[0]}\ngroup g 1 a\ngroup h 1 a\nquorum g\n",
    "a member that comes later": f"group g 1 a\nwitness a {W[0]}\nquorum g\n",
    "a quorum that comes later": f"quorum a\nwitness a {W[0]}\n",
    "a quorum of nobody": "quorum a\n",
    "a quorum of two": f"witness a {W[0]}\nwitness b {W[1]}\nquorum a b\n",
    "a quorum without a name": "quorum\n",
    "no end of the last line": "quorum none",
    "carriage returns": "quorum none\r\n",
    "another control character": "# \x7f\nquorum none\n",
    "another white space": "quorum\u00a0none\n",
    "keys of one name and key id": "".join(f"log {format_vkey(Verifier(ORIGIN, key.public))}\n" for key in SAME_KEY_ID)
    + "quorum none\n",
    "too many bytes": "#" * POLICY_BYTES_MAX + "\nquorum none\n",
    "too many groups": f"witness a {W[0]}\ngroup g0 1 a\n"
    + "".join(f"group g{number} 1 g{number - 1}\n" for number in range(1, POLICY_ITEMS_MAX + 1))
    + "quorum none\n",
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_policy_is_refused_that_has(what: str) -> None:
    with pytest.raises(PolicyInvalid):
        parse_policy(REFUSED[what].encode())


def test_the_line_that_is_wrong_is_named() -> None:
    with pytest.raises(PolicyInvalid, match=r"^line 2: "):
        policy("# first", "second", "quorum none")


def test_names_are_bytes_that_need_not_be_text() -> None:
    data = b"witness \xe2\x84\xaa " + W[0].encode() + b" https://\xff.example\nwitness K " + W[1].encode()
    data += b"\nwitness \xff\xfe " + W[2].encode() + b"\ngroup \x85 2 K \xff\xfe\nquorum \x85\n"
    read = parse_policy(data)
    assert [repr(each.name) for each in read.witnesses] == ["'\u212a'", "'K'", "'\\udcff\\udcfe'"]
    assert parse_policy(format_policy(read)) == read
    assert cosigners(read, [COSIGNERS[1], COSIGNERS[2]]) >= {"K", read.quorum}
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(b"quorum \xff\n")
    assert str(caught.value).isascii()


def test_the_largest_policy_is_read() -> None:
    names = [f"log{number}.example" for number in range(POLICY_ITEMS_MAX)]
    keys = [SigningKey(number.to_bytes(32)).public for number in range(POLICY_ITEMS_MAX)]
    lines = [f"log {format_vkey(Verifier(name, key))}" for name, key in zip(names, keys, strict=True)]
    lines += [
        f"witness {name} {format_vkey(Verifier(name, key, KeyType.COSIGNATURE))}"
        for name, key in zip(names, keys, strict=True)
    ]
    lines += [f"group g{number} 1 {name}" for number, name in enumerate(names)]
    assert len(policy(*lines, "quorum g0").groups) == POLICY_ITEMS_MAX
    more = Verifier("more.example", SigningKey(bytes(32)).public)
    with pytest.raises(PolicyInvalid):
        policy(*lines, f"log {format_vkey(more)}", "quorum g0")


@pytest.mark.parametrize(
    "parts",
    [
        {"witnesses": (Witness("", COSIGNERS[0]),)},
        {"witnesses": (Witness("two words", COSIGNERS[0]),)},
        {"witnesses": (Witness("\ud800", COSIGNERS[0]),)},
        {"witnesses": (Witness("w", COSIGNERS[0], ""),)},
        {"witnesses": (Witness("w", Verifier("\x7f", KEYS[0].public, KeyType.COSIGNATURE)),)},
        {"logs": (KnownLog(LOG_VERIFIER, "https://a.example/ b"),)},
        {"logs": (KnownLog(COSIGNERS[0]),)},
        {"quorum": "w"},
    ],
)
def test_no_policy_has_impossible_parts(parts: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        Policy(**parts)  # type: ignore[arg-type]


def signed(*numbers: int) -> list[Verifier]:
    return [COSIGNERS[number] for number in numbers]


def test_each_group_that_counts_is_told_in_words() -> None:
    read = parse_policy(TWO_LEVELS)
    x1, x2, x3, y1, y2 = (f"'{name}' ({COSIGNERS[at].name})" for at, name in enumerate(("X1", "X2", "X3", "Y1", "Y2")))
    assert quorum_lines(read, signed(0, 4, 5)) == (
        f"the group 'X' asks for 2 of 3: {x1} has cosigned, {x2} is missing, {x3} is missing: not enough",
        f"the group 'Y' asks for 1 of 2: {y1} is missing, {y2} has cosigned: enough",
        "the quorum 'X-and-Y' asks for 2 of 2: 'X' is missing, 'Y' has cosigned: not enough",
    )
    with pytest.raises(QuorumMissing) as caught:
        require_quorum(read, signed(0, 4))
    assert caught.value.lines == quorum_lines(read, signed(0, 4))
    assert quorum_lines(read, signed(0, 2, 3))[-1].endswith("'X' has cosigned, 'Y' has cosigned: enough")


def test_a_group_that_does_not_count_is_not_told() -> None:
    lines = ("group g 1 a", "group h all b", "quorum h")
    two = policy(f"log {L}", f"witness a {W[0]}", f"witness b {W[1]}", *lines)
    assert [line.partition(" asks")[0] for line in quorum_lines(two, signed(0))] == ["the quorum 'h'"]


def test_a_quorum_of_one_or_none_is_told_in_words() -> None:
    one = policy(f"log {L}", f"witness w {W[0]}", "quorum w")
    told = f"the policy asks for the witness 'w' ({COSIGNERS[0].name})"
    assert quorum_lines(one, []) == (f"{told}: is missing",)
    assert quorum_lines(one, signed(0)) == (f"{told}: has cosigned",)
    assert quorum_lines(policy("quorum none"), []) == ("the policy asks for no witness",)
