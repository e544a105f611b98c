"""Two logs that settle a window with each other, as an auditor reads them: step by step, or all of it."""

from protocol.entries import Sealed
from protocol.ledger import commands
from protocol.ledger.state import OUT
from tests.support.audits import Alliance, Half, alliance, hand_over
from tests.support.documents import uuid
from tests.support.windows import close, compute, dispute, disputed, propose, send_back, sign, take


def say(sender: Half, receiver: Half, sealed: Sealed) -> Sealed:
    """Let `receiver` keep and take in what an entry of `sender` says."""
    body = sender.ledger.body(sealed)
    hand_over(sender, receiver, [body])
    return take(receiver.ledger, body)


def reconciled() -> Alliance:
    """Return an alliance that has closed a window with conversions both ways, one of them in dispute."""
    made = alliance()
    one, other = made.source, made.destination
    made.converted("one")
    made.converted("two", amount=2_000)
    made.back("three")
    say(one, other, close(one.ledger, other.ledger, 1, early=True))
    say(other, one, close(other.ledger, one.ledger, 1, early=True))
    line = disputed(one.ledger, other.ledger, OUT, 2)
    say(one, other, dispute(one.ledger, other.ledger, line, source=one.name))
    return made


def agreed(made: Alliance, *, heard: bool = True) -> None:
    """Let both parties sign the statement; unless `heard`, the first has not seen the second signature."""
    one, other = made.source, made.destination
    proposal = one.ledger.body(propose(one.ledger, other.ledger, compute(one.ledger, other.ledger, 1)))
    hand_over(one, other, [proposal])
    acceptance = other.ledger.body(sign(other.ledger, proposal))
    if heard:
        hand_over(other, one, [acceptance])
        sign(one.ledger, acceptance)


def paid(made: Alliance, *, heard: bool = True) -> None:
    """Let the first party pay, once in vain, and the second confirm."""
    one, other = made.source, made.destination
    for name in ("first", "second"):
        command = commands.MakePayment(id=uuid(name), partner=other.name, window=1, reference=name)
        say(one, other, one.ledger.execute(command))
        if name == "first":
            send_back(one.ledger, other.ledger, 1)
    command_ = commands.ConfirmPayment(id=uuid("confirm"), partner=one.name, window=1)
    receipt = other.ledger.execute(command_)
    if heard:
        say(other, one, receipt)


def settled_alliance() -> Alliance:
    """Return an alliance whose first window is closed, agreed, paid and confirmed."""
    made = reconciled()
    agreed(made)
    paid(made)
    return made
