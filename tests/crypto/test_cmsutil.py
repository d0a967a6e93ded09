"""NSS's cmsutil reads what we write and we read what it writes, as far as it goes; where it ends is shown too."""

from __future__ import annotations

import secrets

import pytest

from e2s.base.errors import Refusal
from e2s.crypto import cms, oids
from tests.worlds.crypto import AT, KINDS
from tests.worlds.programs import Nss, timeless

pytestmark = pytest.mark.tool
CONTENT = b"nine resistors\nand a coil\n" * 400


@pytest.fixture(scope="module")
def nss(tmp_path_factory):
    made = Nss(tmp_path_factory.mktemp("nss") / "db")
    for kind in KINDS:
        made.take(kind)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_cmsutil_verifies_ours(nss, kind):
    message = cms.sign(CONTENT, oids.DATA, timeless(kind).signer, AT)
    assert nss.cmsutil("-D", given=message) == CONTENT
    told = nss.cmsutil("-D", "-n", "-h", "1", given=message).decode()
    assert f"anna-{kind}@example.org" in told
    assert "signer0.status=GoodSignature" in told


@pytest.mark.parametrize("kind", KINDS)
def test_cmsutil_verifies_our_detached_signature_and_refuses_altered_content(nss, kind, tmp_path):
    message = cms.sign(CONTENT, oids.DATA, timeless(kind).signer, AT, detached=True)
    (tmp_path / "c").write_bytes(CONTENT)
    command = ["-D", "-n", "-h", "1", "-c", str(tmp_path / "c")]
    assert b"GoodSignature" in nss.cmsutil(*command, given=message)
    (tmp_path / "c").write_bytes(CONTENT + b"!")
    assert b"DigestMismatch" in nss.cmsutil(*command, given=message, good=(0, 1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("digest", ["SHA256", "SHA384", "SHA512"])
@pytest.mark.parametrize("detached", [False, True])
def test_we_verify_cmsutils(nss, kind, digest, detached):
    """In BER throughout, with a signing time and capabilities."""
    more = ["-T"] if detached else []
    octets = nss.cmsutil("-S", "-N", kind, "-G", "-P", "-H", digest, *more, given=CONTENT)
    with pytest.raises(Refusal, match="der-length"):
        cms.read_signed(octets, cms.FOREIGN)
    signed = cms.read_signed(cms.normalised(octets), cms.FOREIGN)
    cms.check_signature(signed, CONTENT if detached else None)
    assert signed.content == (None if detached else CONTENT)
    assert signed.signer_certificate == timeless(kind).certificate


def test_sha1_is_refused(nss):
    octets = nss.cmsutil("-S", "-N", "rsa", "-H", "SHA1", given=CONTENT)
    with pytest.raises(Refusal, match="suite-unknown"):
        cms.check_signature(cms.read_signed(cms.normalised(octets), cms.FOREIGN))


def test_we_open_cmsutils(nss):
    octets = nss.cmsutil("-E", "-r", "anna-rsa@example.org", given=CONTENT)
    opened = cms.open_sealed(cms.normalised(octets), timeless("rsa").opener, allow_legacy=True)
    assert opened == (oids.DATA, CONTENT)


def test_cmsutil_opens_ours_for_old_peers(nss):
    to = [timeless("rsa").certificate]
    message = cms.seal(CONTENT, oids.DATA, to, secrets.token_bytes, suites=("rsa-pkcs1-aes256cbc",))
    assert nss.cmsutil("-D", given=message) == CONTENT


def test_cmsutil_opens_what_is_chosen_by_its_own_list(nss):
    own = timeless("rsa").certificate
    signed = cms.read_signed(cms.normalised(nss.cmsutil("-S", "-N", "rsa", "-P", given=b"x")), cms.FOREIGN)
    suites = cms.sealings_for([(own, cms.capabilities_of(signed))])
    message = cms.seal(CONTENT, oids.DATA, [own], secrets.token_bytes, suites=suites)
    assert nss.cmsutil("-D", given=message) == CONTENT


@pytest.mark.parametrize(
    ("kind", "suite"),
    [
        ("rsa", "rsa-oaep-aes256gcm"),
        ("rsa", "rsa-oaep-aes256cbc"),
        ("p256", "ecdh-p256-aes256gcm"),
        ("p256", "ecdh-p256-aes256cbc"),
    ],
)
def test_what_cmsutil_does_not_open(nss, kind, suite):
    """NSS 3.87: no OAEP, no AuthEnvelopedData, no key agreement; so a mailer must know its peer."""
    to = [timeless(kind).certificate]
    message = cms.seal(CONTENT, oids.DATA, to, secrets.token_bytes, suites=(suite,))
    assert nss.cmsutil("-D", given=message, good=(1,)) == b""
