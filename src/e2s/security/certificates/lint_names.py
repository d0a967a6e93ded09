"""Rules about names: of subjects and issuers, alternative names, subtrees and places (RFC 5280, 4.1.2.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from e2s.base.errors import Refusal
from e2s.crypto import der, oids


class Finding(NamedTuple):
    """The rule that is broken, and a sentence with its clause."""

    rule: str
    sentence: str


_UTF8, _PRINTABLE, _IA5 = 0x0C, 0x13, 0x16
_TEXTS: Final = frozenset({_UTF8, _PRINTABLE})
#: Attributes with their string types and upper bounds in characters (RFC 5280, A.1; X.520).
_ATTRIBUTES: Final = {
    oids.COMMON_NAME: (_TEXTS, 64),
    "2.5.4.4": (_TEXTS, 32_768),  # surname
    "2.5.4.5": (frozenset({_PRINTABLE}), 64),  # serialNumber
    "2.5.4.6": (frozenset({_PRINTABLE}), 2),  # countryName
    "2.5.4.7": (_TEXTS, 128),  # localityName
    "2.5.4.8": (_TEXTS, 128),  # stateOrProvinceName
    "2.5.4.9": (_TEXTS, 128),  # streetAddress
    oids.ORGANISATION: (_TEXTS, 64),
    oids.ORGANISATIONAL_UNIT: (_TEXTS, 64),
    "2.5.4.12": (_TEXTS, 64),  # title
    "2.5.4.41": (_TEXTS, 32_768),  # name
    "2.5.4.42": (_TEXTS, 32_768),  # givenName
    "2.5.4.43": (_TEXTS, 32_768),  # initials
    "2.5.4.44": (_TEXTS, 32_768),  # generationQualifier
    "2.5.4.46": (frozenset({_PRINTABLE}), 64),  # dnQualifier
    "2.5.4.65": (_TEXTS, 128),  # pseudonym
    "2.5.4.97": (_TEXTS, 64),  # organizationIdentifier
    "0.9.2342.19200300.100.1.1": (_TEXTS, 256),  # uid
    "0.9.2342.19200300.100.1.25": (frozenset({_IA5}), 63),  # domainComponent
    "1.2.840.113549.1.9.1": (frozenset({_IA5}), 255),  # emailAddress
}
_COUNTRY: Final = re.compile(r"[A-Z]{2}", re.ASCII)
_PRINTABLES: Final = re.compile(r"[A-Za-z0-9 '()+,./:=?-]*", re.ASCII)
_HOST: Final = re.compile(
    rb"(?=.{1,253}\Z)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*"
    rb"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
_MAIL: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@(.+)")
_SCHEME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")
#: RFC 8141, 2.
_URN: Final = re.compile(
    rb"urn:[A-Za-z0-9][A-Za-z0-9-]{0,30}[A-Za-z0-9]:"
    rb"[A-Za-z0-9._~!$&'()*+,;=:@/-]*(?:%[0-9A-Fa-f]{2}[A-Za-z0-9._~!$&'()*+,;=:@/-]*)*"
)
_WEB: Final = ("http", "https")
_EMPTY: Final = b"\x30\x00"
_UNWRITTEN: Final = Finding(
    "lint-alternative-name", "a name is not written as its form is (RFC 5280, 4.2.1.6)"
)


def rdn_fault(rdn: bytes) -> Finding | None:
    """What is wrong with one RelativeDistinguishedName, a SET; None if nothing is."""
    try:
        reader = der.Reader(rdn)
        attributes = reader.enter(der.SET)
        reader.done()
        found = attributes.elements(der.SEQUENCE, 8)
        if not found:
            return Finding("lint-name", "a part of a name has an attribute (RFC 5280, 4.1.2.4)")
        der.check_order(found)
        return next((fault for one in found if (fault := _attribute(one))), None)
    except Refusal as refusal:
        return Finding("lint-name", f"a part of a name cannot be read: {refusal.message} (RFC 5280, 4.1.2.4)")


def _attribute(octets: bytes) -> Finding | None:
    reader = der.Reader(octets).enter()
    oid = reader.oid()
    tag = reader.peek()
    value = reader.content(tag)
    reader.done()
    tags, most = _ATTRIBUTES.get(oid, (_TEXTS, 32_768))
    if tag not in tags:
        return Finding(
            "lint-name-string", f"the attribute {oid} is not of its string type (RFC 5280, 4.1.2.4)"
        )
    try:
        text = value.decode("utf-8" if tag == _UTF8 else "ascii")
    except UnicodeDecodeError:
        return Finding("lint-name-string", f"the attribute {oid} is not in its alphabet (RFC 5280, 4.1.2.4)")
    if tag == _PRINTABLE and not _PRINTABLES.fullmatch(text):
        return Finding("lint-name-string", f"the attribute {oid} is not in its alphabet (X.680, 41.4)")
    if not text.strip() or not text.isprintable():
        return Finding("lint-name-string", f"the attribute {oid} has text that can be shown")
    if len(text) > most:
        return Finding(
            "lint-name-length", f"the attribute {oid} has at most {most} characters (RFC 5280, A.1)"
        )
    if oid == "2.5.4.6" and not _COUNTRY.fullmatch(text):
        return Finding("lint-name-string", "a country is two capital letters (ISO 3166-1)")
    return None


#: All before the common name, which stands last, in names that were found good.  It has the lengths of all
#: parts, so a name with the same before as long a text is as good as its text.
GOOD_HEADS: Final[set[bytes]] = set()
_MAX_GOOD: Final = 4096
#: The identifier of a common name, and its string type.
COMMON: Final = b"\x06\x03\x55\x04\x03\x0c"
#: Octets of printable ASCII, and those of URNs that need no escape.
PRINTABLE: Final = bytes(range(0x20, 0x7F))
URN_OCTETS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~!$&'()*+,;=:@/-"


def are_usual(subject: bytes, name: bytes) -> bool:
    """Whether a Name is like one that was found good, and a GeneralName a short URN of E2S, at a glance."""
    before, _, after = subject.rpartition(COMMON)
    size = len(after)
    return (
        before in GOOD_HEADS
        and before[-1] == size + 6
        and after[0] == size - 1
        and after[1] != 0x20
        and not after[1:].translate(None, PRINTABLE)
        and name.startswith(b"urn:e2s:", 2)
        and 0x80 > name[1] == len(name) - 2 > 8
        and name[0] == 0x86
        and not name[10:].translate(None, URN_OCTETS)
    )


def name_fault(name: bytes) -> Finding | None:
    """What is wrong with a Name; an empty one is for others to judge."""
    before, _, after = name.rpartition(COMMON)
    try:
        reader = der.Reader(name)
        rdns = reader.enter()
        reader.done()
        parts = rdns.elements(der.SET, 64)
    except Refusal as refusal:
        return Finding("lint-name", f"a name cannot be read: {refusal.message} (RFC 5280, 4.1.2.4)")
    fault = next((fault for rdn in parts if (fault := rdn_fault(rdn))), None)
    if fault is None and parts and parts[-1][4:10] == COMMON and len(parts[-1]) == 10 + len(after):
        if len(GOOD_HEADS) >= _MAX_GOOD:
            GOOD_HEADS.clear()
        GOOD_HEADS.add(before)
    return fault


def alternative_fault(name: bytes) -> Finding | None:
    """What is wrong with one GeneralName among alternative names (RFC 5280, 4.2.1.6)."""
    try:
        reader = der.Reader(name)
        tag = reader.peek()
        value = reader.content(tag)
        reader.done()
    except Refusal as refusal:
        return Finding("lint-alternative-name", f"a name cannot be read: {refusal.message} (4.2.1.6)")
    good = True
    if tag == 0x81:
        match = _MAIL.fullmatch(value)
        good = match is not None and _HOST.fullmatch(match[1]) is not None
    elif tag == 0x82:
        good = _HOST.fullmatch(value) is not None and not value.replace(b".", b"").isdigit()
    elif tag == 0x86:
        good = _is_uri(value)
    elif tag == 0x87:
        good = len(value) in {4, 16}
    elif tag == 0xA4:
        return name_fault(value) or (
            Finding("lint-alternative-name", "a directory name is not empty (4.2.1.6)")
            if value == _EMPTY
            else None
        )
    elif tag not in {0xA0, 0x88}:
        return Finding("lint-alternative-name", "a name of a form that is not used (RFC 5280, 4.2.1.6)")
    if not good:
        return _UNWRITTEN
    return None


def _is_uri(value: bytes) -> bool:
    """An absolute URI (RFC 3986, 4.3), with a host where there is an authority; a URN by RFC 8141, 2."""
    if value[:4].lower() == b"urn:":
        return _URN.fullmatch(value) is not None
    if not _SCHEME.fullmatch(value) or any(octet in b'"<>\\^`{|}' for octet in value):
        return False
    try:
        parts = urlsplit(value.decode("ascii"))
        host, _port = parts.hostname, parts.port
    except ValueError:
        return False
    if not value[len(parts.scheme) + 1 :].startswith(b"//"):
        return True
    return bool(host) and (":" in str(host) or _HOST.fullmatch(str(host).encode()) is not None)


def web_fault(value: bytes, clause: str) -> Finding | None:
    """What is wrong with the URL of a place, which anybody fetches by HTTP."""
    if not _is_uri(value) or not value.lower().startswith(tuple(f"{one}://".encode() for one in _WEB)):
        return Finding("lint-url", f"a place is a URL of http or https ({clause})")
    return None


def subtree_faults(trees: der.Reader) -> Iterator[Finding]:
    """What is wrong with GeneralSubtrees (RFC 5280, 4.2.1.10)."""
    found = trees.elements(der.SEQUENCE, 256)
    if not found:
        yield Finding("lint-name-constraints", "a list of subtrees is not empty (RFC 5280, 4.2.1.10)")
    for tree in found:
        reader = der.Reader(tree).enter()
        tag = reader.peek()
        base = reader.content(tag)
        if reader.pos != reader.end:
            yield Finding("lint-name-constraints", "a subtree has no minimum or maximum (RFC 5280, 4.2.1.10)")
        if tag == 0xA4:
            fault = name_fault(base)
            if fault:
                yield fault
        elif not _is_base(tag, base):
            yield Finding(
                "lint-name-constraints", "the base of a subtree is not of its form (RFC 5280, 4.2.1.10)"
            )


def _is_base(tag: int, base: bytes) -> bool:
    if tag == 0x87:
        half = len(base) // 2
        if len(base) not in {8, 32}:
            return False
        mask = int.from_bytes(base[half:], "big")
        bits = 8 * half
        # ones, then zeros (RFC 4632, 3.1), and no address bits under the zeros
        ones = mask.bit_count()
        return mask == (1 << bits) - (1 << (bits - ones)) and not int.from_bytes(base[:half], "big") & ~mask
    if tag == 0x82:
        return not base or _HOST.fullmatch(base) is not None
    if tag == 0x81 and b"@" in base:
        match = _MAIL.fullmatch(base)
        return match is not None and _HOST.fullmatch(match[1]) is not None
    return tag in {0x81, 0x86} and _HOST.fullmatch(base.removeprefix(b".")) is not None
