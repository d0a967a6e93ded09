"""Others' programs as judges: OpenSSL, and the stores of keys that gpgsm (GnuPG) and cmsutil (NSS) read."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.worlds.crypto import AT, Party


def run(
    program: str,
    *arguments: str,
    given: bytes | None = None,
    env: dict[str, str] | None = None,
    good: Sequence[int] = (0,),
) -> bytes:
    """What the program prints; its status must be one of ``good``."""
    done = subprocess.run(
        [program, *arguments], input=given, capture_output=True, check=False, timeout=60, env=env
    )
    assert done.returncode in good, done.stderr.decode() + done.stdout.decode(errors="replace")
    return done.stdout


def openssl(*arguments: str, given: bytes | None = None) -> bytes:
    return run("openssl", *arguments, given=given)


def _expression(*parts: bytes | tuple) -> bytes:
    """A canonical S-expression: what GnuPG keeps unprotected keys as."""
    return (
        b"("
        + b"".join(_expression(*p) if isinstance(p, tuple) else b"%d:%b" % (len(p), p) for p in parts)
        + b")"
    )


def _number(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def private_expression(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    """A private key as GnuPG keeps one that has no pass phrase."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        curve = {"secp256r1": b"NIST P-256", "secp384r1": b"NIST P-384"}[key.curve.name]
        secret = _number(key.private_numbers().private_value)
        return _expression(b"private-key", (b"ecc", (b"curve", curve), (b"q", point), (b"d", secret)))
    # libgcrypt wants p < q, and u the inverse of p modulo q
    own = key.private_numbers()
    p, q = sorted((own.p, own.q))
    values = {"n": p * q, "e": own.public_numbers.e, "d": own.d, "p": p, "q": q, "u": pow(p, -1, q)}
    members = [(name.encode(), _number(value)) for name, value in values.items()]
    return _expression(b"private-key", (b"rsa", *members))


class Gpgsm:
    """A home of GnuPG with parties' certificates and keys; it judges as of the tests' instant."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(mode=0o700)
        (home / "private-keys-v1.d").mkdir(mode=0o700)
        (home / "gpg-agent.conf").write_text("disable-scdaemon\nallow-mark-trusted\n")
        (home / "gpgsm.conf").write_text("disable-crl-checks\ndisable-dirmngr\nno-common-certs-import\n")
        (home / "trustlist.txt").write_text("")
        self.env = {**os.environ, "GNUPGHOME": str(home), "LC_ALL": "C"}

    def __call__(self, *arguments: str, given: bytes | None = None, good: Sequence[int] = (0,)) -> bytes:
        at = f"{AT:%Y%m%dT%H%M%S}"
        return run(
            "gpgsm",
            "--batch",
            "--yes",
            "--faked-system-time",
            at,
            *arguments,
            given=given,
            env=self.env,
            good=good,
        )

    def take(self, one: Party) -> None:
        """Import a party with its key, and trust its issuer."""
        sha1 = one.issuer.x509.fingerprint(hashes.SHA1()).hex().upper()
        (self.home / "trustlist.txt").write_text(f"{sha1} S relax\n")
        for certificate in (one.issuer, one.certificate):
            self("--import", given=certificate.der)
        name = one.certificate.x509.fingerprint(hashes.SHA1()).hex()
        listed = self("--with-colons", "--with-keygrip", "--list-keys", name).decode()
        grip = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("grp:"))
        (self.home / "private-keys-v1.d" / f"{grip}.key").write_bytes(private_expression(one.key))

    def close(self) -> None:
        run("gpgconf", "--kill", "all", env=self.env)
