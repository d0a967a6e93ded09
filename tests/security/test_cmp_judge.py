"""`openssl cmp` is served by the CMP door in every way that the lightweight profile has (RFC 9483)."""

from __future__ import annotations

import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from e2s.base.instants import SystemClock
from e2s.crypto.certificates import Certificate
from e2s.security.enrolment.policy import shipped
from tests.worlds.enrolment import ANNA, World

BOX = "urn:e2s:market:alpha:box"
STAMPS = "urn:e2s:market:authority:stamps"


class Client:
    """One folder of a holder who has OpenSSL, a door and the root."""

    def __init__(self, folder: Path, world: World, origin: str) -> None:
        self.folder, self.world, self.origin = folder, world, origin
        (folder / "root.pem").write_bytes(world.pki.root.pem)
        (folder / "ca.pem").write_bytes(world.pki.operating.pem)

    def openssl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["openssl", *arguments], check=False, cwd=self.folder, capture_output=True, text=True, timeout=60
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def cmp(self, *arguments: str, path: str = "/.well-known/cmp", check: bool = True):
        server = self.origin.removeprefix("http://") + path
        return self.openssl(
            "cmp", "-config", "", "-server", server, "-recipient", self.recipient, *arguments, check=check
        )

    @property
    def recipient(self) -> str:
        return "/" + self.world.pki.operating.x509.subject.rfc4514_string().replace(",", "/")

    def key(self, name: str) -> str:
        self.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", name)
        return name

    def invited(self, **more) -> tuple[str, ...]:
        reference, secret = self.world.invite(**more)
        (self.folder / reference).write_bytes(secret)
        return "-ref", reference, "-secret", f"file:{reference}"

    def verified(self, name: str) -> Certificate:
        """What OpenSSL itself finds good."""
        said = self.openssl("verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "ca.pem", name)
        assert "OK" in said.stdout
        return Certificate.read((self.folder / name).read_bytes())

    def enrolled(self, name: str) -> tuple[str, ...]:
        """A certificate and its key, as options."""
        key = self.key(f"{name}.key")
        self.cmp("-cmd", "ir", *self.invited(profile="component", names=(BOX,)), "-newkey", key, "-subject", "/CN=any",
                 "-certout", f"{name}.pem", "-implicit_confirm")  # fmt: skip
        return "-cert", f"{name}.pem", "-key", key, "-trusted", "root.pem", "-untrusted", "ca.pem"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    world = World(
        tmp_path_factory.mktemp("world"),
        clock=SystemClock(),
        policy=replace(shipped(), retry_seconds=1),
    )
    with world.served("cmp") as served:
        yield Client(tmp_path_factory.mktemp("holder"), world, served.origin)
    world.close()


def eventually(holds) -> None:
    """Wait until it holds, a minute at most."""
    for _ in range(600):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it never came to hold")


def revoked(world: World, certificate: Certificate) -> bool:
    return world.desk.revoked(certificate.serial)


@pytest.mark.parametrize("how", [("-implicit_confirm",), ()], ids=["implicit", "confirmed"])
def test_a_first_certificate_comes_by_the_secret_of_an_invitation(client, how):
    key = client.key("first.key")
    client.cmp("-cmd", "ir", *client.invited(), "-newkey", key, "-subject", "/CN=any", "-sans", ANNA,
               "-certout", "first.pem", "-cacertsout", "anchors.pem", "-chainout", "chain.pem", *how)  # fmt: skip
    made = client.verified("first.pem")
    assert made.names == (ANNA,)
    assert Certificate.read((client.folder / "anchors.pem").read_bytes()) == client.world.pki.root
    assert not revoked(client.world, made)


@pytest.mark.parametrize("mac", ["hmac-sha1", "hmacWithSHA256", "hmacWithSHA512"])
def test_each_mac_of_the_older_way(client, mac):
    key = client.key("mac.key")
    client.cmp("-cmd", "ir", *client.invited(), "-newkey", key, "-subject", "/CN=any", "-mac", mac,
               "-certout", "mac.pem", path="/cmp")  # fmt: skip
    client.verified("mac.pem")


def test_a_request_of_pkcs_10(client):
    key = client.key("ten.key")
    client.openssl("req", "-new", "-key", key, "-subj", "/", "-out", "ten.csr")
    client.cmp("-cmd", "p10cr", *client.invited(), "-csr", "ten.csr", "-certout", "ten.pem")
    assert client.verified("ten.pem").names == (ANNA,)


def test_a_certificate_is_renewed_with_a_new_key(client):
    held, new = client.enrolled("held"), client.key("new.key")
    client.cmp("-cmd", "kur", *held, "-newkey", new, "-certout", "renewed.pem")
    renewed = client.verified("renewed.pem")
    assert renewed.names == (BOX,)
    assert renewed.spki != Certificate.read((client.folder / "held.pem").read_bytes()).spki


def test_a_further_certificate_under_a_held_one(client):
    held, new = client.enrolled("other"), client.key("further.key")
    client.cmp("-cmd", "cr", *held, "-newkey", new, "-subject", "/CN=any", "-san_nodefault",
               "-certout", "further.pem", "-implicit_confirm")  # fmt: skip
    client.verified("further.pem")


def test_a_holder_ends_her_certificate(client):
    held = client.enrolled("ended")
    certificate = client.verified("ended.pem")
    assert not revoked(client.world, certificate)
    client.cmp("-cmd", "rr", *held, "-oldcert", "ended.pem", "-revreason", "4")
    assert revoked(client.world, certificate)
    refused = client.cmp(
        "-cmd", "kur", *held, "-newkey", client.key("n.key"), "-certout", "n.pem", check=False
    )
    assert refused.returncode
    assert "certificate-revoked" in refused.stdout + refused.stderr


def test_who_has_to_wait_polls(client):
    """An officer says yes meanwhile."""
    key = client.key("tsa.key")
    options = client.invited(profile="tsa", names=(STAMPS,))
    arguments = ["openssl", "cmp", "-config", "", "-server", client.origin.removeprefix("http://"), "-path", "/cmp",
                 "-recipient", client.recipient, "-cmd", "ir", *options, "-newkey", key, "-subject", "/CN=any",
                 "-certout", "tsa.pem"]  # fmt: skip
    said = client.folder / "said"
    with (
        said.open("w") as output,
        subprocess.Popen(arguments, cwd=client.folder, stdout=output, stderr=subprocess.STDOUT) as running,
    ):
        eventually(lambda: len(client.world.requests("waiting")) == 1)
        (row,) = client.world.requests("waiting")
        client.world.decide(row.case)
        assert running.wait(60) == 0, said.read_text()
    assert "POLLREQ" in said.read_text()
    assert client.verified("tsa.pem").names == (STAMPS,)


@pytest.mark.parametrize("what", ["caCerts", "currentCRL"])
def test_what_a_ca_tells_of_itself(client, what):
    said = client.cmp("-cmd", "genm", "-infotype", what, *client.invited())
    assert what in said.stdout + said.stderr


def test_a_wrong_secret_is_refused_with_the_rule(client):
    reference, _ = client.world.invite()
    (client.folder / "wrong").write_bytes(b"x" * 32)
    said = client.cmp("-cmd", "ir", "-ref", reference, "-secret", "file:wrong", "-newkey", client.key("w.key"),
                      "-subject", "/CN=any", "-certout", "w.pem", "-unprotected_errors", check=False)  # fmt: skip
    assert said.returncode
    assert "wrong-code" in said.stdout + said.stderr


def test_names_that_were_not_given_are_refused_with_the_rule(client):
    said = client.cmp("-cmd", "ir", *client.invited(), "-newkey", client.key("m.key"), "-subject", "/CN=any",
                      "-sans", "urn:e2s:market:alpha:mallory", "-certout", "m.pem", check=False)  # fmt: skip
    assert said.returncode
    assert "names-differ" in said.stdout + said.stderr


@pytest.mark.parametrize("method", ["-1", "0", "2"], ids=["none", "elsewhere", "by-encryption"])
def test_possession_is_proven_by_a_signature_here(client, method):
    said = client.cmp("-cmd", "ir", *client.invited(), "-newkey", client.key("r.key"), "-subject", "/CN=any",
                      "-popo", method, "-certout", "r.pem", check=False)  # fmt: skip
    assert said.returncode
    assert "cmp-possession" in said.stdout + said.stderr


def test_a_certificate_that_its_client_rejects_is_revoked(client):
    """The client trusts somebody else alone, and says so."""
    key = client.key("no.key")
    client.openssl("req", "-x509", "-key", client.key("else.key"), "-subj", "/CN=else", "-out", "else.pem")
    said = client.cmp("-cmd", "ir", *client.invited(), "-newkey", key, "-subject", "/CN=any",
                      "-certout", "no.pem", "-out_trusted", "else.pem", check=False)  # fmt: skip
    assert said.returncode
    row = client.world.requests("issued")[-1]
    assert revoked(client.world, Certificate.read(row.certificate))
