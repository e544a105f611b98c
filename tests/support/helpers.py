"""What reads a log ahead of an audit, without a process of its own."""

from collections.abc import Generator
from dataclasses import dataclass, field

import msgspec

from protocol.audit.ahead import Pages, Stretch, read_ahead, read_pages, taken_over
from protocol.audit.segments import Segment
from protocol.errors import CouldNotCheck
from tests.support.audits import MemorySource


@dataclass
class Helpers:
    """Reads ahead as other processes do, in this one.

    It is not ready `late` times, and ends after `ends_after` bundles. It notes which bundles it found `sound`, and how
    many pages `signed`.
    """

    source: MemorySource
    late: int = 0
    parts: int = 1
    ends_after: int | None = None
    sound: list[bool] = field(default_factory=list)
    signed: int = 0

    def begin(self, stretch: Stretch) -> Generator[Segment | None, None, None] | None:
        """Return the segments of a stretch, unless it is not ready."""
        self.late -= 1
        return None if self.late >= 0 else self._segments(stretch)

    def _segments(self, stretch: Stretch) -> Generator[Segment | None, None, None]:
        own = [
            read_ahead(self.source, msgspec.structs.replace(stretch, part=part, parts=self.parts))
            for part in range(self.parts)
        ]
        for number, _ in enumerate(stretch.bundles()):
            if self.ends_after == len(self.sound):
                raise CouldNotCheck("a process has ended")
            data = next(own[number % self.parts])
            self.sound.append(data is not None)
            yield None if data is None else taken_over(data)

    def pages(self, pages: Pages) -> Generator[bytes, None, None] | None:
        """Return the pages that are signed, unless it is not ready."""
        self.late -= 1
        return None if self.late >= 0 else self._pages(pages)

    def _pages(self, pages: Pages) -> Generator[bytes, None, None]:
        told = msgspec.json.decode(msgspec.json.encode(pages), type=Pages)
        for data in read_pages(self.source, told):
            if data is None:
                return
            self.signed += 1
            yield data
