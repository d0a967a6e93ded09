"""EST: what the door gives to whom, what it refuses and by which rule, and strongSwan's word for it."""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from e2s.base import wire
from e2s.base.errors import Refusal, Unreachable
from e2s.base.http import Request
from e2s.base.instants import SystemClock
from e2s.crypto import cms, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PrivateKey
from e2s.network.sessions.client import HttpExchange
from e2s.network.sessions.tls import TlsFiles
from e2s.security.enrolment.policy import Est, read_policy
from e2s.security.est import bodies, packages
from e2s.security.est.asking import basic
from e2s.security.est.attributes import CsrAttributes, wanted
from e2s.security.est.bodies import Part
from e2s.security.est.client import EstClient, Made, Waiting
from tests.worlds.enrolment import ANNA, World, csr, key
from tests.worlds.pki import make_pki
from tests.worlds.programs import openssl, run

PATH = "/.well-known/est/"
PKCS10 = {"content-type": "application/pkcs10"}


def anytime():
    """The policy, with renewal at any time, and an officer's word for organisations."""
    text = files("e2s.security.enrolment").joinpath("policy.toml").read_text()
    text = re.sub(r"renewal-days = \d+\n", "", text).replace("retry-seconds = 30", "retry-seconds = 1")
    return read_policy(text.encode())


class Direct:
    """An exchange with a door in this process, by TLS and with a certificate if there is one."""

    def __init__(self, door, peer: bytes = b""):
        self.door, self.peer, self.sent = door, peer, []

    def send(self, _origin, request):
        self.sent.append(request)
        return self.door(replace(request, peer=self.peer, secure=True, client="192.0.2.1"))


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path, policy=anytime())
    yield made
    made.close()


@pytest.fixture
def door(world):
    made = world.door("est")
    yield made
    made.close()


def client(door, *, invitation=None, peer: Certificate | None = None, label="") -> EstClient:
    exchange = Direct(door, peer.der if peer else b"")
    return EstClient(exchange, "https://localhost", invitation=invitation, label=label)


