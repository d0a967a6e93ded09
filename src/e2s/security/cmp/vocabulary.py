"""The words of CMP: bodies, statuses, failures and pieces of information (RFC 9810, 5.1 and 5.2.3)."""

from __future__ import annotations

from enum import IntEnum
from types import MappingProxyType
from typing import Final

from e2s.crypto import oids

MEDIA_TYPE: Final = "application/pkixcmp"
MAX_MESSAGE_BYTES: Final = 128 * 1024


class Body(IntEnum):
    """The bodies that are spoken here, by the number of their tag (5.1.2)."""

    IR = 0
    IP = 1
    CR = 2
    CP = 3
    P10CR = 4
    KUR = 7
    KUP = 8
    RR = 11
    RP = 12
    PKICONF = 19
    GENM = 21
    GENP = 22
    ERROR = 23
    CERT_CONF = 24
    POLL_REQ = 25
    POLL_REP = 26


#: What answers a request for a certificate.
ANSWERS: Final = MappingProxyType(
    {Body.IR: Body.IP, Body.CR: Body.CP, Body.P10CR: Body.CP, Body.KUR: Body.KUP}
)


class Status(IntEnum):
    """PKIStatus."""

    ACCEPTED = 0
    GRANTED_WITH_MODS = 1
    REJECTION = 2
    WAITING = 3
    REVOCATION_WARNING = 4
    REVOCATION_NOTIFICATION = 5


class Failure(IntEnum):
    """PKIFailureInfo, by the number of the bit."""

    BAD_ALG = 0
    BAD_MESSAGE_CHECK = 1
    BAD_REQUEST = 2
    BAD_TIME = 3
    BAD_CERT_ID = 4
    BAD_DATA_FORMAT = 5
    WRONG_AUTHORITY = 6
    INCORRECT_DATA = 7
    BAD_POP = 9
    CERT_REVOKED = 10
    CERT_CONFIRMED = 11
    BAD_RECIPIENT_NONCE = 13
    ADD_INFO_NOT_AVAILABLE = 17
    BAD_SENDER_NONCE = 18
    BAD_CERT_TEMPLATE = 19
    SIGNER_NOT_TRUSTED = 20
    TRANSACTION_ID_IN_USE = 21
    UNSUPPORTED_VERSION = 22
    NOT_AUTHORIZED = 23
    SYSTEM_UNAVAIL = 24
    SYSTEM_FAILURE = 25
    DUPLICATE_CERT_REQ = 26


#: The failure by which CMP tells a rule; any other is a bad request.
FAILURES: Final = MappingProxyType(
    {
        "cmp-protection": Failure.BAD_MESSAGE_CHECK,
        "cmp-unprotected": Failure.BAD_MESSAGE_CHECK,
        "mac-algorithm": Failure.BAD_ALG,
        "mac-iterations": Failure.BAD_ALG,
        "suite-unknown": Failure.BAD_ALG,
        "cmp-time": Failure.BAD_TIME,
        "cmp-version": Failure.UNSUPPORTED_VERSION,
        "cmp-certificate-named": Failure.BAD_CERT_ID,
        "foreign-certificate": Failure.BAD_CERT_ID,
        "cmp-certificate-hash": Failure.BAD_CERT_ID,
        "no-such-certificate": Failure.BAD_CERT_ID,
        "cmp-possession": Failure.BAD_POP,
        "no-possession": Failure.BAD_POP,
        "cmp-too-late": Failure.CERT_REVOKED,
        "cmp-nonce": Failure.BAD_RECIPIENT_NONCE,
        "cmp-sender-nonce": Failure.BAD_SENDER_NONCE,
        "cmp-template": Failure.BAD_CERT_TEMPLATE,
        "names-differ": Failure.BAD_CERT_TEMPLATE,
        "foreign-name": Failure.BAD_CERT_TEMPLATE,
        "cmp-transaction": Failure.TRANSACTION_ID_IN_USE,
        "cmp-no-information": Failure.ADD_INFO_NOT_AVAILABLE,
        "key-reused": Failure.DUPLICATE_CERT_REQ,
        "wrong-code": Failure.BAD_MESSAGE_CHECK,
        "too-many-tries": Failure.NOT_AUTHORIZED,
        "no-such-invitation": Failure.NOT_AUTHORIZED,
        "not-yours": Failure.NOT_AUTHORIZED,
        "not-authorised": Failure.NOT_AUTHORIZED,
        "wrong-profile": Failure.NOT_AUTHORIZED,
        "unknown-root": Failure.SIGNER_NOT_TRUSTED,
        "revoked": Failure.CERT_REVOKED,
        "expired": Failure.SIGNER_NOT_TRUSTED,
        "disk-full": Failure.SYSTEM_UNAVAIL,
    }
)


def failure_of(rule: str) -> Failure:
    """How CMP tells this rule."""
    if rule.startswith(("der-", "bad-certificate")):
        return Failure.BAD_DATA_FORMAT
    return FAILURES.get(rule, Failure.BAD_REQUEST)


def _it(number: int) -> str:
    return f"{oids.CMP_INFORMATION}.{number}"


# 5.1.1 and 5.3.19; RFC 9483, 4.3
CURRENT_LIST: Final = _it(6)
IMPLICIT_CONFIRM: Final = _it(13)
CONFIRM_WAIT_TIME: Final = _it(14)
CA_CERTIFICATES: Final = _it(17)
ROOT_UPDATE: Final = _it(18)
REQUEST_TEMPLATE: Final = _it(19)
ROOT_CERTIFICATE: Final = _it(20)
PROFILE: Final = _it(21)

#: RFC 4211, 6.5.
OLD_CERTIFICATE: Final = f"{oids.CRMF_CONTROLS}.5"
