"""Two ledgers that settle: windows closed, lines disputed, statements signed, payments made and confirmed."""

from collections.abc import Mapping, Sequence
from typing import Final

from protocol.entries import Sealed
from protocol.identifiers import Account, Asset, Digest, Ledger, partner_of
from protocol.keys import Role
from protocol.ledger import commands, names, settling, statements
from protocol.ledger.state import (
    BALANCES,
    LEDGER,
    LINES,
    ONLY,
    STATEMENTS,
    WINDOWS,
    LineRecord,
    StatementRecord,
    Way,
    WindowRecord,
)
from protocol.merkle import Hash, root_of
from protocol.messages import Body, StatementSigned
from protocol.settlement.states import WindowState
from protocol.statement import (
    AdjustedLine,
    AdjustmentReason,
    CheckpointReference,
    DisputedLine,
    DisputeReason,
    Line,
    SignedStatement,
    Statement,
    StatementSignature,
    sign_statement,
    statement_digest,
)
from tests.support.documents import USD, digest_of_body, uuid
from tests.support.ledger import MemoryLedger, Pair

MONEY: Final = ("payable", "receivable", "due", "paid", "conversion_cost", "conversion_income")


def take(ledger: MemoryLedger, body: Body) -> Sealed:
    """Let `ledger` act on a body about a window."""
    command = settling.command_for(body, digest_of_body(body))
    assert command is not None
    return ledger.execute(command)


def money(ledger: MemoryLedger, account: str, partner: MemoryLedger, currency: Asset = USD) -> int:
    """Return the balance of one of the money accounts with a partner."""
    record = ledger.state.get(BALANCES, (Account(f"{account}/{partner_of(partner.name)}"), currency))
    return record.amount if record else 0


def window(ledger: MemoryLedger, partner: MemoryLedger, number: int) -> WindowRecord:
    """Return the row of a window."""
    record = ledger.state.get(WINDOWS, (partner.name, number))
    assert record is not None
    return record


def state(ledger: MemoryLedger, partner: MemoryLedger, number: int) -> WindowState:
    """Return where a window stands."""
    return window(ledger, partner, number).state


def agreed(ledger: MemoryLedger, partner: MemoryLedger, number: int) -> StatementRecord:
    """Return the statement of a window that is agreed."""
    record = ledger.state.get(STATEMENTS, (partner.name, number))
    assert record is not None
    return record


def line_record(ledger: MemoryLedger, partner: MemoryLedger, way: Way, dec_seq: int) -> LineRecord:
    """Return a line of settlement."""
    record = ledger.state.get(LINES, (partner.name, way, dec_seq))
    assert record is not None
    return record


def close(ledger: MemoryLedger, partner: MemoryLedger, number: int, *, early: bool = False) -> Sealed:
    """Close a window for conversions from `partner`."""
    identifier = names.window_id(partner.name, number)
    return ledger.execute(commands.CloseWindow(id=identifier, partner=partner.name, window=number, early=early))


def close_both(one: MemoryLedger, other: MemoryLedger, number: int, *, early: bool = True) -> None:
    """Let `one` close a window, and the other answer with its own close."""
    first = close(one, other, number, early=early)
    take(other, one.body(first))
    take(one, other.body(close(other, one, number, early=True)))


def checkpoint(ledger: MemoryLedger) -> CheckpointReference:
    """Return the whole log as a statement names it."""
    record = ledger.state.get(LEDGER, ONLY)
    assert record is not None
    leaves = [Hash(bytes.fromhex(one.leaf)) for one in ledger.sealed if one.entry.seq >= record.first_seq]
    return CheckpointReference(origin=record.log, size=len(leaves), root=Digest(root_of(leaves).hex()))


def compute(
    ledger: MemoryLedger,
    partner: MemoryLedger,
    number: int,
    adjustments: Mapping[Ledger, Sequence[AdjustedLine]] | None = None,
) -> Statement:
    """Return the statement that `ledger` computes over both logs as they are."""
    first, second = sorted((ledger, partner), key=lambda one: one.name)
    return statements.compute(
        ledger.state,
        partner.name,
        number,
        checkpoints=(checkpoint(first), checkpoint(second)),
        adjustments=adjustments or {},
    )


def signature(ledger: MemoryLedger, document: Statement) -> StatementSignature:
    """Return a party's signature."""
    key = ledger.side.signing_keys[Role.APPROVAL]
    return sign_statement(document, ledger=ledger.name, key=key, approval=key.public)


