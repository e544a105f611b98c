"""What is taken for canonical at one look is what a look at every field takes."""

import pytest

from protocol import entries
from protocol.entries import decode_entry, encode_entry, seal, unseal
from protocol.entry import Entry
from protocol.errors import EntryInvalid
from protocol.plain_entries import PLAIN, is_plain
from tests.support.history import examples

EXAMPLES = {kind: sealed for kind, sealed in examples().items() if isinstance(sealed.entry, PLAIN)}
_WRITTEN = b'0aA9f-_/.:"\\,[]{}T \n\x00\xc3'


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_entry_of_a_frequent_kind_is_plain(kind: str) -> None:
    assert is_plain(EXAMPLES[kind].data)


def test_an_example_of_every_frequent_kind_is_here() -> None:
    assert sorted(EXAMPLES) == sorted(str(each.__struct_config__.tag) for each in PLAIN)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_what_is_plain_passes_the_look_at_every_field(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = EXAMPLES[kind].data
    edited = {data[:place] + bytes((byte,)) + data[place + 1 :] for place in range(len(data)) for byte in _WRITTEN}
    edited |= {data[:place] + data[place + 1 :] for place in range(len(data))}
    taken = {each for each in edited if is_plain(each)}
    assert len(taken) > 100
    at_one_look = {each: decode_entry(each) for each in taken}
    monkeypatch.setattr(entries, "is_plain", lambda _: False)
    assert {each: decode_entry(each) for each in taken} == at_one_look


@pytest.mark.parametrize("kind", EXAMPLES)
def test_both_looks_seal_the_same(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = EXAMPLES[kind]
    assert seal(sealed.entry) == unseal(sealed.data) == sealed
    monkeypatch.setattr(entries, "is_plain", lambda _: False)
    assert seal(sealed.entry) == unseal(sealed.data) == sealed


def test_other_kinds_are_not_plain() -> None:
    others = [sealed for sealed in examples().values() if not isinstance(sealed.entry, PLAIN)]
    assert others
    assert not any(is_plain(each.data) for each in others)


def test_what_is_wrong_in_a_head_is_named() -> None:
    entry: Entry = examples()["account_opened"].entry
    data = encode_entry(entry)  # type: ignore[arg-type]  # an entry of the union, as its examples are typed
    assert decode_entry(data) == entry
    with pytest.raises(EntryInvalid, match="prev, nonce"):
        decode_entry(data.replace(entry.prev.encode(), b"0" * 63 + b"G").replace(entry.nonce.encode(), b"f" * 31))


def test_an_asset_of_a_posting_that_is_none_is_named() -> None:
    data = EXAMPLES["points_transferred"].data
    assert data.count(b'"AUR"') == 2
    with pytest.raises(EntryInvalid, match="'aur'"):
        decode_entry(data.replace(b'"AUR"', b'"aur"'))
