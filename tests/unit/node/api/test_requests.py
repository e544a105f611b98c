"""How long a body is said to be."""

import pytest

from node.api.requests import LARGE_BODY_BYTES_MAX, first_headers, plain_length


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ([(b"content-length", b"0")], 0),
        ([(b"content-length", b"%d" % LARGE_BODY_BYTES_MAX)], LARGE_BODY_BYTES_MAX),
        ([(b"content-length", b"%d" % (LARGE_BODY_BYTES_MAX + 1))], None),
        ([(b"content-length", b"9" * 5_000)], None),
        ([(b"content-length", b"-1")], None),
        ([(b"content-length", b"3"), (b"transfer-encoding", b"chunked")], None),
        ([(b"content-length", b"3"), (b"content-length", b"4")], 3),
        ([], None),
    ],
)
def test_what_is_not_plain_is_left_to_the_route(headers: list[tuple[bytes, bytes]], length: int | None) -> None:
    assert plain_length(first_headers({"headers": headers}), LARGE_BODY_BYTES_MAX) == length