def propose(ledger: MemoryLedger, partner: MemoryLedger, document: Statement) -> Sealed:
    """Let the first party propose a statement."""
    signed = SignedStatement(statement=document, signatures=(signature(ledger, document),))
    command = commands.ProposeStatement(
        id=names.proposal_id(statement_digest(document)), partner=partner.name, signed=signed
    )
    return ledger.execute(command)


def agree_command(ledger: MemoryLedger, body: StatementSigned) -> commands.AgreeStatement:
    """Return what enters a received statement, with the signature of `ledger` where it is missing."""
    cited = digest_of_body(body)
    command = settling.command_for(body, cited)
    if command is None:
        return commands.AgreeStatement(
            id=names.statement_id(body.sender, body.window),
            request=cited,
            statement=body,
            digest=cited,
            signature=signature(ledger, body.signed.statement),
        )
    assert isinstance(command, commands.AgreeStatement)
    return command


def sign(ledger: MemoryLedger, body: Body) -> Sealed:
    """Let `ledger` enter a received statement, signing a proposal."""
    assert isinstance(body, StatementSigned)
    return ledger.execute(agree_command(ledger, body))


def agree(
    first: MemoryLedger,
    second: MemoryLedger,
    number: int,
    adjustments: Mapping[Ledger, Sequence[AdjustedLine]] | None = None,
) -> Statement:
    """Let both parties sign the statement of a window, and return it."""
    document = compute(first, second, number, adjustments)
    accepted = sign(second, first.body(propose(first, second, document)))
    sign(first, second.body(accepted))
    return document


def send_back(payer: MemoryLedger, payee: MemoryLedger, number: int) -> Sealed:
    """Let the payer note that the money came back."""
    command = commands.ReturnPayment(id=uuid(f"return {number}"), partner=payee.name, window=number)
    return payer.execute(command)


def pay(payer: MemoryLedger, payee: MemoryLedger, number: int, *, name: str = "") -> Sealed:
    """Let the payer send the money and say so, and return its entry."""
    command = commands.MakePayment(
        id=uuid(f"pay {number} {name}"), partner=payee.name, window=number, reference=f"RF {number} {name}".strip()
    )
    made = payer.execute(command)
    take(payee, payer.body(made))
    return made


def confirm(payer: MemoryLedger, payee: MemoryLedger, number: int) -> Sealed:
    """Let the payee confirm the money, and return the payer's last entry."""
    command = commands.ConfirmPayment(id=uuid(f"confirm {number}"), partner=payer.name, window=number)
    return take(payer, payee.body(payee.execute(command)))


def settle(pair: Pair, number: int) -> None:
    """Pay and confirm the statement of a window, whoever has to pay."""
    by_name = {ledger.name: ledger for ledger in (pair.source, pair.destination)}
    payer = agreed(pair.source, pair.destination, number).signed.statement.payer
    if payer is not None:
        one = by_name.pop(payer)
        (other,) = by_name.values()
        pay(one, other, number)
        confirm(one, other, number)


def disputed(
    ledger: MemoryLedger,
    partner: MemoryLedger,
    way: Way,
    dec_seq: int,
    *,
    reason: DisputeReason = DisputeReason.NOT_CREDITED,
) -> DisputedLine:
    """Return a line as a dispute names it."""
    line = line_record(ledger, partner, way, dec_seq)
    return DisputedLine(window=line.window, dec_seq=dec_seq, id=line.conversion, value=line.value, reason=reason)


def dispute(
    ledger: MemoryLedger,
    partner: MemoryLedger,
    *lines: DisputedLine,
    source: Ledger,
    entered: tuple[Line, ...] = (),
) -> Sealed:
    """Let `ledger` leave lines out of their window's bill, and return its entry."""
    name = " ".join(str(line.dec_seq) for line in lines)
    command = commands.DisputeLines(
        id=uuid(f"dispute {ledger.name} {source} {name}"),
        partner=partner.name,
        window=lines[0].window,
        source=source,
        lines=lines,
        entered=entered,
    )
    return ledger.execute(command)


def adjusted(line: DisputedLine, reason: AdjustmentReason, value: int) -> AdjustedLine:
    """Return how a dispute ends, or what is taken back."""
    return AdjustedLine(window=line.window, dec_seq=line.dec_seq, id=line.id, value=value, reason=reason)
