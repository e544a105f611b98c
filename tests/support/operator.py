"""What the operator of a node of this process sees: exceptions, and evidence against partners."""

from dataclasses import dataclass

from node.services.channel.accusations import AccusationsService
from node.services.operating.exceptions import Delivery, ExceptionsService, ExceptionView
from node.workers.gather_evidence import GatherEvidence
from protocol.identifiers import Digest
from tests.support.nodes import LocalNode
from tests.support.settling import context_of


@dataclass(frozen=True, slots=True)
class Operator:
    """Whoever runs a node, with the worker that gathers evidence."""

    accusations: AccusationsService
    exceptions: ExceptionsService

    def look(self) -> list[ExceptionView]:
        """Return what is to be looked at, once the worker has taken its step."""
        GatherEvidence(self.accusations).step()
        return list(self.exceptions.all(older_than_seconds=600).exceptions)

    def accused(self) -> list[ExceptionView]:
        """Return what partners did that is to be looked at."""
        return [row for row in self.look() if row.kind == "misconduct"]

    def file(self, row: ExceptionView) -> bytes:
        """Return the file of evidence that a row names."""
        assert row.evidence is not None
        return self.accusations.file(Digest(row.evidence))


def operator_of(node: LocalNode) -> Operator:
    """Return the operator of a node; a new one remembers nothing of earlier steps."""
    context = context_of(node)
    quiet = Delivery(last_contact=None, last_failure=None)
    return Operator(AccusationsService(context), ExceptionsService(context, delivery_of=lambda _: quiet))
