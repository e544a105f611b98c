"""Every request that programs make of a node, typed: what is asked as arguments, what is answered as records."""

from http import HTTPStatus

from node.client.answers import PartnerList, PartnerRow
from node.client.connection import Connection
from node.client.expiring import ExpiryCalls
from node.client.importing import ImportCalls
from node.client.points import PointsCalls
from node.client.problems import NotFound, Problem
from node.client.settling import SettlementCalls
from protocol.identifiers import LEDGER_PATTERN


class NodeClient(PointsCalls, ExpiryCalls, SettlementCalls, ImportCalls, Connection):
    """A client of one node; `token` is sent as the credential when there is one."""

    def partner(self, name: str) -> PartnerRow:
        """Return the partner that `name` means: a ledger, a partner (program/shard) or a program, if unique."""
        rows = self.get("/v1/partners").read(PartnerList).partners
        found = [row for row in rows if name in _names_of(row.ledger)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(row.ledger for row in found or rows) or "none"
        why = "means several partners" if found else "is no partner of this node"
        detail = f"{name} {why}; it has: {known}"
        raise NotFound(Problem(status=HTTPStatus.NOT_FOUND, code="partner_unknown", detail=detail))


def _names_of(ledger: str) -> tuple[str, str, str]:
    assert "/" in ledger, f"a ledger's name follows {LEDGER_PATTERN}"
    return ledger, ledger.rpartition(".")[0], ledger.partition("/")[0]
