"""`tallystick doctor`: what an operator would look at first, each with what to do; nothing is changed.

The node may be running. What only `fsck` can find, it does not look for.
"""

import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Final

from node.app.access import partner_tls, server_tls
from node.app.directory import STATE_NAME, database_url
from node.app.key_files import stored_keys
from node.app.open import public_key_of
from node.app.sockets import place_of
from node.app.tls import check_certificate
from node.config import WITHOUT_EFFECT, ConfigInvalid, NodeConfig, load_config, parse_witness
from node.peers.logs import HttpLogs
from node.ports import TransportFailed
from node.services.logs.own_log import open_of
from node.store.copying import check_here
from node.store.database import Database
from node.store.facts import DatabaseFacts, facts_of
from node.store.reader import StoreReader
from node.workers.keep_state import read_state
from protocol.agreement import key_of
from protocol.errors import TallystickError
from protocol.identifiers import Ledger, first_of
from protocol.keys import Role
from protocol.ledger.state import HEAD, LEDGER, ONLY

FREE_BYTES_MIN: Final = 100 * 1024 * 1024
FLUSHES: Final = 21
FLUSH_SECONDS_MAX: Final = 0.02
CLOCK_SECONDS_MAX: Final = 600
OPEN_FILES_MIN: Final = 1_024
NAMED_TABLES_MAX: Final = 5

_PROBE: Final = ".doctor"
_PROBE_BYTES: Final = 4_096


