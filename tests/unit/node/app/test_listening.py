"""Where a node says that it can be reached: every other process of its store goes there."""

import pytest
from starlette.applications import Starlette
from yarl import URL

from node.app import listening
from node.app.listening import Listener
from node.app.sockets import listen
from node.config import make_config


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_url_of_a_node_can_be_asked(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(
        {"ledger": "aurora.example/main.1", "points": "AUR", "points_name": "Miles", "host": host, "port": 0}
    )
    with listen(host, 0) as taken:
        monkeypatch.setattr(listening, "listen", lambda *_args, **_options: taken)
        listener = Listener(config, Starlette())
        url = URL(listener.url)
    assert (url.host, url.port) == (host, listener.port)
