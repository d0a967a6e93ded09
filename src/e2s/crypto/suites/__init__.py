"""Algorithms are chosen by name; authentication apart from confidentiality; each permitted by place.

A suite must be permitted at the locations of both ends (6.3.3).  Nothing outside this floor names an
algorithm: a key has one signature suite and one sealing suite, and a session suite is agreed by name.
"""

from __future__ import annotations

from e2s.crypto.suites.derivation import (
    AGREEMENTS,
    ENCAPSULATIONS,
    WRAP_ALGORITHM,
    WRAPS,
    Derivation,
    other_info,
    shared_info,
)
from e2s.crypto.suites.identifiers import SHA256_ALGORITHMS
from e2s.crypto.suites.policy import POLICY, Kind, check, permitted, strongest_common
from e2s.crypto.suites.sealing import (
    OLD_SEALINGS,
    SEALINGS,
    SealingSuite,
    sealing_suite,
    sealing_suite_of,
    sealing_suites_of,
)
from e2s.crypto.suites.session import SESSIONS, SessionSuite
from e2s.crypto.suites.signature import (
    MAX_RSA_BITS,
    MIN_RSA_BITS,
    OLD_SIGNATURES,
    SIGNATURES,
    SignatureSuite,
    check_suite,
    foreign_suite,
    protection_of,
    signature_suite,
    signature_suite_of,
    signature_suites_of,
)
from e2s.crypto.suites.transport import (
    OAEP,
    OAEP_ALGORITHM,
    OAEP_ALGORITHMS,
    PKCS1_ALGORITHM,
    Transport,
    foreign_transport,
)

__all__ = [
    "AGREEMENTS",
    "ENCAPSULATIONS",
    "MAX_RSA_BITS",
    "MIN_RSA_BITS",
    "OAEP",
    "OAEP_ALGORITHM",
    "OAEP_ALGORITHMS",
    "OLD_SEALINGS",
    "OLD_SIGNATURES",
    "PKCS1_ALGORITHM",
    "POLICY",
    "SEALINGS",
    "SESSIONS",
    "SHA256_ALGORITHMS",
    "SIGNATURES",
    "WRAPS",
    "WRAP_ALGORITHM",
    "Derivation",
    "Kind",
    "SealingSuite",
    "SessionSuite",
    "SignatureSuite",
    "Transport",
    "check",
    "check_suite",
    "foreign_suite",
    "foreign_transport",
    "other_info",
    "permitted",
    "protection_of",
    "sealing_suite",
    "sealing_suite_of",
    "sealing_suites_of",
    "shared_info",
    "signature_suite",
    "signature_suite_of",
    "signature_suites_of",
    "strongest_common",
]
