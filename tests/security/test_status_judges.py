"""Others' programs read our lists and answers, and agree with what they say."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from e2s.crypto.certificates import serial_number
from e2s.crypto.keys import KeySigner
from e2s.crypto.pem import armoured
from e2s.network.sessions.server import Served
from e2s.security.certificates.certify import Wish, certify
from e2s.security.certificates.places import Places
from e2s.security.certificates.profiles import profile
from e2s.security.status.entries import Entry, encode
from e2s.security.status.lists import Shard, write_list
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.fetching import crl_path
from e2s.security.verification.verifier import Verifier
from tests.security.status_world import StatusWorld, run
from tests.worlds.pki import SetClock, make_pki

#: These programs compare with the machine's clock.
NOW = datetime.now(UTC).replace(microsecond=0)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BIN = Path(sys.executable).parent


def linted(tool, *arguments):
    """What pkilint found."""
    found = run(BIN / tool, "lint", *arguments, "-s", "NOTICE", "-f", "JSON", check=lambda code: code >= 0)
    return json.loads(found)["results"]


# ------------------------------------------------------------------ OCSP


@pytest.fixture(scope="module", params=["p256-sha256", "rsa3072-pss-sha256", "ed25519"])
def served(request, tmp_path_factory):
    """A responder over HTTP; three certificates: good, revoked, and one that the CA never recorded."""
    home = tmp_path_factory.mktemp("served")
    world = StatusWorld(home, make_pki(at=NOW, suite=request.param), clock=SetClock(NOW), suite=request.param)
    (home / "root.pem").write_bytes(world.pki.root.pem)
    (home / "ca.pem").write_bytes(world.ca.pem)
    (home / "all.pem").write_bytes(world.pki.root.pem + world.ca.pem)
    for name in ("good", "revoked", "unknown"):
        certificate = world.pki.issue("merchant", f"urn:e2s:market:{name}")[0]
        (home / f"{name}.pem").write_bytes(certificate.pem)
        if name == "revoked":
            world.tell(certificate.serial, Entry(certificate.serial, NOW - DAY, "keyCompromise"))
        elif name == "good":
            world.tell(certificate.serial)
    with Served(world.responder.handle) as at:
        yield world, home, at.origin
    world.database.close()


STATUSES = {"good": "good", "revoked": "revoked", "unknown": "unknown"}


@pytest.mark.parametrize("name", STATUSES)
@pytest.mark.parametrize("nonce", ["-nonce", "-no_nonce"])
@pytest.mark.parametrize("digest", ["-sha1", "-sha256"])
def test_openssl_asks(served, name, nonce, digest):
    _, home, origin = served
    command = ("openssl", "ocsp", "-issuer", home / "ca.pem", digest, "-cert", home / f"{name}.pem", nonce)
    said = run(*command, "-url", f"{origin}/ocsp", "-CAfile", home / "all.pem")
    assert "Response verify OK" in said
    assert f"{name}.pem: {STATUSES[name]}" in said
    assert "WARNING" not in said
    if name == "revoked":
        assert "Reason: keyCompromise" in said


def test_openssl_asks_for_several(served):
    _, home, origin = served
    certificates = [part for name in STATUSES for part in ("-cert", home / f"{name}.pem")]
    command = ("openssl", "ocsp", "-issuer", home / "ca.pem", *certificates, "-url", f"{origin}/ocsp")
    said = run(*command, "-CAfile", home / "all.pem")
    for name, status in STATUSES.items():
        assert f"{name}.pem: {status}" in said


def test_openssl_reads_files(served):
    world, home, _ = served
    common = ("openssl", "ocsp", "-issuer", home / "ca.pem", "-cert", home / "revoked.pem")
    run(*common, "-no_nonce", "-reqout", home / "query.der")
    (home / "answer.der").write_bytes(world.ask((home / "query.der").read_bytes()).body)
    said = run(*common, "-no_nonce", "-respin", home / "answer.der", "-CAfile", home / "all.pem")
    assert "Response verify OK" in said
    assert "revoked.pem: revoked" in said
    shown = run("openssl", "ocsp", "-respin", home / "answer.der", "-resp_text", "-noverify")
    assert "OCSP Response Status: successful (0x0)" in shown


def test_openssl_hears_why_there_is_no_answer(served):
    _, home, origin = served
    common = ("openssl", "ocsp", "-issuer", home / "root.pem", "-cert", home / "ca.pem")
    said = run(*common, "-url", f"{origin}/ocsp", "-CAfile", home / "all.pem", check=lambda _: True)
    assert "unauthorized (6)" in said


@pytest.mark.parametrize("name", STATUSES)
def test_gnutls_asks(served, name):
    world, home, origin = served
    common = ("--load-issuer", home / "ca.pem", "--load-cert", home / f"{name}.pem")
    trusted = ("--load-trust", home / "ca.pem")
    said = run("ocsptool", f"--ask={origin}/ocsp", "--nonce", *common, *trusted, check=lambda _: True)
    assert "Verifying OCSP Response: Success" in said
    assert f"Certificate Status: {STATUSES[name]}" in said
    run("ocsptool", "--generate-request", *common, "--outfile", home / "gnutls.der")
    (home / "answer.der").write_bytes(world.ask((home / "gnutls.der").read_bytes()).body)
    checked = run("ocsptool", "--verify-response", "--load-response", home / "answer.der", *trusted)
    assert "Success" in checked


def test_pkilint_finds_nothing_in_answers(served):
    world, home, _ = served
    serials = [one.serial for one in world.feed]
    for number, octets in enumerate(
        (
            world.query(*serials, 77, nonce=b"n" * 32),
            world.query(serials[0]),
            world.query(serials[1], hashing="sha256"),
        )
    ):
        file = home / f"linted-{number}.der"
        file.write_bytes(world.ask(octets).body)
        assert linted("lint_ocsp_response", file) == []


# ------------------------------------------------------------------ lists


class Listed:
    """A CA that lists in four parts with delta lists, and one certificate of a part."""

    def __init__(self, home: Path, suite: str = "p256-sha256") -> None:
        self.home = home
        self.pki = make_pki(at=NOW, suite=suite)
        self.signer: KeySigner = self.pki.operating_ca.signer
        places = Places(base="http://ca.example", shards=4, deltas=True)
        key = self.pki.issue("merchant", "urn:e2s:market:volt", suite=suite)[2]
        wish = Wish(profile=profile("merchant"), names=("urn:e2s:market:volt",), public_key=key.public_key())
        serial = serial_number(lambda size: bytes(range(size)))
        self.leaf = certify(wish, self.signer, serial=serial, at=NOW, places=places)
        self.shard = places.shard(serial)
        (home / "trusted.pem").write_bytes(self.pki.root.pem)
        (home / "ca.pem").write_bytes(self.pki.operating.pem)
        (home / "leaf.pem").write_bytes(self.leaf.pem)

    def place(self, shard: int | None, *, delta: bool = False) -> str:
        return "http://ca.example" + crl_path(self.pki.operating, shard, delta=delta)

    def write(
        self, *entries: Entry, shard: int | None = None, base: int | None = None, number: int = 7
    ) -> bytes:
        part = self.shard if shard is None else shard
        return write_list(
            map(encode, entries),
            self.signer,
            number=number,
            at=NOW - HOUR,
            until=NOW + DAY,
            shard=Shard(self.place(part)),
            base=base,
            freshest="" if base is not None else self.place(part, delta=True),
        )

    def entry(self, reason: str = "keyCompromise") -> Entry:
        return Entry(self.leaf.serial, NOW - HOUR, reason, NOW - DAY)

    def verified(self, *lists: bytes) -> str:
        """What openssl says, and that our verifier says the same."""
        top = self.pki.crls()[0]
        (self.home / "lists.pem").write_bytes(b"".join(armoured(one, b"X509 CRL") for one in (top, *lists)))
        said = run(
            *("openssl", "verify", "-crl_check_all", "-use_deltas", "-extended_crl"),
            *("-CAfile", self.home / "trusted.pem", "-untrusted", self.home / "ca.pem"),
            *("-CRLfile", self.home / "lists.pem", self.home / "leaf.pem"),
            check=lambda _: True,
        )
        ours = Verifier(self.pki.anchors).judge(
            self.leaf, [self.pki.operating], [top, *lists], at=NOW, purpose=None, name=None
        )
        assert ours.accepted == (": OK" in said), (ours.reason, said)
        return said.strip().splitlines()[-1] if ours.accepted else said


@pytest.fixture
def listed(tmp_path):
    return Listed(tmp_path)


def test_openssl_verifies_by_the_list_of_the_part(listed):
    assert ": OK" in listed.verified(listed.write())
    assert ": OK" in listed.verified(listed.write(Entry(77, NOW - HOUR)))
    assert "certificate revoked" in listed.verified(listed.write(listed.entry()))
    other = (listed.shard + 1) % 4
    assert "different CRL scope" in listed.verified(listed.write(shard=other))


def test_openssl_verifies_by_delta_lists(listed):
    base = listed.write()
    assert "certificate revoked" in listed.verified(base, listed.write(listed.entry(), base=7, number=8))
    assert ": OK" in listed.verified(base, listed.write(Entry(77, NOW - HOUR), base=7, number=8))
    held = listed.write(listed.entry("certificateHold"))
    assert "certificate revoked" in listed.verified(held)
    released = listed.write(listed.entry("removeFromCRL"), base=7, number=8)
    assert ": OK" in listed.verified(held, released)


@pytest.mark.parametrize("suite", ["p256-sha256", "p384-sha384", "ed25519", "rsa3072-pss-sha256"])
def test_openssl_and_gnutls_read_lists(tmp_path, suite):
    listed = Listed(tmp_path, suite)
    octets = listed.write(listed.entry(), Entry(77, NOW - HOUR), Entry(78, datetime(2055, 1, 1, tzinfo=UTC)))
    (tmp_path / "list.crl").write_bytes(octets)
    crl = tmp_path / "list.crl"
    said = run(
        "openssl", "crl", "-inform", "DER", "-in", crl, "-noout", "-text", "-CAfile", tmp_path / "ca.pem"
    )
    for part in (
        "verify OK",
        "Key Compromise",
        "X509v3 Issuing Distribution Point: critical",
        listed.place(listed.shard),
        "X509v3 Freshest CRL",
        "Invalidity Date",
        "Jan  1 00:00:00 2055",
    ):
        assert part in said
    shown = run("certtool", "--crl-info", "--inder", "--infile", crl)
    assert "Revoked certificates (3)" in shown
    (tmp_path / "list.pem").write_bytes(armoured(octets, b"X509 CRL"))
    given = ("--infile", tmp_path / "list.pem", "--load-ca-certificate", tmp_path / "ca.pem")
    checked = run("certtool", "--verify-crl", *given)
    assert "Verification output: Verified" in checked


LISTS = {
    "empty": {"entries": 0},
    "full": {"entries": 3},
    "delta": {"entries": 3, "base": 6},
}


@pytest.mark.parametrize("name", LISTS)
def test_pkilint_finds_nothing_in_lists(listed, tmp_path, name):
    chosen = LISTS[name]
    entries = [
        listed.entry("superseded"),
        Entry(77, NOW - HOUR),
        Entry(2**158, NOW - HOUR, "certificateHold"),
    ]
    octets = listed.write(*entries[: chosen["entries"]], base=chosen.get("base"))
    (tmp_path / "list.crl").write_bytes(octets)
    assert linted("lint_crl", "-t", "CRL", "-p", "PKIX", tmp_path / "list.crl") == []


@pytest.mark.parametrize("suite", ["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"])
def test_lists_by_ml_dsa(tmp_path, suite):
    listed = Listed(tmp_path, suite)
    octets = listed.write(listed.entry())
    index = CrlIndex.read(octets)
    assert index.signed_by(listed.pki.operating)
    assert index.revoked[listed.leaf.serial].reason == "keyCompromise"
    verdict = Verifier(listed.pki.anchors).judge(
        listed.leaf, [listed.pki.operating], [listed.pki.crls()[0], octets], at=NOW, purpose=None, name=None
    )
    assert verdict.rule == "revoked"
