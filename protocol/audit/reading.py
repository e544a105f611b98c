"""The files of one log as an audit reads them: bundles with their tiles, from wherever the reading begins.

Where a partial file is gone because the log has grown since, the full one of the same place serves (C2SP tlog-tiles).
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing, nullcontext

from protocol.audit.ahead import Ahead, Source, Stretch
from protocol.audit.findings import FindingCode, Findings
from protocol.audit.replay import LogReplay, tile_place
from protocol.audit.segments import Owner, Segment, segment_of
from protocol.checkpoint import Checkpoint, open_checkpoint
from protocol.errors import CouldNotCheck, ProtocolError
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES, consistency_proof, leaf_hash, verify_consistency
from protocol.note import Verifier
from protocol.tiles import (
    BundleId,
    TileId,
    TileReader,
    changed_bundles,
    changed_tiles,
    decode_bundle,
    encode_bundle,
    format_path,
)

Progress = Callable[[str, int, int], None]
"""Called with a source's label, the entries replayed so far, and the size of the log."""


class LogFiles:
    """Reads one log after the other out of a source; `folder` is where the present one's files are."""

    def __init__(self, source: Source, findings: Findings, *, ahead: Ahead | None = None) -> None:
        """Read from `source`, where `ahead` is given in other processes too; what is wrong goes to `findings`."""
        self.source = source
        self._ahead = ahead
        self.folder = ""
        self.path = ""
        self._findings = findings

    def fetch(self, path: str) -> bytes | None:
        """Return the file of the present log at `path`, or None."""
        self.path = self.folder + path
        return self.source.fetch(self.path)

    def required(self, path: str) -> bytes | None:
        """Return the file at `path`; that there is none is a finding."""
        data = self.fetch(path)
        if data is None:
            self._findings.incomplete(FindingCode.MISSING, self.path, f"{self.source.label} has no such file")
        return data

    def read_entries(
        self, replay: LogReplay, size: int, *, progress: Progress, settled: Callable[[], None] | None = None
    ) -> bool:
        """Replay every bundle from where `replay` stands, comparing its level 0 tile; return whether all were read.

        `settled` is called after each of them.
        """
        with closing(self._segments(replay, size)) as segments:
            for segment in segments:
                if segment is None:
                    return False
                # The tile was compared first: it names the very entry that was changed, a rule perhaps a later one.
                replay.judge(segment)
                progress(self.source.label, replay.size, size)
                if settled is not None:
                    settled()
        return True

    def _segments(self, replay: LogReplay, size: int) -> Generator[Segment | None, None, None]:
        """Yield every segment from where `replay` stands, hashed and compared with its tile, or None for a bad one."""
        ahead: Generator[Segment | None, None, None] | None = None
        with ExitStack() as stack:
            for bundle in changed_bundles(old_size=replay.size, size=size):
                if ahead is None:
                    ahead = self._begin_ahead(replay, bundle, size)
                    stack.enter_context(nullcontext() if ahead is None else closing(ahead))
                segment = None if ahead is None else next(ahead)
                if segment is None:
                    # Whatever is wrong with it is found, and told, here alone.
                    segment = self._hashed(replay, bundle)
                else:
                    replay.hash(segment)
                yield segment

    def _begin_ahead(
        self, replay: LogReplay, bundle: BundleId, size: int
    ) -> Generator[Segment | None, None, None] | None:
        """Let other processes read from `bundle` on, if there are any, they are ready, and it is new altogether."""
        owner = _owner_of(replay)
        if self._ahead is None or owner is None or replay.size % TILE_WIDTH:
            return None
        return self._ahead.begin(Stretch(folder=self.folder, first=bundle.index, size=size, owner=owner))

    def _hashed(self, replay: LogReplay, bundle: BundleId) -> Segment | None:
        """Read a bundle, add its entries to the tree and compare their tile; None where there is no such bundle."""
        data = self._bundle(bundle)
        if data is None:
            return None
        try:
            entries = decode_bundle(data, width=bundle.width)
        except ProtocolError as error:
            self._findings.broken(error.code, self.folder + format_path(bundle), str(error))
            return None
        known = replay.size - bundle.index * TILE_WIDTH
        self._check_known(replay, bundle, entries[:known])
        segment = segment_of(entries[known:], owner=_owner_of(replay))
        replay.hash(segment)
        self._check_tile(replay, TileId(level=0, index=bundle.index, width=bundle.width))
        return segment

    def entry(self, index: int, size: int) -> bytes | None:
        """Return the entry at `index` of a log of `size` entries, or None where it cannot be had."""
        place, offset = divmod(index, TILE_WIDTH)
        bundle = BundleId(index=place, width=min(TILE_WIDTH, size - place * TILE_WIDTH))
        try:
            data = self._bundle(bundle)
            return None if data is None else decode_bundle(data, width=bundle.width)[offset]
        except (ProtocolError, CouldNotCheck):
            return None

    def _check_known(self, replay: LogReplay, bundle: BundleId, entries: Sequence[bytes]) -> None:
        """Compare the entries of a bundle that were verified before with what they were."""
        first = bundle.index * TILE_WIDTH
        for index, data in enumerate(entries, first):
            if leaf_hash(data).hex() != replay.tree.leaf(index):
                text = "another entry was verified here before"
                self._findings.broken(FindingCode.FORKED, f"entry {replay.first_seq + index}", text)
                return

    def _bundle(self, bundle: BundleId) -> bytes | None:
        path = format_path(bundle)
        if bundle.width == TILE_WIDTH:
            return self.required(path)
        data = self.fetch(path)
        if data is not None:
            return data
        full = self.fetch(format_path(BundleId(index=bundle.index)))
        if full is None:
            return self.required(path)
        try:
            return encode_bundle(decode_bundle(full, width=TILE_WIDTH)[: bundle.width])
        except ProtocolError:
            return full

    def check_upper_tiles(self, replay: LogReplay, size: int, *, old_size: int = 0) -> None:
        """Compare the tiles above the leaves that changed since `old_size`."""
        for tile in changed_tiles(old_size=old_size, size=size):
            if tile.level:
                self._check_tile(replay, tile)

    def _check_tile(self, replay: LogReplay, tile: TileId) -> None:
        data = self._tile(tile)
        if data is None:
            text = f"{self.source.label} has no such tile"
            self._findings.incomplete(FindingCode.MISSING, self.folder + tile_place(tile), text)
        else:
            replay.check_tile(tile, data, folder=self.folder)

    def _tile(self, tile: TileId) -> bytes | None:
        data = self.fetch(format_path(tile))
        if data is None and tile.width < TILE_WIDTH:
            full = self.fetch(format_path(TileId(level=tile.level, index=tile.index)))
            return None if full is None else full[: tile.width * HASH_BYTES]
        return data

    def leads_to(self, replay: LogReplay, note: bytes, verifiers: Sequence[Verifier]) -> bool:
        """Return whether the entries replayed so far are shown to be the beginning of what `note` signs.

        The consistency proof is made of the tiles that the log serves, and verified like any other (RFC 6962 §2.1.2).
        """
        try:
            checkpoint = open_checkpoint(note, verifiers)
            proof = consistency_proof(old_size=replay.size, size=checkpoint.size, read=self._reader(checkpoint).read)
            verify_consistency(
                old_size=replay.size,
                size=checkpoint.size,
                old_root=replay.tree.root(),
                root=checkpoint.root,
                proof=proof,
            )
        except (ProtocolError, CouldNotCheck):
            return False  # The whole audit finds out why, and says so.
        return True

    def _reader(self, checkpoint: Checkpoint) -> TileReader:
        def fetch(tile: TileId) -> bytes:
            data = self._tile(tile)
            if data is None:
                raise CouldNotCheck(f"{self.source.label} has no {tile_place(tile)}")
            return data

        return TileReader(size=checkpoint.size, fetch=fetch)


def _owner_of(replay: LogReplay) -> Owner | None:
    """Return whose log is read, once its genesis has been accepted."""
    record = replay.ledger
    return None if record is None else Owner(ledger=record.ledger, points=record.points)
