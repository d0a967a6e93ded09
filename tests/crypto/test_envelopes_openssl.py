"""OpenSSL's envelopes in every form that Debian's makes, and ours in every form that it reads."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519

from e2s.base.errors import Refusal
from e2s.crypto import cms, oids
from tests.worlds.crypto import Party, new_party, party

pytestmark = pytest.mark.tool
CONTENT = b"nine resistors\nand a coil\n"
P521 = new_party("anna", ec.generate_private_key(ec.SECP521R1()))
CIPHERS = ("-aes-128-cbc", "-aes-192-cbc", "-aes-256-cbc", "-aes-128-gcm", "-aes-192-gcm", "-aes-256-gcm")


def who(kind: str) -> Party:
    return P521 if kind == "p521" else party(kind)


def openssl(*arguments: str, given: bytes) -> bytes:
    done = subprocess.run(
        ["openssl", "cms", *arguments], input=given, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def encrypted(folder: Path, kind: str, *more: str, options: tuple[str, ...] = ()) -> bytes:
    """What OpenSSL makes for one recipient; ``options`` go to the recipient's key."""
    cert = who(kind).files(folder)[0]
    words = [word for option in options for word in ("-keyopt", option)]
    return openssl("-encrypt", "-binary", "-outform", "DER", *more, "-recip", cert, *words, given=CONTENT)


def opened(octets: bytes, kind: str, *, foreign: bool = True) -> bytes:
    return cms.open_sealed(octets, who(kind).opener, allow_legacy=foreign)[1]


def rule_of(octets: bytes, kind: str, *, foreign: bool) -> str:
    with pytest.raises(Refusal) as caught:
        opened(octets, kind, foreign=foreign)
    return caught.value.rule


@pytest.mark.parametrize("kind", ["p256", "p521", "rsa"])
@pytest.mark.parametrize("cipher", CIPHERS)
def test_ciphers(cipher, kind, tmp_path):
    """Shorter keys and CBC open where older forms do, and nowhere else."""
    octets = encrypted(tmp_path, kind, cipher)
    assert opened(octets, kind) == CONTENT
    expected = {"-aes-256-gcm": "suite-unknown"}.get(cipher, "cms-content-encryption")
    expected = "cms-content-info" if cipher.endswith("cbc") else expected
    assert rule_of(octets, kind, foreign=False) == expected


@pytest.mark.parametrize("mode", ["0", "1"])
@pytest.mark.parametrize("digest", ["sha1", "sha224", "sha256", "sha384", "sha512"])
def test_derivations(digest, mode, tmp_path):
    for kind, cipher in (("p256", "-aes-128-cbc"), ("p384", "-aes-256-gcm"), ("p521", "-aes-256-gcm")):
        options = (f"ecdh_kdf_md:{digest}", f"ecdh_cofactor_mode:{mode}")
        octets = encrypted(tmp_path, kind, cipher, options=options)
        assert opened(octets, kind) == CONTENT
        own = mode == "0" and (kind, digest) in {("p384", "sha384"), ("p521", "sha512")}
        if own:
            assert opened(octets, kind, foreign=False) == CONTENT
        else:
            assert rule_of(octets, kind, foreign=False) in {"suite-unknown", "cms-content-info"}


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("rsa_oaep_md:sha512",),
        ("rsa_oaep_md:sha224", "rsa_mgf1_md:sha1"),
        ("rsa_oaep_md:sha384", "rsa_mgf1_md:sha384"),
        ("rsa_oaep_md:sha512", "rsa_mgf1_md:sha256"),
        ("rsa_oaep_md:sha256", "rsa_mgf1_md:sha256", "rsa_oaep_label:616263"),
    ],
    ids=" ".join,
)
def test_oaep(options, tmp_path):
    octets = encrypted(tmp_path, "rsa", "-aes-256-gcm", options=("rsa_padding_mode:oaep", *options))
    assert opened(octets, "rsa") == CONTENT
    assert rule_of(octets, "rsa", foreign=False) == "suite-unknown"


def test_long_label(tmp_path):
    options = ("rsa_padding_mode:oaep", "rsa_oaep_label:" + 100 * "61")
    octets = encrypted(tmp_path, "rsa", "-aes-256-gcm", options=options)
    assert rule_of(octets, "rsa", foreign=True) == "suite-unknown"


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "rsa"])
@pytest.mark.parametrize("cipher", ["-aes-256-gcm", "-aes-256-cbc"])
def test_named_by_key_identifier(kind, cipher, tmp_path):
    assert opened(encrypted(tmp_path, kind, "-keyid", cipher), kind) == CONTENT


@pytest.mark.parametrize("cipher", ["-des3", "-camellia256"])
def test_other_ciphers(cipher, tmp_path):
    assert rule_of(encrypted(tmp_path, "rsa", cipher), "rsa", foreign=True) == "cms-content-encryption"


def test_others_beside_us(tmp_path):
    """A shared key and a pass phrase are other recipients' ways: passed over where others' forms are read."""
    key = ("-secretkey", "00" * 32, "-secretkeyid", "01")
    octets = encrypted(tmp_path, "p256", "-aes256", *key, "-pwri_password", "sesame")
    assert opened(octets, "p256") == CONTENT
    assert rule_of(octets, "rsa", foreign=True) == "not-for-me"
    octets = encrypted(tmp_path, "p256", "-aes-256-gcm", *key)
    assert opened(octets, "p256") == CONTENT
    assert rule_of(octets, "p256", foreign=False) == "cms-recipient"


def test_many_recipients(tmp_path):
    kinds = ("p256", "p384", "p521", "rsa")
    recipients = [word for kind in kinds for word in ("-recip", who(kind).files(tmp_path)[0])]
    octets = openssl("-encrypt", "-binary", "-outform", "DER", "-aes256", *recipients, given=CONTENT)
    for kind in kinds:
        assert opened(octets, kind) == CONTENT
    with pytest.raises(Refusal, match="not-for-me"):
        cms.open_sealed(octets, new_party("mallory").opener, allow_legacy=True)


@pytest.mark.parametrize(
    ("kind", "suite"),
    [
        ("p521", "ecdh-p521-aes256gcm"),
        ("p521", "ecdh-p521-aes256cbc"),
        ("rsa", "rsa-pkcs1-aes256cbc"),
        ("rsa", "rsa-oaep-aes256cbc"),
    ],
)
def test_openssl_opens_ours(kind, suite, tmp_path):
    cert, key, _ca = who(kind).files(tmp_path)
    message = cms.seal(CONTENT, oids.DATA, [who(kind).certificate], secrets.token_bytes, suites=(suite,))
    command = ("-decrypt", "-binary", "-inform", "DER", "-recip", cert, "-inkey", key)
    assert openssl(*command, given=message) == CONTENT


def test_openssl_opens_its_part_of_ours(tmp_path):
    """OpenSSL 3.0 knows neither X25519 nor encapsulation, and passes over those recipients."""
    newer = (x25519.X25519PrivateKey, mlkem.MLKEM768PrivateKey)
    everyone = [new_party(key.__name__, key.generate()) for key in newer]
    recipients = [one.certificate for one in (P521, party("rsa"), *everyone)]
    message = cms.seal(CONTENT, oids.DATA, recipients, secrets.token_bytes)
    for kind in ("p521", "rsa"):
        cert, key, _ca = who(kind).files(tmp_path)
        command = ("-decrypt", "-binary", "-inform", "DER", "-recip", cert, "-inkey", key)
        assert openssl(*command, given=message) == CONTENT
