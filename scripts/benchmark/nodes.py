"""What benchmarks over HTTP share: node processes on loopback, lean callers of them, ids."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from node.client import read_token
from scripts.alliance.alliance import BACKEND, Alliance, running_alliance
from scripts.alliance.brands import Brand
from scripts.benchmark.callers import Caller
from scripts.benchmark.places import SQLITE, Place


class Ids:
    """Random UUIDs from one seed."""

    def __init__(self, seed: int) -> None:
        """Begin."""
        self.rng = random.Random(seed)

    def __call__(self) -> str:
        """Return the next id."""
        return str(UUID(int=self.rng.getrandbits(128), version=4))


@contextmanager
def nodes_at(place: Place, store: str, brands: Sequence[Brand]) -> Iterator[Alliance]:
    """Run new nodes of `brands`, each with its own database in `store`."""
    urls = {} if store == SQLITE else {brand: place.database(store) for brand in brands}
    folder = place.fresh("nodes")
    with running_alliance(folder, port_base=None, ephemeral=True, brands=brands, database_urls=urls) as alliance:
        yield alliance


def caller_of(alliance: Alliance, brand: Brand) -> Caller:
    """Return a caller of a brand's node with the backend's credential."""
    node = alliance.nodes[brand]
    return Caller(node.url, read_token(node.token_file(BACKEND)))
