"""What operators do about a node that may not write: wait, start without a partner, succeed, waive, bring back."""

from collections.abc import Callable
from typing import Final

from node.services.logs.package import StoreSource
from node.services.node import Node
from node.services.partners.recovering import recover
from node.services.partners.succession import LedgerStanding, StartRequest, SucceedRequest, WaiveRequest
from node.store.errors import StoreFailed
from protocol.errors import CouldNotCheck, TallystickError
from protocol.identifiers import Ledger
from scripts.simulation.asking import Asking
from scripts.simulation.checker import Checker
from scripts.simulation.place import Place
from scripts.simulation.reader import MemoryReader
from scripts.simulation.store import Disk, MemoryWriter, State
from scripts.simulation.world import World

_PATIENCE_SECONDS: Final = 20.0
_HASTY: Final = 0.3
"""How often an operator goes on without words that a partner may hold."""

_REPLICATED: Final = 0.2
"""How often there is a replica."""

_WHY: Final = "no_answer"


class Keepers:
    """The people who keep nodes running. One who has put an old copy back waits for every answer."""

    def __init__(self, world: World, places: list[Place], asking: Asking, checker: Checker) -> None:
        self._world = world
        self._places = places
        self._asking = asking
        self._checker = checker

    def look(self) -> None:
        """Let an operator look at some node, and do something if it may not write."""
        place = self._world.random.choice(self._places)
        if place.is_up:
            with place.process():
                self._act(place, place.running.node.succession.standing())

    def look_at_all(self, *, patient: bool, replicas: bool) -> None:
        """Do whatever lets nodes write again; who is not `patient` any more goes on without a hostile partner.

        With `replicas`, the tail is brought back where a ledger cannot succeed itself.
        """
        for place in self._places:
            with place.process():
                standing = place.running.node.succession.standing()
                if standing.condition == "behind" and not self._succeed(place, ()) and replicas:
                    self._bring_back(place)
                elif standing.condition == "recovering" and not patient:
                    self._waive_hostile(place, standing)

    def _act(self, place: Place, standing: LedgerStanding) -> None:
        hasty = self._world.random.random() < _HASTY
        if standing.condition == "starting":
            waited = self._world.seconds - place.started_at > _PATIENCE_SECONDS
            if waited and self._checker.doubts.is_whole(place.ledger):
                self._start(place, tuple(Ledger(name) for name in standing.waiting))
        elif standing.condition == "behind" and self._has_replica(place):
            self._bring_back(place)
        elif standing.condition == "behind":
            silent = [Ledger(each.partner) for each in standing.partners if not each.answered]
            self._succeed(place, tuple(silent) if hasty else ())
        elif standing.condition == "recovering" and hasty:
            waits = [each.partner for each in standing.partners if each.recovering]
            self._waive(place, Ledger(self._world.random.choice(waits)))

    def _waive_hostile(self, place: Place, standing: LedgerStanding) -> None:
        hostile = {each.ledger for each in self._places if each.hostile}
        for each in standing.partners:
            if each.recovering and Ledger(each.partner) in hostile:
                self._waive(place, Ledger(each.partner))

    def _start(self, place: Place, without: tuple[Ledger, ...]) -> None:
        self._world.note("start without answers")
        request = StartRequest(id=self._asking.id(), without=without, reason=_WHY)
        self._do(place, f"starts without {len(without)}", lambda node: node.succession.start(request).result())

    def _succeed(self, place: Place, without: tuple[Ledger, ...]) -> bool:
        request = SucceedRequest(id=self._asking.id(), without=without, reason=_WHY)
        done = self._do(place, "succeeds itself", lambda node: node.succession.succeed(request).result())
        if done:
            self._world.note("succession")
        return done

    def _has_replica(self, place: Place) -> bool:
        """Return whether there is a replica that may be used: nobody else has gone on from an old copy meanwhile."""
        alone = self._checker.doubts.restored == {place.ledger}
        return alone and self._world.random.random() < _REPLICATED

    def _bring_back(self, place: Place) -> None:
        """Bring the exact tail back from a replica, while the node is down, and start it again."""
        place.crash()
        if any(self._bring(place, lost) for lost in reversed(place.disk.lost)):
            # Who was put back, too, may have gone on without what is known here again now.
            for other in self._checker.doubts.restored - {place.ledger}:
                self._checker.doubts.risk(place, other)
            self._checker.restored([place])
        place.start()

    def _bring(self, place: Place, replica: State) -> bool:
        source, before = StoreSource(MemoryReader(Disk(state=replica))), place.disk.state
        try:
            brought = recover(MemoryWriter(place.disk), MemoryReader(place.disk), source, seen=place.state_file())
        except CouldNotCheck as failure:
            self._world.say(f"{place.name}: {failure.code}: {failure}")
            return False
        except StoreFailed as failure:
            self._world.say(f"{place.name}: {failure.code}")
            return place.disk.state is not before
        if not brought.entries:
            return False
        self._world.note("tail brought back")
        self._world.say(f"{place.name} has {brought.entries} entries back, and {brought.messages} messages")
        place.disk.kept = brought.note
        return True

    def _waive(self, place: Place, partner: Ledger) -> None:
        request = WaiveRequest(id=self._asking.id(), partner=partner, reason=_WHY)
        self._do(place, f"goes on without {partner}", lambda node: node.succession.waive(request).result())

    def _do(self, place: Place, what: str, act: Callable[[Node], object]) -> bool:
        self._world.say(f"{place.name} {what}")
        try:
            act(place.running.node)
        except TallystickError as failure:
            self._world.say(f"{place.name}: {failure.code}: {failure}")
            return False
        return True
