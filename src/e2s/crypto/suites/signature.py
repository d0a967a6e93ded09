"""How a key signs: the suites of each kind of key, default first, and others' forms that may be verified."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from cryptography.exceptions import InvalidSignature

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der, oids
from e2s.crypto.kinds import PrivateKey, PublicKey, kind_of
from e2s.crypto.suites.digests import BY_IDENTIFIER, DIGESTS, Digest
from e2s.crypto.suites.identifiers import NULL, algorithm
from e2s.crypto.suites.minima import MAX_RSA_BITS, MIN_RSA_BITS
from e2s.crypto.suites.orders import is_nobodys
from e2s.crypto.suites.schemes import OWN, Scheme, bound, pss_algorithm, scheme_of


@dataclass(frozen=True, eq=False)
class SignatureSuite:
    """A digest and the signature over it, with their AlgorithmIdentifiers as they are written.

    ``kind`` is the key's (:mod:`e2s.crypto.kinds`); ``old`` suites are for old peers, chosen by name only.
    """

    name: str
    digest: Callable[..., Any]
    digest_size: int
    digest_algorithm: bytes
    signature_algorithm: bytes
    scheme: tuple[Any, ...]
    kind: str = ""
    old: bool = False

    def sign(self, key: Any, data: bytes) -> bytes:
        """The signature of ``key`` over ``data``."""
        signature: bytes = key.sign(data, *self.scheme)
        return signature

    def verified(self, key: Any, signature: bytes, data: bytes) -> bool:
        """Whether ``signature`` over ``data`` is that of ``key``."""
        try:
            key.verify(signature, data, *self.scheme)
        except InvalidSignature:
            return False
        return True


def _suite(name: str, digest: str, signature_algorithm: bytes, *, old: bool = False) -> SignatureSuite:
    """The suite of a digest's name and the identifier of a scheme."""
    hashed, scheme = DIGESTS[digest], scheme_of(signature_algorithm)
    if scheme is None:
        raise Misuse("suite-unknown", "no scheme has this identifier", suite=name)
    return SignatureSuite(
        name,
        hashed.new,
        hashed.size,
        hashed.identifiers[0],
        signature_algorithm,
        scheme.arguments,
        scheme.kind,
        old,
    )


def _named(*suites: SignatureSuite) -> Mapping[str, SignatureSuite]:
    return {suite.name: suite for suite in suites}


#: Suites that E2S signs with, strongest first.  The digest is at least as strong as the signature; where
#: the key is the scheme, the RFCs name it (RFC 8419, 3.1; RFC 9882, 3.3).
SIGNATURES: Final[Mapping[str, SignatureSuite]] = _named(
    _suite("ml-dsa-87", "sha512", algorithm(oids.ML_DSA_87)),
    _suite("ml-dsa-65", "sha512", algorithm(oids.ML_DSA_65)),
    _suite("ml-dsa-44", "sha512", algorithm(oids.ML_DSA_44)),
    _suite("p521-sha512", "sha512", algorithm(oids.ECDSA_SHA512)),
    _suite("ed448", "shake256", algorithm(oids.ED448)),
    _suite("p384-sha384", "sha384", algorithm(oids.ECDSA_SHA384)),
    _suite("ed25519", "sha512", algorithm(oids.ED25519)),
    _suite("p256-sha256", "sha256", algorithm(oids.ECDSA_SHA256)),
    _suite("rsa3072-pss-sha256", "sha256", pss_algorithm(DIGESTS["sha256"], DIGESTS["sha256"].size)),
)
#: Suites for old peers, never chosen unasked, and never read as E2S's own.
OLD_SIGNATURES: Final[Mapping[str, SignatureSuite]] = _named(
    _suite("rsa3072-pkcs1-sha256", "sha256", algorithm(oids.RSA_SHA256, NULL), old=True),
)
_RSA_PLAIN: Final = algorithm(oids.RSA, NULL)
#: The old suite for peers who know a signature by its key and digest alone (RFC 3370, 3.2), as SCEP's do.
UNNAMED_RSA: Final = replace(
    OLD_SIGNATURES["rsa3072-pkcs1-sha256"], name="rsa3072-pkcs1-unnamed", signature_algorithm=_RSA_PLAIN
)
_ALL: Final = {**SIGNATURES, **OLD_SIGNATURES, UNNAMED_RSA.name: UNNAMED_RSA}

_BY_CURVE: Final = {
    "secp256r1": (SIGNATURES["p256-sha256"],),
    "secp384r1": (SIGNATURES["p384-sha384"],),
    "secp521r1": (SIGNATURES["p521-sha512"],),
}
_RSA: Final = (SIGNATURES["rsa3072-pss-sha256"], OLD_SIGNATURES["rsa3072-pkcs1-sha256"])
_BY_KIND: Final = {kind: (SIGNATURES[kind],) for kind in OWN}

