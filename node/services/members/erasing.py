"""Forgetting a person: erasable rows go, links end and partners are told, the account closes; the log stays as it is.

The entry comes last and in one commit with all that is not metadata: once it is in the log, nothing is left to erase.
A node that dies before it goes on where it was when the same request comes again.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from node.engine.engine import Committed
from node.engine.work import Answer, Desk
from node.services.answers import EntryAnswer
from node.services.context import Context, WriteWork
from node.services.members.links import revoke_command
from node.services.metadata import kept_beside
from node.services.requests import EraseRequest, RevokeLinkRequest, digest_request
from node.store.rows import EraseMetadata, Write
from node.store.rows_members import DropConsent, DropRequest, ErasePerson
from protocol.approval_entries import Action, Adjustment, ConversionForcing
from protocol.entries import unseal
from protocol.errors import Code, Refusal, TallystickError
from protocol.identifiers import Account, Digest, Id
from protocol.ledger import rules
from protocol.ledger.commands import AnyCommand, EraseAccount
from protocol.ledger.state import ACCOUNTS, OUTGOING
from protocol.ledger.view import Need, Overlay
from protocol.member_entries import LinkRevoked, UnlinkReason

PAGE_ENTRIES: Final = 256
"""How much of a history is read, and its metadata erased, at a time."""


class EraseWork:
    """The last step of forgetting a person: its links, its account, its rows."""

    def __init__(self, context: Context, request: EraseRequest) -> None:
        self._context = context
        self._request = request
        self._commands = [*self._revocations(), self._erasure()]

    def _erasure(self) -> EraseAccount:
        request = self._request
        digest = digest_request(self._context.digests, request)
        return EraseAccount(id=request.id, request=digest, account=request.account, forfeit=request.forfeit)

    def _revocations(self) -> list[AnyCommand]:
        reader, account = self._context.reader, self._request.account
        wanted = [
            *(
                RevokeLinkRequest(account=account, partner=partner, alias=alias, direction="issued")
                for partner, alias, _ in reader.issued_links(account)
            ),
            *(
                RevokeLinkRequest(account=account, partner=partner, alias=alias, direction="accepted")
                for partner, alias in reader.accepted_aliases(account)
            ),
        ]
        # A partnership that is over has nobody left to tell.
        ended = {partner for partner, record in reader.partners() if record.ended_seq is not None}
        kept = [each for each in wanted if each.partner not in ended]
        return [revoke_command(self._context, each, UnlinkReason.ERASED) for each in kept]

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Yield what every command reads."""
        for command in self._commands:
            yield from rules.needs(view, command)

    def run(self, desk: Desk) -> Answer:
        """End the links, close the account and erase the rows."""
        answers = [desk.execute(command) for command in self._commands]
        desk.stage(ErasePerson(self._request.account))
        self._erase_metadata(desk)
        return answers[-1]

    def _erase_metadata(self, desk: Desk) -> None:
        # What came in since the pages before were erased is on the first one, or so little that it is.
        for digest in _metadata_in(self._context.reader.history(self._request.account, None, PAGE_ENTRIES)):
            desk.stage(EraseMetadata(digest))


class ErasingService:
    """Forgets people, and what partners ask to have forgotten."""

    def __init__(self, context: Context) -> None:
        self._context = context
        context.writer.listen(self._committed)

    def erase(self, request: EraseRequest) -> EntryAnswer:
        """Forget the person behind an account, or raise why that cannot be now; nothing is erased then.

        Raises `account_unknown`, `account_busy` while points are on hold, `account_importing` until the import that
        opened the account is finished, and `account_not_empty` for points that are not to be given up.
        The same request again is answered the same.
        """
        self._check(request)
        for digests in self._metadata_of(request.account):
            self._context.writer.submit(WriteWork([EraseMetadata(each) for each in digests])).result()
        answer = self._context.writer.submit(EraseWork(self._context, request)).result()
        return self._context.render(answer.sealed)

    def _check(self, request: EraseRequest) -> None:
        record = self._context.reader.record(ACCOUNTS, request.account)
        if record is None:
            raise Refusal(Code.ACCOUNT_UNKNOWN, f"there is no account {request.account}")
        if record.held or record.conversions:
            raise Refusal(Code.ACCOUNT_BUSY, f"{request.account} has {record.held} points on hold")
        if record.posted and not request.forfeit:
            raise Refusal(Code.ACCOUNT_NOT_EMPTY, f"{request.account} still has {record.posted} points")

    def _metadata_of(self, account: Account) -> Iterator[list[Digest]]:
        before: int | None = None
        while found := self._context.reader.history(account, before, PAGE_ENTRIES):
            yield list(_metadata_in(found))
            before = unseal(found[-1]).entry.seq
        yield from self._metadata_of_proposals(account)

    def _metadata_of_proposals(self, account: Account) -> Iterator[list[Digest]]:
        """Yield the digests beside proposals about an account: they are in no holder's history."""
        reader = self._context.reader
        before: int | None = None
        while found := reader.actions(before=before, limit=PAGE_ENTRIES):
            about = [record for _, record in found if self._is_about(record.action, account)]
            proposed = (reader.entry(record.proposed_seq) for record in about)
            yield list(_metadata_in([data for data in proposed if data is not None]))
            before = found[-1][1].proposed_seq

    def _is_about(self, action: Action, account: Account) -> bool:
        if isinstance(action, Adjustment):
            return action.account == account
        if not isinstance(action, ConversionForcing):
            return False
        ordered = self._context.reader.record(OUTGOING, Id(action.conversion))
        return ordered is not None and ordered.account == account

    def _committed(self, committed: Committed) -> None:
        """Forget what a partner has asked to have forgotten; runs on the writer's thread."""
        for sealed in committed.sealed:
            entry = sealed.entry
            if isinstance(entry, LinkRevoked) and entry.notice is not None and entry.reason is UnlinkReason.ERASED:
                self._forget(entry)

    def _forget(self, entry: LinkRevoked) -> None:
        reader = self._context.reader
        requests = [each for each in reader.link_requests(entry.account) if each.partner == entry.partner]
        consents = [each for each in reader.link_consents(entry.account) if each.partner == entry.partner]
        writes: list[Write] = [
            *(DropRequest(each.state) for each in requests),
            *(DropConsent(each.code) for each in consents),
        ]
        if writes:
            # A writer with too much to do leaves them: they lapse within minutes, and are of no use to anybody.
            with suppress(TallystickError):
                self._context.writer.submit(WriteWork(writes))


def _metadata_in(entries: list[bytes]) -> Iterator[Digest]:
    """Yield the digests of rows that lie beside entries: metadata, and what screens saw."""
    for data in entries:
        digest = kept_beside(unseal(data).entry)
        if digest is not None:
            yield digest
