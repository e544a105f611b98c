"""Whether a node can do its work, as a load balancer is told while its store takes nothing."""

from http import HTTPStatus

import pytest

from node.store.errors import StoreFailed
from node.store.writer import StoreWriter
from tests.support.api import ANN, Api, request_id
from tests.unit.node.api.test_metrics import figures


def test_a_node_whose_commits_fail_is_not_ready_until_one_has_gone_well(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise StoreFailed("there is no room")

    issue = {"id": request_id("issue"), "type": "issue", "account": ANN, "amount": 1}
    assert api.get("/readyz").json()["ready"]
    monkeypatch.setattr(StoreWriter, "commit", fail)
    assert api.post("/v1/transactions", issue).status_code == HTTPStatus.SERVICE_UNAVAILABLE
    for _ in range(2):
        told = api.get("/readyz")
        assert (told.status_code, told.json()["checks"]["writer"]) == (HTTPStatus.SERVICE_UNAVAILABLE, False)
        assert figures(api)["tallystick_writer_failing",] == 1
    monkeypatch.undo()
    assert api.get("/readyz").json()["ready"]
    assert figures(api)["tallystick_writer_failing",] == 0
    api.done("/v1/transactions", issue)
