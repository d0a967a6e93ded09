"""One key, one name, equal invitations: whichever door they come by, the same certificate but for serial and times."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from e2s.community.doors import DOORS
from e2s.crypto.certificates import Certificate, read_certificates
from e2s.crypto.keys import spki_of
from e2s.security.certificates.certify import request
from e2s.security.cmp.client import CmpClient
from e2s.security.cmp.enrolled import Enrolled
from e2s.security.cmp.protection import Shared
from e2s.security.enrolment.invitations import code_of
from e2s.security.est.client import EstClient
from tests.worlds.acme import SHOP, AcmeWorld, Word
from tests.worlds.scep import Device, rsa_key


class Carried:
    """An exchange with a door in this process, as by TLS."""

    def __init__(self, door) -> None:
        self.door = door

    def send(self, _origin, asked):
        return self.door(replace(asked, secure=True, client="192.0.2.1"))


class Site:
    """Every door of one desk, and one key that asks at each."""

    def __init__(self, folder) -> None:
        self.acme_world = AcmeWorld(folder)
        self.world = self.acme_world.world
        self.key = rsa_key()
        self.request = request(self.key, (SHOP,))
        self.made: list = []

    def door(self, name: str):
        made = self.world.door(name)
        self.made.append(made)
        return made

    def close(self) -> None:
        for one in self.made:
            if hasattr(one, "close"):
                one.close()
        self.acme_world.close()

    def invited(self) -> tuple[str, bytes]:
        return self.world.invite("tls-server", (SHOP,))

    # -------------------------------------------------------------- a certificate by each door
    def enrol(self) -> Certificate:
        code = code_of(*self.invited())
        answer = self.world.ask(
            self.door("enrol"), "POST", "/enrol/pkcs10", self.request, authorization=f"Bearer {code}"
        )
        return read_certificates(answer.body)[0]

    def acme(self) -> Certificate:
        client = self.acme_world.client(SHOP)
        return client.obtain((SHOP,), self.request, Word(self.acme_world.hosts))[0]

    def est(self) -> Certificate:
        client = EstClient(Carried(self.door("est")), "https://localhost", invitation=self.invited())
        made = client.enroll(self.request)
        assert isinstance(made, Certificate)
        return made

    def cmp(self) -> Certificate:
        reference, secret = self.invited()
        client = CmpClient(
            exchange=Carried(self.door("cmp")),
            origin="http://enrol",
            protector=Shared(
                reference=reference.encode(), secret=secret, random=secrets.token_bytes, way="pbmac1"
            ),
            clock=self.world.clock,
            random=secrets.token_bytes,
        )
        made = client.by_pkcs10(self.request, spki_of(self.key.public_key()))
        assert isinstance(made, Enrolled)
        return made.certificate

    def scep(self) -> Certificate:
        device = Device(self.door("scep"), self.world.clock.now(), key=self.key, name=SHOP)
        answer = device.enrol(code_of(*self.invited()))
        assert answer.certificates, answer.rule
        return next(one for one in answer.certificates if one.spki == device.own.spki)


def without_serial_and_times(certificate: Certificate) -> dict:
    """All that a certificate says, but its serial, its times, and the signature over both."""
    made = certificate.x509
    return {
        "version": made.version,
        "issuer": made.issuer.public_bytes(),
        "subject": made.subject.public_bytes(),
        "key": made.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "extensions": [
            (one.oid.dotted_string, one.critical, one.value.public_bytes()) for one in made.extensions
        ],
        "algorithm": made.signature_algorithm_oid.dotted_string,
    }


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    yield made
    made.close()


def test_the_same_request_gives_the_same_certificate_at_every_door(site):
    doors = [
        name for name in DOORS if name != "pse"
    ]  # makes its keys by itself, and asks for the rest by /enrol
    made = {name: getattr(site, name)() for name in doors}
    assert len({one.serial for one in made.values()}) == len(doors) == 5
    first = without_serial_and_times(made["enrol"])
    for name, one in made.items():
        assert without_serial_and_times(one) == first, name
    asked = [event["facts"] for event in site.world.events() if event["kind"] == "enrolment.issued"]
    assert [one["door"] for one in asked] == doors
    assert len({(one["profile"], one["name"], one["confidence"], one["officer"]) for one in asked}) == 1
