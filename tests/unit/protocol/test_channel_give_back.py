"""What a channel gives back and says again: where to begin, and in which order."""

import pytest

from protocol.channel import first_missing, in_causal_order
from protocol.envelope import Fence
from tests.support.documents import digest


def fence(*, bodies: int, last: str | None) -> Fence:
    return Fence(epoch=1, next_seq=bodies, bodies=bodies, last_body=digest(last) if last else None)


class TestFirstMissing:
    def test_everything_is_missing_where_nothing_was_applied(self) -> None:
        assert first_missing(fence(bodies=0, last=None), number_of=lambda _: pytest.fail("nothing to look up")) == 0

    def test_what_follows_the_last_body_is_missing(self) -> None:
        assert first_missing(fence(bodies=3, last="third"), number_of={digest("third"): 2}.get) == 3

    def test_a_body_that_we_do_not_know_leaves_the_count(self) -> None:
        assert first_missing(fence(bodies=3, last="third"), number_of=lambda _: None) == 3

    def test_all_is_offered_again_where_the_sides_count_in_another_order(self) -> None:
        assert first_missing(fence(bodies=3, last="third"), number_of={digest("third"): 5}.get) == 0


class TestCausalOrder:
    def test_a_word_comes_before_what_it_made_us_say(self) -> None:
        received = [(4, "prepare"), (9, "close")]
        sent = [(2, "hold"), (4, "fulfil"), (9, "statement")]
        assert list(in_causal_order(received, sent)) == ["hold", "prepare", "fulfil", "close", "statement"]

    def test_what_no_entry_made_keeps_its_place(self) -> None:
        assert list(in_causal_order([(1, "prepare")], [(0, "hold"), (None, "error"), (1, "reject")])) == [
            "hold",
            "error",
            "prepare",
            "reject",
        ]

    @pytest.mark.parametrize("words", [[], [(3, "a")], [(3, "a"), (3, "b"), (5, "c")]])
    def test_what_was_only_received_follows(self, words: list[tuple[int, str]]) -> None:
        assert list(in_causal_order(words, [])) == [word for _, word in words]
        assert list(in_causal_order(words, [(1, "hold")])) == ["hold", *(word for _, word in words)]
