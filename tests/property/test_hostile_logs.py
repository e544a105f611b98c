"""An auditor applies what strangers wrote: whatever decodes is judged, and nothing but a `Refusal` comes out.

Entries of a real log are changed, repaired as a forger would (digests recomputed, agreements signed again, ids and
place in the log made right) and applied at any point of either log.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Final

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.agreement import AgreementSignature, sign_agreement
from protocol.entries import (
    AgreementEntered,
    AnyEntry,
    ConversionCaptured,
    ConversionCredited,
    ConversionReleased,
    Sealed,
    decode_entry,
    seal,
    stamp,
)
from protocol.errors import EntryInvalid, ProtocolError, Refusal
from protocol.fields import later
from protocol.identifiers import Id
from protocol.keys import Role
from protocol.ledger import names, rules
from protocol.ledger.concluding import fulfil_received, reject_received
from protocol.ledger.incoming import prepare_received
from protocol.ledger.state import ACCOUNTS, HEAD, LEDGER, ONLY, OUTGOING
from protocol.ledger.view import Overlay
from protocol.limits import INTEGER_MAX
from tests.property.invariants import check_invariants
from tests.support.documents import AURORA, BLUEBIRD, digest_of_body
from tests.support.history import history, tag_of
from tests.support.ledger import MemoryLedger, rows_of
from tests.support.mutations import Json, Path, at, canonical, parsed, paths, replaced
from tests.support.pages import table

SIDES: Final = {side.ledger: side for side in (AURORA, BLUEBIRD)}
SCRAPS: Final[tuple[Json, ...]] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    INTEGER_MAX,
    -INTEGER_MAX,
    INTEGER_MAX - 1,
    "",
    "0001-01-01",
    "9999-12-31",
    "2026-99-99",
    "2026-03-02",
    "0001-01-01T00:00:00.000000Z",
    "9999-12-31T23:59:59.999999Z",
    "2026-99-99T99:99:99.999999Z",
    "2026-03-01T24:00:00.000000Z",
    "issuance",
    "redemption",
    "member",
    "EUR",
    "0" * 64,
    "f" * 64,
    "0" * 32,
    "decided/x",
    "A" * 43 + "=",
    "A" * 88,
    [],
    {},
)


@cache
def logs() -> tuple[MemoryLedger, MemoryLedger]:
    return history().source, history().destination


@cache
def pool() -> dict[str | int, tuple[Json, ...]]:
    """Return every value that stands anywhere in either log, by its key: what a forger would try first."""
    found: dict[str | int, dict[bytes, Json]] = {}
    for sealed in (*logs()[0].sealed, *logs()[1].sealed):
        document = parsed(sealed.data)
        for path in paths(document):
            value = at(document, path)
            found.setdefault(path[-1], {})[canonical(value)] = value
    return {key: tuple(values.values()) for key, values in found.items()}


def plausible(document: Json, path: Path) -> tuple[Json, ...]:
    """Return values that may pass for what stands at `path`: seen under its key, or of its type."""
    before = at(document, path)
    return (*pool()[path[-1]], *(scrap for scrap in SCRAPS if type(scrap) is type(before)), None)


def state_after(entries: Sequence[Sealed]) -> Overlay:
    view = Overlay(complete=True)
    for sealed in entries:
        rules.apply(view, sealed)
    return view


def repaired(entry: AnyEntry, view: Overlay, ledger: MemoryLedger) -> AnyEntry:
    """Return `entry` with its digests, signatures and id made right where its fields allow it."""
    match entry:
        case ConversionCredited():
            entry = _recited(entry, "prepare", digest_of_body(prepare_received(entry, ledger=ledger.name)))
        case ConversionCaptured() | ConversionReleased():
            entry = _concluded(entry, view, ledger)
        case AgreementEntered():
            entry = _signed_again(entry)
        case _:
            pass
    try:
        expected = names.id_of(entry, ledger=ledger.name)
    except ProtocolError:
        return entry
    return entry if expected is None else msgspec.structs.replace(entry, id=expected)


def _recited(entry: AnyEntry, field: str, digest: str) -> AnyEntry:
    return msgspec.structs.replace(entry, **{field: digest, "request": digest})


def _concluded(entry: ConversionCaptured | ConversionReleased, view: Overlay, ledger: MemoryLedger) -> AnyEntry:
    record = view.get(OUTGOING, Id(entry.conversion))
    if record is None:
        return entry
    entry = msgspec.structs.replace(entry, prepare=record.prepare)
    if isinstance(entry, ConversionCaptured):
        return _recited(entry, "fulfil", digest_of_body(fulfil_received(entry, record, ledger=ledger.name)))
    return _recited(entry, "reject", digest_of_body(reject_received(entry, record, ledger=ledger.name)))


def _signed_again(entry: AgreementEntered) -> AnyEntry:
    document = entry.signed.agreement
    signatures: list[AgreementSignature] = []
    for party in document.parties:
        side = SIDES.get(party.ledger)
        if side is None:
            return entry
        try:
            key = side.signing_keys[Role.APPROVAL]
            signatures.append(sign_agreement(document, ledger=party.ledger, key=key))
        except ProtocolError:
            return entry
    return msgspec.structs.replace(entry, signed=msgspec.structs.replace(entry.signed, signatures=tuple(signatures)))


@cache
def listed_codes(kind: str) -> set[str]:
    """Return the codes with which the public page says that an entry of `kind` can be refused."""
    listings = (*table("ledger", "5. Rules for every entry"), *table("ledger", kind))
    return {code for row in listings for code in re.findall("`([a-z_]+)`", row["code"])}


def refusal_of(view: Overlay, sealed: Sealed) -> str | None:
    try:
        rules.apply(view, sealed)
    except Refusal as refusal:
        return refusal.code
    return None


@st.composite
def changes(draw: st.DrawFn, data: bytes) -> bytes:
    """Draw canonical bytes like `data` with up to three values replaced, most of them by plausible ones."""
    for _ in range(draw(st.integers(0, 3))):
        document = parsed(data)
        path = draw(st.sampled_from(list(paths(document))))
        others = SCRAPS if draw(st.integers(0, 9)) == 0 else plausible(document, path)
        data = canonical(replaced(data, path, draw(st.sampled_from(others))))
    return data


@settings(max_examples=300)
@given(st.data())
def test_a_hostile_entry_is_applied_or_refused(data: st.DataObject) -> None:
    ledger, other = data.draw(st.sampled_from([logs(), logs()[::-1]]))
    position = data.draw(st.integers(0, len(ledger.sealed)))
    candidates = [*ledger.sealed[position : position + 1] * 40, *ledger.sealed, *other.sealed]
    try:
        draft = decode_entry(data.draw(changes(data.draw(st.sampled_from(candidates)).data)))
    except EntryInvalid:
        return
    view = state_after(ledger.sealed[:position])
    if data.draw(st.booleans()):
        draft = repaired(draft, view, ledger)
    head = view.get(HEAD, ONLY)
    if head is not None and data.draw(st.integers(0, 9)):
        time = max(draft.time, later(head.time, microseconds=1))
        draft = stamp(draft, seq=head.size, prev=head.leaf, time=time, nonce=draft.nonce)
    before, mark = rows_of(view), view.savepoint()
    try:
        sealed = seal(draft)
    except EntryInvalid:
        return
    code = refusal_of(view, sealed)
    if code is not None:
        view.rollback(mark)
        assert rows_of(view) == before
        assert code in listed_codes(tag_of(draft))
        return
    check_invariants(view, [*ledger.sealed[:position], sealed])


def test_every_real_entry_is_applied_where_it_stands() -> None:
    for ledger in logs():
        view = state_after(ledger.sealed)
        check_invariants(view, ledger.sealed)
        assert view.get(LEDGER, ONLY) is not None
        assert list(view.rows(ACCOUNTS))
