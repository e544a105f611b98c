"""A node that nobody can dial: it has no address, and its invitation says so."""

from pathlib import Path

from node.app.directory import create_node_directory
from node.app.open import PortOverrides, open_node
from node.config import load_config
from protocol.documents import open_invitation
from protocol.encoding import encode
from tests.support.api import NoTransport
from tests.support.documents import AURORA


def test_its_invitation_names_no_address(tmp_path: Path) -> None:
    directory = tmp_path / "aurora"
    create_node_directory(directory, ledger=AURORA.ledger, points="AUR", points_name="Aurora Miles", url="")
    assert load_config(directory).url == ""
    with open_node(directory, ports=PortOverrides(transport=NoTransport())) as opened:
        document = opened.node.partners.invitation(None)
    assert open_invitation(encode(document)).url is None  # type: ignore[arg-type]
