"""A sender says in his signature what he can read (RFC 8551, 2.5.2), and is written to accordingly.

What is listed is a wish until the signature that it stands under has been checked and its signer is trusted:
capabilities of a forger would talk a sender into older forms.  A peer who lists none is one of today, to whom
suites that authenticate are written; older ones are written only to a peer who says that he reads no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.attributes import attribute
from e2s.crypto.cms.opening import CBC_KEYS, GCM_KEYS
from e2s.crypto.cms.signed import Signed
from e2s.crypto.kinds import PublicKey
from e2s.crypto.suites import (
    AGREEMENTS,
    OLD_SEALINGS,
    OLD_SIGNATURES,
    PKCS1_ALGORITHM,
    SEALINGS,
    SIGNATURES,
    SealingSuite,
    SignatureSuite,
    sealing_suites_of,
    signature_suites_of,
)

_MAX_BYTES: Final = 4096
_MAX_CAPABILITIES: Final = 64
_RSA_WAYS: Final = frozenset((oids.RSA_OAEP, oids.RSA))
_NULL: Final = b"\x05\x00"


def _listed(encoded: bytes) -> tuple[str, bytes]:
    """A capability's identifier and its parameters, empty where absent."""
    capability = der.Reader(encoded).enter()
    oid = capability.oid()
    parameters = capability.element() if capability.pos != capability.end else b""
    capability.done()
    return oid, parameters


_AGREEMENTS: Final = frozenset(_listed(algorithm)[0] for algorithm in AGREEMENTS)
_ENCAPSULATIONS: Final = frozenset((oids.ML_KEM_512, oids.ML_KEM_768, oids.ML_KEM_1024))


def _ways(suite: SealingSuite) -> frozenset[str]:
    """The ways for a content key of which a peer may list some."""
    if suite.derivation is None:
        return _RSA_WAYS
    return _ENCAPSULATIONS if suite.kdf_algorithm else _AGREEMENTS


@dataclass(frozen=True)
class Capabilities:
    """What a peer lists, in his order of preference: identifiers and their parameters, DER or empty."""

    listed: tuple[tuple[str, bytes], ...]

    def names(self, oid: str, parameters: bytes = b"") -> bool:
        """Whether this is listed with these parameters, or with none said."""
        return any(found == oid and held in {b"", parameters} for found, held in self.listed)

    def reads(self, suite: SealingSuite) -> bool:
        """Whether content under ``suite`` is readable to a peer with a key for it.

        A peer who lists one key size of a cipher is taken to have the others: those who list AES-128 alone
        (as GnuPG does) open AES-256.
        """
        listed = {oid for oid, _ in self.listed}
        if not listed & (CBC_KEYS if suite.old else GCM_KEYS).keys():
            return False
        oid, parameters = _listed(suite.algorithm)
        if not listed & _ways(suite):
            # a list of ciphers alone says nothing about how their keys are to come; of RSA's ways, the older
            # is the one that every reader of the older ciphers has (RFC 5751, 2.3)
            return suite.kind != "rsa" or suite.old == (suite.algorithm == PKCS1_ALGORITHM)
        return self.names(oid, parameters)

    def verifies(self, suite: SignatureSuite) -> bool:
        """Whether a signature of ``suite`` is good to a peer; true where no signatures are listed."""
        listed = {oid for oid, _ in self.listed}
        if not listed & _SIGNATURES:
            return True
        return self.names(*_listed(suite.signature_algorithm))


_ALL_SIGNATURES: Final = (*SIGNATURES.values(), *OLD_SIGNATURES.values())
_SIGNATURES: Final = frozenset(_listed(suite.signature_algorithm)[0] for suite in _ALL_SIGNATURES)


