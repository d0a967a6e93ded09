"""The extensions of a certificate, each as DER from the values that it has (RFC 5280, 4.2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from e2s.crypto import der, oids
from e2s.security.certificates.names import subtree

DIGITAL_SIGNATURE: Final = 0x80
CONTENT_COMMITMENT: Final = 0x40
KEY_ENCIPHERMENT: Final = 0x20
DATA_ENCIPHERMENT: Final = 0x10
KEY_AGREEMENT: Final = 0x08
KEY_CERT_SIGN: Final = 0x04
CRL_SIGN: Final = 0x02
_TRUE: Final = b"\x01\x01\xff"
_URI: Final = 0x86


def extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    """One Extension; that it is not critical is the default, which DER does not write."""
    return der.sequence(der.oid(oid), _TRUE if critical else b"", der.octet_string(value))


def basic_constraints(*, ca: bool, path_length: int | None) -> bytes:
    """4.2.1.9."""
    length = der.integer(path_length) if ca and path_length is not None else b""
    return extension(oids.BASIC_CONSTRAINTS, der.sequence(_TRUE + length if ca else b""), critical=True)


def key_usage(bits: int) -> bytes:
    """4.2.1.3; ``bits`` as they stand in the first octet."""
    unused = (bits & -bits).bit_length() - 1
    return extension(oids.KEY_USAGE, bytes((der.BIT_STRING, 2, unused, bits)), critical=True)


def subject_key_id(key_id: bytes) -> bytes:
    """4.2.1.2."""
    return extension(oids.SUBJECT_KEY_ID, der.octet_string(key_id))


def authority_key_id(key_id: bytes) -> bytes:
    """4.2.1.1: the identifier alone."""
    return extension(oids.AUTHORITY_KEY_ID, der.sequence(der.tlv(0x80, key_id)))


def alternative_names(names: Iterable[bytes], *, critical: bool) -> bytes:
    """4.2.1.6: critical where the subject is empty."""
    return extension(oids.SUBJECT_ALT_NAME, der.tlv(der.SEQUENCE, b"".join(names)), critical=critical)


def extended_key_usage(usages: Iterable[str], *, critical: bool) -> bytes:
    """4.2.1.12."""
    return extension(oids.EXTENDED_KEY_USAGE, der.sequence(*map(der.oid, usages)), critical=critical)


def policies(of: Iterable[str], cps: str) -> bytes:
    """4.2.1.4; each with the URL of the practice statement, if there is one."""
    qualifiers = b""
    if cps:
        qualifiers = der.sequence(der.sequence(der.oid(oids.CPS), der.tlv(0x16, cps.encode("ascii"))))
    informed = [der.sequence(der.oid(policy), qualifiers) for policy in of]
    return extension(oids.CERTIFICATE_POLICIES, der.sequence(*informed))


def policy_mappings(pairs: Iterable[tuple[str, str]]) -> bytes:
    """4.2.1.5."""
    mapped = [der.sequence(der.oid(ours), der.oid(theirs)) for ours, theirs in pairs]
    return extension(oids.POLICY_MAPPINGS, der.sequence(*mapped), critical=True)


def policy_constraints(require_explicit: int | None, inhibit_mapping: int | None) -> bytes:
    """4.2.1.11."""
    parts = (_tagged(tag, count) for tag, count in ((0x80, require_explicit), (0x81, inhibit_mapping)))
    return extension(oids.POLICY_CONSTRAINTS, der.sequence(*parts), critical=True)


def inhibit_any(count: int) -> bytes:
    """4.2.1.14."""
    return extension(oids.INHIBIT_ANY, der.integer(count), critical=True)


def name_constraints(permitted: Sequence[bytes], excluded: Sequence[bytes]) -> bytes:
    """4.2.1.10, of bases as GeneralNames."""
    parts = (
        der.tlv(tag, b"".join(map(der.sequence, bases)))
        for tag, bases in ((0xA0, permitted), (0xA1, excluded))
        if bases
    )
    return extension(oids.NAME_CONSTRAINTS, der.sequence(*parts), critical=True)


def subtrees(texts: Iterable[str]) -> list[bytes]:
    """The bases of subtrees as :func:`~e2s.security.certificates.names.subtree` reads them."""
    return [subtree(text) for text in texts]


def crl_point(url: str, *, freshest: bool = False) -> bytes:
    """4.2.1.13 and 4.2.1.15: where the list is, or with ``freshest`` the delta to it."""
    name = der.tlv(0xA0, der.tlv(0xA0, der.tlv(_URI, url.encode("ascii"))))
    oid = oids.FRESHEST_CRL if freshest else oids.CRL_POINTS
    return extension(oid, der.sequence(der.sequence(name)))


def authority_info(*, ocsp: str, issuer: str) -> bytes:
    """4.2.2.1: where the responder is, and the issuer's certificate."""
    described = (
        der.sequence(der.oid(method), der.tlv(_URI, url.encode("ascii")))
        for method, url in ((oids.ACCESS_OCSP, ocsp), (oids.ACCESS_ISSUERS, issuer))
        if url
    )
    return extension(oids.AUTHORITY_INFO, der.sequence(*described))


def ocsp_nocheck() -> bytes:
    """RFC 6960, 4.2.2.2.1."""
    return extension(oids.OCSP_NOCHECK, der.tlv(der.NULL, b""))


def pan_commit(commitment: bytes) -> bytes:
    """A card-holder's commitment to the card number."""
    return extension(oids.PAN_COMMIT, der.octet_string(commitment))


def _tagged(tag: int, count: int | None) -> bytes:
    """An INTEGER under an implicit tag; nothing for None."""
    return b"" if count is None else bytes((tag,)) + der.integer(count)[1:]
