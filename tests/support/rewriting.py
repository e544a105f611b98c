"""A brand that rewrites an old entry of its own log, and signs everything after it anew: it has its own keys."""

import json
from collections.abc import Callable
from typing import cast

from sqlalchemy import create_engine, delete, insert, select, update
from sqlalchemy.pool import NullPool

from node.store.schema import CHECKPOINTS, ENTRIES, HEAD, TILES
from protocol.checkpoint import Checkpoint, sign_checkpoint
from protocol.encoding import JsonValue, encode
from protocol.keys import Role
from protocol.merkle import Hash, MemoryTree, leaf_hash
from protocol.tiles import TileBuilder
from tests.support.nodes import LocalNode

Document = dict[str, JsonValue]


def rewrite(node: LocalNode, seq: int, change: Callable[[Document], Document]) -> None:
    """Restart `node` with `change` made to its entry `seq`: entries, tiles, head and every checkpoint fit again."""
    node.stop()
    engine = create_engine(node._database_url, poolclass=NullPool)
    with engine.begin() as connection:
        rows = connection.execute(select(ENTRIES.c.seq, ENTRIES.c.data).order_by(ENTRIES.c.seq)).all()
        leaves: list[Hash] = []
        for number, data in rows:
            document = cast("Document", json.loads(data))
            if number == seq:
                document = change(document)
            if leaves:
                document["prev"] = leaves[-1].hex()
            written = encode(document)
            leaves.append(leaf_hash(written))
            values = {"data": written, "leaf": bytes(leaves[-1])}
            connection.execute(update(ENTRIES).where(ENTRIES.c.seq == number).values(values))
        connection.execute(update(HEAD).values(leaf=leaves[-1].hex()))
        connection.execute(delete(TILES))
        connection.execute(insert(TILES), _tiles(leaves))
        for number, size in connection.execute(select(CHECKPOINTS.c.number, CHECKPOINTS.c.size)).all():
            root = MemoryTree(leaves[:size]).root()
            stated = Checkpoint(origin=node.ledger, size=size, root=root)
            note = sign_checkpoint(stated, key=node.side.signing_keys[Role.LOG])
            changed = update(CHECKPOINTS).where(CHECKPOINTS.c.number == number)
            connection.execute(changed.values(root=root.hex(), note=note))
    node.start()


def _tiles(leaves: list[Hash]) -> list[dict[str, object]]:
    builder = TileBuilder()
    for leaf in leaves:
        builder.append(leaf)
    return [
        {"generation": 1, "level": tile.level, "tile_index": tile.index, "hashes": bytes(hashes)}
        for tile, hashes in builder.take_changed()
    ]
