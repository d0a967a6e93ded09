"""DSA keys are read strictly, where old certificates are asked for, and serve nobody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.crypto import der, oids, suites
from e2s.crypto.certificates import MAX_CERTIFICATES, Certificate
from e2s.crypto.kinds import kind_of
from e2s.crypto.legacy import DsaKey, legacy_key, read_legacy, with_parameters
from e2s.crypto.pem import armoured
from e2s.crypto.suites.identifiers import algorithm

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "old")])


@pytest.fixture(scope="module")
def key():
    return dsa.generate_private_key(2048)


@pytest.fixture(scope="module")
def spki(key):
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def certificate(key):
    builder = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(AT)
        .not_valid_after(AT + timedelta(days=1))
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def without_parameters(certificate, *, null=False):
    """The certificate with a key that leaves its parameters out; its signature is then another's."""
    whole = der.Reader(certificate).enter()
    parts = der.Reader(whole.element(der.SEQUENCE)).enter().elements(None, 16)
    named = der.Reader(parts[6]).enter()
    named.element(der.SEQUENCE)
    bits = named.element(der.BIT_STRING)
    parts[6] = der.sequence(algorithm(oids.DSA, *([der.tlv(der.NULL, b"")] if null else [])), bits)
    return der.sequence(der.sequence(*parts), *whole.elements(None, 2))


def test_read_and_used(key, certificate):
    (read,) = read_legacy(certificate)
    assert read_legacy(armoured(certificate, b"CERTIFICATE")) == (read,)
    found = legacy_key(read)
    assert found == DsaKey.read(read.spki)
    assert read.pem == armoured(certificate, b"CERTIFICATE")
    for oid, hashing in (
        (oids.DSA_SHA1, hashes.SHA1()),
        (oids.DSA_SHA224, hashes.SHA224()),
        (oids.DSA_SHA256, hashes.SHA256()),
    ):
        signature = key.sign(b"said", hashing)
        assert found.verifies(algorithm(oid), signature, b"said")
        assert not found.verifies(algorithm(oid), signature, b"sad")
        assert not found.verifies(algorithm(oid), b"", b"said")
        assert not found.verifies(algorithm(oids.ECDSA_SHA256), signature, b"said")
        assert not found._replace(parameters=None).verifies(algorithm(oid), signature, b"said")


def test_nobody_else_reads_it(certificate):
    with pytest.raises(Refusal, match="bad-certificate"):
        Certificate.read(certificate)
    (read,) = read_legacy(certificate)
    assert kind_of(type(read.public_key)) == ""
    with pytest.raises(Refusal, match="suite-unknown"):
        suites.signature_suite_of(read.public_key)


@pytest.mark.parametrize("null", [False, True])
def test_inherited_parameters(certificate, null):
    octets = without_parameters(certificate, null=null)
    (read,) = read_legacy(octets)
    assert read.der == octets
    own = legacy_key(read)
    assert own is not None
    assert own.parameters is None
    parameters = DsaKey.read(read_legacy(certificate)[0].spki).parameters
    assert parameters is not None
    whole = with_parameters(read, parameters)
    assert whole == read
    assert legacy_key(whole) == own._replace(parameters=parameters)
    # the parser's own key is none that anybody could use
    with pytest.raises(UnsupportedAlgorithm):
        read.x509.public_key()


def test_numbers_of_no_size_that_dsa_had(spki):
    outer = der.Reader(spki).enter()
    named = outer.enter()
    named.oid()
    numbers = named.enter()
    p, q, g = (numbers.integer(400) for _ in range(3))
    held = der.Reader(outer.content(der.BIT_STRING)[1:])
    y = held.integer(400)

    def made(p, q, g, y):
        parameters = der.sequence(*map(der.integer, (p, q, g)))
        bits = der.tlv(der.BIT_STRING, b"\0" + der.integer(y))
        return der.sequence(algorithm(oids.DSA, parameters), bits)

    assert DsaKey.read(made(p, q, g, y)) == DsaKey(y, (p, q, g))
    for bad in ((p >> 8, q, g, y), (p, q >> 8, g, y), (p, q, 1, y), (p, q, p, y), (p, q, g, 1), (p, q, g, p)):
        with pytest.raises(Refusal, match="bad-key"):
            DsaKey.read(made(*bad))
    with pytest.raises(Refusal, match="der-"):
        DsaKey.read(made(1 << 8000, q, g, y))


def test_other_keys_are_not_for_it():
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(Refusal, match="bad-key"):
        DsaKey.read(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def test_bundles(certificate):
    pem = armoured(certificate, b"CERTIFICATE")
    assert len(read_legacy(pem * 3)) == 3
    for bad in (
        pem * (MAX_CERTIFICATES + 1),
        pem + b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n",
        certificate[:-1],
        certificate + b"\0" * 40_000,
    ):
        with pytest.raises(Refusal, match="bad-certificate"):
            read_legacy(bad)


@given(st.data())
def test_garbage_is_refused(certificate, data):
    octets = bytearray(without_parameters(certificate))
    for _ in range(data.draw(st.integers(1, 3))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    for read in (lambda: read_legacy(bytes(octets)), lambda: read_legacy(bytes(octets[: len(octets) // 2]))):
        try:
            (found,) = read()
        except Refusal as refusal:
            assert refusal.rule == "bad-certificate"
        else:
            assert found.der == bytes(octets)
