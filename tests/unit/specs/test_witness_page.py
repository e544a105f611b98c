"""`specs/witness.md` says what the code does: statuses, media types, bounds, settings, and the known answer."""

from node.api import witness as routes
from node.config import WITNESSES_MAX, NodeConfig
from node.services.logs.acknowledging import WAIT_SECONDS
from node.services.logs.cosigning import (
    PREFIX,
    RETRY_SECONDS,
    RETRY_SECONDS_MAX,
    ROUND_SECONDS,
    START_RETRY_SECONDS_MAX,
)
from node.services.logs.publication import PUBLISH_SECONDS
from protocol.checkpoint import Checkpoint, sign_cosignature
from protocol.keys import SigningKey
from protocol.limits import ADD_CHECKPOINT_BYTES_MAX, ADD_CHECKPOINT_HASHES_MAX
from protocol.merkle import EMPTY_ROOT
from protocol.witness import ADD_CHECKPOINT, SIZE_TYPE, TEXT_TYPE, ReplyStatus
from tests.support.pages import code, page, table

PAGE = page("witness")
ANSWERS = table("witness", "2. The answer")
SETTINGS = table("witness", "5. What a log does")


def test_the_answers_are_those_of_the_code() -> None:
    assert {int(row["status"]) for row in ANSWERS} == set(ReplyStatus)
    # The order of the rows is the order in which the code looks: tests of the witness hold it, row by row.
    assert [int(row["status"]) for row in ANSWERS] == [400, 404, 403, 400, 409, 422, 200]
    assert f"`{SIZE_TYPE}`" in PAGE
    assert f"`{TEXT_TYPE}`" in PAGE


def test_the_paths_are_those_of_the_routes() -> None:
    assert f"`{routes.PREFIX}`" in PAGE
    assert f"/{PREFIX}" == routes.PREFIX
    assert f"`POST <submission prefix>/{ADD_CHECKPOINT}`" in PAGE
    assert [route.path for route in routes.ROUTER.routes if hasattr(route, "path")] == [
        f"{routes.PREFIX}/{ADD_CHECKPOINT}",
        f"{routes.PREFIX}/{{origin}}/checkpoint",
    ]


def test_the_bounds_are_those_of_the_code() -> None:
    assert f"at most {ADD_CHECKPOINT_BYTES_MAX:,} bytes" in PAGE
    assert f"at most {ADD_CHECKPOINT_HASHES_MAX};" in PAGE
    assert (PUBLISH_SECONDS, ROUND_SECONDS, RETRY_SECONDS) == (1, 1, 1)
    assert (RETRY_SECONDS_MAX, START_RETRY_SECONDS_MAX) == (60, 5)
    assert WAIT_SECONDS == 10


def test_the_settings_are_those_of_a_node() -> None:
    fields = NodeConfig.model_fields
    defaults = {code(row["setting"]): row["default"] for row in SETTINGS}
    words = {"none": (), "true": True, "0": 0}
    assert {name: words[default] for name, default in defaults.items()} == {
        name: fields[name].default for name in defaults
    }
    assert f"at most {WITNESSES_MAX}" in next(row["meaning"] for row in SETTINGS if code(row["setting"]) == "witnesses")


def test_the_known_answer_is_that_of_the_code() -> None:
    checkpoint = Checkpoint(origin="aurora.example/main.1", size=0, root=EMPTY_ROOT)
    key = SigningKey(bytes(range(32)))
    line = sign_cosignature(checkpoint, name="witness.example/w1", key=key, time_seconds=1_700_000_000)
    assert f"    {line.format()}" in PAGE
