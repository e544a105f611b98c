"""Before a node that has started writes anything, it asks whether anybody has seen more of its log than its store has.

The state file is asked when the store is opened, partners by their HELLOs, and the witnesses that the operator names
when they are asked to cosign the newest checkpoint: who cosigns it knows of no larger tree (specs/witness.md §5).
"""

from typing import Final

import structlog

from node.engine.gate import Gate
from node.services.channel.exchange import Exchange
from node.services.logs.cosigning import Witnessing

_LOG: Final = structlog.get_logger()


class StartQuestion:
    """Closes the gate until all who can be asked have answered, or an operator has gone on without them."""

    def __init__(self, gate: Gate, exchange: Exchange, witnessing: Witnessing) -> None:
        self._gate = gate
        self._exchange = exchange
        self._witnessing = witnessing

    @property
    def is_unwatched(self) -> bool:
        """Return whether nobody outside could tell that the store is an older copy: no witness, and no partner."""
        return not self._witnessing.others and not self._exchange.partners()

    def ask(self) -> None:
        """Keep the gate closed until every partner that is dialled, and every named witness, has answered."""
        self._exchange.ask()
        self._gate.close_for_witnesses(each.verifier.name for each in self._witnessing.others)
        if self.is_unwatched:
            _LOG.warning("nobody_is_asked", hint="an older copy of the store would go unnoticed: name a witness")