class Health(StrEnum):
    """How a check came out: `WORRY` is what will hurt later, `BAD` what hurts now."""

    GOOD = "good"
    WORRY = "worry"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at, what was found, and what to do about it."""

    name: str
    health: Health
    found: str
    advice: str | None = None


def examine(directory: Path, *, offline: bool = False) -> Iterator[Check]:
    """Yield every check of the node in `directory`; with `offline` nobody else is asked.

    Raises `ConfigInvalid` where it is no node's directory.
    """
    config = load_config(directory)
    yield _configuration(config)
    yield from _guarded("keys", lambda: _keys(directory, config))
    yield from _guarded("disk", lambda: _disk(directory))
    yield from _guarded("flush", lambda: _flush(directory))
    yield _open_files()
    yield from _guarded("certificates", lambda: _certificates(directory, config))
    yield from _guarded("database", lambda: _database(directory, config, offline=offline))
    if not offline:
        yield from _guarded("node", lambda: _node(config))


def _configuration(config: NodeConfig) -> Check:
    name, found = "configuration", f"{config.ledger}, {config.points}"
    set_in_vain = [
        key for key in sorted(WITHOUT_EFFECT) if getattr(config, key) != NodeConfig.model_fields[key].default
    ]
    if not set_in_vain:
        return Check(name=name, health=Health.GOOD, found=found)
    keys = ", ".join(set_in_vain)
    return Check(name=name, health=Health.WORRY, found=f"{found}; without effect: {keys}", advice=f"remove {keys}")


def _guarded(name: str, look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """Yield what `look` finds; what it raises is found, too."""
    try:
        yield from look()
    except TallystickError as error:
        yield Check(name=name, health=Health.BAD, found=str(error), advice=f"clear it ({error.code}), then look again")
    except OSError as error:
        yield Check(name=name, health=Health.BAD, found=str(error), advice="give the node its directory back")


def _keys(directory: Path, config: NodeConfig) -> Iterator[Check]:
    if config.agent:
        public_key_of(directory, config, Role.LOG)
        yield Check(name="keys", health=Health.GOOD, found="held by the agent, which answers")
        return
    plain = [each.role for each in stored_keys(directory) if not each.sealed]
    if plain:
        advice = "protect them by a passphrase (tallystick keys encrypt), or let an agent hold them"
        yield Check(name="keys", health=Health.WORRY, found=f"{len(plain)} are not encrypted", advice=advice)
    else:
        yield Check(name="keys", health=Health.GOOD, found="encrypted")


def _disk(directory: Path) -> Iterator[Check]:
    free = shutil.disk_usage(directory).free
    used = sum(path.stat().st_size for path in directory.glob("ledger.sqlite*"))
    found = f"{_size(free)} free, the store has {_size(used)} here"
    if free < FREE_BYTES_MIN:
        yield Check(name="disk", health=Health.BAD, found=found, advice="make room: a full disk stops the node")
    elif free < 2 * used:
        yield Check(name="disk", health=Health.WORRY, found=found, advice="make room: a backup needs as much again")
    else:
        yield Check(name="disk", health=Health.GOOD, found=found)


def _flush(directory: Path) -> Iterator[Check]:
    """Time how long the disk takes to keep a page, which bounds what a commit takes."""
    path = directory / _PROBE
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        seconds = [_flushed(handle) for _ in range(FLUSHES)]
    finally:
        os.close(handle)
        path.unlink()
    middle = median(seconds)
    slow = middle > FLUSH_SECONDS_MAX
    yield Check(
        name="flush",
        health=Health.WORRY if slow else Health.GOOD,
        found=f"{middle * 1e6:,.0f} µs for a page, median of {FLUSHES}",
        advice="use a faster disk: every commit waits for at least one flush" if slow else None,
    )


def _flushed(handle: int) -> float:
    began = time.perf_counter()
    os.pwrite(handle, os.urandom(_PROBE_BYTES), 0)
    os.fsync(handle)
    return time.perf_counter() - began


def _open_files() -> Check:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = 0 <= limit < OPEN_FILES_MIN
    return Check(
        name="open files",
        health=Health.WORRY if few else Health.GOOD,
        found="no limit" if limit < 0 else f"{limit:,} at most",
        advice=f"allow {OPEN_FILES_MIN} or more (LimitNOFILE): each caller takes one" if few else None,
    )


def _database(directory: Path, config: NodeConfig, *, offline: bool) -> Iterator[Check]:
    with Database.open(database_url(directory, config), made=True) as database:
        facts = facts_of(database)
        if facts.unsafe:
            advice = "turn it on: a commit that was answered could be lost"
            yield Check(name="durability", health=Health.BAD, found=", ".join(facts.unsafe), advice=advice)
        if facts.old:
            yield Check(name="server", health=Health.WORRY, found=facts.server, advice="use PostgreSQL 15 or newer")
        if facts.unfit:
            # What a replica holds says nothing of the store that is written.
            advice = "correct the database, or database_url: the node does not start on it"
            yield Check(name="database", health=Health.BAD, found=f"{facts.server}: {facts.unfit}", advice=advice)
            return
        if facts.withheld:
            named, more = facts.withheld[:NAMED_TABLES_MAX], len(facts.withheld) - NAMED_TABLES_MAX
            others = f", and {more} more" if more > 0 else ""
            found = f"{facts.server}: the node's role has too few rights on {', '.join(named)}{others}"
            advice = "give it SELECT, INSERT, UPDATE and DELETE on every table (GRANT), or make it their owner"
            yield Check(name="database", health=Health.BAD, found=found, advice=advice)
            return
        if not database.is_current():
            found, advice = (
                f"{facts.server}, tables of another version",
                "start the node once: it brings them up to date",
            )
            yield Check(name="database", health=Health.WORRY, found=found, advice=advice)
            return
        reader = database.reader()
        check_here(reader)
        yield from _ledger(directory, config, reader, facts)
        if not offline:
            yield from _others(directory, config, reader)


def _ledger(directory: Path, config: NodeConfig, reader: StoreReader, facts: DatabaseFacts) -> Iterator[Check]:
    # A node that runs goes on: what the file has seen now, the store has from now on.
    note = read_state(directory / STATE_NAME)
    record, head, newest = reader.record(LEDGER, ONLY), reader.record(HEAD, ONLY), reader.latest_checkpoint()
    if record is None or head is None or newest is None or record.ledger != first_of(Ledger(config.ledger)):
        found = f"{facts.server} holds {'no ledger' if record is None else record.ledger}"
        yield Check(
            name="database", health=Health.BAD, found=found, advice="correct database_url, or the ledger's name"
        )
        return
    yield Check(
        name="database",
        health=Health.GOOD,
        found=f"{facts.server}, {_size(facts.size)}, {newest.size:,} entries, the last at {head.time}",
    )
    ahead = (datetime.fromisoformat(head.time) - datetime.now(UTC)).total_seconds()
    late = ahead > CLOCK_SECONDS_MAX
    yield Check(
        name="clock",
        health=Health.BAD if late else Health.GOOD,
        found=f"{ahead:,.0f} s behind the last entry" if late else "not behind the last entry",
        advice="set this machine's clock, and keep it by NTP" if late else None,
    )
    if note is None:
        advice = "start the node once; it would not notice that its store is an old copy"
        yield Check(name="state file", health=Health.WORRY, found="none", advice=advice)
        return
    seen = open_of(note, ledger=record.ledger, key=key_of(record.keys, Role.LOG))
    behind = seen.origin == record.log and seen.size > newest.size
    yield Check(
        name="state file",
        health=Health.BAD if behind else Health.GOOD,
        found=f"has seen {seen.size:,} entries",
        advice="the store is an old copy: tallystick recover, or tallystick succeed" if behind else None,
    )


def _others(directory: Path, config: NodeConfig, reader: StoreReader) -> Iterator[Check]:
    """Ask the partners and the witnesses whether they are there."""
    try:
        tls = partner_tls(directory, config)
    except ConfigInvalid:
        return  # It is told with the certificates.
    record = reader.record(LEDGER, ONLY)
    urls = reader.partner_urls()
    with closing(HttpLogs(tls)) as logs:
        for partner in record.partners if record else ():
            if partner in urls:
                advice = "ask the partner whether its node runs, and which address it has"
                yield _asked(f"partner {partner}", logs, urls[partner], advice)
            else:
                yield Check(name=f"partner {partner}", health=Health.GOOD, found="dials in, or exchanges files")
        for text in config.witnesses:
            verifier, url = parse_witness(text)
            yield _asked(f"witness {verifier.name}", logs, url, "ask who runs it, or name another", path="")
    if not config.witnesses and not (config.partners_are_witnesses and urls):
        advice = "name witnesses in node.toml, or let partners be some: nobody would see a second history"
        yield Check(name="witnesses", health=Health.WORRY, found="none", advice=advice)


def _asked(name: str, logs: HttpLogs, url: str, advice: str, *, path: str = "livez") -> Check:
    try:
        logs.fetch(url, path)
    except TransportFailed as failure:
        if " answered " in str(failure):
            return Check(name=name, health=Health.GOOD, found=f"{url} answers")
        return Check(name=name, health=Health.BAD, found=str(failure), advice=advice)
    return Check(name=name, health=Health.GOOD, found=f"{url} answers")


def _certificates(directory: Path, config: NodeConfig) -> Iterator[Check]:
    for use in (server_tls, partner_tls):
        try:
            use(directory, config)
        except ConfigInvalid as error:
            pair = "give a whole certificate, and the key that belongs to it: the node does not start on these"
            yield Check(name="TLS", health=Health.BAD, found=str(error), advice=pair)
    for name in sorted({config.tls_certificate, config.partner_certificate} - {""}):
        view = check_certificate(directory / name, now=datetime.now(UTC))
        findings = (*view.problems, *view.warnings)
        health = Health.BAD if view.problems else Health.WORRY if view.warnings else Health.GOOD
        advice = "make or get another one in time: tallystick tls" if findings else None
        yield Check(name=f"certificate {name}", health=health, found=", ".join(findings) or "holds", advice=advice)


def _node(config: NodeConfig) -> Iterator[Check]:
    if not config.port or config.tls_certificate:
        # Whoever asks over TLS asks by the name in the certificate.
        return
    url = f"http://{place_of(config.host, config.port)}"
    with closing(HttpLogs()) as logs:
        try:
            logs.fetch(url, "livez")
        except TransportFailed:
            yield Check(name="node", health=Health.GOOD, found=f"does not run at {url}")
            return
        try:
            logs.fetch(url, "readyz")
        except TransportFailed:
            advice = "see what it waits for: tallystick standing, tallystick exceptions"
            yield Check(name="node", health=Health.BAD, found=f"{url} is not ready", advice=advice)
            return
    yield Check(name="node", health=Health.GOOD, found=f"{url} is ready")


def _size(count: int) -> str:
    return f"{count / 1024**3:,.1f} GiB" if count >= 1024**3 else f"{count / 1024**2:,.0f} MiB"
