import pytest

from protocol.errors import KeyInvalid, NoteInvalid, SignatureInvalid
from protocol.keys import SigningKey, encode_base64
from protocol.limits import NAME_CHARACTERS_MAX, NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX
from protocol.note import (
    KeyType,
    Note,
    NoteSignature,
    Verifier,
    cosigned_message,
    format_note,
    format_signatures,
    format_vkey,
    parse_note,
    parse_signatures,
    parse_vkey,
    sign_note,
    signers_of,
    verify_note,
)

KEY = SigningKey(bytes(range(32)))
OTHER = SigningKey(bytes(32))
NAME = "aurora.example/main.1"
TEXT = "first\n\nsecond\n"
NOTE = sign_note(TEXT, name=NAME, key=KEY)
LINE = NOTE.signatures[0].format()
VERIFIER = Verifier(NAME, KEY.public)


def test_a_signed_note_is_read_back_and_verifies() -> None:
    data = format_note(NOTE)
    assert data == f"{TEXT}\n{LINE}".encode()
    assert parse_note(data) == NOTE
    verify_note(NOTE, [VERIFIER])
    assert signers_of(NOTE, [Verifier("other", OTHER.public), VERIFIER]) == (VERIFIER,)


def test_the_text_ends_at_the_last_blank_line() -> None:
    for text in ("\n", "a\n", "a\n\n", "\n\n\n", "a\n\nb\n", f"a\n\n{LINE}"):
        note = sign_note(text, name=NAME, key=KEY)
        assert parse_note(format_note(note)).text == text


def test_unknown_keys_are_ignored() -> None:
    forged = NoteSignature(NAME, bytes(4), b"x")
    stranger = NoteSignature("stranger", VERIFIER.key_id, b"x")
    note = NOTE.with_signatures([forged, stranger])
    assert signers_of(note, [VERIFIER]) == (VERIFIER,)
    assert parse_note(format_note(note)) == note
    assert signers_of(note, [Verifier(NAME, OTHER.public)]) == ()


def test_a_note_that_no_known_key_signed_is_refused() -> None:
    for verifiers in ([], [Verifier(NAME, OTHER.public)], [Verifier("other", KEY.public)]):
        with pytest.raises(SignatureInvalid):
            verify_note(NOTE, verifiers)


def test_one_failing_signature_of_a_known_key_spoils_the_note() -> None:
    signature = sign_note(TEXT + "more\n", name=NAME, key=KEY).signatures[0]
    with pytest.raises(SignatureInvalid):
        verify_note(NOTE.with_signatures([signature]), [VERIFIER])
    with pytest.raises(SignatureInvalid):
        verify_note(Note("another text\n", NOTE.signatures), [VERIFIER])


def test_two_keys_under_one_name_and_id_are_refused() -> None:
    twin = Verifier(NAME, OTHER.public)
    object.__setattr__(twin, "key_id", VERIFIER.key_id)
    assert signers_of(NOTE, [VERIFIER, VERIFIER]) == (VERIFIER,)
    with pytest.raises(KeyInvalid):
        signers_of(NOTE, [VERIFIER, twin])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\n\n",
        b"text\n",
        b"text\n\n",
        LINE.encode(),
        TEXT.encode(),
        format_note(NOTE)[:-1],
        format_note(NOTE) + b"\n",
        format_note(NOTE) + b"text\n",
        b"\x00" + format_note(NOTE),
        b"\t" + format_note(NOTE),
        b"\xff" + format_note(NOTE),
        b"\xed\xa0\x80" + format_note(NOTE),
        format_note(NOTE).replace(b"\n", b"\r\n"),
        f"text\n\n{LINE[2:]}".encode(),
        f"text\n\n- {LINE[2:]}".encode(),
        f"text\n\n\u2014{LINE[2:]}".encode(),
        f"text\n\n\u2014  {LINE[2:]}".encode(),
        f"text\n\n{LINE[:-1]} \n".encode(),
        f"text\n\n{LINE[:-2]}\n".encode(),
        "text\n\n\u2014 name\n".encode(),
        "text\n\n\u2014 name \n".encode(),
        "text\n\n\u2014 name AAAA\n".encode(),
        "text\n\n\u2014 name AAAAAA==\n".encode(),
        "text\n\n\u2014 name AAAAAAB=\n".encode(),
        "text\n\n\u2014 name AAAAAA-_\n".encode(),
        "text\n\n\u2014 na+me AAAAAAA=\n".encode(),
        "text\n\n\u2014 na\u00a0me AAAAAAA=\n".encode(),
        "text\n\n\u2014 na\u2003me AAAAAAA=\n".encode(),
        "text\n\n\u2014 \u0085 AAAAAAA=\n".encode(),
        "text\n\n\u2014  AAAAAAA=\n".encode(),
        ("text\n\n" + LINE * (NOTE_SIGNATURES_MAX + 1)).encode(),
        b"x" * (NOTE_BYTES_MAX - len(format_note(NOTE)) + 1) + format_note(NOTE),
    ],
)
def test_a_malformed_note_is_refused(data: bytes) -> None:
    with pytest.raises(NoteInvalid):
        parse_note(data)


