"""What must not be signed is refused by its rule before it is signed, one fault at a time."""

from __future__ import annotations

import secrets
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import serial_number
from e2s.crypto.keys import spki_of
from e2s.crypto.suites.identifiers import NULL, algorithm
from e2s.security.certificates import extensions, lint
from e2s.security.certificates.certify import Wish, certify, certify_all, certify_der
from e2s.security.certificates.names import alternative_name
from e2s.security.certificates.profiles import PROFILES, Profile, Use, profile
from e2s.security.certificates.tbs import Tbs
from tests.worlds.crypto import parse, unparse
from tests.worlds.pki import START
from tests.worlds.profiles import KINDS, PLACES, authority, issuer_of, key, root, sample

ISSUER = authority("operating-ca", "p256").certificate
GOOD = sample("person").slices.tbs
CA = sample("buying-ca").slices.tbs


def rdn(oid: str, text: str, tag: int = der.UTF8) -> bytes:
    return der.tlv(der.SET, der.sequence(der.oid(oid), der.tlv(tag, text.encode("latin-1"))))


def name(*rdns: bytes) -> bytes:
    return der.sequence(*rdns)


ALICE = name(rdn(oids.ORGANISATION, "market"), rdn(oids.COMMON_NAME, "alice"))


def changed(tbs: bytes = GOOD, *, put=(), drop=(), again=(), **fields: bytes) -> bytes:
    """``tbs`` with other fields; extensions put in the place of those of the same kind, dropped, repeated."""
    read = Tbs.read(tbs)
    parts = {
        "version": b"\xa0\x03\x02\x01\x02",
        "serial": der.tlv(der.INTEGER, read.serial),
        "algorithm": read.algorithm,
        "issuer": read.issuer,
        "validity": read.validity,
        "subject": read.subject,
        "spki": read.spki,
        "more": b"",
    } | fields
    new = {der.Reader(one).enter().oid(): one for one in put}
    kept = []
    for said in read.extensions:
        if said.oid in drop:
            continue
        one = new.pop(said.oid, None) or extensions.extension(said.oid, said.value, critical=said.critical)
        kept.append(one)
        if said.oid in again:
            kept.append(one)
    return der.sequence(*parts.values(), der.tlv(0xA3, der.sequence(*kept, *new.values())))


