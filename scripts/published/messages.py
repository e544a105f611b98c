"""Vectors of envelopes, of single bodies with theirs, and of evidence."""

from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.audit.evidence import BrokenPromise, Contradiction, Evidence, Fork, encode_evidence
from protocol.envelope import (
    Envelope,
    Header,
    Sighting,
    decode_parcel,
    encode_parcel,
    encode_sighting,
    seal_envelope,
    sighting_of,
)
from protocol.identifiers import Digest
from protocol.keys import Role
from protocol.messages import Body, Error, Fulfil, Reject, encode_body
from protocol.note import Verifier, format_vkey
from scripts.published.files import Case, Given, VectorFile, case_of
from tests.support.documents import AURORA, BLUEBIRD, COPPER, Side, every_body, fulfil, hello, prepare, reject
from tests.support.evidence import (
    EVERY_KIND,
    FORGED,
    HONEST,
    broken_promise,
    closed,
    credited,
    fork,
    leaf,
    missing_entry,
    naming,
    receipt,
    sighted,
    tree_of,
    uncounted,
)
from tests.support.mutations import canonical, liberties, replaced
from tests.support.parcels import envelope, header, parcel_bytes

ENVELOPE: Final = "envelope_invalid"
SIGNATURE: Final = "signature_invalid"
EVIDENCE: Final = "evidence_invalid"


def vkey(side: Side, role: Role) -> str:
    """Return one of a brand's keys, under its ledger's name."""
    return format_vkey(Verifier(side.ledger, side.signing_keys[role].public))


def envelopes() -> VectorFile:
    """Return parcels and sightings of AURORA's, and forged ones."""
    return VectorFile(
        format="envelope",
        version=1,
        page="envelope.md",
        about="Parcels, and single bodies with frame, path and envelope, verified by the sender's channel key.",
        given=Given(verifiers=(vkey(AURORA, Role.CHANNEL),)),
        cases=(*_parcels(), *_forged_parcels(), *_sightings()),
    )


def _parcels() -> Iterator[Case]:
    # Only what a source may say to a destination is its own to say.
    said = [body for body in every_body() if not isinstance(body, Fulfil | Reject | Error)]
    for count in (0, 1, 2, 3, len(said)):
        yield case_of(f"a parcel of {count} bodies", parcel_bytes(said[:count]))
    yield case_of("a FULFIL of the source", parcel_bytes([fulfil()]), error="message_misaddressed")
    answered = Given(verifiers=(vkey(BLUEBIRD, Role.CHANNEL),))
    yield case_of(
        "a FULFIL and a REJECT of the destination",
        parcel_bytes([fulfil(), reject()], sender=BLUEBIRD, receiver=AURORA),
        given=answered,
    )


def _forged_parcels() -> Iterator[Case]:
    data = parcel_bytes([hello(), prepare()])
    bodies = [encode_body(hello()), encode_body(prepare())]
    stated = header(bodies)
    by_another = seal_envelope(stated, key=COPPER.signing_keys[Role.CHANNEL])
    yield case_of("signed by a key that nobody knows", encode_parcel(by_another, bodies), error="could_not_check")
    good = envelope(stated)
    renamed = msgspec.structs.replace(by_another.signatures[0], keyid=good.signatures[0].keyid)
    forged = msgspec.structs.replace(by_another, signatures=(renamed,))
    yield case_of("signed by another key under the sender's key id", encode_parcel(forged, bodies), error=SIGNATURE)
    yield case_of("by a sender that nobody knows", _by(COPPER), error="could_not_check")
    changed = {
        "another header than was signed": (_moved(good, stated), bodies, SIGNATURE),
        "a body more": (good, [*bodies, bodies[1]], ENVELOPE),
        "a body less": (good, bodies[:1], ENVELOPE),
        "another body": (good, [bodies[0], encode_body(prepare(steps=4))], ENVELOPE),
        "bodies in another order": (good, bodies[::-1], ENVELOPE),
        "another payload type": (msgspec.structs.replace(good, payload_type="application/json"), bodies, ENVELOPE),
        "a payload that is not base64": (msgspec.structs.replace(good, payload="!"), bodies, ENVELOPE),
        "a payload without padding": (
            msgspec.structs.replace(good, payload=good.payload.rstrip("=") + "A"),
            bodies,
            ENVELOPE,
        ),
    }
    for name, (sealed, carried, code) in changed.items():
        yield case_of(name, encode_parcel(sealed, carried), error=code)
    for number, each in enumerate(liberties(data)):
        # Some liberties leave no JSON at all, and what nobody can read nobody can recognise.
        if _is_json(each):
            yield case_of(f"not canonical {number}", each, error=ENVELOPE)
    unsigned = canonical(replaced(data, ("envelope", "signatures"), []))
    yield case_of("no signature", unsigned, error=ENVELOPE)
    beyond = header(bodies, first_seq=2**53 - 1)
    yield case_of("frames numbered past 2^53 - 1", encode_parcel(envelope(beyond), bodies), error=ENVELOPE)


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeError):
        return False
    return True


def _by(side: Side) -> bytes:
    return parcel_bytes([hello(side, BLUEBIRD)], sender=side)


def _moved(good: Envelope, stated: Header) -> Envelope:
    moved = envelope(msgspec.structs.replace(stated, epoch=2))
    return msgspec.structs.replace(moved, signatures=good.signatures)


