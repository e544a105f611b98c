"""Ledgers that succeed themselves, with the messages that prove it and all their logs, as an auditor reads them."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from protocol.audit.pages import CHECKPOINT_PATH, LEDGER_PATH, LedgerFile, encode_ledger_file, past_folder
from protocol.checkpoint import Checkpoint, sign_checkpoint
from protocol.entries import Genesis, Sealed
from protocol.envelope import Sighting, encode_sighting
from protocol.identifiers import Ledger, generation_of
from protocol.keys import Role
from protocol.merkle import leaf_hash, root_of
from protocol.messages import Returned, Succeeded
from protocol.note import Verifier, format_vkey
from tests.support.audits import Files, Half, alliance, hand_over, message_files, tile_files
from tests.support.documents import NETWORK, Side, hello
from tests.support.ledger import receive
from tests.support.succession import Word, begin, end, give_agreements, give_back, succeed, take_back, take_succession

EPOCH = 2
"""The epoch in which partners give back: the one before was that of the log that is lost."""


@dataclass(frozen=True, slots=True)
class Copy:
    """How far a ledger and what it had received went when the copy was made."""

    size: int
    received: int


def copy_of(half: Half) -> Copy:
    """Return where a half stands."""
    return Copy(len(half.ledger.sealed), len(half.received))


def put_back(lost: Half, copy: Copy) -> Half:
    """Return the successor of `lost`, of which a copy was put back."""
    return Half(succeed(lost.ledger, copy.size), lost.received[: copy.received])


def greet(one: Half, other: Half) -> None:
    """Let `one` open a new epoch to the other."""
    other.streams.pop(one.name, None)
    hand_over(one, other, [hello(one.ledger.side, other.ledger.side)], epoch=EPOCH)


def returned(word: Word, partner: Half, owner: Half) -> Returned:
    """Return a word of `owner` with the evidence that its partner has kept."""
    (sighting,) = [each for each in partner.received if each.frame.body == word.digest]
    return Returned(
        network=NETWORK,
        sender=partner.name,
        receiver=owner.name,
        sighting=msgspec.Raw(encode_sighting(sighting)),
        prepare=word.prepare,
    )


def give_all_back(lost: Half, copy: Copy, ledger: Half, partner: Half) -> None:
    """Let `ledger`, the successor of `lost`, ask its partner for its words and take in all that comes."""
    greet(ledger, partner)
    greet(partner, ledger)
    heard = {sighting.frame.body for sighting in partner.received}
    told = give_back(lost.ledger, copy.size, partner.ledger)
    words = [word for word in told if not word.ours or word.digest in heard]
    asked = ledger.ledger.body(begin(ledger.ledger, partner.name, words=count(words)))
    assert isinstance(asked, Succeeded)
    hand_over(ledger, partner, [asked], epoch=EPOCH)
    take_succession(partner.ledger, asked)
    give_agreements(ledger.ledger, partner.ledger)
    waiting = []
    for word in words:
        hand_over(partner, ledger, [returned(word, partner, ledger) if word.ours else word.body], epoch=EPOCH)
        waiting += take_back(ledger.ledger, partner.ledger, [word])
    end(ledger.ledger, partner.name, words=count(words))


def count(words: Sequence[Word]) -> int:
    """Return how many of `words` the receiver had said itself."""
    return sum(word.ours for word in words)


@dataclass(frozen=True, slots=True)
class Succession:
    """A destination whose store was put back, as it was lost and as it goes on, and its partner."""

    lost: Half
    ledger: Half
    partner: Half


def succession(*, between: int = 2) -> Succession:
    """Return an alliance whose destination lost `between` conversions and got them back, and made one more since."""
    made = alliance()
    made.converted("kept")
    copy = copy_of(made.destination)
    for number in range(between):
        made.converted(f"lost {number}")
    lost = made.destination
    ledger = put_back(lost, copy)
    give_all_back(lost, copy, ledger, made.source)
    order = made.ordered("next")
    hand_over(made.source, ledger, [order], epoch=EPOCH)
    decided = ledger.ledger.body(receive(ledger.ledger, order))
    hand_over(ledger, made.source, [decided], epoch=EPOCH)
    receive(made.source.ledger, decided)
    return Succession(lost, ledger, made.source)


def logs_of(half: Half) -> list[list[Sealed]]:
    """Return the entries of each log of a ledger, those that a later one has not restored left out."""
    logs: list[list[Sealed]] = []
    for sealed in half.ledger.sealed:
        if isinstance(sealed.entry, Genesis):
            logs.append([])
        logs[-1].append(sealed)
    return logs


def name_of(entries: Sequence[Sealed]) -> Ledger:
    """Return the name of the log that `entries` are."""
    genesis = entries[0].entry
    assert isinstance(genesis, Genesis)
    return genesis.ledger


def note_of(side: Side, entries: Sequence[Sealed], *, size: int | None = None) -> bytes:
    """Return the note in which a log signs its first `size` entries."""
    data = [sealed.data for sealed in entries[:size]]
    checkpoint = Checkpoint(origin=name_of(entries), size=len(data), root=root_of(map(leaf_hash, data)))
    return sign_checkpoint(checkpoint, key=side.signing_keys[Role.LOG])


def log_files(side: Side, entries: Sequence[Sealed]) -> Files:
    """Return the files of one log, its messages apart."""
    own = Verifier(name_of(entries), side.signing_keys[Role.LOG].public)
    return {
        CHECKPOINT_PATH: note_of(side, entries),
        LEDGER_PATH: encode_ledger_file(LedgerFile(ledger=Ledger(own.name), vkey=format_vkey(own))),
        **tile_files([sealed.data for sealed in entries]),
    }


def all_files(half: Half, received: Sequence[Sighting] | None = None) -> Files:
    """Return every file of a ledger with all its logs."""
    *past, present = logs_of(half)
    files = log_files(half.ledger.side, present) | message_files(half.received if received is None else received)
    for entries in past:
        folder = past_folder(generation_of(name_of(entries)))
        files |= {folder + path: data for path, data in log_files(half.ledger.side, entries).items()}
    return files
