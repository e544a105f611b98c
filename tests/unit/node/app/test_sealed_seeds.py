"""Seeds under a passphrase: one text form, no seed in clear, and no answer but yes or no."""

from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.app.sealed_seeds import (
    COST,
    MEMORY_BYTES_MAX,
    MEMORY_BYTES_MIN,
    OPERATIONS_MAX,
    PREFIX,
    Cost,
    Opener,
    PassphraseWrong,
    SealedSeed,
    Sealer,
    is_sealed,
)
from protocol.errors import KeyInvalid
from protocol.keys import SigningKey

ROOT: Final = Path(__file__).resolve().parents[4]
CHEAP: Final = Cost(1, MEMORY_BYTES_MIN)
KEY: Final = SigningKey(bytes(range(32)))
SALT: Final = bytes(range(16))
NONCE: Final = bytes(range(24))
PASSPHRASE: Final = b"correct horse"
TEXT: Final = Sealer(PASSPHRASE, salt=SALT, cost=CHEAP).seal(KEY, nonce=NONCE)


def opened(text: str, passphrase: bytes = PASSPHRASE) -> SigningKey:
    return Opener(lambda: passphrase).open(SealedSeed.parse(text))


def test_a_sealed_seed_opens_with_its_passphrase_alone() -> None:
    assert opened(TEXT).format_seed() == KEY.format_seed()
    for wrong in (b"", b"Correct horse", PASSPHRASE + b" "):
        with pytest.raises(PassphraseWrong):
            opened(TEXT, wrong)


def test_the_text_is_the_specified_one_and_shows_no_seed() -> None:
    assert TEXT in (ROOT / "specs" / "keys.md").read_text(encoding="utf-8").split()
    assert is_sealed(TEXT)
    assert not is_sealed(KEY.format_seed())
    assert KEY.format_seed().partition(":")[2] not in TEXT
    assert SealedSeed.parse(TEXT).public == KEY.public


def test_what_is_shipped_costs_an_attacker_memory() -> None:
    assert (COST.operations, COST.memory_bytes) == (3, 256 * 2**20)
    sealed = SealedSeed.parse(Sealer(PASSPHRASE, salt=SALT).seal(KEY, nonce=NONCE))
    assert sealed.derivation.cost == COST
    assert Opener(lambda: PASSPHRASE).open(sealed).public == KEY.public


def test_files_that_were_sealed_together_cost_one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    sealer, other = Sealer(PASSPHRASE, salt=SALT, cost=CHEAP), SigningKey(bytes(32))
    texts = [sealer.seal(KEY, nonce=NONCE), sealer.seal(other, nonce=bytes(24))]
    asked: list[bytes] = []

    def ask() -> bytes:
        asked.append(PASSPHRASE)
        return PASSPHRASE

    derived: list[bytes] = []

    def derive(size: int, passphrase: bytes, *_: object) -> bytes:
        derived.append(passphrase)
        return bytes(size)

    monkeypatch.setattr("node.app.sealed_seeds.pwhash.argon2id.kdf", derive)
    opener = Opener(ask)
    for text in texts:
        with pytest.raises(PassphraseWrong):
            opener.open(SealedSeed.parse(text))
    assert (len(asked), len(derived)) == (1, 1)


@pytest.mark.parametrize("part", range(2, 7))
def test_no_part_can_be_changed(part: int) -> None:
    parts = TEXT.split(":")
    swaps = {2: "2", 3: "16384", 4: "AQECAwQFBgcICQoLDA0ODw==", 5: SigningKey(bytes(32)).public.text}
    parts[part] = swaps.get(part) or parts[6][:-4] + ("AAA=" if parts[6][-4:] != "AAA=" else "BBA=")
    with pytest.raises((PassphraseWrong, KeyInvalid)):
        opened(":".join(parts))


@pytest.mark.parametrize(
    "text",
    [
        "",
        PREFIX,
        TEXT + ":",
        TEXT.replace("argon2id", "scrypt"),
        TEXT.replace(":1:8192:", ":01:8192:"),
        TEXT.replace(":1:8192:", ":0:8192:"),
        TEXT.replace(":1:8192:", f":{OPERATIONS_MAX + 1}:8192:"),
        TEXT.replace(":1:8192:", ":1:8191:"),
        TEXT.replace(":1:8192:", f":1:{MEMORY_BYTES_MAX + 1}:"),
        TEXT.replace(":1:8192:", ":1:99999999999:"),
        TEXT.replace(":1:8192:", ":\u0661:8192:"),
        TEXT.replace(":1:8192:", ":-1:8192:"),
        TEXT.replace("AAECAwQFBgcICQoLDA0ODw==", "AAECAwQFBgcICQoLDA0ODw"),
        TEXT.replace("AAECAwQFBgcICQoLDA0ODw==", "AAEC"),
        TEXT.replace("A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=", "AAAA"),
        TEXT[:-4],
    ],
)
def test_what_is_not_such_a_text_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(KeyInvalid) as error:
        SealedSeed.parse(text)
    assert TEXT[-20:] not in str(error.value)


@given(st.text(max_size=200) | st.text(max_size=40).map(lambda text: TEXT[:60] + text))
def test_any_text_is_a_sealed_seed_or_refused(text: str) -> None:
    try:
        SealedSeed.parse(text)
    except KeyInvalid:
        return
    assert text.startswith(PREFIX)


def test_a_machine_without_the_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from nacl.exceptions import RuntimeError as CannotDerive  # noqa: PLC0415 - the name would hide the built-in one

    def fail(*_: object) -> bytes:
        raise CannotDerive("no memory")

    monkeypatch.setattr("node.app.sealed_seeds.pwhash.argon2id.kdf", fail)
    with pytest.raises(KeyInvalid, match="8192 bytes of memory"):
        opened(TEXT)
