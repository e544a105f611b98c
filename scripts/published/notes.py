"""Vectors of checkpoints, cosignatures, exchanges with a witness, and receipts."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from protocol.checkpoint import Checkpoint, format_checkpoint, sign_checkpoint, sign_cosignature
from protocol.keys import Role, SigningKey
from protocol.limits import NOTE_SIGNATURES_MAX
from protocol.merkle import EMPTY_ROOT, MemoryTree, leaf_hash
from protocol.note import KeyType, NoteSignature, Verifier, format_vkey, sign_note
from protocol.proof import HEADER, Receipt, format_receipt
from scripts.published.files import Case, Given, MadeFrom, VectorFile, case_of
from tests.support.documents import AURORA, BLUEBIRD
from tests.support.exchanges import EXCHANGES, FORGER, LOG, forged, spoiled
from tests.support.history import history

SEED: Final = bytes(range(32))
WITNESS: Final = "witness.example/w1"
SIGNER: Final = SigningKey(SEED)
TIME: Final = 1_772_366_400
LOG_VKEY: Final = format_vkey(LOG.verifier)
WITNESS_KEY: Final = Verifier(WITNESS, SIGNER.public, KeyType.COSIGNATURE)
WITNESS_VKEY: Final = format_vkey(WITNESS_KEY)
SHOWN: Final = LOG.checkpoint(5)
TEXT: Final = format_checkpoint(SHOWN)
NOTE: Final = sign_checkpoint(SHOWN, key=LOG.key)


def checkpoints() -> VectorFile:
    """Return checkpoints that a log signed, and others."""
    return VectorFile(
        format="checkpoint",
        version=1,
        page="notes.md",
        about="Signed checkpoints, opened by whoever knows the verifier keys in `given`.",
        given=Given(verifiers=(LOG_VKEY, WITNESS_VKEY)),
        cases=(*_signed(), *_unsigned(), *_malformed_notes(), *_malformed_texts()),
    )


def _cosigned(note: bytes, checkpoint: Checkpoint = SHOWN, *, time: int = TIME) -> bytes:
    return note + sign_cosignature(checkpoint, name=WITNESS, key=SIGNER, time_seconds=time).format().encode()


def _line(name: str, key_id: bytes, blob: bytes) -> bytes:
    return NoteSignature(name, key_id, blob).format().encode()


def _signed() -> Iterator[Case]:
    for size in (1, 2, 3, 4, 5, 8, 40):
        yield case_of(f"of {size} entries", sign_checkpoint(LOG.checkpoint(size), key=LOG.key))
    empty = Checkpoint(origin=LOG.origin, size=0, root=EMPTY_ROOT)
    yield case_of("of no entry", sign_checkpoint(empty, key=LOG.key))
    largest = replace(SHOWN, size=2**53 - 1)
    yield case_of("of the largest size", sign_checkpoint(largest, key=LOG.key))
    yield case_of("with a cosignature", _cosigned(NOTE))
    yield case_of("with a line of a stranger", NOTE + _line("stranger.example", b"1234", b"?"))
    yield case_of("with a line of another key under the log's name", NOTE + _line(LOG.origin, b"1234", bytes(64)))
    yield case_of("signed twice by the log", NOTE + NOTE.partition(b"\n\n")[2])
    many = [_line(f"stranger.example/{number}", b"1234", b"?") for number in range(NOTE_SIGNATURES_MAX - 1)]
    yield case_of("with as many lines as there may be", b"".join([NOTE, *many]))
    yield case_of("with one line too many", b"".join([NOTE, *many, many[0]]), error="note_invalid")


def _unsigned() -> Iterator[Case]:
    code = "signature_invalid"
    yield case_of("by a key that nobody knows", sign_checkpoint(SHOWN, key=FORGER), error=code)
    yield case_of("by another key under the log's key id", _bytes(spoiled(5).text, spoiled(5).signatures), error=code)
    yield case_of("with a root that was not signed", NOTE.replace(b"\n5\n", b"\n6\n"), error=code)
    yield case_of("with a cosignature that fails", _cosigned(NOTE, LOG.checkpoint(6)), error=code)
    alone = _cosigned(TEXT.encode() + b"\n")
    yield case_of("with a cosignature alone", alone, error=code)
    under = NOTE.replace(LOG.origin.encode(), b"copper.example/main.1", 1)
    yield case_of("of another log than it is signed for", under, error=code)
    other = sign_note(TEXT, name="bluebird.example", key=LOG.key)
    yield case_of("under another name than the origin", _bytes(other.text, other.signatures), error=code)
    name_of_witness = Given(verifiers=(format_vkey(Verifier(LOG.origin, LOG.key.public, KeyType.COSIGNATURE)),))
    yield case_of("by a key that is known as a witness's", NOTE, error=code, given=name_of_witness)
    for what, at in {"first": 4, "last": -1}.items():
        blob = bytearray(LOG.note(5).signatures[0].blob)
        blob[at] ^= 1
        line = replace(LOG.note(5).signatures[0], blob=bytes(blob))
        yield case_of(f"a bit changed near the {what} byte of the signature", _bytes(TEXT, [line]), error=code)
    short = replace(LOG.note(5).signatures[0], blob=LOG.note(5).signatures[0].blob[:-1])
    yield case_of("a signature of 63 bytes", _bytes(TEXT, [short]), error=code)
    both = _bytes(TEXT, [*forged(5).signatures, *LOG.note(5).signatures])
    yield case_of("by the log beside a stranger under its name", both)


def _bytes(text: str, lines: Sequence[NoteSignature]) -> bytes:
    return f"{text}\n{''.join(line.format() for line in lines)}".encode()


def _malformed_notes() -> Iterator[Case]:
    line = NOTE.partition(b"\n\n")[2]
    malformed = {
        "nothing": b"",
        "no signature": TEXT.encode() + b"\n",
        "no empty line": TEXT.encode() + line,
        "the last line does not end": NOTE[:-1],
        "bytes after the note": NOTE + b"more",
        "an empty line at the end": NOTE + b"\n",
        "carriage returns": NOTE.replace(b"\n", b"\r\n"),
        "a control character": NOTE.replace(b"\n5\n", b"\n5\x07\n"),
        "invalid UTF-8": NOTE.replace(b"\n5\n", b"\n\xff\n"),
        "a hyphen for the em dash": NOTE.replace("\u2014".encode(), b"-"),
        "two spaces in a line": NOTE.replace(b"main.1 ", b"main.1  "),
        "no key name": NOTE.replace(f"\u2014 {LOG.origin}".encode(), "\u2014 ".encode()),
        "a plus sign in the key name": NOTE.replace(f"\u2014 {LOG.origin}".encode(), f"\u2014 {LOG.origin}+".encode()),
        "a signature that is not base64": NOTE.replace(line[-8:], b"!!!!!!!\n"),
        "a signature without its padding": TEXT.encode()
        + b"\n"
        + _line(LOG.origin, b"1234", b"5678").replace(b"=", b""),
        "a signature of no bytes": TEXT.encode() + f"\n\u2014 {LOG.origin} MTIzNA==\n".encode(),
    }
    for name, data in malformed.items():
        yield case_of(name, data, error="note_invalid")


def _malformed_texts() -> Iterator[Case]:
    lines = TEXT.splitlines()
    texts = {
        "two lines": lines[:2],
        "a size with a leading zero": [lines[0], "05", lines[2]],
        "a size with a plus sign": [lines[0], "+5", lines[2]],
        "a size below zero": [lines[0], "-1", lines[2]],
        "a size in hexadecimal": [lines[0], "0x5", lines[2]],
        "a size in another script": [lines[0], "\u0665", lines[2]],
        "a size beyond 2^53 - 1": [lines[0], str(2**53), lines[2]],
        "no size": [lines[0], "", lines[2]],
        "a root of 31 bytes": [lines[0], "5", "A" * 40 + "AA=="],
        "a root without padding": [lines[0], "5", lines[2].rstrip("=")],
        "a root with stray bits": [lines[0], "5", "A" * 42 + "B="],
        "no origin": ["", "5", lines[2]],
        "an extension line": [*lines, "more"],
        "an empty extension line": [*lines, ""],
    }
    for name, each in texts.items():
        signed = sign_note("".join(f"{line}\n" for line in each), name=LOG.origin, key=LOG.key)
        yield case_of(name, _bytes(signed.text, signed.signatures), error="checkpoint_invalid")


def cosignatures() -> VectorFile:
    """Return what witnesses answer, and what is no cosignature of theirs."""
    return VectorFile(
        format="cosignature",
        version=1,
        page="notes.md",
        about="Answers of a witness whose key is in `given`, to whoever asked it to cosign the checkpoint `text`. "
        "Ed25519 is deterministic: the lines that state what they are made from can be made again.",
        given=Given(verifiers=(WITNESS_VKEY,), text=TEXT),
        cases=(*_cosignatures(), *_other_lines()),
    )


def _by(time: int, checkpoint: Checkpoint = SHOWN, *, name: str = WITNESS, seed: bytes = SEED) -> NoteSignature:
    return sign_cosignature(checkpoint, name=name, key=SigningKey(seed), time_seconds=time)


def _cosignatures() -> Iterator[Case]:
    for name, time in {
        "at a time": TIME,
        "at the first second": 1,
        "beyond 32 bits": 2**32,
        "at the last second that can be stated": 2**63 - 1,
    }.items():
        made = MadeFrom(seed=SEED.hex(), name=WITNESS, time=str(time))
        yield case_of(name, _by(time).format().encode(), made_from=made)
    for size in (0, 1, 40):
        shown = Checkpoint(origin=LOG.origin, size=0, root=EMPTY_ROOT) if size == 0 else LOG.checkpoint(size)
        given = Given(verifiers=(WITNESS_VKEY,), text=format_checkpoint(shown))
        made = MadeFrom(seed=SEED.hex(), name=WITNESS, time=str(TIME))
        yield case_of(f"of {size} entries", _by(TIME, shown).format().encode(), given=given, made_from=made)
    extended = replace(SHOWN, extensions=("more",))
    given = Given(verifiers=(WITNESS_VKEY,), text=format_checkpoint(extended))
    yield case_of("of a text with an extension line", _by(TIME, extended).format().encode(), given=given)
    own = _by(TIME).format().encode()
    yield case_of("after a line of a stranger", _line("stranger.example", b"1234", b"?") + own)
    other = SigningKey(bytes(32))
    second = format_vkey(Verifier("witness.example/w2", other.public, KeyType.COSIGNATURE))
    two = own + _by(TIME + 1, name="witness.example/w2", seed=bytes(32)).format().encode()
    yield case_of("two witnesses", two, given=Given(verifiers=(WITNESS_VKEY, second), text=TEXT))


def _other_lines() -> Iterator[Case]:
    code, key_id = "signature_invalid", WITNESS_KEY.key_id
    own = _by(TIME)
    refused = {
        "of another size": _by(TIME, LOG.checkpoint(6)),
        "of a text without the extension line that was signed": _by(TIME, replace(SHOWN, extensions=("more",))),
        "another time than was signed": replace(own, blob=(TIME + 1).to_bytes(8) + own.blob[8:]),
        "the time 0": replace(own, blob=bytes(8) + own.blob[8:]),
        "a time beyond 2^63 - 1": replace(own, blob=(2**63).to_bytes(8) + own.blob[8:]),
        "without a time": replace(own, blob=own.blob[8:]),
        "a plain signature under the witness's key id": NoteSignature(WITNESS, key_id, SIGNER.sign(TEXT.encode())),
        "a plain signature and a time": NoteSignature(WITNESS, key_id, TIME.to_bytes(8) + SIGNER.sign(TEXT.encode())),
        "one byte too long": replace(own, blob=own.blob + b"\0"),
        "another key under the witness's key id": replace(own, blob=_by(TIME, seed=bytes(32)).blob),
        "by a witness that nobody knows": _by(TIME, seed=bytes(32)),
        "under another name": _by(TIME, name="witness.example/w2"),
        "the log's own line": LOG.note(5).signatures[0],
    }
    for name, line in refused.items():
        yield case_of(name, line.format().encode(), error=code)
    shown = own.format().encode()
    for name, data in {
        "no line": b"",
        "a line that does not end": shown[:-1],
        "an empty line before": b"\n" + shown,
        "a whole note": TEXT.encode() + b"\n" + shown,
        "a hyphen for the em dash": shown.replace("\u2014".encode(), b"-"),
        "not base64": shown[:-3] + b"!!\n",
    }.items():
        yield case_of(name, data, error="add_checkpoint_invalid")


def exchanges() -> VectorFile:
    """Return requests to one witness, in the order in which they are made."""
    cases = [
        case_of(each.name, each.request, made_from=MadeFrom(seed=SEED.hex(), name=WITNESS, time=str(TIME + number)))
        for number, each in enumerate(EXCHANGES)
    ]
    return VectorFile(
        format="add-checkpoint",
        version=1,
        page="witness.md",
        about="Requests to a new witness, made in this order, and its answers. It knows the logs in `given`, and its "
        "key and its clock are in `made_from`. The bodies of other answers than 200 and 409 are free.",
        given=Given(witness=WITNESS_VKEY, logs=(LOG_VKEY,)),
        cases=tuple(cases),
    )


def receipts() -> VectorFile:
    """Return receipts of one log's entries, and what proves none."""
    entries = [sealed.data for sealed in history().source.sealed[:11]]
    log = AURORA.signing_keys[Role.LOG]
    return VectorFile(
        format="receipt",
        version=1,
        page="receipts.md",
        about="Receipts with their entries, opened by whoever knows the verifier keys in `given`.",
        given=Given(verifiers=(format_vkey(Verifier(AURORA.ledger, log.public)),)),
        cases=tuple(_receipts(entries, log)),
    )


