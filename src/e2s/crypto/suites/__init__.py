"""Algorithms are chosen by name; authentication apart from confidentiality; each permitted by place.

A suite must be permitted at the locations of both ends then (6.3.3).  Nothing outside this floor names an
algorithm: a key has its suites, the default first, and a session suite is agreed by name.
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
from e2s.crypto.suites.mechanisms import KINDS, PARTS, USE_OF, Kind, Part, Use
from e2s.crypto.suites.minima import MAX_RSA_BITS, MIN_PATH_RSA_BITS, MIN_RSA_BITS, least
from e2s.crypto.suites.policy import (
    CHOSEN,
    Barred,
    Judgement,
    Permitted,
    Policy,
    barred,
    check,
    judge,
    load_policy,
    none_permitted,
    permitted,
    strongest,
    table,
)
from e2s.crypto.suites.rows import Row, is_location, read_rows
from e2s.crypto.suites.sealing import (
    OLD_SEALINGS,
    SEALINGS,
    SealingSuite,
    sealing_suite,
    sealing_suite_of,
    sealing_suites_of,
)
from e2s.crypto.suites.session import MAX_SHARE_BYTES, SESSIONS, SessionSuite
from e2s.crypto.suites.signature import (
    OLD_SIGNATURES,
    SIGNATURES,
    UNNAMED_RSA,
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
    "CHOSEN",
    "ENCAPSULATIONS",
    "KINDS",
    "MAX_RSA_BITS",
    "MAX_SHARE_BYTES",
    "MIN_PATH_RSA_BITS",
    "MIN_RSA_BITS",
    "OAEP",
    "OAEP_ALGORITHM",
    "OAEP_ALGORITHMS",
    "OLD_SEALINGS",
    "OLD_SIGNATURES",
    "PARTS",
    "PKCS1_ALGORITHM",
    "SEALINGS",
    "SESSIONS",
    "SHA256_ALGORITHMS",
    "SIGNATURES",
    "UNNAMED_RSA",
    "USE_OF",
    "WRAPS",
    "WRAP_ALGORITHM",
    "Barred",
    "Derivation",
    "Judgement",
    "Kind",
    "Part",
    "Permitted",
    "Policy",
    "Row",
    "SealingSuite",
    "SessionSuite",
    "SignatureSuite",
    "Transport",
    "Use",
    "barred",
    "check",
    "check_suite",
    "foreign_suite",
    "foreign_transport",
    "is_location",
    "judge",
    "least",
    "load_policy",
    "none_permitted",
    "other_info",
    "permitted",
    "protection_of",
    "read_rows",
    "sealing_suite",
    "sealing_suite_of",
    "sealing_suites_of",
    "shared_info",
    "signature_suite",
    "signature_suite_of",
    "signature_suites_of",
    "strongest",
    "table",
]
