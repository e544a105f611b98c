"""What a node makes of a partner's words about windows: closed at once, agreed, paid, confirmed, in order."""

from collections.abc import Iterator

from node.engine.work import Desk
from protocol.checkpoint import parse_checkpoint
from protocol.identifiers import Digest, Ledger
from protocol.keys import Role
from protocol.ledger import commands, names, statements
from protocol.ledger.state import WINDOWS, WindowRecord
from protocol.ledger.view import Need, Overlay
from protocol.messages import Body, PaymentAdvice, Receipt, StatementSigned, decode_body
from protocol.note import parse_note
from protocol.settlement.states import WindowState
from protocol.statement import (
    CheckpointReference,
    SignedStatement,
    Statement,
    StatementSignature,
    sign_statement,
    statement_digest,
)
from tests.support.documents import digest_of_body, uuid
from tests.support.nodes import Alliance, LocalNode, convert


class Compute:
    """The statement of window 1, computed at the desk before there is a command."""

    def __init__(self, partner: Ledger, checkpoints: tuple[CheckpointReference, CheckpointReference]) -> None:
        self._partner = partner
        self._checkpoints = checkpoints

    def needs(self, view: Overlay) -> Iterator[Need]:
        return statements.needs_statement(view, self._partner, 1)

    def run(self, desk: Desk) -> Statement:
        return statements.compute(desk.view, self._partner, 1, checkpoints=self._checkpoints, adjustments={})


def checkpoint(node: LocalNode) -> CheckpointReference:
    stored = node.reader.latest_checkpoint()
    assert stored is not None
    found = parse_checkpoint(parse_note(stored.note).text)
    return CheckpointReference(origin=node.ledger, size=found.size, root=Digest(found.root.hex()))


def window(node: LocalNode, partner: LocalNode) -> WindowRecord:
    record = node.reader.record(WINDOWS, (partner.ledger, 1))
    assert record is not None
    return record


def states(*nodes: LocalNode) -> list[WindowState]:
    one, other = nodes
    return [window(one, other).state, window(other, one).state]


def closing(partner: LocalNode) -> commands.CloseWindow:
    return commands.CloseWindow(id=names.window_id(partner.ledger, 1), partner=partner.ledger, window=1, early=True)


def signature(node: LocalNode, document: Statement) -> StatementSignature:
    key = node.side.signing_keys[Role.APPROVAL]
    return sign_statement(document, ledger=node.ledger, key=key, approval=key.public)


def last_received(node: LocalNode, kind: str) -> Body:
    data = [each.body for each in node.reader.messages_received() if each.kind == kind][-1]
    return decode_body(data)


def test_a_close_is_taken_in_and_answered_in_one_commit(two: Alliance) -> None:
    source, destination = two.pair
    convert(source, destination)
    two.talk()
    source.do(closing(destination))
    two.talk()
    assert states(source, destination) == [WindowState.RECONCILED] * 2
    for node, partner in ((source, destination), (destination, source)):
        assert node.reader.pending_outbox(partner.ledger) == []
        assert node.replay()["windows"]


def agree(two: Alliance) -> tuple[LocalNode, LocalNode]:
    """Return payer and payee, who have agreed on the statement of a window."""
    source, destination = two.pair
    convert(source, destination)
    two.talk()
    source.do(closing(destination))
    two.talk()
    document = source.run(Compute(destination.ledger, (checkpoint(source), checkpoint(destination))))
    signed = SignedStatement(statement=document, signatures=(signature(source, document),))
    proposed = names.proposal_id(statement_digest(document))
    source.do(commands.ProposeStatement(id=proposed, partner=destination.ledger, signed=signed))
    two.talk()
    body = last_received(destination, "statement")
    assert isinstance(body, StatementSigned)
    cited = digest_of_body(body)
    agreeing = commands.AgreeStatement(
        id=names.statement_id(source.ledger, 1),
        request=cited,
        statement=body,
        digest=cited,
        signature=signature(destination, document),
    )
    destination.do(agreeing)
    two.talk()
    return source, destination


def test_a_window_is_settled_between_two_nodes(two: Alliance) -> None:
    source, destination = agree(two)
    assert states(source, destination) == [WindowState.AGREED] * 2
    source.do(commands.MakePayment(id=uuid("pay"), partner=destination.ledger, window=1, reference="RF18"))
    two.talk()
    assert isinstance(last_received(destination, "payment"), PaymentAdvice)
    destination.do(commands.ConfirmPayment(id=uuid("confirm"), partner=source.ledger, window=1))
    two.talk()
    assert isinstance(last_received(source, "receipt"), Receipt)
    assert states(source, destination) == [WindowState.CONFIRMED] * 2
    for node in (source, destination):
        node.restart()
        assert node.replay()["statements"]


def test_a_receipt_that_crossed_a_return_is_said_again_when_the_payment_is_made_again(two: Alliance) -> None:
    source, destination = agree(two)
    source.do(commands.MakePayment(id=uuid("pay"), partner=destination.ledger, window=1, reference="RF18"))
    two.talk()
    source.do(commands.ReturnPayment(id=uuid("return"), partner=destination.ledger, window=1))
    destination.do(commands.ConfirmPayment(id=uuid("confirm"), partner=source.ledger, window=1))
    two.talk()
    assert states(source, destination) == [WindowState.AGREED, WindowState.CONFIRMED]
    source.do(commands.MakePayment(id=uuid("again"), partner=destination.ledger, window=1, reference="RF19"))
    two.talk()
    assert states(source, destination) == [WindowState.CONFIRMED] * 2
    assert window(source, destination).payment == window(destination, source).payment
    for node, partner in ((source, destination), (destination, source)):
        assert node.reader.pending_outbox(partner.ledger) == []
        node.restart()
        assert node.replay()["windows"]