def ext(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    return extensions.extension(oid, value, critical=critical)


def san(*names: bytes, critical: bool = False) -> bytes:
    return extensions.alternative_names(names, critical=critical)


def general(tag: int, value: bytes) -> bytes:
    return der.tlv(tag, value)


def times(first: bytes, last: bytes, tags=(der.UTC_TIME, der.UTC_TIME)) -> bytes:
    return der.sequence(der.tlv(tags[0], first), der.tlv(tags[1], last))


def usage(*octets: int, critical: bool = True) -> bytes:
    return ext(oids.KEY_USAGE, der.tlv(der.BIT_STRING, bytes(octets)), critical=critical)


def spki(identifier: bytes, bits: bytes) -> bytes:
    return der.sequence(identifier, der.tlv(der.BIT_STRING, b"\0" + bits))


def rsa(modulus: int, exponent: int) -> bytes:
    return spki(algorithm(oids.RSA, NULL), der.sequence(der.integer(modulus), der.integer(exponent)))


def constraints(*bases: bytes) -> bytes:
    trees = der.tlv(0xA0, b"".join(map(der.sequence, bases)))
    return ext(oids.NAME_CONSTRAINTS, der.sequence(trees), critical=True)


def point(url: bytes, oid: str = oids.CRL_POINTS, *, critical: bool = False) -> bytes:
    where = der.tlv(0xA0, der.tlv(0xA0, der.tlv(0x86, url)))
    return ext(oid, der.sequence(der.sequence(where)), critical=critical)


def policies(*of: str) -> bytes:
    return ext(oids.CERTIFICATE_POLICIES, der.sequence(*(der.sequence(der.oid(one)) for one in of)))


def mappings(*pairs: tuple[str, str], critical: bool = True) -> bytes:
    value = der.sequence(*(der.sequence(der.oid(a), der.oid(b)) for a, b in pairs))
    return ext(oids.POLICY_MAPPINGS, value, critical=critical)


EC256 = algorithm(oids.EC_PUBLIC_KEY, der.oid(oids.P256))
LOW = oids.CONFIDENCE["low"]
HASHED = bytes(20)
#: The rule, and what breaks it and nothing else.
BAD: dict[str, tuple[str, bytes]] = {
    # RFC 5280, 4.1
    "version 1": ("lint-version", changed(version=b"")),
    "version 2": ("lint-version", changed(version=b"\xa0\x03\x02\x01\x01")),
    "serial nought": ("lint-serial", changed(serial=der.integer(0))),
    "serial negative": ("lint-serial", changed(serial=der.integer(-(1 << 127)))),
    "serial of 21 octets": ("lint-serial", changed(serial=der.integer(1 << 160))),
    "serial of 63 bits": ("lint-serial", changed(serial=der.integer((1 << 63) - 1))),
    "serial with a nought before it": ("lint-der", changed(serial=b"\x02\x12\0\0" + b"\x90" + bytes(15))),
    "algorithm of SHA-1": ("lint-algorithm", changed(algorithm=algorithm("1.2.840.10045.4.1"))),
    "algorithm of another kind": ("lint-algorithm", changed(algorithm=algorithm(oids.ED25519))),
    "issuer without a name": ("lint-issuer", changed(issuer=b"\x30\0")),
    "issuer of another name": ("lint-issuer", changed(issuer=ALICE)),
    "unique identifier": ("lint-unique-id", changed(more=b"\x81\x02\0\1")),
    # 4.1.2.5
    "time without seconds": ("lint-time", changed(validity=times(b"2603020900Z", b"270302090000Z"))),
    "time with a zone": ("lint-time", changed(validity=times(b"260302090000+0100", b"270302090000Z"))),
    "generalized before 2050": (
        "lint-time",
        changed(validity=times(b"260302090000Z", b"20270302090000Z", (der.UTC_TIME, der.GENERALIZED_TIME))),
    ),
    "fraction of a second": (
        "lint-time",
        changed(validity=times(b"260302090000Z", b"20510302090000.5Z", (der.UTC_TIME, der.GENERALIZED_TIME))),
    ),
    "no such day": ("lint-time", changed(validity=times(b"260230090000Z", b"270302090000Z"))),
    "over before it begins": ("lint-validity", changed(validity=times(b"260302090001Z", b"260302090000Z"))),
    "outlives its issuer": ("lint-validity", changed(validity=times(b"260302090000Z", b"490302090000Z"))),
    "longer than its profile": ("lint-validity", changed(validity=times(b"260302090000Z", b"280402090000Z"))),
    # 4.1.2.4, 4.1.2.6 and X.520
    "no subject and no name": (
        "lint-subject",
        changed(subject=b"\x30\0", drop=[oids.SUBJECT_ALT_NAME]),
    ),
    "CA without a name": ("lint-subject", changed(CA, subject=b"\x30\0")),
    "no subject, names not critical": ("lint-critical", changed(subject=b"\x30\0")),
    "a subject, names critical": (
        "lint-critical",
        changed(put=[san(alternative_name("a.example"), critical=True)]),
    ),
    "CN of 65": ("lint-name-length", changed(subject=name(rdn(oids.COMMON_NAME, "a" * 65)))),
    "O of 65": ("lint-name-length", changed(subject=name(rdn(oids.ORGANISATION, "a" * 65)))),
    "OU of 65": ("lint-name-length", changed(subject=name(rdn(oids.ORGANISATIONAL_UNIT, "a" * 65)))),
    "L of 129": ("lint-name-length", changed(subject=name(rdn("2.5.4.7", "a" * 129)))),
    "serialNumber of 65": ("lint-name-length", changed(subject=name(rdn("2.5.4.5", "1" * 65, 0x13)))),
    "country of three": ("lint-name-length", changed(subject=name(rdn("2.5.4.6", "DEU", 0x13)))),
    "country in small letters": ("lint-name-string", changed(subject=name(rdn("2.5.4.6", "de", 0x13)))),
    "country in UTF-8": ("lint-name-string", changed(subject=name(rdn("2.5.4.6", "DE")))),
    "TeletexString": ("lint-name-string", changed(subject=name(rdn(oids.COMMON_NAME, "a", 0x14)))),
    "BMPString": ("lint-name-string", changed(subject=name(rdn(oids.COMMON_NAME, "\0a", 0x1E)))),
    "PrintableString with @": ("lint-name-string", changed(subject=name(rdn(oids.COMMON_NAME, "a@b", 0x13)))),
    "not UTF-8": ("lint-name-string", changed(subject=name(rdn(oids.COMMON_NAME, "\xff")))),
    "control character": ("lint-name-string", changed(subject=name(rdn(oids.COMMON_NAME, "a\nb")))),
    "empty attribute": ("lint-name-string", changed(subject=name(rdn(oids.COMMON_NAME, "")))),
    "only spaces": ("lint-name-string", changed(subject=name(rdn(oids.COMMON_NAME, "  ")))),
    "a part without an attribute": ("lint-name", changed(subject=name(der.tlv(der.SET, b"")))),
    "an attribute that is none": ("lint-name", changed(subject=name(der.tlv(der.SET, der.sequence(NULL))))),
    # 4.1.2.7 and the keys' RFCs
    "curve of no suite": (
        "lint-key",
        changed(spki=spki(algorithm(oids.EC_PUBLIC_KEY, der.oid("1.3.132.0.10")), b"\x04" + bytes(64))),
    ),
    "curve by parameters": ("lint-key", changed(spki=spki(algorithm(oids.EC_PUBLIC_KEY, NULL), bytes(65)))),
    "compressed point": ("lint-key", changed(spki=spki(EC256, b"\x02" + bytes(32)))),
    "short point": ("lint-key", changed(spki=spki(EC256, b"\x04" + bytes(63)))),
    "Ed25519 with NULL": ("lint-key", changed(spki=spki(algorithm(oids.ED25519, NULL), bytes(32)))),
    "ML-DSA cut short": ("lint-key", changed(spki=spki(algorithm(oids.ML_DSA_44), bytes(1311)))),
    "RSA without NULL": (
        "lint-key",
        changed(
            spki=spki(algorithm(oids.RSA), der.sequence(der.integer((1 << 3071) + 1), der.integer(65537)))
        ),
    ),
    "RSA of 2048 bits": ("lint-key", changed(spki=rsa((1 << 2047) + 1, 65537))),
    "RSA even": ("lint-key", changed(spki=rsa(1 << 3071, 65537))),
    "RSA exponent 3": ("lint-key", changed(spki=rsa((1 << 3071) + 1, 3))),
    "RSA exponent even": ("lint-key", changed(spki=rsa((1 << 3071) + 1, 65538))),
    "RSA exponent of 65 bits": ("lint-key", changed(spki=rsa((1 << 3071) + 1, (1 << 64) + 1))),
    "key with unused bits": (
        "lint-key",
        changed(spki=der.sequence(EC256, der.tlv(der.BIT_STRING, b"\x01\x04" + bytes(64)))),
    ),
    # 4.2
    "extension twice": ("lint-extension-twice", changed(again=[oids.AUTHORITY_KEY_ID])),
    "critical and unknown": ("lint-critical", changed(put=[ext("1.2.3.4", NULL, critical=True)])),
    "key usage not critical": ("lint-critical", changed(put=[usage(6, 0xC0, critical=False)])),
    "key identifier critical": (
        "lint-critical",
        changed(
            put=[ext(oids.SUBJECT_KEY_ID, Tbs.read(GOOD).value(oids.SUBJECT_KEY_ID) or b"", critical=True)]
        ),
    ),
    "points critical": ("lint-critical", changed(put=[point(b"http://a.example/crl", critical=True)])),
    "constraints not critical": (
        "lint-critical",
        changed(CA, put=[ext(oids.NAME_CONSTRAINTS, Tbs.read(CA).value(oids.NAME_CONSTRAINTS) or b"")]),
    ),
    "not critical, written": (
        "lint-critical",
        changed(
            put=[
                der.sequence(
                    der.oid(oids.AUTHORITY_KEY_ID),
                    b"\x01\x01\x00",
                    der.octet_string(Tbs.read(GOOD).value(oids.AUTHORITY_KEY_ID) or b""),
                )
            ]
        ),
    ),
    "extension of garbage": ("lint-extension", changed(put=[ext(oids.EXTENDED_KEY_USAGE, b"\x31\0")])),
    "extension with more behind": (
        "lint-extension",
        changed(put=[ext(oids.SUBJECT_KEY_ID, der.octet_string(HASHED) + NULL)]),
    ),
    # 4.2.1.1, 4.2.1.2
    "no identifier of the key": ("lint-key-id", changed(drop=[oids.SUBJECT_KEY_ID])),
    "empty identifier": ("lint-key-id", changed(put=[extensions.subject_key_id(b"")])),
    "another identifier": ("lint-key-id", changed(put=[extensions.subject_key_id(HASHED)])),
    "no identifier of the issuer's": ("lint-key-id", changed(drop=[oids.AUTHORITY_KEY_ID])),
    "another issuer's key": ("lint-key-id", changed(put=[extensions.authority_key_id(HASHED)])),
    "issuer by name and serial": (
        "lint-key-id",
        changed(
            put=[
                ext(
                    oids.AUTHORITY_KEY_ID,
                    der.sequence(der.tlv(0xA1, der.tlv(0xA4, ALICE)), der.tlv(0x82, b"\x01")),
                )
            ]
        ),
    ),
    # 4.2.1.3
    "no key usage": ("lint-key-usage", changed(drop=[oids.KEY_USAGE])),
    "empty key usage": ("lint-key-usage", changed(put=[usage(0)])),
    "key usage of noughts": ("lint-key-usage", changed(put=[usage(0, 0)])),
    "key usage with last noughts": ("lint-key-usage", changed(put=[usage(0, 0xC0)])),
    "EC enciphers keys": ("lint-key-usage", changed(put=[usage(5, 0xE0)])),
    "EC enciphers data": ("lint-key-usage", changed(put=[usage(4, 0xD0)])),
    "signs and agrees": ("lint-key-usage", changed(put=[usage(3, 0xC8)])),
    "certifies and is no CA": ("lint-key-usage", changed(put=[usage(2, 0x84)])),
    "signs lists and is no CA": ("lint-key-usage", changed(put=[usage(1, 0x82)])),
    "CA that does not certify": ("lint-key-usage", changed(CA, put=[usage(1, 0x02)])),
    "only deciphers": ("lint-key-usage", changed(put=[usage(7, 0x08, 0x80)])),
    # 4.2.1.4 and 5
    "policy twice": ("lint-policies", changed(put=[policies(LOW, LOW)])),
    "no policies": ("lint-policies", changed(put=[policies()])),
    "any policy of a person": ("lint-policies", changed(put=[policies(oids.ANY_POLICY)])),
    "practice by FTP": (
        "lint-url",
        changed(put=[extensions.policies((LOW,), "ftp://a.example/practice")]),
    ),
    "mapping of a person": ("lint-not-a-ca", changed(put=[mappings((LOW, "1.2.3"))])),
    "mapping of any": ("lint-mappings", changed(CA, put=[mappings((LOW, oids.ANY_POLICY))])),
    "mapping twice": ("lint-mappings", changed(CA, put=[mappings((LOW, "1.2.3"), (LOW, "1.2.3"))])),
    "mapping of what is not there": ("lint-mappings", changed(CA, put=[mappings(("1.2.9", "1.2.3"))])),
    "mapping not critical": ("lint-critical", changed(CA, put=[mappings((LOW, "1.2.3"), critical=False)])),
    "no mappings": ("lint-mappings", changed(CA, put=[mappings()])),
    # 4.2.1.6
    "no names": ("lint-alternative-name", changed(put=[san()])),
    "name twice": ("lint-alternative-name", changed(put=[san(*2 * [alternative_name("a.example")])])),
    "host of a blank": ("lint-alternative-name", changed(put=[san(general(0x82, b" "))])),
    "host with an underscore": ("lint-alternative-name", changed(put=[san(general(0x82, b"a_b.example"))])),
    "host with a wildcard": ("lint-alternative-name", changed(put=[san(general(0x82, b"*.a.example"))])),
    "host that begins with a point": (
        "lint-alternative-name",
        changed(put=[san(general(0x82, b".a.example"))]),
    ),
    "host that is an address": ("lint-alternative-name", changed(put=[san(general(0x82, b"192.0.2.1"))])),
    "label of 64": ("lint-alternative-name", changed(put=[san(general(0x82, b"a" * 64 + b".example"))])),
    "host of 254": ("lint-alternative-name", changed(put=[san(general(0x82, b"a." * 126 + b"aa"))])),
    "host with a nought": ("lint-alternative-name", changed(put=[san(general(0x82, b"a.example\0.b"))])),
    "mail without a host": ("lint-alternative-name", changed(put=[san(general(0x81, b"alice"))])),
    "mail with a name": ("lint-alternative-name", changed(put=[san(general(0x81, b"A <a@b.example>"))])),
    "mail not in ASCII": ("lint-alternative-name", changed(put=[san(general(0x81, b"\xc3\xa4@b.example"))])),
    "relative URI": ("lint-alternative-name", changed(put=[san(general(0x86, b"/a/b"))])),
    "URI without a host": ("lint-alternative-name", changed(put=[san(general(0x86, b"https:///a"))])),
    "URI with a blank": ("lint-alternative-name", changed(put=[san(general(0x86, b"https://a.example/ b"))])),
    "URN without a name": ("lint-alternative-name", changed(put=[san(general(0x86, b"urn:e2s"))])),
    "URN with a blank": ("lint-alternative-name", changed(put=[san(general(0x86, b"urn:e2s:a b"))])),
    "address of five": ("lint-alternative-name", changed(put=[san(general(0x87, bytes(5)))])),
    "address with a mask": ("lint-alternative-name", changed(put=[san(general(0x87, bytes(8)))])),
    "empty directory name": ("lint-alternative-name", changed(put=[san(general(0xA4, b"\x30\0"))])),
    "X.400 address": ("lint-alternative-name", changed(put=[san(general(0xA3, b""))])),
    # 4.2.1.9
    "path length of a person": (
        "lint-path-length",
        changed(put=[ext(oids.BASIC_CONSTRAINTS, der.sequence(der.integer(0)), critical=True)]),
    ),
    "no CA, written": (
        "lint-path-length",
        changed(put=[ext(oids.BASIC_CONSTRAINTS, der.sequence(b"\x01\x01\0"), critical=True)]),
    ),
    "path as long as the issuer's": (
        "lint-path-length",
        changed(CA, put=[extensions.basic_constraints(ca=True, path_length=1)]),
    ),
    "path without an end": (
        "lint-path-length",
        changed(CA, put=[extensions.basic_constraints(ca=True, path_length=None)]),
    ),
    # 4.2.1.10
    "constraints of a person": ("lint-not-a-ca", changed(put=[constraints(general(0x82, b"a.example"))])),
    "no constraints": (
        "lint-name-constraints",
        changed(CA, put=[ext(oids.NAME_CONSTRAINTS, der.sequence(), critical=True)]),
    ),
    "no subtrees": ("lint-name-constraints", changed(CA, put=[constraints()])),
    "minimum of a subtree": (
        "lint-name-constraints",
        changed(CA, put=[constraints(general(0x82, b"a.example") + b"\x80\x01\x01")]),
    ),
    "address without its mask": (
        "lint-name-constraints",
        changed(CA, put=[constraints(general(0x87, bytes(4)))]),
    ),
    "mask with a hole": (
        "lint-name-constraints",
        changed(CA, put=[constraints(general(0x87, b"\x0a\0\0\0\xff\0\xff\0"))]),
    ),
    "bits beyond the mask": (
        "lint-name-constraints",
        changed(CA, put=[constraints(general(0x87, b"\x0a\0\0\1\xff\xff\xff\0"))]),
    ),
    "hosts below a point": (
        "lint-name-constraints",
        changed(CA, put=[constraints(general(0x82, b".a.example"))]),
    ),
    "URI where a host is": (
        "lint-name-constraints",
        changed(CA, put=[constraints(general(0x86, b"https://a.example"))]),
    ),
    # 4.2.1.11 and 14
    "no policy constraints": (
        "lint-policy-constraints",
        changed(CA, put=[ext(oids.POLICY_CONSTRAINTS, der.sequence(), critical=True)]),
    ),
    "negative policy constraint": (
        "lint-policy-constraints",
        changed(CA, put=[ext(oids.POLICY_CONSTRAINTS, der.sequence(b"\x80\x01\xff"), critical=True)]),
    ),
    "negative inhibition": (
        "lint-policy-constraints",
        changed(CA, put=[ext(oids.INHIBIT_ANY, der.integer(-1), critical=True)]),
    ),
    "inhibition not critical": ("lint-critical", changed(CA, put=[ext(oids.INHIBIT_ANY, der.integer(0))])),
    # 4.2.1.12
    "no purposes": ("lint-purpose", changed(put=[extensions.extended_key_usage((), critical=False)])),
    "any purpose": (
        "lint-purpose",
        changed(put=[extensions.extended_key_usage((oids.EKU_EMAIL, "2.5.29.37.0"), critical=False)]),
    ),
    "purpose twice": (
        "lint-purpose",
        changed(put=[extensions.extended_key_usage(2 * (oids.EKU_EMAIL,), critical=False)]),
    ),
    "time stamping not alone": (
        "lint-purpose",
        changed(put=[extensions.extended_key_usage((oids.EKU_EMAIL, oids.EKU_TIME_STAMPING), critical=True)]),
    ),
    "time stamping not critical": (
        "lint-purpose",
        changed(put=[extensions.extended_key_usage((oids.EKU_TIME_STAMPING,), critical=False)]),
    ),
    "code by a key that agrees": (
        "lint-purpose",
        changed(put=[usage(3, 0x08), extensions.extended_key_usage((oids.EKU_CODE,), critical=False)]),
    ),
    "role's agreement by a key that signs": (
        "lint-purpose",
        changed(put=[extensions.extended_key_usage((oids.AGREEMENT["buyer"],), critical=False)]),
    ),
    # 4.2.1.13, 4.2.1.15, 4.2.2.1
    "list by LDAP": ("lint-url", changed(put=[point(b"ldap://a.example/cn=a")])),
    "list by file": ("lint-url", changed(put=[point(b"file:///a.crl")])),
    "no points": ("lint-place", changed(put=[ext(oids.CRL_POINTS, der.sequence())])),
    "point without a place": (
        "lint-place",
        changed(put=[ext(oids.CRL_POINTS, der.sequence(der.sequence(b"\x81\x02\x06\x40")))]),
    ),
    "delta without a list": ("lint-place", changed(drop=[oids.CRL_POINTS])),
    "delta critical": (
        "lint-critical",
        changed(put=[point(b"http://a.example/d", oids.FRESHEST_CRL, critical=True)]),
    ),
    "responder by LDAP": (
        "lint-url",
        changed(put=[extensions.authority_info(ocsp="ldap://a.example", issuer="")]),
    ),
    "no places": ("lint-place", changed(put=[ext(oids.AUTHORITY_INFO, der.sequence())])),
    # RFC 6960, 4.2.2.2.1
    "not asked about a person": ("lint-nocheck", changed(put=[extensions.ocsp_nocheck()])),
    "commitment cut short": (
        "lint-extension",
        changed(put=[ext(oids.PAN_COMMIT, der.octet_string(bytes(31)))]),
    ),
    # the form
    "trailing octets": ("lint-der", GOOD + b"\0"),
    "cut short": ("lint-der", GOOD[:-1]),
    "nothing": ("lint-der", b""),
}


def profile_of(octets: bytes) -> Profile | None:
    """The profile of what was altered."""
    try:
        return profile("buying-ca" if Tbs.read(octets).subject == Tbs.read(CA).subject else "person")
    except Refusal:
        return profile("person")


def rules(octets: bytes) -> list[str]:
    return [one.rule for one in lint.findings(octets, profile_of(octets), ISSUER)]


def test_what_was_altered_is_good():
    for octets in (GOOD, CA):
        assert changed(octets) == octets
        assert rules(octets) == []


@pytest.mark.parametrize("fault", BAD)
def test_each_fault_is_refused_by_its_rule(fault):
    rule, octets = BAD[fault]
    assert rule in rules(octets)
    with pytest.raises(Refusal, match="lint-"):
        lint.check(octets, profile_of(octets), ISSUER)


def test_each_finding_names_a_clause_or_the_profile():
    for fault, (_rule, octets) in BAD.items():
        for one in lint.findings(octets, profile_of(octets), ISSUER):
            cited = any(mark in one.sentence for mark in ("RFC ", "4.1", "4.2", "X.", "SP ", "FIPS ", "ISO "))
            assert (
                cited or "profile" in one.sentence or "shown" in one.sentence or "protocol" in one.sentence
            ), fault


#: A certificate of one profile, linted by another that differs from it in one member.
OTHER = {
    "a CA's": ("person", "buying-ca"),
    "an end entity's": ("buying-ca", "person"),
    "purposes": ("person", "organisation"),
    "no commitment": ("merchant", "card-holder"),
    "a commitment": ("card-holder", "merchant"),
    "no longer asked about": ("code-signing", "ocsp-responder"),
    "asked about": ("ocsp-responder", "code-signing"),
    "not confined": ("sub-ca", "card-ca"),
    "longer path": ("sub-ca", "cross"),
}


@pytest.mark.parametrize("case", OTHER)
def test_what_its_profile_does_not_say(case):
    made, said = OTHER[case]
    found = lint.certificate(sample(made).der, profile(said))
    assert "lint-profile" in {one.rule for one in found}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_lints_clean(name, kind):
    row = PROFILES[name]
    if row.suites and row.suites.isdisjoint(KINDS[kind]):
        with pytest.raises(Refusal, match="key-not-permitted"):
            sample(name, kind)
        return
    one = root(kind).certificate if name == "root" else sample(name, kind)
    assert lint.certificate(one.der, row) == ()


def test_a_whole_certificate():
    one = sample("person")
    tree = parse(one.der)
    tree[0][1][1] = parse(algorithm(oids.ECDSA_SHA384))[0]
    assert [found.rule for found in lint.certificate(unparse(tree))] == ["lint-algorithm"]
    tree = parse(one.der)
    tree[0][1][2][1] = b"\x01" + tree[0][1][2][1][1:]
    assert [found.rule for found in lint.certificate(unparse(tree))] == ["lint-signature"]
    assert [found.rule for found in lint.certificate(one.der + b"\0")] == ["lint-der"]
    assert [found.rule for found in lint.certificate(b"garbage")] == ["lint-der"]


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_octets_give_findings_or_none(data):
    """Of whatever comes: no error of another kind, and no time."""
    octets = bytearray(data.draw(st.sampled_from((sample("person").der, sample("cross").der, GOOD, CA))))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(octets) - 1))
        octets[place] = data.draw(st.integers(0, 255))
    for found in (lint.certificate(bytes(octets)), tuple(lint.findings(bytes(octets), None, ISSUER))):
        assert all(one.rule.startswith("lint-") for one in found)


