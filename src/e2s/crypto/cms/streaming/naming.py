"""Which suite of ours a message is by, if it is by one: others sign and seal in ways without a name here."""

from __future__ import annotations

from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.signed import Signed, suite_of
from e2s.crypto.cms.unwrapping import Encapsulated, Recipient, Transported
from e2s.crypto.cms.wrapping import KEY_SIZE
from e2s.crypto.suites import SealingSuite, sealing_suites_of, signature_suites_of


def signature_name(signed: Signed) -> str | None:
    """The name of the suite that signed; raises what :func:`~e2s.crypto.cms.check_signature` does."""
    found = suite_of(signed)
    for suite in signature_suites_of(signed.signer_certificate.public_key):
        # one scheme may have several identifiers
        same = suite.signature_algorithm == found.signature_algorithm or suite.scheme is found.scheme
        if same and suite.digest is found.digest:
            return suite.name
    return None


def sealing_name(recipient: Recipient, certificate: Certificate, key_size: int, *, old: bool) -> str | None:
    """The name of the suite that brings a content key of ``key_size`` octets in the way of ``recipient``."""
    for suite in sealing_suites_of(certificate.public_key):
        if suite.old == old and key_size == KEY_SIZE and _goes(recipient, suite):
            return suite.name
    return None


def _goes(recipient: Recipient, suite: SealingSuite) -> bool:
    if recipient.algorithm != suite.algorithm:
        return False
    if isinstance(recipient, Transported):
        return suite.derivation is None
    kdf = recipient.kdf if isinstance(recipient, Encapsulated) else b""
    return kdf == suite.kdf_algorithm