def test_a_note_may_be_as_large_as_the_limits_allow() -> None:
    longest = b"x" * (NOTE_BYTES_MAX - len(format_note(NOTE))) + format_note(NOTE)
    assert format_note(parse_note(longest)) == longest
    crowded = Note("text\n", NOTE.signatures * NOTE_SIGNATURES_MAX)
    assert parse_note(format_note(crowded)) == crowded
    with pytest.raises(NoteInvalid):
        format_note(Note("x" * NOTE_BYTES_MAX + "\n", NOTE.signatures))
    with pytest.raises(NoteInvalid):
        crowded.with_signatures(NOTE.signatures)


@pytest.mark.parametrize("text", ["", "no newline", "\x00\n", "tab\t\n", "return\r\n", "\x1f\n", "\ud800\n"])
def test_a_text_that_no_note_has_is_not_signed(text: str) -> None:
    with pytest.raises(NoteInvalid):
        sign_note(text, name=NAME, key=KEY)
    with pytest.raises(NoteInvalid):
        Note(text, NOTE.signatures)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2028b", "a\nb", "a\x1fb", "\ud800", "\u3000"])
def test_a_name_that_no_key_has_is_refused(name: str) -> None:
    with pytest.raises(KeyInvalid):
        Verifier(name, KEY.public)
    with pytest.raises(KeyInvalid):
        sign_note(TEXT, name=name, key=KEY)
    with pytest.raises(NoteInvalid):
        NoteSignature(name, bytes(4), b"x")


def test_a_verifier_has_a_name_of_bounded_length() -> None:
    Verifier("n" * NAME_CHARACTERS_MAX, KEY.public)
    with pytest.raises(KeyInvalid):
        Verifier("n" * (NAME_CHARACTERS_MAX + 1), KEY.public)


@pytest.mark.parametrize(("key_id", "blob"), [(b"", b"x"), (bytes(3), b"x"), (bytes(5), b"x"), (bytes(4), b"")])
def test_a_signature_line_has_an_id_and_a_signature(key_id: bytes, blob: bytes) -> None:
    with pytest.raises(NoteInvalid):
        NoteSignature(NAME, key_id, blob)


def test_signature_lines_travel_alone() -> None:
    lines = (*NOTE.signatures, NoteSignature("stranger", bytes(4), b"x"))
    text = format_signatures(lines)
    assert text == LINE + "\u2014 stranger AAAAAHg=\n"
    assert parse_signatures(text.encode()) == lines
    for data in (b"", b"\n", text.encode()[:-1], text.encode() + b"\n", b"\xff"):
        with pytest.raises(NoteInvalid):
            parse_signatures(data)


@pytest.mark.parametrize("key_type", list(KeyType))
def test_a_verifier_key_is_read_back(key_type: KeyType) -> None:
    verifier = Verifier(NAME, KEY.public, key_type)
    assert parse_vkey(format_vkey(verifier)) == verifier


def test_a_malformed_verifier_key_is_refused() -> None:
    text = format_vkey(VERIFIER)
    name, key_id, material = text.split("+", 2)
    other_type = encode_base64(b"\x02" + KEY.public.raw)
    malformed = ["", "+", "++", name, f"{name}+{key_id}", f"{name}+{key_id}+", f"{name}+{key_id}+!{material[1:]}"]
    malformed += [f"{name}+{key_id.upper()}+{material}", f"{name}+00000000+{material}", f"{name}+{key_id}+{other_type}"]
    malformed += [text + "=", text + "\n", " " + text, text + "+", f"x{text}", "\ud800" + text, f"{name}+{text}"]
    malformed += [f"{name}+{key_id}+{encode_base64(bytes([1]) + bytes(32))}", f"{name}+{key_id}+AQ=="]
    for each in malformed:
        with pytest.raises(KeyInvalid):
            parse_vkey(each)


def test_a_cosignature_is_a_time_and_a_signature() -> None:
    verifier = Verifier(NAME, KEY.public, KeyType.COSIGNATURE)
    signature = KEY.sign(b"cosignature/v1\ntime 7\n" + TEXT.encode())
    verifier.verify(text=TEXT, blob=(7).to_bytes(8) + signature)
    for blob in (b"", signature, (8).to_bytes(8) + signature, bytes(8) + signature, (7).to_bytes(8) + signature + b"x"):
        with pytest.raises(SignatureInvalid):
            verifier.verify(text=TEXT, blob=blob)


@pytest.mark.parametrize("time_seconds", [-1, 0, 2**63, 2**64 - 1])
def test_a_cosignature_states_a_possible_time(time_seconds: int) -> None:
    with pytest.raises(SignatureInvalid):
        cosigned_message(TEXT, time_seconds=time_seconds)