def post(door, operation, body, *, peer=b"", secure=True, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return door(Request("POST", PATH + operation, body, {**PKCS10, **named}, "192.0.2.1", peer, secure))


def rule(response) -> str:
    return response.headers.get("e2s-rule", "")


# ------------------------------------------------------------------ what it gives


def test_the_certificates_of_the_ca_come_with_its_root_and_are_believed_by_its_digest(world, door):
    found = client(door).cacerts()
    assert set(found) == {world.pki.operating, world.pki.root}
    assert client(door).cacerts(pin=world.pki.root.digest) == (world.pki.operating, world.pki.root)
    with pytest.raises(Refusal, match="wrong-pin"):
        client(door).cacerts(pin=bytes(32))


def test_who_is_invited_is_enrolled_and_renews_with_her_certificate(world, door):
    private = key()
    anna = client(door, invitation=world.invite()).enroll(csr(private=private))
    assert isinstance(anna, Certificate)
    assert anna.names == (ANNA,)
    assert anna.spki == spki_of(private.public_key())
    newer = client(door, peer=anna).reenroll(csr(private=key()))
    assert isinstance(newer, Certificate)
    assert (newer.names, newer.subject) == (anna.names, anna.subject)
    assert newer.spki != anna.spki
    # a certificate enrols as well as it renews (RFC 7030, 3.3.2)
    assert isinstance(client(door, peer=newer).enroll(csr(private=key())), Certificate)


def test_the_same_request_again_is_answered_as_the_first_was(world, door):
    again = client(door, invitation=world.invite())
    request = csr()
    assert again.enroll(request) == again.enroll(request)
    assert world.kinds().count("enrolment.issued") == 1


def test_who_has_to_wait_is_told_when_to_ask_again_and_polls_with_the_same_request(world, door):
    names = ("urn:e2s:market:alpha",)
    asking = client(door, invitation=world.invite("organisation", names))
    request = csr(*names)
    first = asking.enroll(request)
    assert first == Waiting(world.policy.retry_seconds)
    (row,) = world.requests("waiting")
    world.decide(row.case)
    made = asking.enroll(request)
    assert isinstance(made, Certificate)
    assert made.names == names


def test_attributes_say_which_keys_and_names_a_request_may_have(world, door):
    assert client(door).csrattrs() == CsrAttributes()
    found = client(door, invitation=world.invite()).csrattrs()
    assert {oids.ED25519, oids.ECDSA_SHA256} <= set(found.alone)
    held = dict(found.attributes)
    assert len(held[oids.EC_PUBLIC_KEY]) == 3
    assert ANNA.encode() in held[oids.EXTENSION_REQUEST][0]


def test_a_path_names_the_profile_that_is_wished_for(world, door):
    reference = world.invite("person")
    private = key()
    made = client(door, invitation=reference, label="person").enroll(csr(private=private))
    assert isinstance(made, Certificate)
    with pytest.raises(Refusal, match="wrong-profile"):
        client(door, invitation=reference, label="merchant").enroll(csr())


# ------------------------------------------------------------------ keys that are made for others


class Kept:
    """An escrow that only remembers."""

    def __init__(self):
        self.keys: list[tuple[str, Certificate, PrivateKey]] = []

    def deposit(self, holder, certificate, private):
        self.keys.append((holder, certificate, private))


def made_for(door, world, private, **more) -> Made | Waiting:
    asking = client(door, invitation=world.invite("person"), label="person-agreement", **more)
    opener = packages.opener_of(private, world.clock.now())
    return asking.serverkeygen(packages.key_request(private), opener)


def test_a_key_that_is_made_comes_signed_and_sealed_to_the_key_that_asked(world):
    escrow = Kept()
    door = world.door("est", deposit=escrow)
    private = key()
    made = made_for(door, world, private)
    assert isinstance(made, Made)
    assert made.certificate.names == (ANNA,)
    assert spki_of(made.key.public_key()) == made.certificate.spki
    assert made.maker is not None
    assert made.maker.names == (world.setting().name,)
    assert escrow.keys[0][:2] == (ANNA, made.certificate)
    assert spki_of(escrow.keys[0][2].public_key()) == made.certificate.spki
    with door.database.reading() as connection:
        told = [wire.decode(body) for _, body in door.outbox.waiting(connection, "audit", 10)]
    assert [event["kind"] for event in told] == ["key.made", "key.released"]
    assert told[1]["facts"] == {
        "name": ANNA,
        "serial": f"{made.certificate.serial:x}",
        "sealed": True,
        "deposited": True,
    }
    door.close()


def test_a_key_that_could_not_be_deposited_does_not_leave(world):
    class Away:
        def deposit(self, *_arguments):
            raise Unreachable("escrow-away")

    door = world.door("est", deposit=Away())
    private, invitation = key(), world.invite("person")
    asking = client(door, invitation=invitation, label="person-agreement")
    with pytest.raises(Unreachable):
        asking.serverkeygen(packages.key_request(private), packages.opener_of(private, world.clock.now()))
    with door.database.reading() as connection:
        told = [wire.decode(body)["kind"] for _, body in door.outbox.waiting(connection, "audit", 10)]
    assert told == ["key.made"]
    door.close()


def test_a_key_that_is_made_is_the_same_when_the_answer_was_lost_and_is_forgotten_when_it_was_not(world):
    door = world.door("est")
    private, invitation = key(), world.invite("person")
    request, opener = packages.key_request(private), packages.opener_of(private, world.clock.now())

    def asked():
        return client(door, invitation=invitation, label="person-agreement").serverkeygen(request, opener)

    first = asked()
    assert asked().certificate == first.certificate
    stored = (world.folder / "est.sqlite").read_bytes() + (world.folder / "est.sqlite-wal").read_bytes()
    assert packages.plain(first.key) not in stored
    door.tick(world.clock.forward(minutes=30))
    assert asked().certificate == first.certificate
    # also where the door was opened anew meanwhile
    door.close()
    door = world.door("est")
    door.tick(world.clock.forward(minutes=31))
    with pytest.raises(Refusal, match="invitation-used"):
        asked()
    door.close()


def test_a_key_leaves_as_it_is_only_where_the_policy_lets_it(world, door):
    invitation, request = world.invite("person"), csr()
    plain = client(door, invitation=invitation, label="person-agreement")
    with pytest.raises(Refusal, match="plain-key"):
        plain.serverkeygen(request)
    lenient = world.door("est", policy=replace(world.policy, est=Est(plain_keys=True)))
    made = client(lenient, invitation=invitation, label="person-agreement").serverkeygen(request)
    assert isinstance(made, Made)
    assert made.maker is None
    lenient.close()


def test_a_key_that_signs_is_never_made_for_anybody(world, door):
    private = key()
    asking = client(door, invitation=world.invite("person"))
    with pytest.raises(Refusal, match="signing-key"):
        asking.serverkeygen(packages.key_request(private), packages.opener_of(private, world.clock.now()))


def test_a_key_is_sealed_to_no_key_but_that_of_who_asks(world, door):
    private, other = key(), key()
    asked = packages.key_request(private).replace(
        packages.key_id(private.public_key()), packages.key_id(other.public_key())
    )
    by = basic(*world.invite("person"))
    response = post(door, "person-agreement/serverkeygen", bodies.written(asked), authorization=by)
    assert rule(response) == "no-possession"
    # named by its holder, and signed: still no key of hers that is known here
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    named = builder.add_attribute(x509.ObjectIdentifier(oids.DECRYPT_KEY_ID), b"shared")
    symmetric = named.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(
        Encoding.DER
    )
    response = post(door, "person-agreement/serverkeygen", bodies.written(symmetric), authorization=by)
    assert rule(response) == "no-such-decryption-key"


# ------------------------------------------------------------------ what it refuses


def test_a_wrong_secret_is_refused_and_soon_no_more_are_heard(world, door):
    reference, _secret = world.invite()
    wrong = basic(reference, b"0000-0000-0000-0000-0000-0000-0000-0000")
    body = bodies.written(csr())
    first = post(door, "simpleenroll", body, authorization=wrong)
    assert (first.status, rule(first)) == (401, "wrong-code")
    assert first.headers["www-authenticate"].startswith("Basic ")
    for _ in range(world.policy.tries - 1):
        post(door, "simpleenroll", body, authorization=wrong)
    last = post(door, "simpleenroll", body, authorization=wrong)
    assert (last.status, rule(last)) == (429, "too-many-tries")
    assert int(last.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        ("", "not-authenticated"),
        ("Bearer abc", "bad-credentials"),
        ("Basic !!!", "bad-credentials"),
        ("Basic " + base64.b64encode(b"no colon").decode(), "bad-credentials"),
        ("Basic " + "A" * 1000, "bad-credentials"),
        ("Basic " + base64.b64encode("ä:b".encode()).decode(), "bad-credentials"),
        ("Basic " + base64.b64encode(b"a:b").decode(), "bad-code"),
    ],
)
def test_who_does_not_log_in_properly_is_told_how(door, authorization, expected):
    headers = {"authorization": authorization} if authorization else {}
    response = post(door, "simpleenroll", bodies.written(csr()), **headers)
    assert (response.status, rule(response)) == (401, expected)


