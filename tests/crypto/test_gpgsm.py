"""gpgsm (GnuPG) reads what we write and we read what it writes, as far as it goes; where it ends is shown too."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes

from e2s.base.errors import Refusal
from e2s.crypto import cms, oids
from tests.worlds.crypto import AT, KINDS, new_party, party
from tests.worlds.programs import Gpgsm, openssl

pytestmark = pytest.mark.tool
CONTENT = b"nine resistors\nand a coil\n" * 400


@pytest.fixture(scope="module")
def gpgsm():
    # its agent's socket must have a short path
    folder = Path(tempfile.mkdtemp(prefix="gpgsm-", dir="/tmp"))
    made = Gpgsm(folder / "home")
    try:
        for kind in KINDS:
            made.take(party(kind))
        yield made
    finally:
        made.close()
        shutil.rmtree(folder)


def named(kind: str) -> str:
    return party(kind).certificate.x509.fingerprint(hashes.SHA1()).hex()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content_type", [oids.DATA, oids.ACT])
def test_gpgsm_verifies_ours(gpgsm, kind, content_type, tmp_path):
    (tmp_path / "m").write_bytes(cms.sign(CONTENT, content_type, party(kind).signer, AT))
    out = tmp_path / "out"
    told = gpgsm("--status-fd", "1", "--output", str(out), "--verify", str(tmp_path / "m")).decode()
    assert f"VALIDSIG {named(kind).upper()} 2026-05-04" in told
    assert "GOODSIG" in told
    assert out.read_bytes() == CONTENT


@pytest.mark.parametrize("kind", KINDS)
def test_gpgsm_verifies_our_detached_signature_and_refuses_altered_content(gpgsm, kind, tmp_path):
    message, content = tmp_path / "m", tmp_path / "c"
    message.write_bytes(cms.sign(CONTENT, oids.DATA, party(kind).signer, AT, detached=True))
    content.write_bytes(CONTENT)
    assert b"GOODSIG" in gpgsm("--status-fd", "1", "--verify", str(message), str(content))
    content.write_bytes(CONTENT + b"!")
    assert b"BADSIG" in gpgsm("--status-fd", "1", "--verify", str(message), str(content), good=(1, 2))


@pytest.mark.parametrize("detached", [False, True])
def test_we_verify_gpgsms(gpgsm, detached):
    """In BER, with capabilities; the content in pieces."""
    more = ["--detach-sign"] if detached else ["--sign"]
    octets = gpgsm(*more, "-u", named("rsa"), "--output", "-", given=CONTENT)
    with pytest.raises(Refusal, match="der-length"):
        cms.read_signed(octets, cms.FOREIGN)
    signed = cms.read_signed(cms.normalised(octets), cms.FOREIGN)
    cms.check_signature(signed, CONTENT if detached else None)
    assert (signed.content, signed.at) == (None if detached else CONTENT, AT)
    assert signed.signer_certificate == party("rsa").certificate


def test_gpgsms_signature_on_a_curve_is_of_a_form_that_no_rfc_has(gpgsm):
    """GnuPG 2.2 writes NULL parameters with ECDSA (RFC 5758, 3.2: none): read, but never in acts of our own."""
    octets = gpgsm("--sign", "-u", named("p256"), "--output", "-", given=CONTENT)
    signed = cms.read_signed(cms.normalised(octets), cms.FOREIGN)
    cms.check_signature(signed)
    with pytest.raises(Refusal, match="algorithm-substituted"):
        cms.check_signature(replace(signed, exact=True))


def test_we_open_gpgsms(gpgsm):
    octets = gpgsm("--encrypt", "-r", named("rsa"), "--output", "-", given=CONTENT)
    assert octets[:2] == b"\x30\x80"
    opened = cms.open_sealed(cms.normalised(octets), party("rsa").opener, allow_legacy=True)
    assert opened == (oids.DATA, CONTENT)
    with pytest.raises(Refusal, match="cms-content-info"):
        cms.open_sealed(cms.normalised(octets), party("rsa").opener)


def test_gpgsm_opens_ours_for_old_peers(gpgsm):
    to = [party("rsa").certificate]
    message = cms.seal(CONTENT, oids.DATA, to, secrets.token_bytes, suites=("rsa-pkcs1-aes256cbc",))
    assert gpgsm("--decrypt", given=message) == CONTENT


def test_gpgsm_opens_what_is_chosen_by_its_own_list(gpgsm):
    """It lists AES-128 and triple DES; what is read of that is what it opens."""
    own = party("rsa").certificate
    signed = cms.read_signed(
        cms.normalised(gpgsm("--sign", "-u", named("rsa"), "--output", "-", given=b"x")), cms.FOREIGN
    )
    suites = cms.sealings_for([(own, cms.capabilities_of(signed))])
    assert (
        gpgsm("--decrypt", given=cms.seal(CONTENT, oids.DATA, [own], secrets.token_bytes, suites=suites))
        == CONTENT
    )


@pytest.mark.parametrize(
    ("kind", "suite"),
    [
        ("rsa", "rsa-oaep-aes256gcm"),
        ("rsa", "rsa-oaep-aes256cbc"),
        ("p256", "ecdh-p256-aes256gcm"),
        ("p256", "ecdh-p256-aes256cbc"),
    ],
)
def test_what_gpgsm_does_not_open(gpgsm, kind, suite):
    """GnuPG 2.2.40: no OAEP, no AuthEnvelopedData, no key agreement; so a mailer must know its peer."""
    message = cms.seal(CONTENT, oids.DATA, [party(kind).certificate], secrets.token_bytes, suites=(suite,))
    assert b"DECRYPTION_FAILED" in gpgsm("--status-fd", "1", "--decrypt", given=message, good=(2,))


def test_gpgsm_opens_no_key_agreement_of_openssls_either(gpgsm, tmp_path):
    """Even where the recipient is named by issuer and number, which is all that libksba reads."""
    one = new_party("nameless", party("p256").key, key_id=False)
    gpgsm.take(one)
    cert, key, _ca = one.files(tmp_path)
    command = ["cms", "-encrypt", "-binary", "-outform", "DER", "-aes256", "-recip", cert]
    message = openssl(*command, "-keyopt", "ecdh_kdf_md:sha256", given=CONTENT)
    assert b"DECRYPTION_FAILED" in gpgsm("--status-fd", "1", "--decrypt", given=message, good=(2,))
    decrypt = ["cms", "-decrypt", "-binary", "-inform", "DER", "-recip", cert, "-inkey", key]
    assert openssl(*decrypt, given=message) == CONTENT
