"""A node at work: its channels to partners are open, and its workers run until it is to stop."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from node.app.directory import STATE_NAME
from node.app.open import OpenedNode
from node.peers.hooks import HttpHooks
from node.peers.http import HttpTransport
from node.services.node import Node
from node.workers import (
    close_windows,
    expire_holds,
    expire_points,
    gather_evidence,
    keep_state,
    lapse_transfers,
    prove_partners,
    send_papers,
    send_webhooks,
    warn_expiry,
)
from node.workers import cosign as cosign_worker
from node.workers.close_windows import CloseWindows
from node.workers.cosign import Cosign
from node.workers.deliver import Deliver
from node.workers.expire_holds import ExpireHolds
from node.workers.expire_points import ExpirePoints
from node.workers.gather_evidence import GatherEvidence
from node.workers.keep_state import KeepState
from node.workers.lapse_transfers import LapseTransfers
from node.workers.prove_partners import ProvePartners
from node.workers.runner import Runner, Step
from node.workers.send_papers import SendPapers
from node.workers.send_webhooks import SendWebhooks
from node.workers.warn_expiry import WarnExpiry

DELIVER_SECONDS: Final = 0.5
"""How long delivery sleeps at most, and so how long it may take to notice that the node stops."""


@contextmanager
def at_work(opened: OpenedNode) -> Iterator[None]:
    """Open the channels to partners and let the workers run; at the end they have stopped."""
    node = opened.node
    if opened.config.start_answers == "all":
        node.start_question.ask()
    node.open_channels()
    deliver, cosign = Deliver(node.exchange, node.clock), Cosign(node.cosigning, node.acknowledging)
    prove, hooks = ProvePartners(node.proving), SendWebhooks(node.webhooks, node.events)
    runner = _start_workers(opened, deliver, cosign, prove)
    _start_telling(runner, node, hooks)
    try:
        yield
    finally:
        node.webhooks.halt()
        if isinstance(opened.ports.hooks, HttpHooks):
            opened.ports.hooks.halt()
        if isinstance(opened.ports.transport, HttpTransport):
            # A partner that hangs is not to keep another process, or this one, from going on.
            opened.ports.transport.halt()
        runner.stop(wake=node.agreements.wake)
        deliver.close()
        cosign.close()
        prove.close()
        hooks.close()


def _start_workers(opened: OpenedNode, deliver: Deliver, cosign: Cosign, prove: ProvePartners) -> Runner:
    node, runner = opened.node, Runner()
    papers = SendPapers(node.agreements, node.papers, node.clock)
    state = KeepState(node.log, opened.directory / STATE_NAME, holds=lambda: node.gate.behind is None)
    runner.run("deliver", deliver.step, every_seconds=DELIVER_SECONDS, wait=deliver.wait)
    runner.run("cosign", cosign.step, every_seconds=cosign_worker.INTERVAL_SECONDS, wait=cosign.wait)
    runner.run("papers", papers.step, every_seconds=send_papers.INTERVAL_SECONDS, wait=papers.wait)
    expire, close = ExpireHolds(node.points), CloseWindows(node.settlement)
    runner.run("expire_holds", _while_open(node, expire.step), every_seconds=expire_holds.INTERVAL_SECONDS)
    runner.run("close_windows", _while_open(node, close.step), every_seconds=close_windows.INTERVAL_SECONDS)
    lapse = LapseTransfers(node.transfers)
    runner.run("lapse_transfers", _while_open(node, lapse.step), every_seconds=lapse_transfers.INTERVAL_SECONDS)
    points = ExpirePoints(node.expiry, node.clock)
    runner.run("expire_points", _while_open(node, points.step), every_seconds=expire_points.INTERVAL_SECONDS)
    gather = GatherEvidence(node.accusations)
    runner.run("gather_evidence", gather.step, every_seconds=gather_evidence.INTERVAL_SECONDS)
    runner.run("prove_partners", prove.step, every_seconds=prove_partners.INTERVAL_SECONDS)
    runner.run("keep_state", state.step, every_seconds=keep_state.INTERVAL_SECONDS)
    return runner


def _start_telling(runner: Runner, node: Node, hooks: SendWebhooks) -> None:
    warn = WarnExpiry(node.notices)
    runner.run("warn_expiry", _while_open(node, warn.step), every_seconds=warn_expiry.INTERVAL_SECONDS)
    runner.run("webhooks", _while_open(node, hooks.step), every_seconds=send_webhooks.INTERVAL_SECONDS, wait=hooks.wait)


def _while_open(node: Node, step: Step) -> Step:
    """Return a step that is passed over while the ledger may not be written."""

    def run() -> None:
        if node.may_write():
            step()

    return run
