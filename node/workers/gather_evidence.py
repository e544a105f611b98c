"""Evidence: compares what partners have signed with what they signed before, and keeps what contradicts."""

from typing import Final

from node.services.channel.accusations import AccusationsService

INTERVAL_SECONDS: Final = 1.0


class GatherEvidence:
    """Looks through what came since the last step."""

    def __init__(self, accusations: AccusationsService) -> None:
        self._accusations = accusations

    def step(self) -> None:
        """Compare it, and keep what proves misconduct."""
        self._accusations.gather()
