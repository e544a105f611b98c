import re
from itertools import product
from pathlib import Path

import pytest

from protocol.errors import Code
from protocol.settlement.states import TRANSITIONS, WindowEvent, WindowState

SPECIFICATION = Path(__file__).resolve().parents[3] / "specs" / "settlement.md"
SIGNED = (WindowState.AGREED, WindowState.PAID, WindowState.CONFIRMED)


def test_every_pair_is_decided() -> None:
    assert set(TRANSITIONS) == set(product(WindowState, WindowEvent))


def test_the_specification_has_the_same_table() -> None:
    text = SPECIFICATION.read_text(encoding="utf-8")
    section = text[text.index("## 4. States") : text.index("## 5.")]
    head, *rows = re.findall(r"^\| `[a-z_]+` \|.*$|^\| event \|.*$", section, re.MULTILINE)
    states = [cell.strip(" `") for cell in head.split("|")[2:-1]]
    found: dict[tuple[str, str], str] = {}
    for row in rows:
        event, *cells = (cell.strip(" `") for cell in row.split("|")[1:-1])
        found |= {(state, event): cell for state, cell in zip(states, cells, strict=True)}
    assert found == {(state.value, event.value): after.value for (state, event), after in TRANSITIONS.items()}


def test_a_window_walks_its_straight_way() -> None:
    state: WindowState | Code = WindowState.OPEN
    way = []
    for event in (
        WindowEvent.CLOSE,
        WindowEvent.CLOSE,
        WindowEvent.DIFFER,
        WindowEvent.DISPUTE,
        WindowEvent.MATCH,
        WindowEvent.AGREE,
        WindowEvent.PAY,
        WindowEvent.CONFIRM,
    ):
        assert isinstance(state, WindowState)
        state = TRANSITIONS[state, event]
        way.append(state.value)
    assert way == ["closing", "closing", "mismatch", "mismatch", "reconciled", "agreed", "paid", "confirmed"]


@pytest.mark.parametrize("event", list(WindowEvent))
def test_a_confirmed_window_stays_confirmed(event: WindowEvent) -> None:
    assert TRANSITIONS[WindowState.CONFIRMED, event] is Code.WINDOW_CONFIRMED


def test_a_dispute_moves_no_window_and_ends_with_the_signatures() -> None:
    for state in WindowState:
        after = TRANSITIONS[state, WindowEvent.DISPUTE]
        assert isinstance(after, Code) if state in SIGNED else after is state


def test_what_is_signed_is_never_unsigned() -> None:
    for state, event in product(SIGNED, WindowEvent):
        after = TRANSITIONS[state, event]
        assert isinstance(after, Code) or after in SIGNED


def test_only_equal_statements_are_agreed_and_only_agreed_ones_paid() -> None:
    ways = [(state, event, after) for (state, event), after in TRANSITIONS.items() if state is not after]
    assert [(state, event) for state, event, after in ways if after is WindowState.AGREED] == [
        (WindowState.RECONCILED, WindowEvent.AGREE),
        (WindowState.PAID, WindowEvent.RETURN),
    ]
    assert [(state, event) for state, event, after in ways if after is WindowState.PAID] == [
        (WindowState.AGREED, WindowEvent.PAY)
    ]
    assert [(state, event) for state, event, after in ways if after is WindowState.CONFIRMED] == [
        (WindowState.AGREED, WindowEvent.NOTHING_DUE),
        (WindowState.PAID, WindowEvent.CONFIRM),
    ]


def test_every_state_and_every_fault_is_reached() -> None:
    assert set(TRANSITIONS.values()) == {*WindowState, *(code for code in Code if code.startswith("window_"))}