def _receipt(entries: Sequence[bytes], index: int, key: SigningKey, *, origin: str = AURORA.ledger) -> Receipt:
    tree = MemoryTree(map(leaf_hash, entries))
    signed = sign_checkpoint(Checkpoint(origin=origin, size=len(entries), root=tree.root()), key=key)
    return Receipt(extra=entries[index], index=index, proof=tree.inclusion_proof(index), checkpoint=signed)


def _receipts(entries: Sequence[bytes], key: SigningKey) -> Iterator[Case]:
    for size in (1, 2, 3, 4, 5, 7, 8, 9, 11):
        for index in sorted({0, size // 2, size - 1}):
            yield case_of(f"entry {index} of {size}", format_receipt(_receipt(entries[:size], index, key)))
    good = _receipt(entries, 4, key)
    code = "proof_invalid"
    refused = {
        "another index": replace(good, index=5),
        "an index beyond the log": replace(good, index=11),
        "another entry": replace(good, extra=entries[3]),
        "no entry": replace(good, extra=None),
        "a hash too few": replace(good, proof=good.proof[:-1]),
        "a hash too many": replace(good, proof=(*good.proof, good.proof[0])),
        "hashes in another order": replace(good, proof=good.proof[::-1]),
        "the checkpoint of another size": replace(good, checkpoint=_receipt(entries[:10], 4, key).checkpoint),
    }
    for name, each in refused.items():
        yield case_of(name, format_receipt(each), error=code)
    by_another = _receipt(entries, 4, BLUEBIRD.signing_keys[Role.LOG])
    yield case_of("a checkpoint of another key", format_receipt(by_another), error="signature_invalid")
    of_another = _receipt(entries, 4, BLUEBIRD.signing_keys[Role.LOG], origin=BLUEBIRD.ledger)
    yield case_of("the log of somebody unknown", format_receipt(of_another), error="could_not_check")
    shifted = _receipt(entries[1:], 3, key)
    yield case_of("an entry that calls itself by another number", format_receipt(shifted), error="entry_invalid")
    yield case_of("no entry, but bytes", format_receipt(_receipt([b"{}"], 0, key)), error="entry_invalid")
    data = format_receipt(good)
    for name, changed in {
        "another version of the format": data.replace(b"@v1", b"@v2", 1),
        "an index with a leading zero": data.replace(b"\nindex 4\n", b"\nindex 04\n"),
        "no index": data.replace(b"\nindex 4\n", b"\n"),
        "a hash of 31 bytes": data.replace(b"\nindex 4\n", b"\nindex 4\n" + b"A" * 40 + b"AA==\n"),
        "a line that is not base64": data.replace(b"\nindex 4\n", b"\nindex 4\n!\n"),
        "the entry after the index": f"{HEADER}\nindex 4\n".encode() + data.split(b"\n")[1] + b"\n\n" + good.checkpoint,
        "no checkpoint": data.partition(b"\n\n")[0] + b"\n",
    }.items():
        yield case_of(name, changed, error=code)
    cut = data.replace(good.checkpoint, good.checkpoint[:-1])
    yield case_of("a checkpoint that is cut off", cut, error="note_invalid")
