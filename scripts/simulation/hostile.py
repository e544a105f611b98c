"""A hostile partner: a node of the shipped kind whose operator also sends bodies that no honest node would make.

What it says goes through its own store and channel, signed with its own keys: nobody else's bodies can be forged.
"""

from collections.abc import Callable, Iterator

import msgspec

from node.engine.work import Desk
from node.store.rows import Answered, SentBody
from protocol.errors import ProtocolError, TallystickError
from protocol.identifiers import Digest, Id, Ledger, id_from_random
from protocol.ledger.view import Need, Overlay
from protocol.messages import (
    Body,
    Cancel,
    ConversionBody,
    EntryReference,
    Fulfil,
    Prepare,
    Query,
    Reject,
    body_digest,
    conversion_of,
    decode_body,
    encode_body,
    kind_of,
    receiver_of,
)
from scripts.simulation.alliance import NETWORK
from scripts.simulation.checker import Checker, name_of
from scripts.simulation.place import Place
from scripts.simulation.window_lies import window_lie
from scripts.simulation.world import World


class SayWork:
    """Puts a body into the outbox that no entry of the ledger stands behind."""

    def __init__(self, partner: Ledger, body: Body) -> None:
        self._partner = partner
        self._body = body

    def needs(self, _view: Overlay) -> Iterator[Need]:
        """Need nothing."""
        return iter(())

    def run(self, desk: Desk) -> None:
        """Stage the body."""
        data = encode_body(self._body)
        desk.stage(
            SentBody(
                partner=self._partner,
                digest=body_digest(data),
                kind=kind_of(self._body),
                conversion=conversion_of(self._body),
                body=data,
                entry_seq=None,
            )
        )


class ForgetWork:
    """Takes bodies out of the outbox: their sender wants no answer any more."""

    def __init__(self, digests: tuple[Digest, ...]) -> None:
        self._digests = digests

    def needs(self, _view: Overlay) -> Iterator[Need]:
        """Need nothing."""
        return iter(())

    def run(self, desk: Desk) -> None:
        """Stage the end of the wait."""
        desk.stage(Answered(self._digests))


