"""What a whole purchase takes between processes, over the bare acts that it cannot do without.

One purchase in one process says which bare acts those are, in which order: signatures, verifications, key
agreements, stretched pass phrases, hops to which component, durable commits of which component.  In each
round, in turn with a purchase between processes, just these acts are done in that order: empty round trips
to the same processes, commits of one small row to a database for each component.
"""

from __future__ import annotations

import secrets
import sqlite3
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bench.figure import Figure, seconds
from e2s.base import meter
from e2s.base.http import Handler, Request, Response
from e2s.client.wallet.home import WalletHome
from e2s.community.running import HEALTH
from e2s.security.keys.container import production_cost
from e2s.security.keys.phrase import Phrase
from tests.worlds.running import PATIENCE, PAUSE, Running, running
from tests.worlds.whole import LINES, Whole

ROUNDS = 15
WARM_UP = 3
KINDS = ("sign", "verify", "agree", "stretch", "hop", "commit")
ACT_BYTES = 2_000
ROW_BYTES = 300
_WALLET = "alpha-wallet"


def rounds() -> Iterator[Figure]:
    """The figure of this area."""
    with tempfile.TemporaryDirectory() as folder:
        acts = needed(Path(folder) / "counted")
        with running(Path(folder) / "running", cost=production_cost()) as world, ExitStack() as files:
            yield _wall(world, acts, _bare(world, acts, Path(folder), files))


@dataclass
class Trace:
    """Bare acts in order: what, and at which component (a hop: to which)."""

    acts: list[tuple[str, str]] = field(default_factory=list)
    here: list[str] = field(default_factory=lambda: [_WALLET])

    def count(self, what: str, _times: int) -> None:
        """A watcher of the meter."""
        if what in KINDS and what != "hop":
            self.acts.append((what, self.here[-1]))

    def at(self, name: str, door: Handler) -> Handler:
        """The component's door, noting who comes and what is done behind it."""

        def handle(request: Request) -> Response:
            self.acts.append(("hop", name))
            self.here.append(name)
            try:
                return door(request)
            finally:
                self.here.pop()

        return handle


def needed(folder: Path) -> list[tuple[str, str]]:
    """What one purchase in a standing session does."""
    whole, trace = Whole(folder), Trace()
    try:
        whole.load()
        whole.permit()
        for component in whole.community.components.values():
            if component.origin in whole.exchange.doors:
                door = whole.exchange.doors[component.origin]
                whole.exchange.doors[component.origin] = trace.at(component.name, door)
        meter.watch(trace.count)
        for _ in range(2):  # the first one verifies every path and fetches every revocation list
            trace.acts.clear()
            buy(whole.wallet(), whole.phrase(_WALLET), pause=0)
        return list(trace.acts)
    finally:
        whole.close()


def buy(home: WalletHome, phrase: Phrase, *, pause: float) -> None:
    """One whole purchase by the wallet, from the basket to the receipt."""
    wallet = home.wallet
    review = wallet.ask(wallet.basket(wallet.desk.shops[0].name, LINES), home.deliver_to, home.cost_centre)
    wallet.accept(review.trade, phrase)
    known = wallet.pay(review.trade, phrase)
    for _ in range(PATIENCE):
        if known.state == "received":
            break
        known = wallet.poll(review.trade)
        if known.state != "received":
            time.sleep(pause)
    if not wallet.receipt(review.trade, phrase).settled:
        raise RuntimeError(f"the purchase ended {known.state}")


def _bare(
    world: Running, acts: list[tuple[str, str]], folder: Path, files: ExitStack
) -> dict[tuple[str, str], Callable[[], object]]:
    """Each bare act, ready to be done."""
    key, data, scheme = ec.generate_private_key(ec.SECP256R1()), bytes(ACT_BYTES), ec.ECDSA(hashes.SHA256())
    own, peer, signature = key.public_key(), _peer(), key.sign(data, scheme)
    cost, phrase, salt = production_cost(), Phrase(b"a pass phrase to stretch"), secrets.token_bytes(16)
    crypto: dict[str, Callable[[], object]] = {
        "sign": lambda: key.sign(data, scheme),
        "verify": lambda: own.verify(signature, data, scheme),
        "agree": lambda: key.exchange(ec.ECDH(), peer),
        "stretch": lambda: cost.derive(phrase, salt),
    }
    origins = {component.name: component.origin for component in world.community.components.values()}
    bare: dict[tuple[str, str], Callable[[], object]] = {}
    for what, where in set(acts):
        if what == "hop":
            bare[what, where] = _trip(world, origins[where])
        elif what == "commit":
            bare[what, where] = _commit(files.enter_context(closing(_database(folder / f"{where}.db"))))
        else:
            bare[what, where] = crypto[what]
    return bare


def _peer() -> ec.EllipticCurvePublicKey:
    return ec.generate_private_key(ec.SECP256R1()).public_key()


def _trip(world: Running, origin: str) -> Callable[[], object]:
    return lambda: world.exchange.send(origin, Request("GET", HEALTH))


def _database(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    for line in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE row (body BLOB)"):
        database.execute(line)
    return database


def _commit(database: sqlite3.Connection) -> Callable[[], object]:
    def commit() -> None:
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO row VALUES (?)", (bytes(ROW_BYTES),))
        database.execute("COMMIT")

    return commit


def _wall(
    world: Running, acts: list[tuple[str, str]], bare: dict[tuple[str, str], Callable[[], object]]
) -> Figure:
    home, phrase = world.wallet, world.phrase()
    ratios, plain, walls, floors = [], [], [], []
    parts: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for n in range(WARM_UP + ROUNDS):
        wall = seconds(lambda: buy(home, phrase, pause=PAUSE), 1)
        spent = dict.fromkeys(KINDS, 0.0)
        for act in acts:
            spent[act[0]] += seconds(bare[act], 1)
        if n < WARM_UP:
            continue
        floor = sum(spent.values())
        ratios.append(wall / floor)
        plain.append((wall - spent["stretch"]) / (floor - spent["stretch"]))
        walls.append(wall)
        floors.append(floor)
        for kind in KINDS:
            parts[kind].append(1e3 * spent[kind])
    counts = Counter(what for what, _ in acts)
    detail = {
        "wall_ms": round(1e3 * statistics.median(walls), 1),
        "bare_ms": round(1e3 * statistics.median(floors), 1),
        "purchase.wall-no-kdf": round(statistics.median(plain), 3),
        "counts": {kind: counts[kind] for kind in KINDS},
        "bare_ms_of": {kind: round(statistics.median(all_), 1) for kind, all_ in parts.items()},
        "rounds": ROUNDS,
    }
    return Figure(name="purchase.wall", value=statistics.median(ratios), limit=1.5, detail=detail)
