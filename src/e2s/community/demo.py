"""The demonstration: the example community in one folder, started, used for purchases, and stopped.

Every line that it tells says who did what and, where something was signed, what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2s.base.errors import Misuse
from e2s.community import founding, processes
from e2s.community.conformance import require_conforming
from e2s.community.description import Community
from e2s.community.example import EXAMPLE_PORTS, example_file, free_ports
from e2s.community.file import load_community
from e2s.community.making import Tools
from e2s.community.home import CommunityHome
from e2s.network.sessions.client import HttpExchange

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a demonstration leaves: the evidence bundles of its trades, and the root that they verify with."""

    community: Path
    evidence: tuple[Path, ...]
    trust: Path
    orders: int


def new_community(home: Path) -> tuple[Community, CommunityHome]:
    """Write the example's community file into ``home``, which must be empty or new."""
    if home.exists() and any(home.iterdir()):
        raise Misuse("home-in-use", "the demonstration wants an empty folder", home=str(home))
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    whole = CommunityHome(home.absolute())
    whole.file.write_text(example_file(iter(free_ports(EXAMPLE_PORTS))), encoding="utf-8")
    community = load_community(whole.file)
    require_conforming(community)
    return community, whole


@contextmanager
def running(community: Community, whole: CommunityHome, tools: Tools, tell: Tell) -> Iterator[HttpExchange]:
    """The community founded and every component ready; all are stopped at the end."""
    founding.found(community, whole, tools, tell)
    exchange = HttpExchange(anchors=whole.root.read_bytes())
    try:
        processes.start(community, whole, whole.file, exchange, tell)
        yield exchange
    finally:
        processes.stop(community, whole, tell)
        exchange.close()


def purchase(home: Path, orders: int, tools: Tools, tell: Tell) -> Outcome:
    """Found, start, buy ``orders`` times, reconcile, stop; raises what refuses."""
    community, whole = new_community(home)
    parts = f"{len(community.parties)} parties, {len(community.components)} components"
    tell(f"{community.title}: {parts}, all conform")
    with running(community, whole, tools, tell):
        raise Misuse("demo-unfinished", "the purchases are not part of this build yet", orders=orders)
