"""The bodies by which a partner gives back what a store has lost, and the one that tells it of the succession."""

import msgspec

from protocol.envelope import encode_sighting, sighting_of
from protocol.identifiers import successor_of
from protocol.messages import Body, Predecessor, Prepare, Returned, ReturnedAgreement, Succeeded
from tests.support.documents import AURORA, BLUEBIRD, NETWORK, Side, digest, entry_reference, signed_agreement
from tests.support.parcels import parcel


def predecessor(side: Side = AURORA) -> Predecessor:
    """Return what a successor says of the first log of a brand."""
    return Predecessor(
        ledger=side.ledger,
        first_seq=0,
        size=9,
        root=digest("root"),
        restored_size=7,
        restored_root=digest("restored"),
    )


def succeeded(side: Side = AURORA, partner: Side = BLUEBIRD) -> Succeeded:
    """Return the word that a brand's ledger goes on as another log."""
    before = predecessor(side)
    return Succeeded(
        network=NETWORK,
        sender=side.ledger,
        receiver=partner.ledger,
        log=successor_of(before.ledger),
        predecessor=before,
        entry=entry_reference(),
    )


def returned(body: Body, *, prepare: Prepare | None = None, owner: Side = AURORA, partner: Side = BLUEBIRD) -> Returned:
    """Return a word of `owner`, given back by its `partner`."""
    sighting = sighting_of(parcel([body], sender=owner, receiver=partner), 0)
    return Returned(
        network=NETWORK,
        sender=partner.ledger,
        receiver=owner.ledger,
        sighting=msgspec.Raw(encode_sighting(sighting)),
        prepare=prepare,
    )


def returned_agreement() -> ReturnedAgreement:
    """Return an agreement that BLUEBIRD gives back."""
    return ReturnedAgreement(network=NETWORK, sender=BLUEBIRD.ledger, receiver=AURORA.ledger, signed=signed_agreement())
