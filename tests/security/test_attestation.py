"""A device attests the key that it made, up to its maker; everything less is refused, or only declared."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.suites import signature_suite
from e2s.security.certificates.attestation import (
    BUNDLE,
    PIV_STATEMENT,
    Maker,
    judged,
    protection_of,
    request_attested,
)
from e2s.security.certificates.certify import request
from e2s.security.certificates.makers import makers_in
from e2s.security.enrolment.asking import Asked, Issued
from e2s.security.keys.generation import generate
from tests.worlds.enrolment import ANNA, World
from tests.worlds.pki import START

SUITE = signature_suite("p256-sha256")
ARC = "1.3.6.1.4.1.41482.3."


def key():
    return generate(SUITE.name, secrets.token_bytes)


def certified(subject, public, issuer, issuer_key, *, ca, extra=()):
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, one)]) for one in (subject, issuer)]
    builder = (
        x509.CertificateBuilder(names[1], names[0], public, x509.random_serial_number())
        .not_valid_before(START - timedelta(days=9))
        .not_valid_after(START + timedelta(days=3000))
    )
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    for arc, value in extra:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier(ARC + arc), value)
        builder = builder.add_extension(unknown, critical=False)
    return Certificate.read(builder.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.DER))


class Devices:
    """A maker, and one device of his."""

    def __init__(self, maker="maker", maker_key=None):
        self.maker_key = maker_key or key()
        self.device_key = key()
        self.name = maker
        self.root = certified(maker, self.maker_key.public_key(), maker, self.maker_key, ca=True)
        self.device = certified("device", self.device_key.public_key(), maker, self.maker_key, ca=True)

    def attested(self, public, *, firmware=(5, 4, 3), pin=2, touch=2, more=()):
        extra = [("3", bytes(firmware)), ("7", der.integer(1234567)), ("8", bytes((pin, touch))), *more]
        return certified("attested", public, "device", self.device_key, ca=False, extra=extra)

    @property
    def trusted(self):
        return Maker(name=self.name, roots=(self.root,))


DEVICES = Devices()
OWN = key()


def asked(attestation=None, *, private=OWN, devices=DEVICES):
    attestation = attestation or devices.attested(private.public_key())
    return request_attested(private, SUITE, (ANNA,), attestation, (devices.device,))


def refusal(octets, *makers, **more):
    with pytest.raises(Refusal) as refused:
        judged(octets, makers or (DEVICES.trusted,), START, **more)
    return refused.value.rule


def test_a_device_s_word_is_believed_up_to_its_maker():
    kept = judged(asked(), (Devices("another").trusted, DEVICES.trusted), START)
    assert kept.facts() == {
        "kind": "attested",
        "attested": True,
        "maker": "maker",
        "firmware": "5.4.3",
        "serial": 1234567,
        "pin": "once",
        "touch": "always",
    }


def test_a_maker_with_an_rsa_root_is_believed_too():
    """As the devices that are sold have."""
    devices = Devices(maker_key=rsa.generate_private_key(65537, 2048))
    assert judged(asked(devices=devices), (devices.trusted,), START).attested


def test_what_nothing_attests_is_as_it_is_declared():
    plain = request(OWN, (ANNA,))
    kept = judged(plain, (DEVICES.trusted,), START, declared="token")
    assert (kept.kind, kept.attested) == ("token", False)
    assert protection_of(asked(), (), START, "software") == "software"
    for octets, makers in ((plain, (DEVICES.trusted,)), (asked(), ())):
        with pytest.raises(Refusal) as refused:
            protection_of(octets, makers, START, "attested")
        assert refused.value.rule == "not-attested"


def test_another_s_key_attests_nothing():
    assert refusal(asked(DEVICES.attested(key().public_key()))) == "attestation-key"


def test_who_does_not_hold_the_key_shows_nothing():
    octets = asked()
    broken = octets[:-1] + bytes((octets[-1] ^ 1,))
    assert refusal(broken) in {"no-possession", "bad-request"}


@pytest.mark.parametrize(
    ("attestation", "rule"),
    [
        (Devices().attested(OWN.public_key()), "attestation-maker"),
        (DEVICES.attested(OWN.public_key(), firmware=(4, 3, 0)), "attestation-firmware"),
        (DEVICES.attested(OWN.public_key(), pin=1), "attestation-pin"),
        (DEVICES.attested(OWN.public_key(), touch=1), "attestation-touch"),
        (DEVICES.attested(OWN.public_key(), pin=9), "bad-attestation"),
        (certified("x", OWN.public_key(), "maker", DEVICES.maker_key, ca=False), "bad-attestation"),
        (
            certified(
                "x",
                OWN.public_key(),
                "maker",
                DEVICES.maker_key,
                ca=False,
                extra=[("3", bytes((5, 4, 3))), ("8", bytes((2, 2)))],
            ),
            "attestation-maker",
        ),
    ],
    ids=["overwritten", "firmware", "pin", "touch", "policy", "no-word", "no-device"],
)
def test_what_is_less_than_asked_for_is_refused(attestation, rule):
    strict = replace(DEVICES.trusted, firmware=(5, 0, 0), touches=frozenset({"always", "cached"}))
    assert refusal(asked(attestation), strict) == rule


def test_statements_that_nobody_understands_are_refused():
    octets = asked()
    other = octets.replace(der.oid(PIV_STATEMENT), der.oid(f"{oids.ARC}.7.2"))
    assert other != octets
    assert refusal(other) in {"no-possession", "attestation-unknown"}


@given(place=st.integers(0, 2000), octet=st.integers(0, 255))
def test_a_bent_request_is_refused_or_the_same(place, octet):
    octets = bytearray(asked())
    octets[place % len(octets)] = octet
    try:
        kept = judged(bytes(octets), (DEVICES.trusted,), START)
    except Refusal:
        return
    assert not kept.attested or kept.maker == "maker"


@given(value=st.binary(max_size=60))
def test_a_garbage_bundle_is_refused(value):
    attribute = der.sequence(der.oid(BUNDLE), der.set_of([der.sequence(value)]))
    plain = der.Reader(request(OWN, (ANNA,))).enter().enter()
    parts = [plain.element() for _ in range(3)]
    info = der.sequence(*parts, der.set_of([attribute], tag=0xA0))
    bits = der.tlv(der.BIT_STRING, b"\0" + SUITE.sign(OWN, info))
    assert refusal(der.sequence(info, SUITE.signature_algorithm, bits)) in {
        "bad-attestation",
        "attestation-unknown",
        "bad-request",
    }


# ---------------------------------------------------------------- data, and the level of confidence


def test_makers_are_data(tmp_path):
    assert makers_in(tmp_path) == ()
    (tmp_path / "roots.pem").write_bytes(DEVICES.root.pem)
    (tmp_path / "attestation.toml").write_text(
        '[[maker]]\nname = "maker"\nroots = "roots.pem"\nfirmware = "5.2.0"\npin = ["once"]\ntouch = ["always"]\n'
    )
    (maker,) = makers_in(tmp_path)
    assert judged(asked(), (maker,), START).attested
    assert (maker.firmware, maker.pins) == ((5, 2, 0), frozenset({"once"}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[[maker]]\nname = 'a'\n",
        "[[maker]]\nname = 'a'\nroots = 'none.pem'\n",
        "[[maker]]\nname = 'a'\nroots = 'roots.pem'\nfirmware = '5'\n",
        "[[maker]]\nname = 'a'\nroots = 'roots.pem'\npin = ['maybe']\n",
        "[[maker]]\nname = 'a'\nroots = 'roots.pem'\npin = []\n",
        "[[maker]]\nname = 'a'\nroots = 'roots.pem'\ncolour = 'red'\n",
    ],
)
def test_a_bad_file_of_makers_is_misuse(tmp_path, text):
    (tmp_path / "roots.pem").write_bytes(DEVICES.root.pem)
    (tmp_path / "attestation.toml").write_text(text)
    with pytest.raises(Misuse) as misused:
        makers_in(tmp_path)
    assert misused.value.rule == "bad-maker"


@pytest.mark.parametrize(
    ("attests", "protection", "level"), [(True, "", "high"), (False, "token", "substantial")]
)
def test_the_level_of_confidence_shows_it(tmp_path, attests, protection, level):
    """A profile whose policy allows the highest level: attested keys have it, declared ones do not."""
    world = World(tmp_path)
    world.desk.office = replace(world.office, makers=(DEVICES.trusted,))
    shown = world.invited("code-signing", (ANNA,))
    private = key()
    octets = asked(private=private) if attests else request(private, (ANNA,))
    wanted = Asked(door="page", transaction=b"1", request=octets, shown=shown, protection=protection)
    case = world.desk.ask(wanted)
    if not isinstance(case, Issued):  # four eyes
        (row,) = world.requests("waiting")
        world.decide(row.case)
        case = world.desk.ask(wanted)
    assert isinstance(case, Issued)
    policies = Certificate.read(case.certificate).values[x509.CertificatePolicies]
    assert oids.CONFIDENCE[level] in {one.policy_identifier.dotted_string for one in policies}
    world.close()