def test_a_key_whose_algorithm_has_no_identifier():
    octets = GOOD.replace(bytes.fromhex("301306072a8648ce3d0201"), bytes.fromhex("301302072a8648ce3d0201"), 1)
    assert octets != GOOD
    assert "lint-key" in {one.rule for one in lint.findings(octets, None, ISSUER)}


EXTENSIONS = [said.oid for said in Tbs.read(sample("cross").slices.tbs).extensions] + [oids.OCSP_NOCHECK]


@given(st.sampled_from(EXTENSIONS), st.binary(min_size=1, max_size=80))
@settings(max_examples=300, deadline=None)
def test_any_value_of_any_extension(oid, value):
    assert all(one.rule.startswith("lint-") for one in lint.findings(changed(put=[ext(oid, value)])))


# What differs between certificates of a template is linted for each


def wish(**more) -> Wish:
    given_more: dict = {"names": ("urn:e2s:market:alpha:alice",), "profile": profile("person")} | more
    return Wish(public_key=key("p256-sha256").public_key(), **given_more)


def made(one: Wish, serial: int | None = None, at=START) -> bytes:
    number = serial_number(secrets.token_bytes) if serial is None else serial
    return certify_der(one, authority("operating-ca", "p256"), serial=number, at=at, places=PLACES)


