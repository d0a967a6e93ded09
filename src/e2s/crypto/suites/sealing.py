"""How a content key reaches a recipient: one suite for each key, and older ones for old peers.

A suite is a way for the content key (agreement, encapsulation or transport, which follows the kind of key)
and the content's cipher.  AES-GCM authenticates; AES-CBC and PKCS#1 v1.5 are for old mail peers alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import oids
from e2s.crypto.kinds import PrivateKey, PublicKey, kind_of
from e2s.crypto.suites.derivation import AGREEMENTS, ENCAPSULATIONS, WRAP_ALGORITHM, Derivation
from e2s.crypto.suites.identifiers import algorithm
from e2s.crypto.suites.minima import MAX_RSA_BITS, MIN_RSA_BITS
from e2s.crypto.suites.transport import OAEP_ALGORITHM, PKCS1_ALGORITHM

_HKDF_SHA256: Final = algorithm(oids.HKDF_SHA256)


@dataclass(frozen=True, eq=False, kw_only=True)
class SealingSuite:
    """How a content key reaches one recipient, and what it encrypts the content with.

    ``kind`` is the key's (:mod:`e2s.crypto.kinds`) and ``curve`` that of a key of kind ``ec``;
    ``algorithm`` says the way as an AlgorithmIdentifier, with ``derivation`` where a secret is derived from.
    ``old`` suites do not authenticate what they encrypt.
    """

    name: str
    kind: str
    algorithm: bytes
    curve: ec.EllipticCurve | None = None
    derivation: Derivation | None = None
    kdf_algorithm: bytes = b""
    old: bool = False


def _agreement(name: str, kind: str, oid: str, curve: ec.EllipticCurve | None = None) -> SealingSuite:
    identifier = algorithm(oid, WRAP_ALGORITHM)
    return SealingSuite(
        name=name,
        kind=kind,
        algorithm=identifier,
        curve=curve,
        derivation=AGREEMENTS[identifier],
        old=name.endswith("cbc"),
    )


def _encapsulation(name: str, kind: str, oid: str) -> SealingSuite:
    return SealingSuite(
        name=name,
        kind=kind,
        algorithm=algorithm(oid),
        derivation=ENCAPSULATIONS[_HKDF_SHA256, 32],
        kdf_algorithm=_HKDF_SHA256,
    )


def _named(*suites: SealingSuite) -> Mapping[str, SealingSuite]:
    return {suite.name: suite for suite in suites}


#: Suites that E2S seals with, strongest first.
SEALINGS: Final[Mapping[str, SealingSuite]] = _named(
    _encapsulation("ml-kem-1024-aes256gcm", "ml-kem-1024", oids.ML_KEM_1024),
    _encapsulation("ml-kem-768-aes256gcm", "ml-kem-768", oids.ML_KEM_768),
    _agreement("ecdh-p521-aes256gcm", "ec", oids.STD_DH_SHA512, ec.SECP521R1()),
    _agreement("x448-aes256gcm", "x448", oids.STD_DH_HKDF_SHA512),
    _agreement("ecdh-p384-aes256gcm", "ec", oids.STD_DH_SHA384, ec.SECP384R1()),
    _agreement("x25519-aes256gcm", "x25519", oids.STD_DH_HKDF_SHA256),
    _agreement("ecdh-p256-aes256gcm", "ec", oids.STD_DH_SHA256, ec.SECP256R1()),
    SealingSuite(name="rsa-oaep-aes256gcm", kind="rsa", algorithm=OAEP_ALGORITHM),
)
#: Suites for old mail peers, never chosen unasked: nothing shows whether their content was altered.
OLD_SEALINGS: Final[Mapping[str, SealingSuite]] = _named(
    _agreement("ecdh-p521-aes256cbc", "ec", oids.STD_DH_SHA512, ec.SECP521R1()),
    _agreement("ecdh-p384-aes256cbc", "ec", oids.STD_DH_SHA384, ec.SECP384R1()),
    _agreement("ecdh-p256-aes256cbc", "ec", oids.STD_DH_SHA256, ec.SECP256R1()),
    SealingSuite(name="rsa-oaep-aes256cbc", kind="rsa", algorithm=OAEP_ALGORITHM, old=True),
    SealingSuite(name="rsa-pkcs1-aes256cbc", kind="rsa", algorithm=PKCS1_ALGORITHM, old=True),
)
_ALL: Final = {**SEALINGS, **OLD_SEALINGS}


def _by_key() -> dict[tuple[str, str], tuple[SealingSuite, ...]]:
    found: dict[tuple[str, str], tuple[SealingSuite, ...]] = {}
    for suite in _ALL.values():
        key = (suite.kind, suite.curve.name if suite.curve else "")
        found[key] = (*found.get(key, ()), suite)
    return found


_BY_KEY: Final = _by_key()


def sealing_suites_of(key: PublicKey | PrivateKey) -> tuple[SealingSuite, ...]:
    """All suites that seal to ``key``, default first; none for a key that is not for it, or of a bad size."""
    kind = kind_of(key.__class__)
    if kind == "ec":
        return _BY_KEY.get((kind, key.curve.name), ())  # type: ignore[union-attr]  # the kind says so
    if kind == "rsa" and not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:  # type: ignore[union-attr]
        return ()
    return _BY_KEY.get((kind, ""), ())


def sealing_suite_of(key: PublicKey | PrivateKey, *, old: bool = False) -> SealingSuite:
    """The default suite of ``key``, with ``old`` the first for old peers; raises ``suite-unknown``."""
    for suite in sealing_suites_of(key):
        if suite.old == old:
            return suite
    raise Refusal("suite-unknown", "no suite seals to a key of this kind or size")


def sealing_suite(name: str) -> SealingSuite:
    """The suite called ``name``, old ones too; raises :class:`Misuse` ``suite-unknown``."""
    if name not in _ALL:
        raise Misuse("suite-unknown", "no such sealing suite", suite=name)
    return _ALL[name]
