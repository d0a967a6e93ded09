"""What issuing with a CA's key in a PKCS#11 token costs over that token's bare signatures (SoftHSM2).

Bare is what nobody can do without: SHA-256 of the octets, and the token's signature over it called straight
through the library on one session.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pkcs11

from bench.figure import Figure, in_turn
from e2s.crypto.certificates import serial_number
from e2s.security.keys.generation import generate
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.token import TokenKeys, TokenPlace, open_token
from e2s.security.pki.certify import Wish, certify_der, certify_root
from e2s.security.pki.names import distinguished
from e2s.security.pki.profiles import profile

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN, TOKEN, LABEL = "73914682", "bench", "authority"
SUITE = "p256-sha256"
AT = datetime(2026, 3, 2, 9, 0, 0, tzinfo=UTC)


def rounds() -> Iterator[Figure]:
    with token() as keys:
        signer = keys.signer(LABEL, _root(keys))
        key = _session().get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=LABEL)
        data = secrets.token_bytes(500)

        def bare() -> None:
            key.sign(sha256(data).digest(), mechanism=pkcs11.Mechanism.ECDSA)

        def sign() -> None:
            signer.sign(data)

        wish = Wish(
            profile=profile("merchant"),
            names=("urn:e2s:market:volt",),
            public_key=generate(SUITE, secrets.token_bytes).public_key(),
        )

        def issue() -> None:
            certify_der(wish, signer, serial=serial_number(secrets.token_bytes), at=AT)

        yield _figure("token.signer", 0.85, sign, bare)
        yield _figure("token.issuing", 0.8, issue, bare)


def _figure(name: str, limit: float, ours, bare) -> Figure:
    """The rate of ``ours`` to that of ``bare``."""
    ratio, detail = in_turn(ours, bare, rounds=31, times=100)
    return Figure(name=name, value=round(1 / ratio, 3), limit=limit, better="higher", detail=detail)


def _session() -> pkcs11.Session:
    """Another session of the login that stands."""
    return pkcs11.lib(str(MODULE)).get_token(token_label=TOKEN).open()


def _root(keys: TokenKeys):
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
