"""Papers: carries proposals and complete agreements to partners until they have taken them."""

from hashlib import sha256
from typing import Final

import structlog

from node.ports import Clock, Papers, TransportFailed
from node.services.conversions.agreements import AgreementsService, Paper

INTERVAL_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 0.5
RETRY_SECONDS_MAX: Final = 60.0
_LOG: Final = structlog.get_logger()


class SendPapers:
    """Sends each paper until it is taken. What was taken is forgotten at a restart and sent once more: it may be."""

    def __init__(self, agreements: AgreementsService, papers: Papers, clock: Clock) -> None:
        self._agreements = agreements
        self._papers = papers
        self._clock = clock
        self._taken: set[str] = set()
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    def step(self) -> None:
        """Send what partners should have and have not taken, unless it failed a moment ago."""
        wanted = {_name(paper): paper for paper in self._agreements.papers()}
        self._taken &= wanted.keys()
        for name, paper in wanted.items():
            if name not in self._taken and self._clock.monotonic() >= self._not_before.get(name, 0.0):
                self._send(name, paper)

    def wait(self, longest_seconds: float) -> None:
        """Sleep until there may be something new to send."""
        self._agreements.wait(min(longest_seconds, INTERVAL_SECONDS))

    def _send(self, name: str, paper: Paper) -> None:
        try:
            self._papers.send(paper.url, paper.document)
        except TransportFailed as failure:
            failures = self._failures.get(name, 0)
            if not failures:
                _LOG.warning("paper_not_taken", partner=paper.partner, reason=str(failure))
            self._failures[name] = failures + 1
            wait = min(RETRY_SECONDS * 2.0 ** min(failures, 16), RETRY_SECONDS_MAX)
            self._not_before[name] = self._clock.monotonic() + wait
            return
        self._taken.add(name)
        self._failures.pop(name, None)
        self._not_before.pop(name, None)


def _name(paper: Paper) -> str:
    # A proposal that is made again, since it was lost at the partner, is another one to send.
    return f"{paper.url} {sha256(paper.document).hexdigest()} {paper.kept_at}"