def test_a_secret_is_not_heard_without_tls(world, door):
    by = basic(*world.invite())
    response = post(door, "simpleenroll", bodies.written(csr()), secure=False, authorization=by)
    assert (response.status, rule(response)) == (403, "tls-needed")
    with pytest.raises(Refusal, match="tls-needed"):
        EstClient(Direct(door), "http://localhost", invitation=world.invite())


def test_what_is_not_a_request_is_refused_by_its_rule(world, door):
    by = basic(*world.invite())
    good = csr()
    for body, more, expected in (
        (b"@@@", {}, "bad-base64"),
        (bodies.written(b"no request"), {}, "bad-request"),
        (bodies.written(good[:-1]), {}, "bad-request"),
        (b"A" * (bodies.MAX_BODY_BYTES + 1), {}, "too-large"),
        (bodies.written(good + bytes(17_000)), {}, "bad-request"),
        (bodies.written(good), {"content_type": "text/plain"}, "wrong-content-type"),
        (bodies.written(good[:-8] + bytes(8)), {}, "no-possession"),
    ):
        assert rule(post(door, "simpleenroll", body, authorization=by, **more)) == expected
    assert rule(post(door, "fullcmc", b"", authorization=by)) == "no-such-path"
    assert rule(post(door, "Merchant/simpleenroll", b"", authorization=by)) == "no-such-path"
    assert rule(post(door, "a/b/simpleenroll", b"", authorization=by)) == "no-such-path"
    wrong = post(door, "cacerts", b"")
    assert (wrong.status, wrong.headers["allow"]) == (405, "GET")
    # and blanks in base64 mean nothing (RFC 8951, 3.1)
    spread = re.sub(rb"(.{64})", rb"\1\r\n", bodies.written(good))
    assert post(door, "simpleenroll", spread, authorization=by).status == 200


