"""Transfers that nobody accepted come back by themselves; one failure stops none of the others."""

from dataclasses import dataclass, field
from typing import cast

import pytest

from node.services.members.transfers import TransfersService
from node.store.errors import StoreFailed
from node.workers.lapse_transfers import BATCH_MAX, LapseTransfers
from protocol.errors import Code, Refusal, TallystickError
from protocol.identifiers import Id
from tests.support.documents import uuid


@dataclass
class Answered:
    failure: TallystickError | None

    def result(self) -> None:
        if self.failure:
            raise self.failure


@dataclass
class Transfers:
    """Stands in for the service: some transfers cannot be given back."""

    failures: dict[Id, TallystickError]
    asked: list[Id] = field(default_factory=list)
    forgotten: int = 0

    def lapsed(self, limit: int) -> list[Id]:
        assert limit == BATCH_MAX
        return [uuid("one"), uuid("two"), uuid("three")]

    def lapse(self, transfer: Id) -> Answered:
        self.asked.append(transfer)
        return Answered(self.failures.get(transfer))

    def forget_traces(self, limit: int) -> int:
        self.forgotten += limit
        return 0


@pytest.mark.parametrize(
    "failure", [None, Refusal(Code.TRANSFER_CLOSED, "it was accepted"), StoreFailed("the disk is full")]
)
def test_every_transfer_that_is_due_is_given_back(failure: TallystickError | None) -> None:
    transfers = Transfers({uuid("one"): failure} if failure else {})
    LapseTransfers(cast("TransfersService", transfers)).step()
    assert transfers.asked == [uuid("one"), uuid("two"), uuid("three")]
    assert transfers.forgotten == BATCH_MAX
