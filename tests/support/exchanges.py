"""Requests that a log makes of a witness one after the other, and how each is answered (C2SP tlog-witness).

The witness is AURORA, which knows BLUEBIRD's log and no other.
"""

from base64 import b64encode
from dataclasses import dataclass, replace
from typing import Final

from protocol.checkpoint import sign_checkpoint, sign_cosignature
from protocol.keys import Role, SigningKey
from protocol.merkle import Hash
from protocol.note import Note, NoteSignature, parse_note
from protocol.witness import AddCheckpoint, format_add_checkpoint
from tests.support.documents import AURORA, BLUEBIRD, COPPER
from tests.support.logs import TestLog, leaves_of

LOG = TestLog(BLUEBIRD.ledger, BLUEBIRD.signing_keys[Role.LOG])
FORGER = SigningKey(bytes([9]) * 32)
REWRITTEN = TestLog(LOG.origin, LOG.key, [*leaves_of("rewritten", 1), *LOG.leaves[1:]])
CUT = TestLog(LOG.origin, LOG.key, [*LOG.leaves[:8], *leaves_of("after the cut", 32)])
"""The log as it would be if its entries from the eighth on were lost and others written."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, and how it is answered: with a size where that is a conflict, else with a cosignature or words."""

    name: str
    request: bytes
    status: int
    size: int | None = None


def changed(asked: AddCheckpoint, **parts: object) -> bytes:
    return format_add_checkpoint(replace(asked, **parts))  # type: ignore[arg-type]


def forged(size: int) -> Note:
    """Return a checkpoint of the log that another key has signed, under the log's name."""
    return parse_note(sign_checkpoint(LOG.checkpoint(size), key=FORGER))


def spoiled(size: int) -> Note:
    """Return a checkpoint with the log's own name and key id, and a signature that is not its own."""
    (line,) = LOG.note(size).signatures
    return Note(LOG.note(size).text, (NoteSignature(line.name, line.key_id, forged(size).signatures[0].blob),))


def without_root(size: int) -> Note:
    return parse_note(sign_checkpoint(replace(LOG.checkpoint(size), root=Hash(bytes(32))), key=LOG.key))


STRANGERS = TestLog(COPPER.ledger, COPPER.signing_keys[Role.LOG])
SUCCESSOR = TestLog("bluebird.example/main.2", LOG.key)
COSIGNED_ALONE = Note(
    LOG.note(5).text, (sign_cosignature(LOG.checkpoint(5), name=LOG.origin, key=LOG.key, time_seconds=1),)
)
TWICE_SIGNED = LOG.note(8).with_signatures([*forged(8).signatures, NoteSignature("stranger.example", b"1234", b"?")])
WRONG = Hash(bytes(32))

EXCHANGES: Final = [
    Exchange("nothing at all", b"", 400),
    Exchange("no request", b"add my checkpoint, please\n", 400),
    Exchange("an old size with a zero before it", LOG.request(0, 5).replace(b"old 0", b"old 00"), 400),
    Exchange("an old size below zero", LOG.request(0, 5).replace(b"old 0", b"old -1"), 400),
    Exchange("a proof that is not base64", LOG.request(0, 5).replace(b"old 0\n", b"old 0\n!\n"), 400),
    Exchange("a proof of short hashes", LOG.request(0, 5).replace(b"old 0\n", b"old 0\nAAAA\n"), 400),
    Exchange(
        "a proof of 64 hashes",
        LOG.request(0, 5).replace(b"old 0\n", b"old 0\n" + (b64encode(WRONG) + b"\n") * 64),
        400,
    ),
    Exchange("a note without a signature", LOG.request(0, 5).partition("\u2014".encode())[0], 400),
    Exchange("a note that is no checkpoint", changed(LOG.asks(0, 5)).replace(LOG.origin.encode() + b"\n5\n", b""), 400),
    Exchange(
        "extension lines",
        changed(
            LOG.asks(0, 5),
        ).replace(
            LOG.request(0, 5).partition(b"\n\n")[2],
            sign_checkpoint(replace(LOG.checkpoint(5), extensions=("more",)), key=LOG.key),
        ),
        400,
    ),
    Exchange("a log that nobody knows", STRANGERS.request(0, 5), 404),
    Exchange("a name that is no ledger's", TestLog("example.com/log", LOG.key).request(0, 5), 404),
    Exchange("a generation that has not begun", SUCCESSOR.request(0, 5), 404),
    Exchange("the witness's own log", TestLog(AURORA.ledger, AURORA.signing_keys[Role.LOG]).request(0, 5), 404),
    Exchange("another key under the log's name", changed(LOG.asks(0, 5), note=forged(5)), 403),
    Exchange("a signature that does not verify", changed(LOG.asks(0, 5), note=spoiled(5)), 403),
    Exchange("the log's key as that of a witness", changed(LOG.asks(0, 5), note=COSIGNED_ALONE), 403),
    Exchange("a size that was never cosigned", LOG.request(3, 5), 409, size=0),
    Exchange("an old size beyond the checkpoint", changed(LOG.asks(0, 5), old_size=6), 400),
    Exchange("a proof where none is needed", changed(LOG.asks(0, 5), proof=(WRONG,)), 422),
    Exchange("an empty log with leaves", changed(LOG.asks(0, 0), note=without_root(0)), 422),
    Exchange("the empty log", LOG.request(0, 0), 200),
    Exchange("the empty log again", LOG.request(0, 0), 200),
    Exchange("the first leaves", LOG.request(0, 5), 200),
    Exchange("the same once more", LOG.request(5, 5), 200),
    Exchange("from the beginning again", LOG.request(0, 8), 409, size=5),
    Exchange("from a size in between", LOG.request(4, 8), 409, size=5),
    Exchange("a log that has shrunk", LOG.request(0, 4), 409, size=5),
    Exchange("a log that has shrunk, from the size that was cosigned", changed(LOG.asks(0, 4), old_size=5), 400),
    Exchange("another root of the same size", REWRITTEN.request(5, 5), 422),
    Exchange("a log whose first entry was rewritten", REWRITTEN.request(5, 9), 422),
    Exchange("no proof", changed(LOG.asks(5, 8), proof=()), 422),
    Exchange("a proof with one hash too many", changed(LOG.asks(5, 8), proof=(*LOG.proof(5, 8), WRONG)), 422),
    Exchange("a proof with one hash changed", changed(LOG.asks(5, 8), proof=(WRONG, *LOG.proof(5, 8)[1:])), 422),
    Exchange("the proof of another size", changed(LOG.asks(5, 8), proof=LOG.proof(6, 8)), 422),
    Exchange("a root that was made up", changed(LOG.asks(5, 8), note=without_root(8)), 422),
    Exchange("what grew, with lines of others", changed(LOG.asks(5, 8), note=TWICE_SIGNED), 200),
    Exchange("more", LOG.request(8, 20), 200),
    Exchange("a log that was cut and went on", CUT.request(8, 20), 409, size=20),
    Exchange("a log that was cut and went on, by the size that was cosigned", CUT.request(20, 30), 422),
    Exchange("still more", LOG.request(20, 40), 200),
]