def test_a_request_that_is_bound_to_its_connection_is_not_taken_unchecked(world, door):
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    bound = builder.add_attribute(x509.ObjectIdentifier(oids.CHALLENGE_PASSWORD), b"tls-unique")
    request = bound.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)
    response = post(door, "simpleenroll", bodies.written(request), authorization=basic(*world.invite()))
    assert rule(response) == "channel-binding"


def test_names_beyond_those_given_are_refused(world, door):
    for names in ((ANNA, "urn:e2s:market:alpha:bert"), ("urn:e2s:market:beta:anna",), ("eve.example",)):
        with pytest.raises(Refusal, match="names-differ"):
            client(door, invitation=world.invite()).enroll(csr(*names))


def test_another_cas_certificate_renews_nothing(world, door):
    foreign, _, _ = make_pki(at=world.clock.now()).issue("person", ANNA)
    with pytest.raises(Refusal, match="other-ca"):
        client(door, peer=foreign).reenroll(csr())
    with pytest.raises(Refusal, match="not-authenticated"):
        client(door, invitation=world.invite()).reenroll(csr())


def test_an_expired_and_a_revoked_certificate_renew_nothing(world, door):
    anna = world.enrolled().certificate
    bert = world.enrolled(names=("urn:e2s:market:alpha:bert",)).certificate
    world.desk.withdraw(anna.serial, "keyCompromise", world_holder(anna), door="est")
    with pytest.raises(Refusal, match="certificate-revoked"):
        client(door, peer=anna).reenroll(csr())
    world.clock.forward(days=800)
    with pytest.raises(Refusal, match="expired"):
        client(door, peer=bert).reenroll(csr("urn:e2s:market:alpha:bert"))


def world_holder(certificate):
    from e2s.security.enrolment.asking import Holder

    return Holder(certificate=certificate)


def test_what_comes_back_is_for_the_key_that_was_asked_for(world, door):
    stale = client(door, invitation=world.invite())
    other = csr(private=key())
    answered = post(door, "simpleenroll", bodies.written(other), authorization=basic(*world.invite()))
    stale._exchange = Direct(lambda _request: answered)
    with pytest.raises(Refusal, match="key-mismatch"):
        stale.enroll(csr())


# ------------------------------------------------------------------ decoders


