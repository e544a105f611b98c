"""The reader that all threads share: everything that is read beside the writer, which it never waits for."""

from node.store.read_access import AccessReads
from node.store.read_accusations import AccusationReads
from node.store.read_appeals import AppealReads
from node.store.read_daily import DailyReads
from node.store.read_imports import ImportReads
from node.store.read_log import LogReads
from node.store.read_lots import LotReads
from node.store.read_members import MemberReads
from node.store.read_messages import MessageReads
from node.store.read_metrics import MetricReads
from node.store.read_operator import OperatorReads
from node.store.read_program import ProgramReads
from node.store.read_settlement import SettlementReads
from node.store.read_state import StateReads
from node.store.read_webhooks import WebhookReads
from node.store.read_windows import WindowReads
from node.store.read_witness import WitnessReads
from node.store.read_words import WordReads


class StoreReader(
    LogReads,
    StateReads,
    LotReads,
    MessageReads,
    WordReads,
    AccusationReads,
    SettlementReads,
    WindowReads,
    OperatorReads,
    AccessReads,
    WitnessReads,
    MetricReads,
    ImportReads,
    DailyReads,
    MemberReads,
    AppealReads,
    ProgramReads,
    WebhookReads,
):
    """Reads a ledger's store; each call sees one state of it, and all that was committed before the call."""
