"""A node as one object: every service, wired to one store, one writer and the ports."""

from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from node.engine.clock import CLOCK_SETTING, STOPPED
from node.engine.work import Work
from node.peers.hooks import HttpHooks
from node.peers.links import HttpLinks
from node.peers.logs import HttpLogs
from node.peers.witnesses import HttpWitnesses
from node.ports import Clock, Faults, Hooks, Keyring, Links, Logs, Papers, Randomness, Transport, Witnesses
from node.services.access.api_keys import CredentialsService
from node.services.access.callers import Access, CallersService
from node.services.channel.accusations import AccusationsService
from node.services.channel.exchange import Exchange
from node.services.channel.exchange_files import ExchangeFilesService
from node.services.channel.start_question import StartQuestion
from node.services.context import Context, NodeWriter, Ping, WriteWork
from node.services.conversions.agreements import AgreementsService
from node.services.conversions.approvals import ApprovalsService
from node.services.conversions.conversions import ConversionsService
from node.services.conversions.quotes import QuotesService
from node.services.events.events import EventsService
from node.services.events.webhooks import WebhooksService
from node.services.logs.acknowledging import WitnessedWriter
from node.services.logs.cosigning import Cosigning, Witnessing
from node.services.logs.log import LogService
from node.services.logs.log_access import LogAccess
from node.services.logs.rotating import RotationService
from node.services.members.accounts import AccountsService
from node.services.members.appeals import DEADLINE_DAYS, AppealsService
from node.services.members.consents import ConsentsService
from node.services.members.erasing import ErasingService
from node.services.members.importing import ImportService
from node.services.members.lifecycle import LifecycleService
from node.services.members.linking import LinkingService
from node.services.members.links import LinksService
from node.services.members.member_day import MemberService
from node.services.members.member_events import MemberEvents
from node.services.members.member_statement import MemberStatements
from node.services.members.past_accounts import PastAccounts
from node.services.members.people import PeopleService
from node.services.members.transfers import TransfersService
from node.services.operating.exceptions import Delivery, ExceptionsService
from node.services.operating.metrics import Metrics, Sources
from node.services.partner_logs.proving import Proving
from node.services.partner_logs.witness import WitnessService
from node.services.partners.partners import Contact, PartnersService
from node.services.partners.run_off import RunOffService
from node.services.partners.succession import SuccessionService
from node.services.partners.suspending import SuspensionService
from node.services.program.expiry import ExpiryService
from node.services.program.expiry_notices import ExpiryNotices
from node.services.program.journal import JournalService
from node.services.program.points import PointsService
from node.services.program.program import ProgramService
from node.services.program.reviews import ReviewsService
from node.services.request_digest import RequestDigests
from node.services.settlement.reconciling import ReconciliationService
from node.services.settlement.settlement import SettlementService
from node.services.traces.trace import TraceService
from node.store.reader import StoreReader
from node.store.rows import PutSetting
from protocol.errors import TallystickError
from protocol.fields import format_time
from protocol.identifiers import Ledger
from protocol.ledger.state import LEDGER, ONLY

