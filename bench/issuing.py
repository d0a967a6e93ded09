"""Issuing without storage: from key and name to signed certificate, against the bare P-256 signature.

What is measured has all that a certificate needs before it is signed: the wish is checked, the certificate
made from its template with policies, places and the list of its shard, and linted.  Groups are as large as
the requests in flight of the durable path.  Both do nothing but compute, in one thread: whatever else runs on
the machine only adds to either, so the quickest of many short rounds of each are compared.  The detail has
the median of the rounds' ratios too.
"""

from __future__ import annotations

import io
import secrets
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bench.figure import Figure
from e2s.crypto.certificates import SERIAL_BYTES, serial_number
from e2s.crypto.keys import KeySigner, spki_of
from e2s.security.certificates.certify import Wish, certify, certify_all, certify_root
from e2s.security.certificates.names import distinguished
from e2s.security.certificates.places import Places
from e2s.security.certificates.profiles import profile

AT: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PLACES: Final = Places(
    base="http://repository.example",
    ocsp="http://repository.example/ocsp",
    cps="http://repository.example/practice",
    shards=16,
    deltas=True,
)
GROUP: Final = 32
ROUNDS: Final = 600
KEYS: Final = 256


def rounds() -> Iterator[Figure]:
    """One figure: certificates a second over bare signatures a second."""
    key, ca = _ca()
    keys = [ec.generate_private_key(ec.SECP256R1()).public_key() for _ in range(KEYS)]
    known = [(one, spki_of(one)) for one in keys]
    person, made = profile("person"), 0

    def issue() -> None:
        nonlocal made
        draw = io.BytesIO(secrets.token_bytes(GROUP * SERIAL_BYTES)).read
        wishes = []
        for _ in range(GROUP):
            made += 1
            public, spki = known[made % KEYS]
            names = (f"urn:e2s:market:alpha:person-{made}", "urn:e2s:market:alpha")
            wish = Wish(profile=person, names=names, public_key=public, spki=spki)
            wishes.append((wish, serial_number(draw)))
        certify_all(wishes, ca, at=AT, places=PLACES)

    content, how = secrets.token_bytes(1000), ec.ECDSA(hashes.SHA256())

    def bare() -> None:
        for _ in range(GROUP):
            key.sign(content, how)

    ratios, ours, base = [], [], []
    issue()
    bare()
    for _ in range(ROUNDS):
        ours.append(_seconds(issue))
        base.append(_seconds(bare))
        ratios.append(base[-1] / ours[-1])
    detail = {
        "issue_us": 1e6 * min(ours) / GROUP,
        "bare_us": 1e6 * min(base) / GROUP,
        "median": statistics.median(ratios),
        "rounds": ROUNDS,
        "group": GROUP,
    }
    yield Figure(
        name="issuing.unstored", value=min(base) / min(ours), limit=0.7, better="higher", detail=detail
    )


def _ca() -> tuple[ec.EllipticCurvePrivateKey, KeySigner]:
    """An operating CA under a root."""
    above, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    names = (distinguished(community="market", common=name) for name in ("root", "operating-ca"))
    wish, below = (
        Wish(profile=profile(kind), names=(), subject=name, public_key=own.public_key())
        for kind, name, own in zip(("root", "operating-ca"), names, (above, key), strict=True)
    )
    root = certify_root(wish, above, serial=serial_number(secrets.token_bytes), at=AT)
    serial = serial_number(secrets.token_bytes)
    certificate = certify(below, KeySigner(root, (), above), serial=serial, at=AT, places=PLACES)
    return key, KeySigner(certificate, (), key)


def _seconds(act: Callable[[], None]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start
