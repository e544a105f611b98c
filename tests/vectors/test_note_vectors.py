"""Notes that other programs signed: Go's x/mod, a public log with its witnesses, and one made beside the standard."""

import pytest

from protocol.checkpoint import cosignature_time, parse_checkpoint, sign_cosignature, verify_cosignature
from protocol.errors import KeyInvalid, NoteInvalid, SignatureInvalid
from protocol.keys import SigningKey, decode_base64
from protocol.note import (
    KeyType,
    Verifier,
    format_note,
    format_vkey,
    parse_note,
    parse_vkey,
    sign_note,
    signers_of,
    verify_note,
)
from tests.support.vectors import vectors

# golang.org/x/mod, sumdb/note.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = "gQoUAtUUbI2E8kQzMPVAgOv5juF9nHT2JS/F1ccoMXM="
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER_LINE = (
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
ENOCH_LINE = (
    "\u2014 EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
)
NOTE = f"{TEXT}\n{PETER_LINE}{ENOCH_LINE}".encode()

# A checkpoint of a public certificate log, as it stood with the cosignatures of public witnesses.
ARCHE = "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f"
WITNESSES = [
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
    "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
]
COSIGNED = """\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

\u2014 arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllza\
lApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
\u2014 arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1b\
fTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
\u2014 transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVk\
jZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
\u2014 witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TO\
QtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
\u2014 remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0\
WBxtqB0DrAWfBw==
\u2014 witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7\
lI7cUiOvKFYe/TmN9DAg==
"""


def test_the_note_of_go_is_signed_the_same() -> None:
    seed = decode_base64(PETER_SEED)
    assert seed is not None
    assert format_note(sign_note(TEXT, name="PeterNeumann", key=SigningKey(seed))) == f"{TEXT}\n{PETER_LINE}".encode()


def test_the_note_of_go_verifies_with_either_key() -> None:
    note = parse_note(NOTE)
    peter, enoch = parse_vkey(PETER), parse_vkey(ENOCH)
    assert format_note(note) == NOTE
    assert signers_of(note, [enoch, peter]) == (peter, enoch)
    assert signers_of(note, [enoch]) == (enoch,)
    with pytest.raises(SignatureInvalid):
        verify_note(note, [])


@pytest.mark.parametrize(
    "data",
    [
        TEXT,
        TEXT + "\n",
        f"{TEXT}\n{PETER_LINE[:-1]}",
        f"\x01{TEXT}\n{PETER_LINE}",
        f"{TEXT}\n{PETER_LINE.replace('PeterNeumann', 'Bad Name')}",
        f"{TEXT}\n{PETER_LINE}Unexpected line.\n",
        f"{TEXT}\n{PETER_LINE * 101}",
    ],
)
def test_what_go_calls_malformed_is_malformed(data: str) -> None:
    with pytest.raises(NoteInvalid):
        parse_note(data.encode())


def test_a_signature_that_grew_spoils_the_note_of_go() -> None:
    grown = f"{TEXT}\n{PETER_LINE[:60]}ABCD{PETER_LINE[60:]}".encode()
    with pytest.raises(SignatureInvalid):
        verify_note(parse_note(grown), [parse_vkey(PETER)])


@pytest.mark.parametrize("vkey", [PETER, ENOCH, ARCHE, *WITNESSES])
def test_no_part_or_change_of_a_verifier_key_is_one(vkey: str) -> None:
    assert format_vkey(parse_vkey(vkey)) == vkey
    parts = [vkey[begin:end] for begin in range(len(vkey)) for end in range(begin, len(vkey) + 1)]
    changed = [vkey[:at] + chr(ord(vkey[at]) + 1) + vkey[at + 1 :] for at in range(len(vkey))]
    for wrong in {*parts, *changed} - {vkey}:
        with pytest.raises(KeyInvalid):
            parse_vkey(wrong)


@pytest.mark.parametrize(
    "vkey",
    [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_a_verifier_key_of_another_length_or_type_is_refused(vkey: str) -> None:
    with pytest.raises(KeyInvalid):
        parse_vkey(vkey)


def test_a_public_checkpoint_verifies_with_its_log_and_its_witnesses() -> None:
    note = parse_note(COSIGNED.encode())
    log, witnesses = parse_vkey(ARCHE), [parse_vkey(vkey) for vkey in WITNESSES]
    assert format_note(note) == COSIGNED.encode()
    assert set(signers_of(note, [log, *witnesses])) == {log, *witnesses}
    by_name = {signature.name: signature for signature in note.signatures}
    for witness in witnesses:
        signature = by_name[witness.name]
        verify_cosignature(signature, checkpoint=parse_checkpoint(note.text), verifier=witness)
        assert cosignature_time(signature) == 0x6A122120
    changed = parse_note(COSIGNED.replace("1432088532", "1432088533").encode())
    for verifier in [log, *witnesses]:
        with pytest.raises(SignatureInvalid):
            verify_note(changed, [verifier])


def test_a_cosignature_with_fixed_seed_and_time() -> None:
    note = parse_note((vectors("tessera-log") / "checkpoint.3").read_bytes())
    key = SigningKey(bytes(range(32)))
    verifier = Verifier("witness.example/w1", key.public, KeyType.COSIGNATURE)
    assert format_vkey(verifier) == "witness.example/w1+e75f6532+BAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
    checkpoint = parse_checkpoint(note.text)
    signature = sign_cosignature(checkpoint, name=verifier.name, key=key, time_seconds=1_700_000_000)
    assert signature.format() == (
        "\u2014 witness.example/w1 519lMgAAAABlU/EA0DcHQXq4P6NaWZBCz570GpLYoPzXnNYQ7WvOFrotCPAwg8yvkVDzoq3nrNNE8ZcyT+L0"
        "eJHypJNvHOInS8q7Dg==\n"
    )
    verify_cosignature(signature, checkpoint=checkpoint, verifier=verifier)
