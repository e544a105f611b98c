"""Several processes on one store: one writes and speaks with partners, the others answer reads and stand by.

Each process tries to become the one that writes whenever that is free. On PostgreSQL one that is silent for too long is
deposed: its session is ended at the database, and its term is over. What it then still tries to commit is refused, so a
process that was stopped and wakes up again finds that it no longer writes, and stands by. What has started several
processes of one machine ends such a one by itself (`node.app.several`).
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from node.app.at_work import at_work
from node.app.directory import database_url
from node.app.http_bounds import pass_on
from node.app.key_files import is_sealed, seed_path
from node.app.listening import Listener
from node.app.memory import settle
from node.app.open import OpenedNode, PortOverrides, open_node, open_standby
from node.app.presence import Presence
from node.app.serve import app_of, wake_all
from node.app.sockets import AddressUnavailable
from node.app.standby import Standby, Switch
from node.app.turns import shorten_turns
from node.config import ConfigInvalid, is_shared, load_config
from node.store.database import Database
from node.store.errors import StoreBusy, StoreFailed
from node.store.leading import Leading, leading_of
from node.store.rows import SignedCheckpoint
from node.telemetry import configure_logging
from protocol.keys import Role

BEAT_SECONDS: Final = 0.5
UNKNOWN_SECONDS: Final = 0.1
"""How soon it is looked again where nobody is known to write: requests wait for that."""

SILENT_SECONDS_MAX: Final = 3.0
"""A writer that has said nothing for so long is deposed."""

LOST_BEATS_MAX: Final = 4
"""Beats that may fail before a process gives up writing by itself."""

_LOG: Final = structlog.get_logger()


class Cluster:
    """One process of several: it stands by, writes while it can, and answers all the time."""

    def __init__(
        self,
        directory: Path,
        *,
        settings: Mapping[str, object] | None,
        ports: PortOverrides | None,
        standby: OpenedNode,
        leading: Leading,
        shared: bool = False,
    ) -> None:
        """Take the socket, `shared` with others or not; `standby` answers reads while another process writes."""
        self._directory, self._settings, self._ports = directory, settings, ports
        self._leading = leading
        config = standby.config
        self._presence = Presence(directory, host=config.host, port=config.port) if shared else None
        self._writer_url: str | None = None
        self._reader = standby.node.reader
        # What the process that writes has signed, and may not have left in the state file that this one finds.
        self._newest: SignedCheckpoint | None = None
        self._stopping = threading.Event()
        self._opened: OpenedNode | None = None
        self._standby = Standby(app_of(standby), lambda: self._writer_url)
        self._switch = Switch(self._standby)
        self._listener = Listener(config, self._switch, shared=shared, on_stop=self._wake)
        self._url = config.cluster_url or self._listener.own_url

    def run(self, on_ready: Callable[[str], None] | None = None) -> None:
        """Answer until SIGTERM or SIGINT; call `on_ready` with the URL at first."""
        manager = threading.Thread(target=self._manage, name="cluster", daemon=True)
        manager.start()
        try:
            self._listener.run(on_ready)
        finally:
            self._stopping.set()
            manager.join()
            if self._presence is not None:
                self._presence.close()

    def stop(self) -> None:
        """Finish the requests that are under way and take no more; any thread may call this."""
        self._listener.stop()

    def _wake(self) -> None:
        self._stopping.set()
        opened = self._opened
        if opened is not None:
            wake_all(opened)

    def _manage(self) -> None:
        while not self._stopping.is_set():
            pause = BEAT_SECONDS
            try:
                remembered = None if self._newest is None else self._newest.note
                with open_node(
                    self._directory, settings=self._settings, ports=self._ports, remembered=remembered
                ) as opened:
                    self._lead(opened)
            except StoreBusy:
                self._look()
                pause = UNKNOWN_SECONDS if self._writer_url is None else BEAT_SECONDS
            except Exception as failure:  # noqa: BLE001 - reads are answered on, and it is tried again
                _LOG.error("cannot_write", exc_info=failure)
                # Another process may, where this one has a replica of the database.
                self._look()
            self._stopping.wait(pause)

    def _lead(self, opened: OpenedNode) -> None:
        """Write, until another process does or the database is out of reach."""
        _LOG.info("writing", term=opened.term, url=self._url)
        if self._presence is not None:
            self._presence.leave()
        self._leading.beat(term=opened.term, url=self._url)
        with at_work(opened):
            self._opened, self._switch.app = opened, app_of(opened)
            self._standby.give_up()
            try:
                lost = 0
                while lost < LOST_BEATS_MAX and not self._stopping.wait(BEAT_SECONDS):
                    lost = self._beat(opened.term, lost)
                    if self._presence is not None:
                        self._share(wanted=not self._presence.others_answer())
            finally:
                self._opened = None
                if not self._stopping.is_set():
                    # Those who wait here ask again, and reach the process that writes now.
                    self._switch.app = self._standby
                    wake_all(opened)
                    self._stand_by()
        _LOG.info("not_writing", term=opened.term)

    def _beat(self, term: int, lost: int) -> int:
        """Say that this process writes; return how many such words in a row have been lost, or `LOST_BEATS_MAX`."""
        try:
            return 0 if self._leading.beat(term=term, url=self._url) else LOST_BEATS_MAX
        except StoreFailed as failure:
            _LOG.warning("beat_lost", reason=str(failure))
            return lost + 1

    def _stand_by(self) -> None:
        """Answer at the shared address, where there is one, beside the one that writes."""
        if self._presence is None:
            return
        if self._share(wanted=True):
            self._presence.enter()
        else:
            # The one that writes is not to leave the address to nobody.
            self._presence.leave()

    def _share(self, *, wanted: bool) -> bool:
        """Answer at the shared address, or leave it to those that only answer; return whether that could be done."""
        try:
            self._listener.share(wanted=wanted)
        except (AddressUnavailable, TimeoutError, RuntimeError) as failure:
            _LOG.warning("cannot_share", reason=repr(failure))
            return False
        return True

    def _look(self) -> None:
        """Answer, learn who writes, and depose a process that has been silent for too long."""
        self._stand_by()
        try:
            self._remember()
            leader = self._leading.leader()
            url = None if leader is None or leader.url == self._url else leader.url
            if url != self._writer_url:
                self._writer_url = url
                self._standby.give_up()
            if leader is not None and leader.silent_seconds > SILENT_SECONDS_MAX:
                _LOG.warning("deposing", url=leader.url, silent_seconds=leader.silent_seconds)
                self._leading.depose()
        except StoreFailed as failure:
            _LOG.warning("writer_unknown", reason=str(failure))

    def _remember(self) -> None:
        """Keep the newest checkpoint that the store has shown: an older copy of it may be put back under all of us."""
        newest, known = self._reader.latest_checkpoint(), self._newest
        if newest is not None and (known is None or (newest.generation, newest.size) > (known.generation, known.size)):
            self._newest = newest


def serve_one_of_several(
    directory: Path,
    *,
    settings: Mapping[str, object] | None = None,
    ports: PortOverrides | None = None,
    shared: int | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the node in `directory` as one of several processes on its store.

    Those that are `shared` are on one address: over that file descriptor they tell what has started them that they are
    alive, and stop once nobody is there to hear it. Raises `ConfigInvalid` for a node on SQLite that does not share its
    address, and what `open_node` raises.
    """
    config = load_config(directory, settings)
    if shared is None and not is_shared(config):
        raise ConfigInvalid(
            "several processes on an SQLite file are started together: --workers; each by itself they need PostgreSQL:"
            " tallystick copy-store"
        )
    if config.tls_certificate:
        raise ConfigInvalid("several processes speak HTTP among themselves: let a proxy in front of them take TLS")
    configure_logging(level=config.log_level, form=config.log_format)
    with (
        Database.open(database_url(directory, config), made=True) as database,
        open_standby(directory, settings=settings, ports=ports) as standby,
    ):
        leading, ports = leading_of(database, directory), _with_typed(ports or PortOverrides(), standby)
        cluster = Cluster(
            directory, settings=settings, ports=ports, standby=standby, leading=leading, shared=shared is not None
        )
        settle()
        shorten_turns()
        pass_on()
        if shared is not None:
            threading.Thread(target=_say_alive, args=(shared, cluster.stop), name="alive", daemon=True).start()
        cluster.run(on_ready)


def _with_typed(ports: PortOverrides, standby: OpenedNode) -> PortOverrides:
    """Keep keys that a typed passphrase has opened: when this process is to write, nobody may be there to type it."""
    config = standby.config
    if config.agent or config.passphrase_file or not is_sealed(seed_path(standby.directory, Role.LOG)):
        # Files are read again: others may have been added to them by then.
        return ports
    return replace(ports, keyring=standby.ports.keyring)


def _say_alive(pipe: int, on_alone: Callable[[], None]) -> None:
    """Say so for ever; call `on_alone` once nobody hears it."""
    try:
        while True:
            os.write(pipe, b".")
            time.sleep(BEAT_SECONDS)
    except OSError:
        _LOG.warning("alone")
        on_alone()
