"""Windows of the tests: lines out of real bodies, closes, statements, and a pair of brands that settle for weeks."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from protocol.agreement import Agreement, agreement_digest
from protocol.fields import later
from protocol.identifiers import Ledger
from protocol.keys import PublicKey, Role
from protocol.messages import Close, Prepare
from protocol.settlement.lines import line_of, totals_of
from protocol.settlement.statements import Corrections, compute_statement
from protocol.statement import (
    CheckpointReference,
    DisputedLine,
    DisputeReason,
    Line,
    SignedStatement,
    Statement,
    sign_statement,
)
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    NETWORK,
    Side,
    agreement,
    digest,
    entry_reference,
    fulfil,
    prepare,
    uuid,
)

AGREEMENT: Final = agreement()
APPROVALS: Final[Mapping[Ledger, PublicKey]] = {
    one.ledger: one.signing_keys[Role.APPROVAL].public for one in (AURORA, BLUEBIRD)
}
MIDNIGHT: Final = "2026-03-02T00:00:00.000000Z"


def asked(dec_seq: int, *, source: Side = AURORA, steps: int = 1, value: int | None = None) -> Prepare:
    """Return the PREPARE that becomes decision `dec_seq` of conversions out of `source`."""
    destination = BLUEBIRD if source is AURORA else AURORA
    body = prepare(
        source=source,
        destination=destination,
        steps=steps,
        conversion=uuid(f"{source.ledger} {dec_seq}"),
        cited=agreement_digest(AGREEMENT),
    )
    return body if value is None else msgspec.structs.replace(body, value=value)


def line(dec_seq: int, *, source: Side = AURORA, window: int = 1, steps: int = 1, value: int | None = None) -> Line:
    """Return the line of one conversion out of `source`."""
    body = asked(dec_seq, source=source, steps=steps, value=value)
    return line_of(body, fulfil(body, window=window, dec_seq=dec_seq))


def lines(first: int, values: Sequence[int], *, source: Side = AURORA, window: int = 1) -> list[Line]:
    """Return consecutive lines of the given settlement values."""
    return [line(first + index, source=source, window=window, value=value) for index, value in enumerate(values)]


def close(
    source: Side, own: Sequence[Line], *, window: int = 1, first_dec_seq: int = 1, closed_at: str = MIDNIGHT
) -> Close:
    """Return the decider's close of the conversions out of `source`."""
    decider = BLUEBIRD if source is AURORA else AURORA
    return Close(
        network=NETWORK,
        sender=decider.ledger,
        receiver=source.ledger,
        window=window,
        totals=totals_of((one for one in own if one.source == source.ledger), first_dec_seq=first_dec_seq),
        agreement=agreement_digest(AGREEMENT),
        closed_at=closed_at,
        early=False,
        entry=entry_reference(),
    )


def checkpoints(window: int = 1) -> tuple[CheckpointReference, CheckpointReference]:
    """Return a state of both logs, longer with each window."""
    first, second = (
        CheckpointReference(origin=one.ledger, size=100 * window, root=digest(f"{one.ledger} {window}"))
        for one in (AURORA, BLUEBIRD)
    )
    return first, second


def statement(
    own: Sequence[Line] = (),
    *,
    previous: Statement | None = None,
    corrections: Corrections | None = None,
    terms: Agreement = AGREEMENT,
) -> Statement:
    """Return the statement of the window after `previous` over the lines `own` of both directions."""
    window = previous.window + 1 if previous else 1
    closed_at = later(MIDNIGHT, seconds=(window - 1) * 86_400)
    firsts = [bill.totals.last_dec_seq + 1 for bill in previous.directions] if previous else [1, 1]
    closes = [
        close(source, own, window=window, first_dec_seq=first, closed_at=closed_at)
        for source, first in zip((AURORA, BLUEBIRD), firsts, strict=True)
    ]
    return compute_statement(
        own,
        agreement=terms,
        closes=(closes[0], closes[1]),
        checkpoints=checkpoints(window),
        previous=previous,
        corrections=corrections,
    )


def disputed(about: Line, reason: DisputeReason = DisputeReason.NOT_CREDITED) -> DisputedLine:
    """Return the dispute of a line."""
    return DisputedLine(window=about.window, dec_seq=about.dec_seq, id=about.id, value=about.value, reason=reason)


def signed_statement(document: Statement, *, signers: Sequence[Side] = (AURORA, BLUEBIRD)) -> SignedStatement:
    """Return `document` with the signatures of `signers`."""
    signatures = [
        sign_statement(
            document,
            ledger=one.ledger,
            key=one.signing_keys[Role.APPROVAL],
            approval=one.signing_keys[Role.APPROVAL].public,
        )
        for one in signers
    ]
    return SignedStatement(statement=document, signatures=tuple(signatures))