#: The least strength against collisions of the digest under a scheme that brings its own, in bits
#: (RFC 9882, 3.3); RFC 8419, 3.1 leaves one digest each.
_LEAST: Final = {"ml-dsa-44": 128, "ml-dsa-65": 192, "ml-dsa-87": 256}
_ONLY: Final = {"ed25519": "sha512", "ed448": "shake256"}


def signature_suites_of(key: PublicKey | PrivateKey) -> tuple[SignatureSuite, ...]:
    """All suites by which ``key`` may sign, default first; none for a key that does not, or of a bad size."""
    kind = kind_of(key.__class__)
    if kind == "ec":
        return _BY_CURVE.get(key.curve.name, ())  # type: ignore[union-attr]  # the kind says so
    if kind == "rsa":
        return _RSA if MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS else ()  # type: ignore[union-attr]
    return () if is_nobodys(kind, key) else _BY_KIND.get(kind, ())


def signature_suite_of(key: PublicKey | PrivateKey) -> SignatureSuite:
    """The default suite of ``key``; raises :class:`Refusal` ``suite-unknown``."""
    found = signature_suites_of(key)
    if not found:
        raise Refusal("suite-unknown", "no suite signs with a key of this kind or size")
    return found[0]


def signature_suite(name: str) -> SignatureSuite:
    """The suite called ``name``, old ones too; raises :class:`Misuse` ``suite-unknown``."""
    if name not in _ALL:
        raise Misuse("suite-unknown", "no such signature suite", suite=name)
    return _ALL[name]


def check_suite(suite: SignatureSuite, key: PublicKey, spki: bytes) -> None:
    """Raise :class:`Misuse` ``wrong-suite`` unless ``key``, as ``spki`` names it, may sign by ``suite``."""
    if suite is UNNAMED_RSA:
        suite = OLD_SIGNATURES["rsa3072-pkcs1-sha256"]
    scheme = scheme_of(suite.signature_algorithm)
    if suite not in signature_suites_of(key) or scheme is None or not bound(spki, scheme):
        raise Misuse("wrong-suite", "the certificate's key does not sign by this suite", suite=suite.name)


def foreign_suite(
    key: PublicKey, digest_algorithm: bytes, signature_algorithm: bytes, spki: bytes = b""
) -> SignatureSuite:
    """How to verify another's message; raises :class:`Refusal` ``suite-unknown``.

    Digest and signature must agree with each other (RFC 5754, 3; RFC 5758, 3.2; RFC 4056, 3), and the
    scheme with the key and, if given, with the SubjectPublicKeyInfo ``spki`` that names it.
    """
    signature_suite_of(key)
    scheme = scheme_of(signature_algorithm)
    if scheme is None and signature_algorithm == _RSA_PLAIN:
        # RFC 3370, 3.2: the digest is named beside it
        scheme = scheme_of(_PKCS1_BY_DIGEST.get(digest_algorithm, b""))
    if (
        scheme is None
        or scheme.kind != kind_of(key.__class__)
        or not _agree(digest_algorithm, scheme)
        or (spki and not bound(spki, scheme))
    ):
        raise Refusal("suite-unknown", "the message's algorithms are not accepted, or not for this key")
    digest = BY_IDENTIFIER[digest_algorithm]
    return SignatureSuite(
        "foreign",
        digest.new,
        digest.size,
        digest_algorithm,
        signature_algorithm,
        scheme.arguments,
        scheme.kind,
    )


_PKCS1_BY_DIGEST: Final = {
    identifier: algorithm(oid, NULL)
    for name, oid in (("sha256", oids.RSA_SHA256), ("sha384", oids.RSA_SHA384), ("sha512", oids.RSA_SHA512))
    for identifier in DIGESTS[name].identifiers
}


def digest_under(signature_algorithm: bytes) -> Digest | None:
    """The digest of what is signed by this scheme, its own where it brings one; None where none is fixed."""
    scheme = scheme_of(signature_algorithm)
    if scheme is None:
        return None
    return scheme.digest or DIGESTS.get(_ONLY.get(scheme.kind, ""))


def _agree(digest_algorithm: bytes, scheme: Scheme) -> bool:
    """Whether the digest of the content may stand under a signature by ``scheme``."""
    digest = BY_IDENTIFIER.get(digest_algorithm)
    if digest is None:
        return False
    if scheme.digest is not None:
        return digest is scheme.digest
    if scheme.kind in _ONLY:
        return digest.name == _ONLY[scheme.kind]
    return digest.strength >= _LEAST[scheme.kind]


@lru_cache(maxsize=64)
def protection_of(digest_algorithm: bytes, signature_algorithm: bytes) -> bytes:
    """CMSAlgorithmProtection (RFC 6211, 2): both AlgorithmIdentifiers again, the signature's tagged [1]."""
    return der.sequence(digest_algorithm, b"\xa1" + signature_algorithm[1:])