@given(st.lists(st.binary(max_size=300), max_size=4), st.booleans())
def test_parts_come_back_as_they_were(found, bare):
    parts = [Part("application/pkcs8", one) for one in found] or [Part("a/b", b"")]
    body = bodies.joined(*parts)
    if bare:
        body = b"preamble\r\n" + body.replace(b"\r\n", b"\n")
    header = bodies.KEY_AND_CERTIFICATE.replace("boundary=", 'boundary="').replace("key", 'key"')
    assert bodies.parted(header if bare else bodies.KEY_AND_CERTIFICATE, body) == tuple(parts)


@given(st.binary(max_size=400))
def test_garbage_in_parts_and_attributes_is_refused(octets):
    for read in (
        lambda: bodies.parted(bodies.KEY_AND_CERTIFICATE, octets),
        lambda: CsrAttributes.read(octets),
        lambda: bodies.read(octets),
        lambda: cms.unbundled(octets),
    ):
        try:
            read()
        except Refusal as refusal:
            assert refusal.rule


@given(
    st.lists(
        st.sampled_from(["p256-sha256", "ed25519", "rsa3072-pss-sha256", "x25519-aes256gcm"]), unique=True
    )
)
def test_attributes_come_back_as_they_were(suites):
    said = wanted(suites, (ANNA, "host.example"))
    assert CsrAttributes.read(said.encoded()) == said


# ------------------------------------------------------------------ judged by others


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A door served over TLS by the machine's clock, with what clients need of it as files."""
    folder = tmp_path_factory.mktemp("est")
    world = World(folder, clock=SystemClock(), policy=anytime())
    (folder / "root.pem").write_bytes(world.pki.root.pem)
    (folder / "ca.pem").write_bytes(world.pki.operating.pem)
    # 5.9.8 speaks TLS 1.3 where it is told to
    (folder / "strongswan.conf").write_text("pki {\n  tls {\n    version_max = 1.3\n  }\n}\n")
    with world.served("est", tls=True) as served:
        yield world, served
    world.close()


def pki(world, *arguments, good=(0,), given=None) -> bytes:
    env = {"STRONGSWAN_CONF": str(world.folder / "strongswan.conf"), "PATH": "/usr/bin:/bin"}
    placed = [str(world.folder / one) if one.endswith((".pem", ".der")) else one for one in arguments]
    return run("pki", *placed, env=env, good=good, given=given)


def verified(world, name: str) -> Certificate:
    folder = world.folder
    openssl(
        "verify", "-CAfile", str(folder / "root.pem"), "-untrusted", str(folder / "ca.pem"), "-x509_strict",
        str(folder / name),
    )  # fmt: skip
    return Certificate.read((folder / name).read_bytes())


@pytest.mark.tool
def test_strongswan_enrols_waits_and_renews(real):
    world, served = real
    folder = world.folder
    trusted = ("--cacert", "root.pem", "--cacert", "ca.pem", "--outform", "pem")
    pki(
        world,
        "--estca",
        "--url",
        served.origin,
        "--cacert",
        "root.pem",
        "--caout",
        "got.pem",
        "--outform",
        "pem",
    )
    assert Certificate.read((folder / "got.pem").read_bytes()) == world.pki.root
    assert Certificate.read((folder / "got-1.pem").read_bytes()) == world.pki.operating

    for name in ("anna", "newer"):
        (folder / f"{name}.key.pem").write_bytes(
            pki(world, "--gen", "--type", "ecdsa", "--size", "256", "--outform", "pem")
        )
        (folder / f"{name}.der").write_bytes(
            pki(world, "--req", "--in", f"{name}.key.pem", "--dn", "O=market, OU=alpha, CN=anna")
        )
    reference, secret = world.invite()
    login = f"{reference}:{secret.decode()}"
    made = pki(world, "--est", "--url", served.origin, "--in", "anna.der", "--userpass", login, *trusted)
    (folder / "anna.pem").write_bytes(made)
    anna = verified(world, "anna.pem")
    assert anna.names == (ANNA,)

    held = ("--cert", "anna.pem", "--key", "anna.key.pem")
    made = pki(world, "--est", "--url", served.origin, "--in", "newer.der", *held, *trusted)
    (folder / "newer.pem").write_bytes(made)
    newer = verified(world, "newer.pem")
    assert newer.names == anna.names
    assert newer.spki != anna.spki


