"""certbot and lego, as Debian has them, get, renew and revoke certificates at the door; openssl judges them."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from types import MappingProxyType

import pytest

from e2s.base.instants import SystemClock
from e2s.base.wire import b64u
from e2s.crypto.certificates import read_certificates
from tests.worlds.acme import policy
from tests.worlds.enrolment import World
from tests.worlds.programs import openssl

pytestmark = pytest.mark.tool
SHOP, DESK = "shop.alpha.example", "desk.alpha.example"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Judges:
    """The door served over TLS on loopback, told where the hosts of its policy are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.http, self.tls = free_port(), free_port()
        told = policy(
            http_port=self.http,
            tls_port=self.tls,
            hosts=MappingProxyType({SHOP: "127.0.0.1", DESK: "127.0.0.1"}),
        )
        (folder / "world").mkdir()
        self.world = World(folder / "world", clock=SystemClock(), policy=told)
        self.root = folder / "root.pem"
        self.root.write_bytes(self.world.pki.root.pem)
        self._served = self.world.served("acme", tls=True)

    def __enter__(self):
        self.port = self._served.__enter__().port
        self.directory = f"https://localhost:{self.port}/acme/directory"
        return self

    def __exit__(self, *_):
        self._served.__exit__(None, None, None)
        self.world.close()

    def invitation(self) -> tuple[str, str]:
        reference, secret = self.world.invite("tls-server", (SHOP, DESK))
        return reference, b64u(secret)

    def run(self, *command: str, good: tuple[int, ...] = (0,)) -> str:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "REQUESTS_CA_BUNDLE": str(self.root),
            "LEGO_CA_CERTIFICATES": str(self.root),
        }
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=90, check=False)
        assert done.returncode in good, done.stdout + done.stderr
        return done.stdout + done.stderr

    def certbot(self, act: str, *more: str, **kinds) -> str:
        folders = [f"--{one}-dir={self.folder}/{one}" for one in ("config", "work", "logs")]
        return self.run("certbot", act, "-n", f"--server={self.directory}", *folders, *more, **kinds)

    def lego(self, *more: str, **kinds) -> str:
        common = ("lego", "--server", self.directory, "--path", f"{self.folder}/lego", "-a")
        return self.run(*common, "-m", "anna@alpha.example", *more, **kinds)

    def verified(self, leaf: Path, chain: Path, *names: str) -> str:
        """What openssl says of a certificate and its issuers; its serial, in hexadecimal."""
        whole = read_certificates(chain.read_bytes())
        (self.folder / "issuers.pem").write_bytes(b"".join(one.pem for one in whole))
        openssl(
            "verify", "-CAfile", str(self.root), "-untrusted", str(chain), "-purpose", "sslserver", str(leaf)
        )
        for name in names:
            openssl(
                *(
                    "verify",
                    "-CAfile",
                    str(self.root),
                    "-untrusted",
                    str(chain),
                    "-verify_hostname",
                    name,
                    str(leaf),
                )
            )
        return openssl("x509", "-in", str(leaf), "-noout", "-serial").decode().strip().removeprefix("serial=")

    def revoked(self, serial: str) -> bool:
        return self.world.desk.revoked(int(serial, 16))


@pytest.fixture
def judges(tmp_path):
    with Judges(tmp_path) as made:
        yield made


def test_certbot_gets_renews_and_revokes_a_certificate(judges):
    reference, secret = judges.invitation()
    binding = (f"--eab-kid={reference}", f"--eab-hmac-key={secret}")
    alone = ("--standalone", f"--http-01-port={judges.http}", "--http-01-address=127.0.0.1")
    told = judges.certbot(
        "certonly", *alone, *binding, "-m", "anna@alpha.example", "--agree-tos", "-d", SHOP, "-d", DESK
    )
    assert "Successfully received certificate" in told
    live = judges.folder / "config" / "live" / SHOP
    first = judges.verified(live / "cert.pem", live / "chain.pem", SHOP, DESK)

    told = judges.certbot("renew", "--force-renewal", "--no-random-sleep-on-renew", f"--cert-name={SHOP}")
    assert "all renewals succeeded" in told.lower()
    second = judges.verified(live / "cert.pem", live / "chain.pem", SHOP, DESK)
    assert first != second

    judges.certbot(
        "revoke", f"--cert-path={live}/cert.pem", "--reason=superseded", "--no-delete-after-revoke"
    )
    assert judges.revoked(second)
    assert not judges.revoked(first)
    # by its own key
    old = judges.folder / "config" / "archive" / SHOP
    judges.certbot(
        "revoke", f"--cert-path={old}/cert1.pem", f"--key-path={old}/privkey1.pem", "--no-delete-after-revoke"
    )
    assert judges.revoked(first)


def test_certbot_is_told_why_it_gets_none(judges):
    alone = ("--standalone", f"--http-01-port={judges.http}", "--http-01-address=127.0.0.1", "--agree-tos")
    mail = ("-m", "anna@alpha.example")
    told = judges.certbot("certonly", *alone, *mail, "-d", SHOP, good=(1,))
    assert "bound to an invitation" in told or "external account" in told.lower()
    reference, secret = judges.invitation()
    wrong = secret[:-4] + ("AAAA" if secret[-4:] != "AAAA" else "BBBB")
    binding = (f"--eab-kid={reference}", f"--eab-hmac-key={wrong}")
    told = judges.certbot("certonly", *alone, *mail, *binding, "-d", SHOP, good=(1,))
    assert "wrong-code" in told
    binding = (f"--eab-kid={reference}", f"--eab-hmac-key={secret}")
    judges.certbot("certonly", *alone, *mail, *binding, "-d", "other.example", good=(1,))
    # this certbot trips over its own error when an order is refused; its log has what it was told
    assert "host-not-permitted" in (judges.folder / "logs" / "letsencrypt.log").read_text()


@pytest.mark.parametrize("kind", ["http", "tls"])
def test_lego_gets_renews_and_revokes_a_certificate(judges, kind):
    reference, secret = judges.invitation()
    port = judges.http if kind == "http" else judges.tls
    place = (f"--{kind}", f"--{kind}.port", f"127.0.0.1:{port}", "-d", SHOP)
    way = (*place, "--eab", "--kid", reference, "--hmac", secret)
    judges.lego(*way, "run")
    got = judges.folder / "lego" / "certificates"
    leaf, chain = got / f"{SHOP}.crt", got / f"{SHOP}.issuer.crt"
    first = judges.verified(leaf, chain, SHOP)
    judges.lego(*way, "renew", "--days", "400", "--no-random-sleep")
    second = judges.verified(leaf, chain, SHOP)
    assert first != second
    judges.lego(*way, "revoke", "--keep")
    assert judges.revoked(second)
    assert not judges.revoked(first)
