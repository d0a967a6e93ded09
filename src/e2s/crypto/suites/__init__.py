"""Algorithms are chosen by name; authentication apart from confidentiality; each permitted by place.

A suite must be permitted at the locations of both ends (6.3.3).  Nothing outside this floor names an
algorithm: a key has one signature suite and one sealing suite, and a session suite is agreed by name.
"""

from __future__ import annotations

from e2s.crypto.suites.identifiers import SHA256_ALGORITHMS
from e2s.crypto.suites.policy import POLICY, Kind, check, permitted, strongest_common
from e2s.crypto.suites.sealing import (
    AGREEMENTS,
    OAEP_ALGORITHM,
    OAEP_ALGORITHMS,
    SEALINGS,
    WRAP_ALGORITHM,
    SealingSuite,
    sealing_suite_of,
)
from e2s.crypto.suites.session import SESSIONS, SessionSuite
from e2s.crypto.suites.signature import (
    MAX_RSA_BITS,
    MIN_RSA_BITS,
    SIGNATURES,
    SignatureSuite,
    foreign_suite,
    protection_of,
    signature_suite,
    signature_suite_of,
)

__all__ = [
    "AGREEMENTS",
    "MAX_RSA_BITS",
    "MIN_RSA_BITS",
    "OAEP_ALGORITHM",
    "OAEP_ALGORITHMS",
    "POLICY",
    "SEALINGS",
    "SESSIONS",
    "SHA256_ALGORITHMS",
    "SIGNATURES",
    "WRAP_ALGORITHM",
    "Kind",
    "SealingSuite",
    "SessionSuite",
    "SignatureSuite",
    "check",
    "foreign_suite",
    "permitted",
    "protection_of",
    "sealing_suite_of",
    "signature_suite",
    "signature_suite_of",
    "strongest_common",
]