class Hostile:
    """The operator of the hostile node, if this world has one."""

    def __init__(self, world: World, places: list[Place], checker: Checker) -> None:
        self._world = world
        self._places = places
        self._checker = checker
        self._place = next((place for place in places if place.hostile), None)
        self._lies: list[Digest] = []

    def lie(self) -> None:
        """Send something that no honest node would."""
        place = self._place
        if place is None or not place.is_up:
            return
        kinds: list[Callable[[Place], Body | None]] = [
            self._other_terms,
            self._invented,
            self._uncredited,
            self._reject,
            self._wrong_digest,
            self._cancel_of_nothing,
            self._question,
            self._of_others,
            self._about_windows,
            self._about_windows,
        ]
        body = self._world.random.choice(kinds)(place)
        if body is None:
            return
        partner = receiver_of(body, place.ledger)
        if partner == place.ledger or partner not in {each.ledger for each in self._places}:
            return
        try:
            data = encode_body(body)
        except ProtocolError:
            return  # No field of it can hold that.
        self._world.note("lie")
        self._world.say(f"{place.name} lies to {partner.partition('.')[0]}: {name_of(data)}")
        self._lies.append(body_digest(data))
        with place.process():
            try:
                place.running.writer.submit(SayWork(partner, body)).result()
            except TallystickError as failure:
                self._world.say(f"{place.name}: {failure.code}")

    def leave(self) -> None:
        """Stop lying, and stop waiting for what honest partners will never decide because of the lies."""
        if self._place is None:
            return
        state = self._place.disk.state
        spoiled = [
            state.sent[number].digest
            for number in state.outbox
            if (self._place.ledger, state.sent[number].conversion) in self._checker.tainted
        ]
        self._place.running.writer.submit(ForgetWork((*self._lies, *spoiled))).result()

    def _other_terms(self, place: Place) -> ConversionBody | None:
        """Return a PREPARE of the hostile brand's own with something changed (case 25, and two bodies of one id)."""
        prepare = self._own_prepare(place)
        if prepare is None:
            return None
        self._checker.tainted.add((place.ledger, prepare.id))
        factor = self._world.random.choice((1, 2))
        changes: list[dict[str, object]] = [
            {"destination_points": prepare.destination_points + 1},
            {"value": prepare.value // 2},
            {
                "steps": prepare.steps * 2,
                "source_points": prepare.source_points * 2,
                "destination_points": prepare.destination_points * 2,
                "value": prepare.value * factor,
            },
            {"alias": "0" * 32},
            {"agreement": "0" * 64},
            {"accept_by": prepare.created_at},
        ]
        return msgspec.structs.replace(prepare, **self._world.random.choice(changes))

    def _invented(self, place: Place) -> ConversionBody | None:
        """Return a PREPARE for points that nobody holds (case 21)."""
        prepare = self._own_prepare(place)
        if prepare is None:
            return None
        invented = id_from_random(self._world.random.randbytes(16))
        self._checker.tainted.add((place.ledger, invented))
        return msgspec.structs.replace(prepare, id=invented)

    def _uncredited(self, place: Place) -> ConversionBody | None:
        """Return a FULFIL of a PREPARE that was not credited, or not yet (cases 16 and 18)."""
        prepare = self._received_prepare(place)
        if prepare is None:
            return None
        self._checker.tainted.add((prepare.source, prepare.id))
        return self._fulfil(place, prepare, body_digest(encode_body(prepare)))

    def _reject(self, place: Place) -> ConversionBody | None:
        """Return a REJECT that no entry stands behind (cases 17 and 18)."""
        prepare = self._received_prepare(place)
        if prepare is None:
            return None
        self._checker.tainted.add((prepare.source, prepare.id))
        return Reject(
            network=prepare.network,
            source=prepare.source,
            destination=prepare.destination,
            id=prepare.id,
            prepare=body_digest(encode_body(prepare)),
            cancel=None,
            reason="expired",
            decided_at=prepare.created_at,
            entry=_last_entry(place),
        )

    def _wrong_digest(self, place: Place) -> ConversionBody | None:
        """Return a FULFIL that names another body than was sent: it must change nothing."""
        prepare = self._received_prepare(place)
        return None if prepare is None else self._fulfil(place, prepare, Digest("f" * 64))

    def _cancel_of_nothing(self, place: Place) -> ConversionBody | None:
        """Return a CANCEL of a third brand's conversion, under the hostile brand's own name: another conversion."""
        prepare = self._received_prepare(place)
        if prepare is None:
            return None
        others = [each.ledger for each in self._places if each.ledger != place.ledger]
        return Cancel(
            network=NETWORK,
            source=place.ledger,
            destination=self._world.random.choice(others),
            id=prepare.id,
            prepare=body_digest(encode_body(prepare)),
            accept_by=prepare.accept_by,
            entry=_last_entry(place),
        )

    def _question(self, place: Place) -> ConversionBody | None:
        """Return a QUERY, which decides nothing."""
        prepare = self._own_prepare(place)
        if prepare is None:
            return None
        known = self._world.random.random() < 1 / 2
        asked: Id = prepare.id if known else id_from_random(self._world.random.randbytes(16))
        digest = body_digest(encode_body(prepare))
        return Query(network=NETWORK, source=place.ledger, destination=prepare.destination, id=asked, prepare=digest)

    def _of_others(self, place: Place) -> ConversionBody | None:
        """Return a FULFIL in the name of a third brand: it is not the hostile brand's to send."""
        prepare = self._received_prepare(place)
        if prepare is None:
            return None
        third = next(each.ledger for each in self._places if each.ledger not in {place.ledger, prepare.source})
        return msgspec.structs.replace(
            self._fulfil(place, prepare, body_digest(encode_body(prepare))), destination=third
        )

    def _about_windows(self, place: Place) -> Body | None:
        """Return something else than it has said about a window or an agreement."""
        return window_lie(self._world.random, place)

    def _fulfil(self, place: Place, prepare: Prepare, digest: Digest) -> Fulfil:
        return Fulfil(
            network=prepare.network,
            source=prepare.source,
            destination=prepare.destination,
            id=prepare.id,
            prepare=digest,
            decided_at=prepare.created_at,
            window=1,
            dec_seq=self._world.random.randint(1, 50),
            destination_points=prepare.destination_points,
            value=prepare.value,
            expires_on=None,
            entry=_last_entry(place),
        )

    def _own_prepare(self, place: Place) -> Prepare | None:
        sent = [each.body for each in place.disk.state.sent if each.kind == "prepare" and each.entry_seq is not None]
        return self._one_of(sent)

    def _received_prepare(self, place: Place) -> Prepare | None:
        received = place.disk.state.received.values()
        return self._one_of([each.body for each in received if each.kind == "prepare"])

    def _one_of(self, bodies: list[bytes]) -> Prepare | None:
        if not bodies:
            return None
        # Late ones are the likelier to be undecided.
        body = decode_body(self._world.random.choice(bodies[-4:]))
        assert isinstance(body, Prepare)
        return body


def _last_entry(place: Place) -> EntryReference:
    return place.disk.state.entries[-1].reference
