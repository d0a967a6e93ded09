"""OpenSSL reads what we write and we read what it writes, in each suite and both directions."""

from __future__ import annotations

import secrets
import subprocess

import pytest

from e2s.base.errors import Refusal
from e2s.crypto import cms, oids
from tests.worlds.crypto import AT, KINDS, party

pytestmark = pytest.mark.tool
CONTENT = b"nine resistors\nand a coil\n"
WHEN = str(int(AT.timestamp()))


def openssl(*arguments: str, given: bytes | None = None) -> bytes:
    done = subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("content_type", [oids.DATA, oids.ACT])
def test_openssl_verifies_ours(kind, detached, content_type, tmp_path):
    one = party(kind)
    cert, _key, ca = one.files(tmp_path)
    (tmp_path / "m").write_bytes(cms.sign(CONTENT, content_type, one.signer, AT, detached=detached))
    (tmp_path / "c").write_bytes(CONTENT)
    apart = ["-content", str(tmp_path / "c")] if detached else []
    command = ["cms", "-verify", "-binary", "-inform", "DER", "-in", str(tmp_path / "m"), "-CAfile", ca]
    command += ["-attime", WHEN, "-cades", "-signer", str(tmp_path / "s"), *apart]
    assert openssl(*command) == CONTENT
    assert (tmp_path / "s").read_bytes() == (tmp_path / cert).read_bytes()


@pytest.mark.parametrize("form", ["plain", "detached", "cades", "keyid", "sha512"])
def test_we_verify_openssls(kind, form, tmp_path):
    one = party(kind)
    cert, key, ca = one.files(tmp_path)
    (tmp_path / "c").write_bytes(CONTENT)
    command = ["cms", "-sign", "-binary", "-outform", "DER", "-in", str(tmp_path / "c"), "-signer", cert]
    command += ["-inkey", key, "-certfile", ca]
    more = {"cades": ["-cades"], "keyid": ["-keyid"], "sha512": ["-md", "sha512"]}.get(form, [])
    command += more + ([] if form == "detached" else ["-nodetach"])
    signed = cms.read_signed(openssl(*command), cms.FOREIGN)
    cms.check_signature(signed, CONTENT if form == "detached" else None)
    assert signed.signer_certificate == one.certificate
    assert (signed.said.certificate_digest is not None) == (form == "cades")
    if form == "detached":
        with pytest.raises(Refusal, match="altered-content"):
            cms.check_signature(signed, CONTENT + b"!")


def test_ours_is_stricter_than_openssls(tmp_path):
    cert, key, ca = party("p256").files(tmp_path)
    command = ["cms", "-sign", "-binary", "-outform", "DER", "-nodetach", "-signer", cert, "-inkey", key]
    with pytest.raises(Refusal, match="cms-signed-attributes"):
        cms.read_signed(openssl(*command, "-certfile", ca, given=CONTENT))
    with pytest.raises(Refusal, match="der-length"):
        cms.read_signed(openssl(*command, "-stream", given=CONTENT), cms.FOREIGN)
    with pytest.raises(Refusal, match="cms-signed-attributes"):
        cms.read_signed(openssl(*command, "-noattr", given=CONTENT), cms.FOREIGN)
    with pytest.raises(Refusal, match="cms-signer-certificate"):
        cms.read_signed(openssl(*command, "-nocerts", given=CONTENT), cms.FOREIGN)


@pytest.mark.parametrize("legacy", [False, True])
def test_openssl_opens_ours(kind, legacy, tmp_path):
    cert, key, _ca = party(kind).files(tmp_path)
    everyone = [party(each).certificate for each in KINDS]
    seal = cms.seal_legacy if legacy else cms.seal
    message = seal(CONTENT, oids.DATA, everyone, secrets.token_bytes)
    command = ["cms", "-decrypt", "-binary", "-inform", "DER", "-recip", cert, "-inkey", key]
    assert openssl(*command, given=message) == CONTENT


@pytest.mark.parametrize("cipher", ["-aes-256-gcm", "-aes256"])
def test_we_open_openssls(kind, cipher, tmp_path):
    one = party(kind)
    cert, _key, _ca = one.files(tmp_path)
    digest = {"p256": "sha256", "p384": "sha384"}
    if kind == "rsa":
        how = ["rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256"]
    else:
        how = [f"ecdh_kdf_md:{digest[kind]}"]
    options = [word for option in how for word in ("-keyopt", option)]
    command = ["cms", "-encrypt", "-binary", "-outform", "DER", cipher, "-recip", cert, *options]
    message = openssl(*command, given=CONTENT)
    opened = cms.open_sealed(message, one.opener, allow_legacy=cipher == "-aes256")
    assert opened == (oids.DATA, CONTENT)


@pytest.mark.parametrize("kind", ["p256", "p384"])
def test_we_open_openssls_defaults(kind, tmp_path):
    """Unasked, OpenSSL derives with SHA-1: taken only where older forms are allowed."""
    one = party(kind)
    cert, _key, _ca = one.files(tmp_path)
    command = ["cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-gcm", "-recip", cert]
    message = openssl(*command, given=CONTENT)
    assert cms.open_sealed(message, one.opener, allow_legacy=True) == (oids.DATA, CONTENT)
    with pytest.raises(Refusal, match="suite-unknown"):
        cms.open_sealed(message, one.opener)


def test_openssl_parses_our_structure(kind):
    """OpenSSL's own templates read and write our messages octet for octet.

    (Envelopes of other content types have authenticated attributes, tagged [1] by RFC 5083, 2.1; OpenSSL 3.0
    looks for them under [2] and so cannot read them.)
    """
    one = party(kind)
    for message in (
        cms.sign(CONTENT, oids.ACT, one.signer, AT),
        cms.seal(CONTENT, oids.DATA, [one.certificate], secrets.token_bytes),
    ):
        openssl("cms", "-cmsout", "-noout", "-print", "-inform", "DER", given=message)
        assert openssl("cms", "-cmsout", "-inform", "DER", "-outform", "DER", given=message) == message
