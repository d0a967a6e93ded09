"""PKCS #12 goes to OpenSSL and NSS and comes from them; what is old, costly or weak is refused by its rule."""

from __future__ import annotations

import secrets
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der
from e2s.crypto.keys import spki_of
from e2s.security.environments.pkcs12 import read, written
from e2s.security.keys.generation import generate
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import Entry
from tests.worlds.pki import make_pki

NAME = "urn:e2s:market:alpha:anna"
PKI = make_pki()
WORD = "a long word for the road"
CHEAP = 1000


def entry(suite="p256-sha256", kind="person"):
    certificate, chain, key = PKI.issue(kind, NAME, suite=suite)
    return Entry(private_key=key, certificate=certificate, chain=chain)


def tool(*command, **more):
    done = subprocess.run(command, capture_output=True, check=False, timeout=60, **more)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def word(tmp_path):
    path = tmp_path / "word"
    path.write_text(WORD + "\n")
    return path


@pytest.fixture
def nss(tmp_path):
    """A database of NSS without a pass phrase."""
    folder = tmp_path / "nss"
    folder.mkdir()
    tool("certutil", "-N", "-d", f"sql:{folder}", "--empty-password")
    return f"sql:{folder}"


@pytest.mark.parametrize("suite", ["p256-sha256", "p521-sha512", "rsa3072-pss-sha256", "ed25519"])
def test_what_is_written_is_read(suite):
    made = entry(suite)
    back = read(written("signature", made, Phrase(WORD), iterations=CHEAP), Phrase(WORD))
    assert (back.certificate, back.chain) == (made.certificate, made.chain)
    assert spki_of(back.private_key.public_key()) == made.certificate.spki


def test_openssl_reads_ours(tmp_path, word):
    made = entry()
    (tmp_path / "a.p12").write_bytes(written("signature", made, Phrase(WORD), iterations=CHEAP))
    shown = tool("openssl", "pkcs12", "-in", tmp_path / "a.p12", "-passin", f"file:{word}", "-nodes")
    assert shown.count(b"BEGIN CERTIFICATE") == 2
    assert b"BEGIN PRIVATE KEY" in shown
    info = subprocess.run(
        ["openssl", "pkcs12", "-in", tmp_path / "a.p12", "-passin", f"file:{word}", "-info", "-noout"],
        capture_output=True,
        check=True,
    ).stderr
    assert b"PBES2, PBKDF2, AES-256-CBC" in info
    assert b"MAC: sha256" in info


def test_openssl_s_is_read(tmp_path, word):
    made = entry()
    key = made.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key").write_bytes(key)
    (tmp_path / "certs").write_bytes(b"".join(one.pem for one in (made.certificate, *made.chain)))
    export = ["openssl", "pkcs12", "-export", "-inkey", tmp_path / "key", "-in", tmp_path / "certs"]
    tool(*export, "-passout", f"file:{word}", "-out", tmp_path / "new.p12")
    back = read((tmp_path / "new.p12").read_bytes(), Phrase(WORD))
    assert (back.certificate, back.chain) == (made.certificate, made.chain)
    tool(*export, "-legacy", "-passout", f"file:{word}", "-out", tmp_path / "old.p12")
    old = (tmp_path / "old.p12").read_bytes()
    with pytest.raises(Refusal) as refused:
        read(old, Phrase(WORD))
    assert refused.value.rule == "old-pkcs12"
    assert read(old, Phrase(WORD), unsafe_allow_old=True).certificate == made.certificate


def test_nss_reads_ours_and_we_read_what_it_writes(tmp_path, word, nss):
    made = entry()
    (tmp_path / "a.p12").write_bytes(written("signature", made, Phrase(WORD), iterations=CHEAP))
    tool("pk12util", "-i", tmp_path / "a.p12", "-d", nss, "-w", word, "-K", "")
    assert b"signature" in tool("certutil", "-L", "-d", nss)
    strong = ["-c", "AES-256-CBC", "-C", "AES-256-CBC", "-M", "SHA-256"]
    tool("pk12util", "-o", tmp_path / "b.p12", "-n", "signature", "-d", nss, "-w", word, "-K", "", *strong)
    back = read((tmp_path / "b.p12").read_bytes(), Phrase(WORD))
    assert back.certificate == made.certificate
    assert spki_of(back.private_key.public_key()) == made.certificate.spki


def refusal(octets, phrase=WORD, **more):
    with pytest.raises(Refusal) as refused:
        read(octets, Phrase(phrase), **more)
    return refused.value.rule


def test_a_wrong_phrase_opens_nothing():
    assert refusal(written("a", entry(), Phrase(WORD), iterations=CHEAP), "another") == "wrong-pass-phrase"


def test_what_costs_too_much_is_refused_before_it_is_spent():
    whole = der.Reader(written("a", entry(), Phrase(WORD), iterations=CHEAP)).enter()
    version, safe = whole.element(), whole.element()
    mac = whole.enter()
    costly = der.sequence(mac.element(), mac.element(), der.integer(1 << 31))
    assert refusal(der.sequence(version, safe, costly)) == "costly-pkcs12"


def test_what_nothing_protects_is_refused():
    whole = der.Reader(written("a", entry(), Phrase(WORD), iterations=CHEAP)).enter()
    assert refusal(der.sequence(whole.element(), whole.element())) == "bad-pkcs12"


def test_a_weak_key_is_refused():
    weak = rsa.generate_private_key(65537, 1024)
    made = entry()
    sealing = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(CHEAP)
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(WORD.encode())
    )
    name = made.certificate.x509.subject
    builder = (
        x509.CertificateBuilder(name, name, weak.public_key(), 1)
        .not_valid_before(made.certificate.not_before)
        .not_valid_after(made.certificate.not_after)
    )
    own = builder.sign(weak, hashes.SHA256())
    octets = pkcs12.serialize_key_and_certificates(b"weak", weak, own, None, sealing)
    assert refusal(octets) == "suite-unknown"


def test_keys_that_no_program_takes_are_not_written():
    key = generate("ml-dsa-44", secrets.token_bytes)
    certificate, chain, _key = PKI.issue("person", NAME, private_key=key)
    with pytest.raises(Misuse) as refused:
        written("a", Entry(private_key=key, certificate=certificate, chain=chain), Phrase(WORD))
    assert refused.value.rule == "not-carried"


@given(octets=st.binary(max_size=400))
def test_garbage_is_refused(octets):
    assert refusal(octets) == "bad-pkcs12"
