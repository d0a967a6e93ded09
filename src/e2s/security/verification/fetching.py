"""Where certificates and lists stand at a repository, and how they are asked for.

They come unchecked: the verifier judges.
"""

from __future__ import annotations

from e2s.base.errors import Refusal
from e2s.base.http import Exchange, Request, expect
from e2s.crypto.certificates import Certificate, read_certificates

#: Where the community's root stands.
ANCHOR_PATH = "/anchor.pem"


def crl_path(issuer: Certificate, shard: int | None = None, *, delta: bool = False) -> str:
    """Where the CRL of ``issuer`` stands: its only one, or that of one shard; or what changes it."""
    part = "" if shard is None else f"-{shard}"
    return f"/crl/{issuer.digest.hex()}{part}{'-delta' if delta else ''}.crl"


def certificate_path(digest: bytes) -> str:
    """Where the certificate of that SHA-256 digest stands."""
    return f"/certs/{digest.hex()}.cer"


def fetch_crl(exchange: Exchange, origin: str, issuer: Certificate) -> bytes:
    """The CRL of ``issuer`` as its repository gives it, unchecked."""
    return expect(exchange.send(origin, Request("GET", crl_path(issuer))), what="CRL")


def fetch_certificate(exchange: Exchange, origin: str, digest: bytes) -> Certificate:
    """The certificate of that digest; raises :class:`Refusal` when another one came."""
    found = Certificate.read(
        expect(exchange.send(origin, Request("GET", certificate_path(digest))), what="certificate")
    )
    if found.digest != digest:
        raise Refusal("bad-certificate", "the repository gave another certificate")
    return found


def fetch_anchor(exchange: Exchange, origin: str) -> tuple[Certificate, ...]:
    """The root as the repository gives it: to be compared by a fingerprint that came another way."""
    return read_certificates(expect(exchange.send(origin, Request("GET", ANCHOR_PATH)), what="anchor"))
