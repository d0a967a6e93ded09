"""Every profile before judges that nobody here wrote: pkilint finds nothing; OpenSSL and GnuTLS read it."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from pathlib import Path

import pkilint.document  # type: ignore[import-untyped]
import pytest
from pkilint import loader
from pkilint.pkix import certificate, extension, name  # type: ignore[import-untyped]
from pkilint.validation import ValidationFindingSeverity as Severity  # type: ignore[import-untyped]
from pyasn1.codec.der.decoder import decode  # type: ignore[import-untyped]

from e2s.crypto.certificates import Certificate, serial_number
from e2s.security.certificates.certify import Wish, certify
from e2s.security.certificates.places import Places
from e2s.security.certificates.profiles import PROFILES, read_profiles
from tests.worlds.pki import START
from tests.worlds.profiles import KINDS, ORIGIN, key, root, sample

#: What the judge says of good certificates, with the reason.  Nothing else may be found at all.
INHERENT = {
    # an observation: the identifier is made as RFC 5280, 4.2.1.2 (1) has it
    "pkix.subject_key_identifier_method_1_identified": Severity.INFO,
    # a practice statement's URL, which RFC 5280, 4.2.1.4 allows, and asked for here
    "pkix.certificate_policies_policy_has_qualifier": Severity.NOTICE,
    # the judge cannot verify ML-DSA, so it does not know whether a root that names no issuer's key is one
    "pkix.aki_absent_self_issued_and_unsupported_algorithm": Severity.NOTICE,
}
#: RFC 8141, 2: a URN is an absolute URI (RFC 3986, 4.3), which the judge's pattern for URLs does not know.
URN = re.compile(r'Invalid URI syntax: "urn:[a-z0-9][a-z0-9-]{0,30}[a-z0-9]:[a-z0-9:-]+"')
VALIDATOR = certificate.create_pkix_certificate_validator_container(
    certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
    [
        certificate.create_issuer_validator_container([]),
        certificate.create_validity_validator_container(),
        certificate.create_subject_validator_container([]),
        certificate.create_extensions_validator_container([]),
        certificate.create_spki_validator_container([]),
    ],
)
#: Which kinds of subjects' keys each profile certifies here.
PERMITTED = [
    (profile, kind)
    for profile, row in PROFILES.items()
    if profile != "root"
    for kind, suites in KINDS.items()
    if not row.suites or not row.suites.isdisjoint(suites)
]


@pytest.fixture(autouse=True)
def _whole_identifiers(monkeypatch):
    """The judge's own decoder stops at arcs of more than 32 bits (X.667); pyasn1's, below it, does not."""

    def whole(substrate, asn1Spec):  # noqa: N803 - the judge's name
        return decode(bytes(substrate), asn1Spec=asn1Spec)

    monkeypatch.setattr(pkilint.document, "decode_der", whole)


def findings(octets: bytes) -> list[str]:
    document = loader.RFC5280CertificateDocumentLoader().load_der_document(octets, "certificate")
    found = []
    for result in VALIDATOR.validate(document.root):
        for one in result.finding_descriptions:
            code, severity = one.finding.code, one.finding.severity
            if INHERENT.get(code) == severity:
                continue
            if code == "pkix.invalid_uri_syntax" and URN.fullmatch(one.message):
                continue
            found.append(f"{severity.name} {code} {one.message} at {result.node.path}")
    return found


@pytest.mark.parametrize(("profile", "kind"), PERMITTED)
def test_every_profile_is_clean(profile, kind):
    assert findings(sample(profile, kind).der) == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_root_is_clean(kind):
    assert findings(root(kind).certificate.der) == []


@pytest.mark.parametrize("by", KINDS)
def test_mixed_paths_are_clean(by):
    """A subject's key of one kind under an issuer's of another."""
    other = next(kind for kind in KINDS if kind != by)
    assert findings(sample("organisation", other, by).der) == []


def test_the_judge_does_find():
    """So that nothing found is something."""
    octets = sample("merchant").der
    worse = octets.replace(b"\x06\x03\x55\x1d\x0f\x01\x01\xff", b"\x06\x03\x55\x1d\x0f\x01\x01\x00", 1)
    assert any(one.startswith(("ERROR", "WARNING", "FATAL")) for one in findings(worse))


@pytest.mark.tool
def test_the_judge_as_a_command(tmp_path):
    """As anybody runs it, on a profile of an operator's own without a role and its identifier."""
    own = read_profiles(b'[[profile]]\nname="host"\nuse="authenticate"\ndays=90\nekus=["tls-server"]')["host"]
    wish = Wish(profile=own, names=("host.example",), public_key=key("p256-sha256").public_key())
    places = Places(base=ORIGIN, ocsp=f"{ORIGIN}/ocsp")
    serial = serial_number(secrets.token_bytes)
    made = certify(wish, root("p256"), serial=serial, at=START, places=places)
    program = Path(sys.executable).with_name("lint_pkix_cert")
    for one in (made, root("p256").certificate):
        file = tmp_path / "one.pem"
        file.write_bytes(one.pem)
        done = subprocess.run(
            [program, "lint", "-s", "NOTICE", str(file)], capture_output=True, check=False, timeout=60
        )
        assert (done.returncode, done.stdout.strip()) == (0, b""), done.stderr


def run(program: str, arguments: list[str], octets: bytes) -> str:
    done = subprocess.run([program, *arguments], input=octets, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.tool
@pytest.mark.parametrize("profile", PROFILES)
def test_openssl_and_gnutls_read_every_profile(profile):
    one: Certificate = root("p256").certificate if profile == "root" else sample(profile)
    text = run("openssl", ["x509", "-inform", "DER", "-noout", "-text"], one.der)
    assert "Version: 3 (0x2)" in text
    assert ("CA:TRUE" in text) == PROFILES[profile].is_ca
    if profile != "root":
        assert f"URI:{ORIGIN}/crl/" in text
        assert f"CA Issuers - URI:{ORIGIN}/certs/" in text
        assert ("OCSP - URI" in text) == (profile != "ocsp-responder")
    if profile == "card-holder":
        return  # GnuTLS reads no certificate with an extension whose identifier has such an arc
    seen = run("certtool", ["-i", "--inder"], one.der)
    assert "Version: 3" in seen
    faults = [line for line in seen.splitlines() if line.lstrip().startswith("error:")]
    # it reads no identifier with an arc of 128 bits (X.667), and goes on
    assert all("key_purposes" in one or "certificate policies" in one for one in faults)