@pytest.mark.parametrize(
    ("rule", "more", "serial"),
    [
        ("lint-serial", {}, 1),
        ("lint-serial", {}, (1 << 63) - 1),
        ("lint-serial", {}, 0),
        ("lint-serial", {}, -(1 << 127)),
        ("lint-serial", {}, 1 << 159),
        ("lint-alternative-name", {"names": 2 * ("urn:e2s:market:alpha:alice",)}, None),
        ("lint-alternative-name", {"names": ("urn:e2s:market:alpha:alice", "a_b.example")}, None),
        ("lint-alternative-name", {"names": ("urn:e2s:market:alpha:a<b",)}, None),
        ("lint-alternative-name", {"names": ("urn:e2s:market:alpha:alice", "urn:x")}, None),
        ("lint-alternative-name", {"names": ("https:///a",)}, None),
        ("lint-validity", {"not_after": START - timedelta(days=1)}, None),
        ("lint-validity", {"not_after": START + timedelta(days=731)}, None),
        ("bad-name", {"names": ("urn:e2s:market:alpha:" + "a" * 65,)}, None),
        ("bad-name", {"names": ("urn:e2s:market:alpha:zo\u00eb",)}, None),
    ],
)
def test_each_certificate_of_a_template_is_linted(rule, more, serial):
    made(wish())
    made(wish())
    with pytest.raises(Exception, match=rule):
        made(wish(**more), serial)


