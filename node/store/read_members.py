"""Reading what is kept beside the ledger about members: personal data, consents to links, links that were begun."""

from typing import Final, cast

from sqlalchemy import func, select

from node.store.codec import Value
from node.store.reads import Reads
from node.store.rows_members import LinkConsent, LinkPages, LinkRequest, Personal
from node.store.schema_members import (
    LINK_CONSENTS,
    LINK_PAGES,
    LINK_REQUESTS,
    PERSONAL,
    erasable_tables,
    erased_by,
)
from protocol.identifiers import Account, Ledger

_PERSONAL: Final = PERSONAL.c
_CONSENTS: Final = LINK_CONSENTS.c
_REQUESTS: Final = LINK_REQUESTS.c


class MemberReads(Reads):
    """Erasable rows."""

    def personal(self, account: Account) -> Personal | None:
        """Return what is known of the person behind `account`, or None."""
        wanted = select(PERSONAL).where(_PERSONAL.account == account)
        return next(iter(self._objects(Personal, wanted)), None)

    def account_of_reference(self, reference: str) -> Account | None:
        """Return the account that the brand's own name `reference` stands for, or None."""
        rows = self._rows(select(_PERSONAL.account).where(_PERSONAL.external_ref == reference))
        return cast("Account", rows[0][0]) if rows else None

    def link_pages(self, partner: Ledger) -> LinkPages | None:
        """Return where links with `partner` are consented to, or None."""
        wanted = select(LINK_PAGES).where(LINK_PAGES.c.partner == partner)
        return next(iter(self._objects(LinkPages, wanted)), None)

    def link_consent(self, code: str) -> LinkConsent | None:
        """Return the consent of a code's digest, or None."""
        wanted = select(LINK_CONSENTS).where(_CONSENTS.code == code)
        return next(iter(self._objects(LinkConsent, wanted)), None)

    def link_consents(self, account: Account) -> list[LinkConsent]:
        """Return the consents that are kept of an account, latest first."""
        wanted = select(LINK_CONSENTS).where(_CONSENTS.account == account)
        return self._objects(LinkConsent, wanted.order_by(_CONSENTS.expires_at.desc(), _CONSENTS.code))

    def link_request(self, state: str) -> LinkRequest | None:
        """Return the link that was begun under a state's digest, or None."""
        wanted = select(LINK_REQUESTS).where(_REQUESTS.state == state)
        return next(iter(self._objects(LinkRequest, wanted)), None)

    def link_requests(self, account: Account) -> list[LinkRequest]:
        """Return the links that an account has begun, latest first."""
        wanted = select(LINK_REQUESTS).where(_REQUESTS.account == account)
        return self._objects(LinkRequest, wanted.order_by(_REQUESTS.expires_at.desc(), _REQUESTS.state))

    def lapsed_consents(self, now: str, limit: int) -> list[str]:
        """Return the codes' digests of consents whose time has passed."""
        due = select(_CONSENTS.code).where(_CONSENTS.expires_at <= now).order_by(_CONSENTS.expires_at).limit(limit)
        return [cast("str", row[0]) for row in self._rows(due)]

    def lapsed_requests(self, now: str, limit: int) -> list[str]:
        """Return the states' digests of links that were begun and whose time has passed."""
        due = select(_REQUESTS.state).where(_REQUESTS.expires_at <= now).order_by(_REQUESTS.expires_at).limit(limit)
        return [cast("str", row[0]) for row in self._rows(due)]

    def erasable_rows(self, account: Account) -> dict[str, list[dict[str, Value]]]:
        """Return the rows of an account in every table from which it can be erased, by the table's name."""
        return {
            table.name: self._named_rows(select(table).where(table.columns[erased_by(table)] == account))
            for table in erasable_tables()
        }

    def people(self) -> int:
        """Return of how many accounts personal data is kept."""
        return cast("int", self._rows(select(func.count()).select_from(PERSONAL))[0][0])
