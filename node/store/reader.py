"""The reader that all threads share: everything that is read beside the writer, which it never waits for."""

from node.store.read_accusations import AccusationReads
from node.store.read_log import LogReads
from node.store.read_messages import MessageReads
from node.store.read_metrics import MetricReads
from node.store.read_operator import OperatorReads
from node.store.read_settlement import SettlementReads
from node.store.read_state import StateReads
from node.store.read_windows import WindowReads
from node.store.read_witness import WitnessReads
from node.store.read_words import WordReads


class StoreReader(
    LogReads,
    StateReads,
    MessageReads,
    WordReads,
    AccusationReads,
    SettlementReads,
    WindowReads,
    OperatorReads,
    WitnessReads,
    MetricReads,
):
    """Reads a ledger's store; each call sees one state of it, and all that was committed before the call."""