REQUEST_KEY_SETTING: Final = "request_key"
PROBE_SETTING: Final = "probed_at"
READY_SECONDS: Final = 2.0

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The world that a node lives in."""

    keyring: Keyring
    clock: Clock
    randomness: Randomness
    transport: Transport
    papers: Papers
    faults: Faults
    logs: Logs = field(default_factory=HttpLogs)
    witnesses: Witnesses = field(default_factory=HttpWitnesses)
    hooks: Hooks = field(default_factory=HttpHooks)
    links: Links = field(default_factory=HttpLinks)


class Node:
    """What the API and the workers call. The composition root makes one and closes what it was made from."""

    def __init__(
        self,
        *,
        reader: StoreReader,
        writer: NodeWriter,
        ports: Ports,
        url: str,
        witnessing: Witnessing | None = None,
        log_is_open: bool = True,
        appeal_days: int = DEADLINE_DAYS,
        access: Access | None = None,
    ) -> None:
        """Wire all services around the ledger that the store holds; nothing starts here."""
        context = _context_of(reader, writer, ports)
        self.gate = writer.gate
        self.ledger = context.record.ledger
        self.ledger_keys = context.record.keys
        self.papers = ports.papers
        self.clock = ports.clock
        self.randomness = ports.randomness
        self.exchange = _exchange_of(context, writer, ports)
        witnessing = witnessing or Witnessing()
        self.log = LogService(context)
        self.log_access = LogAccess(context, is_open=log_is_open)
        self.acknowledging = WitnessedWriter(writer, self.log.publication, ports.clock, count=witnessing.acknowledge)
        answering = replace(context, writer=self.acknowledging)
        self.exchange_files = ExchangeFilesService(context, self.exchange)
        self._hold(context, answering, ports)
        self.partners = PartnersService(context, url=url, contact_of=self._contact)
        self.suspension, self.rotation = SuspensionService(context, self.exchange), RotationService(context)
        self.agreements = AgreementsService(context)
        self.approvals = ApprovalsService(
            answering, agreements=self.agreements, conversions=self.conversions, program=self.program
        )
        self.settlement = SettlementService(context, ports.logs)
        self.accusations = AccusationsService(context)
        self.proving = Proving(context, ports.logs)
        self.succession = SuccessionService(context, self.exchange, gate=writer.gate)
        self.exceptions = self._exceptions_of(context)
        self.start_question = StartQuestion(writer.gate, self.exchange, witnessing)
        self.witness = WitnessService(context)
        self.cosigning = Cosigning(context, self.log.publication, ports.witnesses, witnessing)
        self.credentials = CredentialsService(context)
        self.callers = CallersService(context, self.credentials, access or Access())
        self.importing, self.journal = ImportService(context), JournalService(context)
        self.reconciling, self.run_off = ReconciliationService(context), RunOffService(context, ports.logs)
        self._tell(context, answering, ports, appeal_days=appeal_days)
        self.reader = reader
        self._writer = writer
        self.metrics = self._metrics_of(context, writer)

    def _hold(self, context: Context, answering: Context, ports: Ports) -> None:
        """Wire what moves and converts holders' points."""
        self.accounts, self.past_accounts = AccountsService(context), PastAccounts(context)
        self.people = PeopleService(context)
        self.points, self.program = PointsService(answering), ProgramService(context)
        self.lifecycle, self.transfers = LifecycleService(context), TransfersService(answering)
        self.reviews = ReviewsService(answering)
        self.expiry = ExpiryService(context)
        self.links = LinksService(answering)
        self.erasing = ErasingService(answering)
        self.consents, self.linking = ConsentsService(answering), LinkingService(answering, ports.links)
        self.quotes = QuotesService(context)
        self.conversions = ConversionsService(answering)

    def _tell(self, context: Context, answering: Context, ports: Ports, *, appeal_days: int) -> None:
        """Wire what members and the programme's systems are told by."""
        self.members = MemberService(
            context,
            people=self.people,
            conversions=self.conversions,
            quotes=self.quotes,
            links=self.links,
            log=self.log,
        )
        self.member_statements = MemberStatements(context, self.members)
        self.events, self.notices = EventsService(context), ExpiryNotices(context)
        self.webhooks = WebhooksService(context, self.events, ports.hooks)
        self.member_events = MemberEvents(context, self.events, self.members)
        self.appeals = AppealsService(answering, days=appeal_days)
        self.traces = TraceService(context, self.log, ports.logs, contact_of=self._delivery)

    def submit(self, work: Work[_T]) -> "Future[_T]":
        """Queue `work` for the next commit."""
        return self._writer.submit(work)

    def has_room(self, items: int) -> bool:
        """Return whether orders of so many entries would be taken now, with what waits to be written already."""
        return self._writer.has_room(items)

    def checks(self) -> dict[str, bool]:
        """Return what must hold for the node to serve, each by name."""
        return {
            "store": self._reads(),
            "clock": not self._writer.clock_stopped,
            "writer": self._writes(),
            "ledger": self.may_write(),
        }

    def open_channels(self) -> None:
        """Open an epoch with every partner; then, where a jump of before the start waits for a person, nothing more."""
        self.exchange.open()
        # Before the epochs are written the node could not start, and nobody could confirm its clock.
        if self.reader.setting(CLOCK_SETTING) == STOPPED:
            self._writer.stop_clock()

    def confirm_clock(self) -> dict[str, bool]:
        """Believe the wall clock as it is now, which an operator has looked at; return what holds then."""
        self._writer.confirm_clock()
        return self.checks()

    def may_write(self) -> bool:
        """Return whether the ledger's log may be written now: a store that is behind, or has just started, may not."""
        try:
            record = self.reader.record(LEDGER, ONLY)
        except TallystickError:
            return False
        return self.gate.is_open and record is not None and not record.recovering

    def _is_ready(self) -> bool:
        """Return whether nothing is known that keeps the node from its work; nothing is written to find out."""
        return self._writer.failure is None and not self._writer.clock_stopped and self.may_write()

    def _reads(self) -> bool:
        try:
            return self.reader.latest_checkpoint() is not None
        except TallystickError:
            return False

    def _writes(self) -> bool:
        # Where the last commit failed, only one that writes something shows whether the next one will.
        failed = self._writer.failure is not None
        work = WriteWork([PutSetting(PROBE_SETTING, format_time(self.clock.now()))]) if failed else Ping()
        try:
            self._writer.submit(work).result(READY_SECONDS)
        except (TallystickError, TimeoutError):
            return False
        return True

    def _metrics_of(self, context: Context, writer: NodeWriter) -> Metrics:
        sources = Sources(
            context=context,
            writer=writer,
            log=self.log,
            delivery_of=self._delivery,
            witnesses=self.cosigning.all,
            is_ready=self._is_ready,
        )
        return Metrics(sources)

    def _exceptions_of(self, context: Context) -> ExceptionsService:
        return ExceptionsService(
            context,
            delivery_of=self._delivery,
            standing_of=self.succession.standing,
            unproved_of=self.proving.unproved,
            is_unwatched=lambda: self.start_question.is_unwatched,
        )

    def _delivery(self, ledger: Ledger) -> Delivery:
        peer = self.exchange.peer(ledger)
        with peer.lock:
            return Delivery(last_contact=peer.last_contact, last_failure=peer.last_failure)

    def _contact(self, ledger: Ledger) -> Contact:
        peer = self.exchange.peer(ledger)
        with peer.lock:
            if not peer.excused or self.gate.behind is not None:
                return Contact(channel="behind", last_contact=peer.last_contact)
            return Contact(channel="ready" if peer.outgoing.answered else "waiting", last_contact=peer.last_contact)


def _exchange_of(context: Context, writer: NodeWriter, ports: Ports) -> Exchange:
    return Exchange(
        ledger=context.ledger,
        reader=context.reader,
        writer=writer,
        keyring=ports.keyring,
        clock=ports.clock,
        randomness=ports.randomness,
        transport=ports.transport,
        faults=ports.faults,
    )


def _context_of(reader: StoreReader, writer: NodeWriter, ports: Ports) -> Context:
    record = reader.record(LEDGER, ONLY)
    key = reader.setting(REQUEST_KEY_SETTING)
    assert record is not None and key is not None, "a node's directory is made with its genesis"  # noqa: PT018
    return Context(
        record=record,
        reader=reader,
        writer=writer,
        keyring=ports.keyring,
        clock=ports.clock,
        randomness=ports.randomness,
        digests=RequestDigests(bytes.fromhex(key)),
    )
