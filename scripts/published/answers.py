"""Vectors of answers to evidence."""

from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.audit.fenced import Fenced, encode_fenced
from protocol.keys import Role
from scripts.published.files import Case, Given, VectorFile, case_of
from scripts.published.messages import EVIDENCE, SIGNATURE, vkey
from tests.support.documents import AURORA, BLUEBIRD, COPPER
from tests.support.evidence import fence, fenced
from tests.support.mutations import canonical, replaced


def fenced_answers() -> VectorFile:
    """Return answers that show a message to be void, and files that do not."""
    return VectorFile(
        format="fenced",
        version=1,
        page="audit.md",
        about="Answers to evidence, judged by whoever knows the channel's key of each ledger in `given`.",
        given=Given(verifiers=(vkey(AURORA, Role.CHANNEL), vkey(BLUEBIRD, Role.CHANNEL))),
        cases=(*(case_of(name, encode_fenced(each)) for name, each in HELD.items()), *_no_answers()),
    )


HELD: Final[dict[str, Fenced]] = {
    "the frames before the message were applied": fenced(),
    "nothing was applied": fenced(by=fence((1, 0))),
    "the epoch of the message was never accepted": fenced(by=fence((0, 7))),
    "a later epoch was accepted at once": fenced(by=fence((1, 1), epoch=5)),
}


def _no_answers() -> Iterator[Case]:
    good = fence((1, 2))
    forged = msgspec.structs.replace(good, signatures=fence((1, 1)).signatures)
    refused: dict[str, tuple[Fenced, str]] = {
        "the message was applied": (fenced(by=fence((1, 3))), EVIDENCE),
        "a later epoch had been accepted before": (fenced(by=fence((2, 0), epoch=3)), EVIDENCE),
        "the epoch of the message is the one that was accepted": (fenced(by=fence((0, 0), epoch=1)), EVIDENCE),
        "the accused's own word": (fenced(by=fence((1, 2), by=BLUEBIRD, to=AURORA)), EVIDENCE),
        "a word about another ledger": (fenced(by=fence((1, 2), to=COPPER)), EVIDENCE),
        "another signature": (fenced(by=forged), SIGNATURE),
        "a ledger whose key nobody knows": (fenced(by=fence((1, 2), by=COPPER)), "could_not_check"),
    }
    for name, (each, code) in refused.items():
        yield case_of(name, encode_fenced(each), error=code)
    data = encode_fenced(fenced())
    yield case_of("a field more", canonical(replaced(data, ("zz",), 1)), error=EVIDENCE)
    yield case_of("another version", canonical(replaced(data, ("v",), 2)), error=EVIDENCE)
    yield case_of("with a space", data.replace(b'","', b'", "', 1), error=EVIDENCE)
