"""How long a revocation takes to reach whoever meets the certificate, between processes on one machine.

An officer's word suspends the certificate of a buyer's session at the CA; she logs in again and again until
the shop refuses her; then it is released, and measured anew at another moment of everybody's second.
"""

from __future__ import annotations

import secrets
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from bench.figure import Figure
from e2s.base import wire
from e2s.base.errors import E2SError
from e2s.base.instants import format_instant
from e2s.crypto import oids
from e2s.crypto.cms.signing import sign
from e2s.network.sessions.link import Link, read_key
from e2s.security.keys.software import SoftwarePse
from tests.worlds.ca_client import CaClient
from tests.worlds.running import Running, running
from tests.worlds.whole import LINES

ROUNDS = 9
#: What docs/repository.md promises.
BOUND_SECONDS = 5.0
_PAUSE = 0.05
_OFFICER, _REGISTRATION, _CA = "authority-officer-1", "authority-registration", "authority-ca"


def rounds() -> Iterator[Figure]:
    """The figure of this area: the longest of the rounds."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "market") as world:
        world.wallet.wallet.basket(_shop(world), LINES)
        taken = [_round(world, number) for number in range(ROUNDS)]
    detail = {"rounds": ROUNDS, "median_seconds": statistics.median(taken), "shortest_seconds": min(taken)}
    yield Figure(
        name="reach.revoked_to_refused_seconds", value=max(taken), limit=BOUND_SECONDS, detail=detail
    )


def _round(world: Running, number: int) -> float:
    """Seconds from the CA's answer to the first refusal."""
    _say(world, "hold")
    start = time.perf_counter()
    while _logs_in(world):
        time.sleep(_PAUSE)
    taken = time.perf_counter() - start
    _say(world, "release")
    while not _logs_in(world):
        time.sleep(_PAUSE)
    time.sleep(number * _PAUSE)  # another moment of everybody's second
    return taken


def _logs_in(world: Running) -> bool:
    """Whether the shop lets her in with a session of its own."""
    wallet = world.wallet.wallet
    wallet.line(_shop(world)).close()
    try:
        wallet.basket(_shop(world), LINES)
    except E2SError:
        return False
    return True


def _shop(world: Running) -> str:
    return world.wallet.wallet.desk.shops[0].name


def _say(world: Running, act: str) -> None:
    """An officer's signed word about the session's certificate, brought by the registration's link."""
    signer = SoftwarePse.open(world.path(_OFFICER) / "pse", world.phrase(_OFFICER)).signer("officer")
    key = read_key(world.path(_REGISTRATION) / "links" / f"{_CA}.key")
    origin = world.community.component(_CA).origin
    link = Link(_REGISTRATION, _CA, key, world.exchange, origin, world.clock, secrets.token_bytes)
    now = world.clock.now()
    document = {
        "type": "e2s/1/withdrawal",
        "community": world.community.name,
        "ca": _CA,
        "case": secrets.token_hex(4),
        "serial": f"{world.home.certificates('alpha-wallet', 'session')[0].serial:x}",
        "act": act,
        "reason": "",
        "officer": signer.certificate.name,
        "at": format_instant(now),
        "until": format_instant(now + timedelta(hours=1)),
    }
    CaClient(link).withdraw(sign(wire.encode(document), oids.DATA, signer, now))
