"""A word of ours that the log before had said, given back by the partner who holds it: judged, and standing again.

Bodies move nothing but through here: what a lost entry had done is done by the entry that recovers its body, which
repeats it word for word (specs/succession.md).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, cast

import msgspec

from protocol.entries import Posting
from protocol.errors import Code, Refusal
from protocol.identifiers import Digest, Ledger, generation_of
from protocol.ledger.commands import Recover
from protocol.ledger.links import needs_link
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.names import recovered_id
from protocol.ledger.partners import known_partner
from protocol.ledger.postings import ledger_record
from protocol.ledger.recovered_conversions import (
    answered,
    credited_account,
    needs_fulfil,
    needs_prepare,
    ordering_account,
    recover_cancel,
    recover_end,
    recover_fulfil,
    recover_prepare,
    recover_reject,
    recover_unlink,
    shortfall_of,
    word_postings,
)
from protocol.ledger.recovered_windows import (
    needs_of_window,
    recover_close,
    recover_dispute,
    recover_payment,
    recover_receipt,
    recover_statement,
    window_postings,
)
from protocol.ledger.state import AGREEMENTS, INCOMING, OUTGOING, PARTNERS
from protocol.ledger.succession import check_recovering
from protocol.ledger.view import Need, Overlay, View, need
from protocol.messages import (
    Cancel,
    Close,
    Dispute,
    End,
    EntryBody,
    Fulfil,
    PaymentAdvice,
    Prepare,
    Receipt,
    Reject,
    StatementSigned,
    Succeeded,
    Unlink,
    body_digest,
    encode_body,
    may_send,
    receiver_of,
    said_at,
)
from protocol.recovery_entries import Recovered
from protocol.statement import Line


def recover_command(
    body: EntryBody,
    digest: Digest,
    *,
    partner: Ledger,
    prepare: Prepare | None = None,
    entered: tuple[Line, ...] = (),
    share: bool = False,
) -> Recover:
    """Return the command that lets `body` stand again, with the id and the request of the entry that was lost."""
    return Recover(
        id=recovered_id(body, digest),
        request=_request(body),
        partner=partner,
        body=body,
        digest=digest,
        prepare=prepare,
        entered=entered,
        share=share,
    )


def _request(body: EntryBody) -> Digest | None:
    """Return what the lost entry answered, as far as its body tells: a PREPARE that comes again meets its decision."""
    return body.prepare if isinstance(body, Fulfil | Reject) else None


def needs_recover(view: Overlay, command: Recover) -> Iterator[Need]:
    """Name what the word moves."""
    yield need(PARTNERS, command.partner)
    body = command.body
    match body:
        case Prepare():
            yield from needs_prepare(view, body)
        case Cancel():
            yield need(OUTGOING, body.id)
        case Fulfil():
            if command.prepare is not None:
                yield from needs_fulfil(view, command.prepare)
        case Reject():
            yield need(INCOMING, (body.network, body.source, body.id))
        case End():
            yield need(AGREEMENTS, body.agreement)
        case Unlink():
            yield from needs_link(view, command.partner, body.issuer, body.alias)
        case Succeeded():
            return
        case _:
            yield from needs_of_window(view, command, body)


def decide_recover(view: View, command: Recover, moment: Moment) -> Recovered:
    """Propose that a word stands again; without `share`, one whose account lacks points is refused for now."""
    draft = Recovered(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=known_partner(view, command.partner).network,
        partner=command.partner,
        body=command.body,
        digest=command.digest,
        prepare=command.prepare,
        entered=command.entered,
        account=None,
        shortfall=0,
        postings=(),
    )
    _check(view, draft)
    entry = _completed(view, draft)
    if entry.shortfall and not command.share:
        text = f"{entry.account} lacks {entry.shortfall} of the points that the conversion took"
        raise Refusal(Code.INSUFFICIENT_POINTS, text)
    return entry


def _check(view: View, entry: Recovered) -> None:
    """Refuse a body that this ledger has not said to that partner in a log before this one, or that says it twice."""
    own, partner = ledger_record(view), known_partner(view, entry.partner)
    check_recovering(own, entry.partner)
    body = entry.body
    if not entry.network == body.network == partner.network:
        raise Refusal(Code.PARTNER_MISMATCH, "the word is of another network")
    if not may_send(body, own.ledger) or receiver_of(body, own.ledger) != entry.partner:
        raise Refusal(Code.PARTNER_MISMATCH, f"this is no word of {own.ledger} to {entry.partner}")
    if entry.digest != body_digest(encode_body(body)) or entry.request != _request(body):
        raise Refusal(Code.RECOVERY_MISMATCH, "the entry does not cite the body that it repeats")
    if body.entry.seq >= own.first_seq:
        raise Refusal(Code.RECOVERY_MISMATCH, f"the word is of {own.log} itself, which has nothing lost")
    if entry.prepare is not None and not isinstance(body, Fulfil | Reject):
        raise Refusal(Code.RECOVERY_MISMATCH, "a decision alone answers a PREPARE")
    if entry.entered and not isinstance(body, Dispute):
        raise Refusal(Code.RECOVERY_MISMATCH, "a dispute alone enters lines")


def _completed(view: View, entry: Recovered) -> Recovered:
    """Return `entry` with the account, shortfall and postings that follow from its body and this ledger's rows."""
    body, account, shortfall = entry.body, None, 0
    if isinstance(body, Prepare):
        account = ordering_account(view, body)
        shortfall = shortfall_of(view, body, account)
    elif isinstance(body, Fulfil):
        account = credited_account(view, answered(entry))
    found = msgspec.structs.replace(entry, account=account, shortfall=shortfall)
    return msgspec.structs.replace(found, postings=_postings(view, found))


def _postings(view: View, entry: Recovered) -> tuple[Posting, ...]:
    if isinstance(entry.body, Prepare | Fulfil):
        return word_postings(view, entry)
    return window_postings(view, entry)


def apply_recovered(view: View, entry: Recovered) -> None:
    """Let a word stand again as it stood after the entry that was lost."""
    _check(view, entry)
    if entry != _completed(view, entry):
        raise Refusal(Code.RECOVERY_MISMATCH, "the entry moves other points than its body says")
    if entry.time <= (said_at(entry.body) or ""):
        raise Refusal(Code.RECOVERY_MISMATCH, "the entry is not later than the word that stands again by it")
    _RECOVER[type(entry.body)](view, entry, entry.body)


def _recover_succession(view: View, _entry: Recovered, succeeded: Succeeded) -> None:
    """Note a succession of ours that came before the present one, which says all there is to say; nothing moves."""
    own = ledger_record(view)
    if generation_of(succeeded.log) > generation_of(own.log):
        raise Refusal(Code.RECOVERY_MISMATCH, f"{succeeded.log} comes after {own.log}")


_RECOVER: Final = cast(
    "Mapping[type[EntryBody], Callable[[View, Recovered, EntryBody], None]]",
    {
        Prepare: recover_prepare,
        Cancel: recover_cancel,
        Fulfil: recover_fulfil,
        Reject: recover_reject,
        End: recover_end,
        Unlink: recover_unlink,
        Close: recover_close,
        Dispute: recover_dispute,
        StatementSigned: recover_statement,
        PaymentAdvice: recover_payment,
        Receipt: recover_receipt,
        Succeeded: _recover_succession,
    },
)
