"""What a whole purchase takes between processes, over the bare acts that it cannot do without.

The counts are those of one purchase in one process; the bare acts are timed in each round in turn with a
purchase: signatures, verifications, key agreements, stretched pass phrases, empty round trips to the same
processes, durable commits of one small row.
"""

from __future__ import annotations

import secrets
import sqlite3
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
#: The components that a purchase's hops go to, all but the shop without TLS.
BEHIND = ("volt-purchasing", "volt-keys", "volt-payment", "acquirer-gateway", "issuer-desk")
ACT_BYTES = 2_000


def rounds() -> Iterator[Figure]:
    """The figure of this area."""
    with tempfile.TemporaryDirectory() as folder:
        counts = counted(Path(folder) / "counted")
        with running(Path(folder) / "running", cost=production_cost()) as world:
            yield _wall(world, counts, Path(folder))


def counted(folder: Path) -> Counter[str]:
    """What one purchase in a standing session costs; ``shop``: those of its hops that go by TLS."""
    whole = Whole(folder)
    try:
        whole.load()
        whole.permit()
        home, phrase = whole.wallet(), whole.phrase("alpha-wallet")
        origin = home.wallet.desk.shops[0].origin
        whole.exchange.doors[origin] = _counting(whole.exchange.doors[origin])
        for _ in range(2):  # the first one verifies every path and fetches every revocation list
            with meter.measured() as spent:
                buy(home, phrase, pause=0)
        return spent
    finally:
        whole.close()


def _counting(door: Handler) -> Handler:
    def handle(request: Request) -> Response:
        meter.count("shop")
        return door(request)

    return handle


def buy(home: WalletHome, phrase: Phrase, *, pause: float) -> None:
    """One whole purchase by the wallet, from the basket to the receipt."""
    wallet = home.wallet
    review = wallet.ask(
        wallet.basket(wallet.desk.shops[0].name, LINES), home.deliver_to, home.cost_centre
    )
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


@dataclass(frozen=True, kw_only=True)
class Bare:
    """One bare act of each kind, ready to be timed."""

    acts: dict[str, Callable[[], object]]
    times: dict[str, int]

    def timed(self) -> dict[str, float]:
        """Seconds that one act of each kind takes now."""
        return {kind: seconds(act, self.times[kind]) for kind, act in self.acts.items()}


def _bare(world: Running, folder: Path) -> Bare:
    key, other, data = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1()), bytes(
        ACT_BYTES
    )
    scheme, own, peer = ec.ECDSA(hashes.SHA256()), key.public_key(), other.public_key()
    signature, cost, phrase = key.sign(data, scheme), production_cost(), Phrase(b"a pass phrase to stretch")
    salt = secrets.token_bytes(16)
    shop, *behind = (world.community.component(name).origin for name in ("volt-shop", *BEHIND))
    database = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for line in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE rows (n INTEGER, body BLOB)"):
        database.execute(line)

    def trips(*origins: str) -> Callable[[], object]:
        return lambda: [world.exchange.send(origin, Request("GET", HEALTH)) for origin in origins]

    def commit() -> None:
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO rows VALUES (1, ?)", (data[:300],))
        database.execute("COMMIT")

    return Bare(
        acts={
            "sign": lambda: key.sign(data, scheme),
            "verify": lambda: own.verify(signature, data, scheme),
            "agree": lambda: key.exchange(ec.ECDH(), peer),
            "stretch": lambda: cost.derive(phrase, salt),
            "shop": trips(shop),
            "behind": trips(*behind),
            "commit": commit,
        },
        times={"sign": 50, "verify": 50, "agree": 50, "stretch": 2, "shop": 10, "behind": 4, "commit": 20},
    )


def floor(counts: Counter[str], spent: dict[str, float]) -> float:
    """Counts times seconds, summed."""
    behind = (counts["hop"] - counts["shop"]) * spent["behind"] / len(BEHIND)
    kinds = ("sign", "verify", "agree", "stretch", "shop", "commit")
    return behind + sum(counts[kind] * spent[kind] for kind in kinds)


def _wall(world: Running, counts: Counter[str], folder: Path) -> Figure:
    home, phrase, bare = world.wallet, world.phrase(), _bare(world, folder)
    ratios, plain, walls = [], [], []
    parts: dict[str, list[float]] = {kind: [] for kind in bare.acts}
    for n in range(WARM_UP + ROUNDS):
        wall = seconds(lambda: buy(home, phrase, pause=PAUSE), 1)
        spent = bare.timed()
        if n < WARM_UP:
            continue
        base, stretched = floor(counts, spent), counts["stretch"] * spent["stretch"]
        ratios.append(wall / base)
        plain.append((wall - stretched) / (base - stretched))
        walls.append(wall)
        for kind, taken in spent.items():
            parts[kind].append(1e6 * taken / (len(BEHIND) if kind == "behind" else 1))
    detail = {
        "wall_ms": round(1e3 * statistics.median(walls), 1),
        "purchase.wall-no-kdf": round(statistics.median(plain), 3),
        "counts": {**{kind: counts[kind] for kind in KINDS}, "hops_by_tls": counts["shop"]},
        "bare_us": {kind: round(statistics.median(all_), 1) for kind, all_ in parts.items()},
        "rounds": ROUNDS,
    }
    return Figure(name="purchase.wall", value=statistics.median(ratios), limit=1.5, detail=detail)
