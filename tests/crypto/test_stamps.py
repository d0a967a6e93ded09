"""Time stamps: OpenSSL and another reader take ours, we take OpenSSL's, and nothing else passes for one."""

from __future__ import annotations

import hashlib
import subprocess
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import cms, der, oids, stamps
from e2s.crypto.keys import KeySigner
from e2s.crypto.suites import signature_suites_of
from tests.worlds.crypto import AT, KINDS, new_key, new_party, parse, unparse

POLICY = "1.2.3.4.5"
IMPRINT = hashlib.sha256(b"a signature value").digest()
NONCE = 2**63 + 5
MUTATED = new_party("tsa", usage=ExtendedKeyUsageOID.TIME_STAMPING)


@pytest.fixture(params=KINDS, scope="module")
def authority(request):
    return new_party("tsa", new_key(request.param), usage=ExtendedKeyUsageOID.TIME_STAMPING)


@pytest.fixture(scope="module")
def clockwork():
    return new_party("tsa", usage=ExtendedKeyUsageOID.TIME_STAMPING)


def token_of(authority, nonce=NONCE) -> bytes:
    asked = stamps.request(IMPRINT, nonce)
    return stamps.read_response(stamps.respond(asked, authority.signer, 77, AT, POLICY))


def openssl(*arguments: str) -> bytes:
    done = subprocess.run(["openssl", *arguments], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_a_stamp_reads_back(authority):
    stamp = stamps.check_token(token_of(authority), IMPRINT, NONCE)
    assert (stamp.at, stamp.imprint, stamp.serial, stamp.nonce, stamp.policy) == (
        AT,
        IMPRINT,
        77,
        NONCE,
        POLICY,
    )
    assert stamp.signed.signer_certificate == authority.certificate


def test_wrong_imprint(clockwork):
    with pytest.raises(Refusal, match="wrong-imprint"):
        stamps.check_token(token_of(clockwork), bytes(32))


def test_replayed_stamp(clockwork):
    with pytest.raises(Refusal, match="wrong-nonce"):
        stamps.check_token(token_of(clockwork), IMPRINT, NONCE + 1)


def test_altered_stamp(clockwork):
    altered = token_of(clockwork).replace(b"20260504120000Z", b"20250504120000Z")
    with pytest.raises(Refusal, match="altered-content"):
        stamps.check_token(altered, IMPRINT, NONCE)


def test_act_as_a_stamp(clockwork):
    info = stamps.read_token(token_of(clockwork)).signed.octets
    with pytest.raises(Refusal, match="bad-stamp"):
        stamps.read_token(cms.sign(info, oids.ACT, clockwork.signer, AT))


def test_rejection_is_read():
    with pytest.raises(Refusal, match="stamp-not-granted"):
        stamps.read_response(stamps.reject("no"))


#: A change to a good request, the rule that refuses it, and how an authority says so (RFC 3161, 2.4.2).
BENT = {
    "version": (lambda d: d.__setitem__(0, parse(der.integer(2))[0]), "bad-stamp-request", "badRequest"),
    "size": (
        lambda d: d[1][1].__setitem__(1, [der.OCTET_STRING, bytes(20)]),
        "stamp-format",
        "badDataFormat",
    ),
    "digest": (
        lambda d: d[1][1][0][1].__setitem__(0, parse(der.oid("1.3.14.3.2.26"))[0]),
        "stamp-algorithm",
        "badAlg",
    ),
    "extensions": (
        lambda d: d.append([0xA0, [[der.SEQUENCE, b""]]]),
        "stamp-extension",
        "unacceptedExtension",
    ),
    "default": (lambda d: d.__setitem__(3, [der.BOOLEAN, b"\x00"]), "stamp-format", "badDataFormat"),
    "more": (lambda d: d.append([der.NULL, b""]), "der-trailing", "badDataFormat"),
    "nonce": (lambda d: d.__setitem__(2, [der.INTEGER, b"\x01" * 40]), "der-integer", "badDataFormat"),
}


@pytest.mark.parametrize("bent", BENT)
def test_requests_have_one_form(bent):
    change, rule, failure = BENT[bent]
    tree = parse(stamps.request(IMPRINT, NONCE))
    change(tree[0][1])
    with pytest.raises(Refusal) as caught:
        stamps.read_request(unparse(tree))
    assert caught.value.rule == rule
    assert failure_of(rule) == failure


def failure_of(rule: str) -> object:
    """The failure that a rejection under ``rule`` names, as read again."""
    with pytest.raises(Refusal, match="stamp-not-granted") as caught:
        stamps.read_response(stamps.reject("because", rule))
    assert (caught.value.facts["status"], caught.value.facts["text"]) == ("rejection", "because")
    return caught.value.facts["failure"]


@pytest.mark.parametrize("rule", stamps.FAILURES)
def test_each_failure_is_named(rule):
    assert failure_of(rule) == stamps.FAILURES[rule]


@pytest.mark.parametrize("size", [32, 48, 64])
@pytest.mark.parametrize("name", stamps.IMPRINTS)
def test_imprints_by_each_digest(clockwork, name, size):
    digest = hashlib.new(name, b"x").digest()
    if len(digest) != size:
        with pytest.raises(Misuse, match="bad-imprint"):
            stamps.request(bytes(size), 1, digest=name)
        return
    asked = stamps.request(digest, NONCE, digest=name)
    token = stamps.read_response(stamps.respond(asked, clockwork.signer, 77, AT, POLICY))
    stamp = stamps.check_token(token, digest, NONCE, digest=name, foreign=True)
    assert (stamp.digest, stamp.imprint) == (name, digest)
    if name != "sha256":
        with pytest.raises(Refusal, match="bad-stamp"):
            stamps.read_token(token)
    for other in {"sha256", "sha3_256"} - {name}:
        with pytest.raises(Refusal, match="wrong-imprint"):
            stamps.check_token(token, digest, digest=other, foreign=True)


def test_a_token_without_certificates(clockwork):
    asked = stamps.request(IMPRINT, NONCE, certificate=False)
    token = stamps.read_response(stamps.respond(asked, clockwork.signer, 77, AT, POLICY))
    assert clockwork.certificate.der not in token
    with pytest.raises(Refusal, match="cms-signer-certificate"):
        stamps.check_token(token, IMPRINT)
    with pytest.raises(Refusal, match="cms-signer-certificate"):
        stamps.check_token(token, IMPRINT, certificates=(new_party("tsa").certificate,))
    assert stamps.check_token(token, IMPRINT, certificates=(clockwork.certificate,)).serial == 77


def granted(authority, **more):
    query = stamps.read_request(stamps.request(IMPRINT, NONCE))
    return stamps.grant(query, authority.signer, serial=77, policy=POLICY, **{"at": AT, **more})


@pytest.mark.parametrize("micros", [0, 1, 500_000, 999_999, 1_500_000, 2_003_004, 60_000_000])
def test_accuracy_is_written_and_read(clockwork, micros):
    accuracy = timedelta(microseconds=micros)
    assert stamps.read_token(granted(clockwork, accuracy=accuracy)).accuracy == accuracy


@pytest.mark.parametrize("micros", [0, 1, 500_000, 120_000])
def test_an_ordered_stamp_has_fractions(clockwork, micros):
    at = AT + timedelta(microseconds=micros)
    stamp = stamps.read_token(granted(clockwork, at=at, ordering=True), foreign=True)
    assert (stamp.at, stamp.ordering) == (at, True)


def test_the_authoritys_name_is_its_certificates(clockwork):
    assert stamps.read_token(granted(clockwork, named=True)).serial == 77
    tokens = [
        granted(one, named=True)
        for one in (clockwork, new_party("another", usage=ExtendedKeyUsageOID.TIME_STAMPING))
    ]
    subjects = [stamps.read_token(one).signed.signer_certificate.slices.subject for one in tokens]
    info = stamps.read_token(tokens[0]).signed.octets
    forged = cms.sign(parse_named(info, subjects[1]), oids.TST_INFO, clockwork.signer, AT)
    with pytest.raises(Refusal, match="another name"):
        stamps.read_token(forged)


def parse_named(info: bytes, subject: bytes) -> bytes:
    tree = parse(info)
    tree[0][1][-1] = [0xA0, [[0xA4, parse(subject)]]]
    return unparse(tree)


@pytest.mark.parametrize("critical", [False, True])
def test_extensions_of_a_foreign_stamp(clockwork, critical):
    tree = parse(stamps.read_token(granted(clockwork)).signed.octets)
    parts = [
        *parse(der.oid("0.4.0.19422.1.1")),
        *([[der.BOOLEAN, b"\xff"]] if critical else []),
        [der.OCTET_STRING, b"0\x00"],
    ]
    tree[0][1].append([0xA1, [[der.SEQUENCE, parts]]])
    token = cms.sign(unparse(tree), oids.TST_INFO, clockwork.signer, AT)
    with pytest.raises(Refusal, match="bad-stamp"):
        stamps.read_token(token)
    if critical:
        with pytest.raises(Refusal, match="critical"):
            stamps.read_token(token, foreign=True)
    else:
        assert stamps.read_token(token, foreign=True).serial == 77


def test_request_for_another_policy(clockwork):
    tree = parse(stamps.request(IMPRINT, NONCE))
    tree[0][1].insert(2, parse(der.oid("1.9.9"))[0])
    assert stamps.read_request(unparse(tree)).policy == "1.9.9"
    with pytest.raises(Refusal, match="stamp-policy"):
        stamps.respond(unparse(tree), clockwork.signer, 1, AT, POLICY)


def test_imprint_is_a_digest():
    with pytest.raises(Misuse):
        stamps.request(b"short", 1)


@given(st.binary(max_size=200))
def test_garbage_is_refused(octets):
    for read in (stamps.read_request, stamps.read_response, stamps.read_token):
        with pytest.raises(Refusal):
            read(octets)


@given(place=st.integers(0, 2**16), change=st.integers(1, 255))
def test_mutations_are_refused(place, change):
    authority = MUTATED
    octets = bytearray(token_of(authority))
    octets[place % len(octets)] ^= change
    try:
        stamp = stamps.check_token(bytes(octets), IMPRINT, NONCE)
    except Refusal:
        return
    assert (stamp.at, stamp.signed.signer_certificate) == (AT, authority.certificate)


@pytest.mark.tool
def test_openssl_verifies_ours(authority, tmp_path):
    _cert, _key, ca = authority.files(tmp_path)
    (tmp_path / "q").write_bytes(stamps.request(IMPRINT, NONCE))
    # its verifier of stamps knows RSA by PKCS#1 v1.5 only
    suite = signature_suites_of(authority.key)[-1]
    signer = KeySigner(authority.certificate, (authority.issuer,), authority.key, suite=suite)
    reply = stamps.respond((tmp_path / "q").read_bytes(), signer, 77, AT, POLICY)
    (tmp_path / "r").write_bytes(reply)
    (tmp_path / "t").write_bytes(stamps.read_response(reply))
    when = ["-attime", str(int(AT.timestamp()))]
    openssl("ts", "-verify", "-queryfile", f"{tmp_path}/q", "-in", f"{tmp_path}/r", "-CAfile", ca, *when)
    apart = ["-token_in", "-in", f"{tmp_path}/t", "-CAfile", ca]
    openssl("ts", "-verify", "-digest", IMPRINT.hex(), *apart, *when)


@pytest.mark.tool
def test_we_read_openssls(authority, tmp_path):
    cert, key, ca = authority.files(tmp_path)
    (tmp_path / "serial").write_text("0A\n")
    (tmp_path / "cnf").write_text(
        f"[tsa]\nserial={tmp_path}/serial\nsigner_cert={cert}\ncerts={ca}\nsigner_key={key}\n"
        f"signer_digest=sha256\ndefault_policy={POLICY}\ndigests=sha256\nordering=yes\ntsa_name=yes\n"
        "accuracy=secs:1\ness_cert_id_chain=no\ness_cert_id_alg=sha256\n"
    )
    (tmp_path / "q").write_bytes(stamps.request(IMPRINT, NONCE))
    there = ["-config", f"{tmp_path}/cnf", "-section", "tsa", "-queryfile", f"{tmp_path}/q"]
    openssl("ts", "-reply", *there, "-out", f"{tmp_path}/r")
    stamp = stamps.check_token(stamps.read_response((tmp_path / "r").read_bytes()), IMPRINT, NONCE)
    assert (stamp.policy, stamp.serial) == (POLICY, 11)
    asked = openssl("ts", "-query", "-digest", IMPRINT.hex(), "-sha256", "-cert")
    assert stamps.read_request(asked).imprint == IMPRINT


def test_another_reader_takes_ours(clockwork):
    from rfc3161_client import decode_timestamp_response
    from rfc3161_client.verify import VerifierBuilder

    reply = stamps.respond(stamps.request(IMPRINT, 5), clockwork.signer, 77, AT, POLICY)
    decoded = decode_timestamp_response(reply)
    assert decoded.tst_info.serial_number == 77
    assert decoded.tst_info.gen_time == AT
    root = x509.load_der_x509_certificate(clockwork.issuer.x509.public_bytes(Encoding.DER))
    verifier = VerifierBuilder().nonce(5).add_root_certificate(root).build()
    assert verifier.verify(decoded, IMPRINT)