@pytest.mark.tool
def test_strongswan_waits_for_an_officer(real):
    import threading

    world, served = real
    folder = world.folder
    (folder / "org.key.pem").write_bytes(
        pki(world, "--gen", "--type", "ecdsa", "--size", "256", "--outform", "pem")
    )
    (folder / "org.der").write_bytes(
        pki(world, "--req", "--in", "org.key.pem", "--dn", "O=market, OU=alpha, CN=alpha")
    )
    reference, secret = world.invite("organisation", ("urn:e2s:market:alpha",))
    trusted = ("--cacert", "root.pem", "--cacert", "ca.pem", "--outform", "pem")
    login = ("--userpass", f"{reference}:{secret.decode()}", "--interval", "1", "--maxpolltime", "60")

    def approve() -> None:
        while not world.requests("waiting"):
            threading.Event().wait(0.05)
        world.decide(world.requests("waiting")[0].case)

    deciding = threading.Thread(target=approve)
    deciding.start()
    made = pki(world, "--est", "--url", served.origin, "--in", "org.der", *login, *trusted)
    deciding.join()
    (folder / "org.pem").write_bytes(made)
    assert verified(world, "org.pem").names == ("urn:e2s:market:alpha",)


@pytest.mark.tool
def test_curl_and_openssl_read_what_the_door_says(real):
    world, served = real
    where = ("curl", "-sS", "--cacert", str(world.folder / "root.pem"))
    body = run(*where, f"{served.origin}{PATH}cacerts")
    shown = openssl(
        "pkcs7", "-inform", "DER", "-print_certs", "-noout", given=base64.b64decode(body)
    ).decode()
    assert "CN = operating-ca" in shown
    reference, secret = world.invite()
    login = f'user = "{reference}:{secret.decode()}"\n'.encode()
    body = run(*where, "--config", "-", f"{served.origin}{PATH}csrattrs", given=login)
    shown = openssl("asn1parse", "-inform", "DER", given=base64.b64decode(body)).decode()
    assert "id-ecPublicKey" in shown
    assert "X509v3 Subject Alternative Name" in shown


def test_the_client_begins_with_a_digest_alone_and_ends_with_a_certificate_it_can_show(real, tmp_path: Path):
    world, served = real
    blind = HttpExchange(unverified=True)
    chain = EstClient(blind, served.origin).cacerts(pin=world.pki.root.digest)
    blind.close()
    anchors = chain[-1].pem
    private = key()
    known = HttpExchange(anchors=anchors)
    anna = EstClient(known, served.origin, invitation=world.invite()).enroll(csr(private=private))
    assert isinstance(anna, Certificate)
    known.close()
    identity = TlsFiles(certificate_file=tmp_path / "anna.pem", key_file=tmp_path / "anna.key")
    identity.certificate_file.write_bytes(anna.pem)
    identity.key_file.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    shown = HttpExchange(anchors=anchors, identity=identity)
    newer = EstClient(shown, served.origin).reenroll(csr(private=key()))
    assert isinstance(newer, Certificate)
    shown.close()
    # whoever is of another root is not even heard
    stranger, _, other = make_pki(at=world.clock.now()).issue("person", ANNA)
    identity.certificate_file.write_bytes(stranger.pem)
    identity.key_file.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    foreign = HttpExchange(anchors=anchors, identity=identity)
    with pytest.raises(Unreachable):
        EstClient(foreign, served.origin).reenroll(csr())
    foreign.close()
    assert secrets.compare_digest(chain[-1].digest, world.pki.root.digest)