def capabilities_attribute(
    signatures: Iterable[SignatureSuite] = _ALL_SIGNATURES,
    sealings: Iterable[SealingSuite] = (*SEALINGS.values(), *OLD_SEALINGS.values()),
) -> bytes:
    """A signed attribute that lists what is read here under these suites, to hand to ``sign``.

    In the order that RFC 8551, 2.5.2 asks for: signatures, ciphers, ways for their keys; each once.
    """
    sealings = tuple(sealings)
    algorithms: list[bytes] = []
    for signature in signatures:
        oid, parameters = _listed(signature.signature_algorithm)
        # RFC 8551, 2.5.2: parameters only where they say something
        algorithms.append(der.sequence(der.oid(oid), b"" if parameters == _NULL else parameters))
    ciphers: list[str] = []
    if not all(suite.old for suite in sealings):
        ciphers += GCM_KEYS
    if any(suite.old for suite in sealings):
        ciphers += CBC_KEYS
    algorithms += (der.sequence(der.oid(cipher)) for cipher in ciphers)
    algorithms += (suite.algorithm for suite in sealings)
    return attribute(oids.SMIME_CAPABILITIES, der.sequence(*dict.fromkeys(algorithms)))


def read_capabilities(value: bytes) -> Capabilities:
    """SMIMECapabilities; raises :class:`Refusal` ``der-...`` or ``too-large``."""
    if len(value) > _MAX_BYTES:
        raise Refusal("too-large", "the capabilities are larger than may be read", size=len(value))
    der.check(value)
    outer = der.Reader(value)
    found = outer.enter().elements(der.SEQUENCE, _MAX_CAPABILITIES)
    outer.done()
    return Capabilities(tuple(map(_listed, found)))


def capabilities_of(signed: Signed) -> Capabilities | None:
    """What the signer of a message lists; believe it only after the message."""
    value = signed.other_attributes.get(oids.SMIME_CAPABILITIES)
    return None if value is None else read_capabilities(value)


def certified_capabilities(certificate: Certificate) -> Capabilities | None:
    """What a certificate says that its holder reads (RFC 4262)."""
    for extension in certificate.x509.extensions:
        if extension.oid.dotted_string == oids.SMIME_CAPABILITIES:
            return read_capabilities(extension.value.public_bytes())
    return None


def signature_for(key: PublicKey, theirs: Capabilities | None) -> SignatureSuite:
    """The suite by which to sign with ``key`` for a peer: its default, unless he lists another alone.

    Raises :class:`Refusal` ``no-common-suite`` where he verifies none.
    """
    for suite in signature_suites_of(key):
        if theirs is None or theirs.verifies(suite):
            return suite
    raise Refusal("no-common-suite", "the peer verifies no signature by a key of this kind")


def sealings_for(recipients: Sequence[tuple[Certificate, Capabilities | None]]) -> tuple[str, ...]:
    """Names of suites for one envelope that all recipients can read: what ``seal`` takes as ``suites``.

    Those that authenticate if everyone reads them, else old ones if everyone reads those.  Raises
    :class:`Refusal` ``no-common-suite``: then no one envelope serves them all.
    """
    for old in (False, True):
        chosen: list[str] = []
        for certificate, _ in recipients:
            name = _first(certificate, recipients, old=old)
            if name is None:
                break
            chosen.append(name)
        else:
            return tuple(dict.fromkeys(chosen))
    raise Refusal("no-common-suite", "no one envelope can be read by all these recipients")


def _first(
    certificate: Certificate, everyone: Sequence[tuple[Certificate, Capabilities | None]], *, old: bool
) -> str | None:
    """The first suite of a recipient's key that he reads, and everyone else with such a key too."""
    for suite in sealing_suites_of(certificate.public_key):
        if suite.old == old and all(
            _reads(theirs, suite) for one, theirs in everyone if suite in sealing_suites_of(one.public_key)
        ):
            return suite.name
    return None


def _reads(capabilities: Capabilities | None, suite: SealingSuite) -> bool:
    """Whether a peer with or without known capabilities is taken to read ``suite``."""
    return not suite.old if capabilities is None else capabilities.reads(suite)
