"""One storm from beginning to end: two nodes made, killed, judged."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from scripts.alliance.alliance import OPERATOR, running_alliance
from scripts.alliance.brands import Brand
from scripts.alliance.process import NodeProcess
from scripts.alliance.progress import say, seconds
from scripts.kills.judge import Judge
from scripts.kills.load import Load
from scripts.kills.plan import PAIR, draw
from scripts.kills.report import Summary, summarise
from scripts.kills.storm import prepare, rage


def run(
    seed: int, directory: Path, database_urls: Mapping[Brand, str], *, conversions: int, kills: int, workers: int = 1
) -> Summary:
    """Run the storm of `seed` on nodes made in `directory`, of so many `workers` each, and return what came of it.

    Of several, what has started them is killed. Raises `AllianceFailed` where a node ends by itself or does not come
    back, a client gets no answer, a conversion does not end or a window is not agreed.
    """
    plan = draw(seed, conversions=conversions, kills=kills)

    def several(node: NodeProcess) -> None:
        node.workers = workers

    began = seconds()
    with ExitStack() as stack:
        alliance = stack.enter_context(
            running_alliance(
                directory,
                port_base=None,
                ephemeral=True,
                brands=PAIR,
                database_urls=database_urls,
                prepare=several,
            )
        )
        clients = {brand: stack.enter_context(alliance.client(brand, OPERATOR)) for brand in PAIR}
        say(f"{len(plan.people)} people open accounts at both brands and link them")
        prepare(plan, clients)
        load = Load(plan, alliance)
        say(f"{conversions} conversions, {kills} kills")
        storming = seconds()
        struck = rage(plan, alliance, load)
        stormed = seconds() - storming
        judgement = Judge(plan, alliance, clients).judge(load)
    return summarise(
        plan,
        judgement,
        struck=struck,
        unanswered=load.unanswered,
        store="postgresql" if database_urls else "sqlite",
        seconds=(stormed, seconds() - began),
    )
