"""What issuing with a CA's key in a PKCS#11 token costs over that token's bare signatures (SoftHSM2).

Bare is what nobody can do without: SHA-256 of the octets, and the token's signature over it called straight
through the library on one session.
"""

from __future__ import annotations

import io
import itertools
import os
import secrets
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pkcs11

from bench.figure import Figure
from bench.issuing import PLACES
from e2s.crypto.certificates import SERIAL_BYTES, Certificate, serial_number
from e2s.crypto.keys import spki_of
from e2s.security.certificates.certify import Wish, certify_all, certify_root
from e2s.security.certificates.names import distinguished
from e2s.security.certificates.profiles import profile
from e2s.security.keys.generation import generate
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.token import TokenKeys, TokenPlace, open_token

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN, TOKEN, LABEL = "73914682", "bench", "authority"
SUITE = "p256-sha256"
AT = datetime(2026, 3, 2, 9, 0, 0, tzinfo=UTC)


GROUP, GROUPS, ROUNDS, KEYS = 32, 10, 15, 64


def rounds() -> Iterator[Figure]:
    """Signatures, and certificates in groups as the durable path makes them, against bare signatures."""
    with token() as keys:
        signer = keys.signer(LABEL, _root(keys))
        key: Any = _session().get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=LABEL)
        data, made = secrets.token_bytes(1000), itertools.count()
        publics = [generate(SUITE, secrets.token_bytes).public_key() for _ in range(KEYS)]
        known = [(one, spki_of(one)) for one in publics]
        person = profile("person")

        def bare() -> None:
            for _ in range(GROUP):
                key.sign(sha256(data).digest(), mechanism=pkcs11.Mechanism.ECDSA)

        def sign() -> None:
            for _ in range(GROUP):
                signer.sign(data)

        def issue() -> None:
            draw = io.BytesIO(secrets.token_bytes(GROUP * SERIAL_BYTES)).read
            wishes = []
            for _ in range(GROUP):
                number = next(made)
                public, spki = known[number % KEYS]
                names = (f"urn:e2s:market:alpha:person-{number}", "urn:e2s:market:alpha")
                wish = Wish(profile=person, names=names, public_key=public, spki=spki)
                wishes.append((wish, serial_number(draw)))
            certify_all(wishes, signer, at=AT, places=PLACES)

        yield _figure("token.signer", 0.85, sign, bare)
        yield _figure("token.issuing", 0.8, issue, bare)


def _figure(name: str, limit: float, ours: Callable[[], None], bare: Callable[[], None]) -> Figure:
    """The rate of ``ours`` to that of ``bare``, both in the process's own time: they only compute."""
    ratios, taken, base = [], [], []
    ours()
    bare()
    for _ in range(ROUNDS):
        taken.append(_seconds(ours))
        base.append(_seconds(bare))
        ratios.append(base[-1] / taken[-1])
    detail = {
        "measured_us": 1e6 * statistics.median(taken) / GROUP,
        "bare_us": 1e6 * statistics.median(base) / GROUP,
        "rounds": ROUNDS,
        "group": GROUP,
    }
    return Figure(
        name=name, value=round(statistics.median(ratios), 3), limit=limit, better="higher", detail=detail
    )


def _seconds(act: Callable[[], None]) -> float:
    start = time.process_time()
    for _ in range(GROUPS):
        act()
    return (time.process_time() - start) / GROUPS


def _session() -> pkcs11.Session:
    """Another session of the login that stands."""
    return pkcs11.lib(str(MODULE)).get_token(token_label=TOKEN).open()


def _root(keys: TokenKeys) -> Certificate:
    wish = Wish(
        profile=profile("root"),
        names=(),
        subject=distinguished(community="market", common="root"),
        public_key=keys.generate(LABEL, SUITE),
    )
    return certify_root(wish, keys.lent(LABEL), serial=serial_number(secrets.token_bytes), at=AT)


@contextmanager
def token() -> Iterator[TokenKeys]:
    """The keys of a new token in a folder that goes away."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder, "softhsm2.conf")
        Path(folder, "tokens").mkdir()
        settings.write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
        os.environ["SOFTHSM2_CONF"] = str(settings)
        asked = ("--init-token", "--free", "--label", TOKEN, "--pin", PIN, "--so-pin", PIN)
        subprocess.run(["softhsm2-util", *asked], check=True, stdout=subprocess.DEVNULL)
        keys = open_token(TokenPlace(module=MODULE, token=TOKEN), Phrase(PIN))
        try:
            yield keys
        finally:
            keys.close()
