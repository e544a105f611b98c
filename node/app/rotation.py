"""Preparing the rotation of a log's key, where its keys are: files in three steps, each of which can be repeated.

The key that the log has committed to becomes its next one, and a fresh one takes its place. What both sign is the same
each time that it is asked for, until it is entered.
"""

from pathlib import Path

from node.app.files import rename_durably
from node.app.key_files import (
    FRESH,
    NEXT_LOG,
    is_sealed,
    keys_alone,
    later_paths,
    make_sealer,
    plain,
    public_in,
    read_key,
    seed_path,
    write_key,
)
from node.app.sealed_seeds import AskPassphrase, Opener
from node.app.system import NextKeyElsewhere
from node.ports import Randomness
from protocol.errors import Code, Refusal
from protocol.key_entries import LOG_KEYS_MAX, SignedRotation, sign_rotation
from protocol.keys import SEED_BYTES, Role, SigningKey
from protocol.ledger.state import LedgerRecord


def prepare_rotation(
    directory: Path, record: LedgerRecord, *, passphrase: AskPassphrase, randomness: Randomness
) -> SignedRotation:
    """Return the next rotation of the log of `record`, whose keys `directory` holds, signed by the old key and the new.

    Raises `NextKeyElsewhere` where the key that the log has committed to is not there, `rotation_invalid` for a log
    that has enough keys, and what `read_key` raises.
    """
    number = len(record.log_keys) + 1
    if number >= LOG_KEYS_MAX:
        raise Refusal(Code.ROTATION_INVALID, f"a log has at most {LOG_KEYS_MAX} keys")
    opener = Opener(passphrase)
    with keys_alone(directory):
        _make_room(directory, record, number=number, opener=opener, passphrase=passphrase, randomness=randomness)
    # Where the store is an older copy, the key after this one has its number already: partners know the rotation so.
    paths = [seed_path(directory, Role.LOG), *later_paths(directory), seed_path(directory, NEXT_LOG)]
    before, after = (read_key(path, opener) for path in paths[number - 1 : number + 1])
    return sign_rotation(
        ledger=record.ledger,
        number=number,
        before=before,
        after=after,
        next_log_key=public_in(paths[number + 1]).digest,
    )


def _make_room(
    directory: Path,
    record: LedgerRecord,
    *,
    number: int,
    opener: Opener,
    passphrase: AskPassphrase,
    randomness: Randomness,
) -> None:
    """Give the committed key its number, and put a fresh one in its place."""
    path, after = seed_path(directory, f"{Role.LOG}_{number}"), seed_path(directory, NEXT_LOG)
    fresh = seed_path(directory, FRESH)
    if not path.exists():
        if not after.exists() or public_in(after).digest != record.next_log_key:
            raise NextKeyElsewhere(f"{after} does not hold the key that the log has committed to")
        if not fresh.exists():
            present = seed_path(directory, Role.LOG)
            # A passphrase that was mistyped would seal the fresh key for good: it has to open the others first.
            for each in (present, after):
                read_key(each, opener)
            sealed = is_sealed(present)
            write = make_sealer(passphrase, randomness=randomness) if sealed else plain
            write_key(fresh, write(SigningKey(randomness.token(SEED_BYTES))))
        rename_durably(after, path)
    if fresh.exists():
        rename_durably(fresh, after)