def _sightings() -> Iterator[Case]:
    said: list[Body] = [hello(), prepare(), prepare(steps=4), prepare(steps=5), prepare(steps=6)]
    for count in (1, 2, 3, 5):
        parcel = decode_parcel(parcel_bytes(said[:count]))
        for offset in sorted({0, count - 1}):
            yield case_of(f"body {offset} of {count}", encode_sighting(sighting_of(parcel, offset)))
    parcel = decode_parcel(parcel_bytes(said))
    good, other = sighting_of(parcel, 1), sighting_of(parcel, 2)
    changed: dict[str, Sighting] = {
        "the path of another body": msgspec.structs.replace(good, path=other.path),
        "a path that is too short": msgspec.structs.replace(good, path=good.path[:-1]),
        "the frame of another body": msgspec.structs.replace(good, frame=other.frame, path=other.path),
        "another place": msgspec.structs.replace(good, frame=msgspec.structs.replace(good.frame, seq=2)),
        "a place before the envelope's first": _renumbered(),
        "a place past the envelope's last": msgspec.structs.replace(
            good, frame=msgspec.structs.replace(good.frame, seq=5)
        ),
        "a body that was not framed": msgspec.structs.replace(good, body=other.body),
    }
    for name, sighting in changed.items():
        yield case_of(f"one body: {name}", encode_sighting(sighting), error=ENVELOPE)


def _renumbered() -> Sighting:
    bodies = [encode_body(hello()), encode_body(prepare())]
    parcel = decode_parcel(encode_parcel(envelope(header(bodies, first_seq=7)), bodies))
    good = sighting_of(parcel, 1)
    return msgspec.structs.replace(good, frame=msgspec.structs.replace(good.frame, seq=1))


def evidence() -> VectorFile:
    """Return files that prove misbehaviour, and files that prove none."""
    roles = (Role.LOG, Role.CHANNEL)
    return VectorFile(
        format="evidence",
        version=1,
        page="audit.md",
        about="Files of evidence, judged by whoever knows the log's and the channel's key of each ledger in `given`.",
        given=Given(verifiers=tuple(vkey(side, role) for side in (AURORA, BLUEBIRD) for role in roles)),
        cases=(*(case_of(name, encode_evidence(each)) for name, each in EVERY_KIND.items()), *_no_evidence()),
    )


def _no_evidence() -> Iterator[Case]:
    both = sighted(fulfil(), after=1)
    question = sighted(hello(BLUEBIRD, AURORA), after=2)
    held: dict[str, tuple[Evidence, str]] = {
        "a log that grew": (fork(HONEST[:4], FORGED), EVIDENCE),
        "one checkpoint twice": (fork(HONEST, HONEST), EVIDENCE),
        "a fork of which one side another key signed": (fork(HONEST[:5], FORGED, side=BLUEBIRD), EVIDENCE),
        "a fork whose proof leads nowhere": (_without_proof(), "proof_invalid"),
        "one message twice": (Contradiction(first=both, second=both), EVIDENCE),
        "two messages that can both be true": (Contradiction(first=both, second=question), EVIDENCE),
        "decisions about two orders": (
            Contradiction(first=both, second=sighted(reject(prepare(steps=9)), after=2)),
            EVIDENCE,
        ),
        "a promise that was kept": (_kept(), EVIDENCE),
        "a receipt for another place": (
            msgspec.structs.replace(broken_promise(), promise=broken_promise(seq=5).promise),
            EVIDENCE,
        ),
        "a log that reaches the promised entry": (missing_entry(size=5), EVIDENCE),
        "a FULFIL of the window after the close": (uncounted(closed(), credited(6, window=2)), EVIDENCE),
        "a close and a FULFIL of two epochs": (uncounted(closed(), credited(2), epochs=(2, 1)), EVIDENCE),
        "a message with another signature": (_forged(), SIGNATURE),
    }
    for name, (each, code) in held.items():
        yield case_of(name, encode_evidence(each), error=code)
    data = encode_evidence(EVERY_KIND["a fork"])
    yield case_of("by keys of others alone", data, error="could_not_check", given=Given(verifiers=(_copper(),)))
    yield case_of("a field more", canonical(replaced(data, ("zz",), 1)), error=EVIDENCE)
    yield case_of("another version", canonical(replaced(data, ("v",), 2)), error=EVIDENCE)
    yield case_of("with a space", data.replace(b'","', b'", "', 1), error=EVIDENCE)


def _copper() -> str:
    return vkey(COPPER, Role.LOG)


def _without_proof() -> Fork:
    good = fork(HONEST[:5], FORGED)
    root = Digest(tree_of(HONEST[:5]).root().hex())
    return msgspec.structs.replace(good, root=root)


def _kept() -> BrokenPromise:
    promise = sighted(naming(fulfil(), 4, HONEST[4]))
    return BrokenPromise(promise=promise, leaf=leaf(HONEST[4]), receipt=receipt(BLUEBIRD, HONEST, 4, bare=True))


def _forged() -> Contradiction:
    good = EVERY_KIND["FULFIL and REJECT"]
    assert isinstance(good, Contradiction)
    signature = msgspec.structs.replace(good.first.envelope.signatures[0], sig=good.second.envelope.signatures[0].sig)
    sealed = msgspec.structs.replace(good.first.envelope, signatures=(signature,))
    return msgspec.structs.replace(good, first=msgspec.structs.replace(good.first, envelope=sealed))
