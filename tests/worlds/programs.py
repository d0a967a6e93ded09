"""Others' programs as judges: OpenSSL, and the stores of keys that gpgsm (GnuPG) and cmsutil (NSS) read."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, PublicFormat, pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from e2s.crypto.certificates import Certificate
from tests.worlds.crypto import AT, Party, party


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
    assert done.returncode in good, done.stderr.decode() + done.stdout[:1000].decode(errors="replace")
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


@cache
def timeless(kind: str) -> Party:
    """A party whose certificate is good whatever the machine's clock says, for programs that read it.

    It has the mail address that these programs look for, ``anna-KIND@example.org``.
    """
    mail = f"anna-{kind}@example.org"
    root, root_key = _timeless_root()
    own = party(kind).key
    made = (
        _timeless(mail, own.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(mail)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    return Party(Certificate.read(made.public_bytes(Encoding.DER)), root, own)


@cache
def _timeless_root() -> tuple[Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        _timeless("timeless", key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Certificate.read(made.public_bytes(Encoding.DER)), key


def _timeless(subject: str, key) -> x509.CertificateBuilder:
    def name(common: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])

    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name("timeless"))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(1990, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2099, 1, 1, tzinfo=UTC))
    )


class Nss:
    """A database of NSS with timeless parties' certificates and keys."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        run("certutil", "-N", "-d", str(folder), "--empty-password")
        root = folder / "root.pem"
        root.write_bytes(_timeless_root()[0].pem)
        run("certutil", "-A", "-d", str(folder), "-n", "root", "-t", "CT,C,C", "-i", str(root))

    def take(self, kind: str) -> str:
        """Import a party; its nickname."""
        one = timeless(kind)
        algorithm = pkcs12.PBES.PBESv2SHA256AndAES256CBC
        form = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(1000).key_cert_algorithm(algorithm)
        octets = pkcs12.serialize_key_and_certificates(
            kind.encode(), one.key, one.certificate.x509, None, form.build(b"x")
        )
        (self.folder / "p12").write_bytes(octets)
        run("pk12util", "-d", str(self.folder), "-i", str(self.folder / "p12"), "-W", "x", "-K", "")
        return kind

    def cmsutil(self, *arguments: str, given: bytes, good: Sequence[int] = (0,)) -> bytes:
        source = self.folder / "in"
        source.write_bytes(given)
        return run("cmsutil", *arguments, "-d", str(self.folder), "-i", str(source), good=good)
