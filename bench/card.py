"""What a card costs: a P-256 signature over its socket in bare ones, and its keys, certificates and codes."""

from __future__ import annotations

import hashlib
import secrets
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from bench.figure import Figure, seconds
from e2s.security.keys.phrase import Phrase
from e2s.security.smartcard import folder, piv
from e2s.security.smartcard.host import CardHost
from e2s.security.smartcard.ways import SocketWay
from tests.worlds.card import MANAGEMENT, PIN

ROUNDS, TIMES = 9, 300
_CARD = Path(__file__).parents[1] / "tests" / "worlds" / "card_process.py"


def rounds() -> Iterator[Figure]:
    with TemporaryDirectory(prefix="e2s-card-", dir="/dev/shm") as home:
        command = [sys.executable, "-m", "tests.worlds.card_process", home]
        running = subprocess.Popen(command, cwd=_CARD.parents[2], stdout=subprocess.PIPE, text=True)
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == "ready\n"
            yield _signature(CardHost(SocketWay(Path(home) / folder.SOCKET)))
        finally:
            running.kill()
            running.communicate()


def _signature(host: CardHost) -> Figure:
    """A digest signed by key 9A, the PIN given before; the bare signature is the library's, here."""
    host.manage(MANAGEMENT, piv.AES256, secrets.token_bytes)
    host.generate(0x9A, piv.P256)
    host.verify(Phrase(PIN))
    digest = hashlib.sha256(b"an order").digest()
    key, how = ec.generate_private_key(ec.SECP256R1()), ec.ECDSA(utils.Prehashed(hashes.SHA256()))
    bare, ours = [], []
    for _ in range(ROUNDS):
        bare.append(seconds(lambda: key.sign(digest, how), TIMES))
        ours.append(seconds(lambda: host.sign(0x9A, piv.P256, digest), TIMES))
    ratio = statistics.median(o / b for o, b in zip(ours, bare, strict=True))
    detail = {"ours_us": 1e6 * statistics.median(ours), "bare_us": 1e6 * statistics.median(bare)}
    return Figure(name="card.socket-signature", value=ratio, limit=12, better="lower", detail=detail)
