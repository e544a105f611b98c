"""What a monitor reads of a node: counted as it happens, or looked up when it is asked (Prometheus text format).

Names, labels and units are in specs/metrics.md. No label names a member, an account or a conversion.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from node.engine.engine import Committed
from node.services.context import Context, NodeWriter
from node.services.conversions.exposures import all_exposures
from node.services.logs.cosigning import WitnessList
from node.services.logs.log import LogService
from node.services.operating.exceptions import Delivery
from protocol.errors import TallystickError
from protocol.fields import format_time, parse_time
from protocol.identifiers import Ledger
from protocol.ledger.state import HEAD, ONLY

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
AGES_SECONDS: Final = (0, 10, 60, 3_600, 86_400)
"""Undecided conversions and open holds are counted as at least so old."""

# When a series began is of no use to anybody, and twice as much to read.
disable_created_metrics()  # type: ignore[no-untyped-call]

_WORKS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_024)
_COMMIT_SECONDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_REQUEST_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where a node's figures are looked up."""

    context: Context
    writer: NodeWriter
    log: LogService
    delivery_of: Callable[[Ledger], Delivery]
    witnesses: Callable[[], WitnessList]
    is_ready: Callable[[], bool]


class Metrics:
    """One node's own registry: two nodes of one process do not count for each other."""

    def __init__(self, sources: Sources) -> None:
        """Begin to count what the writer commits."""
        registry = self._registry = CollectorRegistry()
        self._commits = Counter("tallystick_commits", "Commits that are durable.", registry=registry)
        self._entries = Counter("tallystick_entries", "Entries that were written.", registry=registry)
        self._works = Histogram("tallystick_commit_works", "Requests in one commit.", buckets=_WORKS, registry=registry)
        self._stages = Histogram(
            "tallystick_commit_seconds",
            "Time of a commit by stage: load rows, run the rules, sign and write durably.",
            ("stage",),
            buckets=_COMMIT_SECONDS,
            registry=registry,
        )
        self._requests = Histogram(
            "tallystick_http_request_seconds",
            "Time of a request until its answer has ended.",
            ("method", "route", "status"),
            buckets=_REQUEST_SECONDS,
            registry=registry,
        )
        self._ends = Gauge(
            "tallystick_certificate_end_timestamp_seconds",
            "When a certificate that this process has begun with ends.",
            ("file",),
            registry=registry,
        )
        self._series: dict[tuple[str, str, int], Histogram] = {}
        ProcessCollector(registry=registry)
        registry.register(_Now(sources))
        sources.writer.listen(self._committed)

    def requested(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered; `route` is its template."""
        labels = method, route, status
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = self._requests.labels(method, route, str(status))
        series.observe(seconds)

    def certificate(self, file: str, ends_at: datetime) -> None:
        """Tell from now on when the certificate in `file` ends."""
        self._ends.labels(file).set(ends_at.timestamp())

    def text(self) -> bytes:
        """Return everything as Prometheus reads it."""
        return generate_latest(self._registry)

    def _committed(self, committed: Committed) -> None:
        self._commits.inc()
        self._entries.inc(len(committed.sealed))
        self._works.observe(committed.works)
        for stage, seconds in committed.seconds.items():
            self._stages.labels(stage).observe(seconds)


class _Now(Collector):
    """What is looked up when somebody asks."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._context = sources.context

    def describe(self) -> Iterator[Metric]:
        """Describe nothing ahead: that would look everything up."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Look everything up; what cannot be read is left out."""
        writer = self._sources.writer
        yield _gauge("tallystick_ready", "Whether the node can do its work.", self._sources.is_ready())
        yield _gauge("tallystick_writer_queue_works", "Requests that wait to be written.", writer.waiting)
        yield _gauge("tallystick_writer_failing", "Whether the last commit failed.", writer.failure is not None)
        figures = (
            self._of_log,
            self._of_partners,
            self._of_caps,
            self._of_holds,
            self._of_conversions,
            self._of_witnesses,
        )
        for families in figures:
            try:
                yield from list(families())
            except TallystickError:
                continue

    def _of_log(self) -> Iterator[Metric]:
        newest, published = self._sources.log.newest(), self._sources.log.publication.current()
        head = self._context.reader.record(HEAD, ONLY)
        yield _gauge("tallystick_log_entries", "Entries of the log.", newest.size)
        yield _gauge("tallystick_log_published_entries", "Entries under the published checkpoint.", published.size)
        if head is not None:
            yield _gauge("tallystick_last_entry_age_seconds", "Time since the last entry.", self._since(head.time))
        signed = self._sources.log.time_of(published)
        if signed is not None:
            age = self._since(signed)
            yield _gauge("tallystick_checkpoint_age_seconds", "Time since the published checkpoint was signed.", age)

    def _of_partners(self) -> Iterator[Metric]:
        waiting = _by_partner("tallystick_outbox_bodies", "Words that want an answer.")
        oldest = _by_partner("tallystick_outbox_oldest_seconds", "Age of the oldest word that wants an answer.")
        silent = _by_partner("tallystick_partner_silence_seconds", "Time since anything was heard of a partner.")
        heads = {each.partner: each for each in self._context.reader.outbox_heads()}
        for partner, _ in self._context.reader.partners():
            head = heads.get(partner)
            waiting.add_metric([partner], head.bodies if head else 0)
            oldest.add_metric([partner], self._age_of(head.oldest_seq) if head else 0)
            contact = self._sources.delivery_of(partner).last_contact
            if contact is not None:
                silent.add_metric([partner], self._since(contact))
        yield from (waiting, oldest, silent)

    def _of_caps(self) -> Iterator[Metric]:
        used = GaugeMetricFamily(
            "tallystick_cap_used_ratio",
            "What is open, gross, of the most that may be.",
            labels=("partner", "direction"),
        )
        for partner, each in all_exposures(self._context):
            if each.cap:
                used.add_metric([partner, each.direction], int(each.open) / each.cap)
        yield used

    def _of_holds(self) -> Iterator[Metric]:
        held = GaugeMetricFamily("tallystick_holds", "Holds open for so long, or longer.", labels=("seconds",))
        now, reader = self._context.clock.now(), self._context.reader
        # What is held now was placed before the entry that comes next.
        seqs = [reader.first_seq_since(format_time(now - timedelta(seconds=age))) for age in AGES_SECONDS[1:]]
        counts = reader.holds_open_before([reader.end_seq(), *seqs])
        for age, count in zip(AGES_SECONDS, counts, strict=True):
            held.add_metric([str(age)], count)
        yield held

    def _of_conversions(self) -> Iterator[Metric]:
        undecided = GaugeMetricFamily(
            "tallystick_conversions_undecided", "Conversions undecided for so long, or longer.", labels=("seconds",)
        )
        now = self._context.clock.now()
        times = [format_time(now - timedelta(seconds=age)) for age in AGES_SECONDS]
        for age, count in zip(AGES_SECONDS, self._context.reader.undecided_before(times), strict=True):
            undecided.add_metric([str(age)], count)
        yield undecided

    def _of_witnesses(self) -> Iterator[Metric]:
        lag = GaugeMetricFamily(
            "tallystick_witness_lag_entries", "Entries that a witness has not cosigned yet.", labels=("witness",)
        )
        size = self._sources.log.newest().size
        for each in self._sources.witnesses().witnesses:
            lag.add_metric([each.name], size - min(each.cosigned_size or 0, size))
        yield lag

    def _since(self, time: str) -> float:
        return max(0.0, (self._context.clock.now() - parse_time(time)).total_seconds())

    def _age_of(self, seq: int | None) -> float:
        """Return how long ago an entry was written; a word that none has made is as old as nobody knows."""
        sealed = None if seq is None else self._context.entry(seq)
        return 0.0 if sealed is None else self._since(sealed.entry.time)


def _by_partner(name: str, documentation: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, labels=("partner",))


def _gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, value=float(value))