def test_another_encoding_of_the_key_is_refused():
    made(wish(), 1 << 127)
    key_octets = spki_of(key("p256-sha256").public_key())
    for serial in (1 << 127, 1 + (1 << 127)):
        with pytest.raises(Refusal, match="lint-key"):
            made(wish(spki=key_octets[:26] + b"\x06" + key_octets[27:]), serial)


@given(st.text(st.characters(min_codepoint=0, max_codepoint=0x2FF), min_size=1, max_size=70))
@settings(max_examples=200, deadline=None)
def test_the_glance_finds_what_the_whole_finds(text):
    """Names: encoded and at a glance good, or refused; the linter of the whole agrees."""
    try:
        octets = made(wish(names=(f"urn:e2s:market:alpha:{text}",)))
    except Exception as error:  # noqa: BLE001 - whatever it is, it has a rule
        assert getattr(error, "rule", "") in {"bad-name", "lint-alternative-name", "lint-name-string"}
        return
    assert lint.certificate(octets, profile("person")) == ()


def test_a_group_has_its_refusals_in_their_places():
    good, bad = wish(), wish(names=("urn:e2s:market:alpha:a<b",))
    pairs = [(one, serial_number(secrets.token_bytes)) for one in (good, bad, good, bad)]
    found = certify_all(pairs, authority("operating-ca", "p256"), at=START, places=PLACES)
    assert [isinstance(one, bytes) for one in found] == [True, False, True, False]
    assert [one.rule for one in found if isinstance(one, Refusal)] == 2 * ["lint-alternative-name"]
    assert isinstance(found[0], bytes)
    assert lint.certificate(found[0], profile("person")) == ()


def test_nothing_is_signed_that_was_not_linted(monkeypatch):
    """The first of a template and every CA's whole, of each other what differs."""
    whole, parts = [], []

    def glance(*seen):
        parts.append(seen)
        return True

    monkeypatch.setattr(lint, "check", lambda *seen: whole.append(seen))
    monkeypatch.setattr(lint, "are_usual", glance)
    own = Profile(name="own", use=Use.SIGN, lifetime=timedelta(days=1))
    for _ in range(3):
        made(wish(profile=own), 1 << 127)
    assert (len(whole), len(parts)) == (1, 2)
    for _ in range(2):
        certify(
            wish(profile=profile("buying-ca"), names=("urn:e2s:market:alpha",)),
            issuer_of("buying-ca", "p256"),
            serial=1 << 127,
            at=START,
        )
    assert len(whole) == 3
