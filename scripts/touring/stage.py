"""Where the tour is played: three running nodes, an identity provider for each brand, and whoever acts there."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar
from uuid import uuid4

import msgspec

from node.app.dev_issuer import KEY_SET_NAME, DevIssuer, keep_issuer
from node.app.files import write_private
from node.client import NodeClient
from node.config import FILE_NAME, format_config, load_config, make_config
from scripts.alliance.alliance import OPERATOR, Alliance, running_alliance
from scripts.alliance.brands import BRANDS, Brand
from scripts.alliance.process import ROOT, AllianceFailed, NodeProcess
from scripts.alliance.progress import say

WAIT_SECONDS_MAX: Final = 60.0
LOOK_SECONDS: Final = 0.02
TALLYSTICK: Final = "node.cli.main"
_T = TypeVar("_T")


class TourFailed(AllianceFailed):
    """Something did not go as the tour tells it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The alliance, the issuers of members' tokens, and where files are left."""

    alliance: Alliance
    issuers: dict[Brand, DevIssuer]
    files: Path
    said: list[str] = field(default_factory=list)

    def tell(self, line: str) -> None:
        """Tell what has happened."""
        say(line)
        self.said.append(line)

    def operator(self, brand: Brand) -> NodeClient:
        """Return a client with the first operator's token."""
        return self.alliance.client(brand, OPERATOR)

    def member(self, brand: Brand, name: str) -> NodeClient:
        """Return the client of a member's app: its token is the brand's own identity provider's."""
        token = self.issuers[brand].token({"sub": name}, now=int(time.time()))
        return NodeClient(self.alliance.nodes[brand].url, token=token)

    def colleague(self, brand: Brand, role: str) -> NodeClient:
        """Return the client of a colleague to whom the operator gives a key of `role`."""
        with self.operator(brand) as operator:
            key = operator.post("/v1/credentials", {"role": role, "name": role}).read(_Key)
        return NodeClient(self.alliance.nodes[brand].url, token=key.token)

    def tallystick(self, brand: Brand | None, *words: str, role: str = OPERATOR, ends: tuple[int, ...] = (0,)) -> str:
        """Run a command line, at a brand's node or at none; return what it prints. It must end with one of `ends`."""
        command = [sys.executable, "-m", TALLYSTICK, *words]
        if brand is not None:
            node = self.alliance.nodes[brand]
            command += ["--node", node.url, "--token-file", str(node.token_file(role))]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode not in ends:
            raise TourFailed(f"tallystick {' '.join(words)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout


class _Key(msgspec.Struct, frozen=True):
    token: str


def fresh() -> str:
    """Return a new id."""
    return str(uuid4())


def until(ask: Callable[[], _T | None], what: str) -> _T:
    """Return what `ask` returns once it is not None, or raise `TourFailed` when that takes too long."""
    end = time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < end:
        found = ask()
        if found is not None:
            return found
        time.sleep(LOOK_SECONDS)
    raise TourFailed(f"waited in vain for {what}")


@contextmanager
def set_stage(directory: Path) -> Iterator[Stage]:
    """Run three nodes that know each other, each believing its own brand's issuer."""
    issuers: dict[Brand, DevIssuer] = {}
    for brand in BRANDS:
        place = directory / "issuers" / brand.name
        issuers[brand] = keep_issuer(place, name=f"https://id.{brand.program}", audience=brand.program)

    def prepare(node: NodeProcess) -> None:
        issuer = issuers[node.brand]
        believed = {
            "oidc_issuer": issuer.name,
            "oidc_audience": issuer.audience,
            "oidc_jwks": str(directory / "issuers" / node.brand.name / KEY_SET_NAME),
        }
        config = make_config({**load_config(node.directory).model_dump(), **believed})
        write_private(node.directory / FILE_NAME, format_config(config))

    with running_alliance(directory, port_base=None, ephemeral=True, prepare=prepare) as alliance:
        files = directory / "files"
        files.mkdir(exist_ok=True)
        yield Stage(alliance, issuers, files)
