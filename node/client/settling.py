"""Windows, statements and the run-off of a partner, as operators and their programs ask for them."""

from collections.abc import Iterator

from node.client.answers import AgreementState, Written
from node.client.connection import Connection
from node.client.points import new_id
from node.client.run_off_answers import RunOffState
from node.client.settlement_answers import StatementList, StatementRow, StatementState, WindowList, WindowRow
from protocol.identifiers import Id


class SettlementCalls(Connection):
    """What brands settle with each other."""

    def agreement(self, digest: str) -> AgreementState:
        """Return an agreement with its terms."""
        return self.get(f"/v1/agreements/{digest}").read(AgreementState)

    def windows(self, partner: str | None = None) -> Iterator[WindowRow]:
        """Yield windows, latest first."""
        for page in self.pages("/v1/windows", {"partner": partner, "limit": 256}, WindowList):
            yield from page.windows

    def statements(self, partner: str | None = None) -> Iterator[StatementRow]:
        """Yield agreed statements, latest first."""
        for page in self.pages("/v1/statements", {"partner": partner, "limit": 256}, StatementList):
            yield from page.statements

    def statement(self, digest: str) -> StatementState:
        """Return a statement with its signatures."""
        return self.get(f"/v1/statements/{digest}").read(StatementState)

    def close_window(self, partner: str, window: int) -> Written:
        """Close the window that is open for a partner's conversions, now."""
        return self.post("/v1/windows/close", {"partner": partner, "window": window}).read(Written)

    def pay(self, statement: str, reference: str, *, request_id: Id | None = None) -> Written:
        """Tell the partner that the money of a statement is on its way."""
        body = {"id": request_id or new_id(), "reference": reference}
        return self.post(f"/v1/statements/{statement}/payment", body).read(Written)

    def confirm(self, statement: str, *, request_id: Id | None = None) -> Written:
        """Tell the partner that its money has arrived."""
        return self.post(f"/v1/statements/{statement}/confirmation", {"id": request_id or new_id()}).read(Written)

    def reconciliation(self, partner: str, day: str) -> bytes:
        """Return the file of a day's conversions with a partner."""
        return self.get("/v1/reconciliation.csv", {"partner": partner, "date": day}).data

    def journal(self, *, first_day: str, last_day: str, per: str = "entry") -> bytes:
        """Return the accounting journal of the days as CSV, a line for each account of an `entry` or of a `day`."""
        return self.get("/v1/journal.csv", {"from": first_day, "to": last_day, "per": per}).data

    def run_off(self, partner: str) -> RunOffState:
        """Return what is still open with a partner, and who is to act."""
        return self.get("/v1/partners/run-off", {"partner": partner}).read(RunOffState)

    def end_partner(self, partner: str, reason: str) -> Written:
        """End the partnership with a partner with whom nothing is open."""
        return self.post("/v1/partners/endings", {"partner": partner, "reason": reason}).read(Written)
