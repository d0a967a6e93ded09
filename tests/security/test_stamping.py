"""Time stamps are taken only when proven; OpenSSL and rfc3161-client read ours, and we read OpenSSL's."""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cached_property

import pytest
import rfc3161_client
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.database import Database
from e2s.base.errors import Misuse, Refusal, Unreachable
from e2s.base.http import Request, Response
from e2s.crypto import der, stamps
from e2s.crypto.keys import KeySigner
from e2s.crypto.stamp_requests import message_imprint
from e2s.crypto.suites import signature_suite
from e2s.network.sessions.local import LocalExchange
from e2s.security.timestamping import authority as stamping
from e2s.security.timestamping.authority import (
    COMPARED,
    POLICY,
    QUERY,
    REPLY,
    Dating,
    StampAuthority,
    forget_newest,
)
from e2s.security.timestamping.client import StampClient, check_stamp
from e2s.security.timestamping.judging import judge_stamp
from e2s.security.verification.trust import HeldCrls, Trust
from tests.worlds.pki import START, SetClock, make_pki
from tests.worlds.small_disk import fill, small_disk  # noqa: F401

IMPRINT = hashlib.sha256(b"signature value").digest()
TSA = "urn:e2s:market:tsa"
FIRST, SPARE = "http://tsa", "http://spare"


class Office:
    """An authority with its spare, and a client of both."""

    def __init__(self, folder, suite="p256-sha256", above="p256-sha256"):
        self.pki = make_pki(suite=above)
        self.clock = SetClock()
        self.folder = folder
        self.database = Database.open(folder / "tsa.sqlite", stamping.TABLES)
        issued = self.pki.issue("tsa", TSA, suite=suite)
        self.signer = KeySigner(*issued, suite=signature_suite(suite))
        self.authority = self.open()
        self.exchange = LocalExchange({FIRST: self.authority.handle, SPARE: self.authority.handle})
        self.trust = self.pki.trust(self.clock)
        self.client = StampClient(
            exchange=self.exchange,
            authorities=(FIRST, SPARE),
            trust=self.trust,
            clock=self.clock,
            random=secrets.token_bytes,
        )

    @cached_property
    def token(self):
        return self.client.stamp(IMPRINT)

    def open(self, signer=None, clock=None, dating=COMPARED):
        return StampAuthority(
            signer or self.signer,
            self.database,
            component="tsa",
            clock=clock or self.clock,
            random=secrets.token_bytes,
            dating=dating,
        )

    def events(self):
        with self.database.reading() as connection:
            return [body for _, body in self.authority.outbox.waiting(connection, "audit")]


@pytest.fixture
def office(tmp_path):
    made = Office(tmp_path)
    yield made
    made.authority.close()


def ask(office, body, content_type=QUERY, method="POST"):
    return office.authority.handle(Request(method, "/", body, {"content-type": content_type}))


def test_stamp_is_proven_and_on_record(office):
    token = office.client.stamp(IMPRINT)
    stamp, verdict = check_stamp(token, IMPRINT, office.trust)
    assert stamp.at == office.clock.now()
    assert verdict.anchor == office.pki.root
    assert f'"serial":"{stamp.serial:x}"'.encode() in office.events()[0]


def test_serials_differ(office):
    serials = {stamps.read_token(office.client.stamp(IMPRINT)).serial for _ in range(5)}
    assert len(serials) == 5


def down(_request):
    raise Unreachable("unreachable")


def test_tsa_down(office):
    office.exchange.doors[FIRST] = down
    assert office.client.stamp(IMPRINT)
    office.exchange.doors[SPARE] = down
    with pytest.raises(Unreachable, match="no-stamp"):
        office.client.stamp(IMPRINT)


def fails(office, door):
    office.exchange.doors[FIRST] = door
    assert office.client.stamp(IMPRINT), "the spare serves"
    office.exchange.doors[SPARE] = door
    with pytest.raises(Unreachable, match="no-stamp") as caught:
        office.client.stamp(IMPRINT)
    return str(caught.value.facts["tried"]).split("http://tsa: ")[1].split(";")[0]


def test_replayed_stamp(office):
    query = stamps.request(IMPRINT, 5)
    old = ask(office, query)
    assert fails(office, lambda _request: old) == "wrong-nonce"


def test_stamp_over_something_else(office):
    def other(request):
        nonce = stamps.read_request(request.body).nonce
        assert nonce is not None
        return ask(office, stamps.request(hashlib.sha256(b"other").digest(), nonce))

    assert fails(office, other) == "wrong-imprint"


def test_rejection(office):
    assert fails(office, lambda _request: ask(office, b"garbage")) == "stamp-not-granted"


@pytest.mark.parametrize("off", [timedelta(minutes=5), timedelta(minutes=-5)])
def test_authority_with_a_wrong_clock(office, off):
    wrong = office.open(office.pki.signer("tsa", TSA), SetClock(START + off))
    assert fails(office, wrong.handle) == "stamp-time"


def test_authority_of_another_community(office):
    stranger = office.open(make_pki().signer("tsa", TSA))
    assert fails(office, stranger.handle) == "unknown-root"


def test_revoked_authority(office):
    signer = office.pki.signer("tsa", TSA)
    office.pki.revoke(signer.certificate)
    assert fails(office, office.open(signer).handle) == "revoked"


def test_key_for_something_else(office):
    with pytest.raises(Misuse, match="wrong-purpose"):
        office.open(office.pki.signer("merchant", TSA))


def test_stamp_by_a_key_for_something_else(office):
    signer = office.pki.signer("merchant", TSA)

    def door(request):
        reply = stamps.respond(request.body, signer, 7, office.clock.now(), POLICY)
        return Response(200, reply, {"content-type": REPLY})

    assert fails(office, door) == "wrong-purpose"


def test_stamp_outlives_its_authoritys_certificate(office):
    token = office.client.stamp(IMPRINT)
    crls = office.pki.crls()
    later = Trust(office.pki.verifier(), HeldCrls(crls))
    check_stamp(token, IMPRINT, later)
    with pytest.raises(Refusal, match="expired"):
        check_stamp(token, IMPRINT, later, at=START + timedelta(days=3000))


@pytest.mark.parametrize(
    ("reason", "counts"),
    [
        ("superseded", True),
        ("affiliationChanged", True),
        ("cessationOfOperation", True),
        ("keyCompromise", False),
        ("cACompromise", False),
        ("certificateHold", False),
        ("unspecified", False),
    ],
)
def test_a_stamp_of_an_authority_that_was_revoked_later(office, reason, counts):
    stamp = stamps.check_token(office.token, IMPRINT)
    verifier, later = office.pki.verifier(), START + timedelta(days=20)
    whole = {"crls": office.pki.crls(later), "require_revocation": True}
    assert judge_stamp(stamp, verifier, **whole).accepted
    office.pki.revoke(office.signer.certificate, START + timedelta(days=10), reason)
    verdict = judge_stamp(stamp, verifier, crls=office.pki.crls(later), require_revocation=True)
    assert (verdict.accepted, verdict.rule) == (counts, "" if counts else "revoked")
    office.pki.revoke(office.signer.certificate, START - timedelta(days=1), reason)
    crls = office.pki.crls(later)
    assert not judge_stamp(stamp, verifier, crls=crls[::-1], at=later, require_revocation=True).accepted


def test_a_stamp_of_a_certain_authority(office):
    stamp = stamps.check_token(office.token, IMPRINT)
    assert judge_stamp(stamp, office.pki.verifier(), name=TSA).accepted
    assert judge_stamp(stamp, office.pki.verifier(), name=f"{TSA}-2").rule == "wrong-name"


def test_no_stamp_is_released_that_is_not_on_record_when_the_authority_is_killed(tmp_path):
    program = f"""
import pathlib, sys
from tests.security.test_stamping import IMPRINT, Office, stamps
office = Office(pathlib.Path({str(tmp_path)!r}))
query = stamps.request(IMPRINT, 5)
while True:
    reply = stamps.read_response(office.authority.answer(query))
    sys.stdout.write(f"{{stamps.read_token(reply).serial:x}}\\n")
    sys.stdout.flush()
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        given = [process.stdout.readline() for _ in range(20)]
        process.kill()
        given += process.stdout.readlines()
    office = Office(tmp_path)
    with office.database.reading() as connection:
        record = b"".join(
            body for _, body in office.authority.outbox.waiting(connection, "audit", most=10_000)
        )
    whole = [one.strip() for one in given if one.endswith(b"\n")]
    assert len(whole) >= 20
    assert [serial for serial in whole if b'"serial":"%b"' % serial not in record] == []
    office.authority.close()


def test_only_queries(office):
    query = stamps.request(IMPRINT, 5)
    assert ask(office, query, method="GET").status == 405
    assert ask(office, query, content_type="text/plain").status == 415
    assert ask(office, query, content_type=QUERY.upper() + "; x=y").status == 200


def granted(office, query):
    reply = ask(office, query)
    assert reply.status == 200
    try:
        stamps.read_response(reply.body)
    except Refusal as refusal:
        assert refusal.rule == "stamp-not-granted"
        return False
    return True


@given(data=st.data())
def test_garbage_queries_are_rejected(tmp_path_factory, data):
    office = shared(tmp_path_factory)
    query = stamps.request(IMPRINT, 5)
    start = data.draw(st.integers(0, len(query)))
    bent = query[:start] + data.draw(st.binary(max_size=8)) + query[start + data.draw(st.integers(0, 8)) :]
    granted(office, bent)
    assert not granted(office, data.draw(st.binary(max_size=80)))


OFFICES: list[Office] = []


def shared(factory):
    """One office for all examples: a database is not opened for each."""
    if not OFFICES:
        OFFICES.append(Office(factory.mktemp("tsa")))
    return OFFICES[0]


@given(data=st.data())
def test_altered_tokens_are_refused(tmp_path_factory, data):
    office = shared(tmp_path_factory)
    token = office.token
    place = data.draw(st.integers(0, len(token) * 8 - 1))
    bent = bytearray(token)
    bent[place // 8] ^= 1 << (place % 8)
    try:
        check_stamp(bytes(bent), IMPRINT, office.trust)
    except Refusal:
        return
    # What is not signed may vary; all that is signed, and by whom, is as it was.
    assert same_content(bytes(bent), token)


def same_content(one, two):
    """Whether two tokens sign the same, by the same certificate."""
    first, second = (stamps.read_token(token).signed for token in (one, two))
    return first.octets == second.octets and first.signer_certificate == second.signer_certificate


@pytest.fixture
def files(office, tmp_path):
    (tmp_path / "root.pem").write_bytes(office.pki.root.pem)
    (tmp_path / "chain.pem").write_bytes(office.pki.operating.pem)
    (tmp_path / "data").write_bytes(b"signature value")
    return tmp_path


def openssl(*arguments, folder):
    done = subprocess.run(
        ["openssl", *arguments], cwd=folder, capture_output=True, check=False, stdin=subprocess.DEVNULL
    )
    return done.returncode == 0, (done.stdout + done.stderr).decode()


VERIFY = ("ts", "-verify", "-CAfile", "root.pem", "-untrusted", "chain.pem")


@pytest.mark.tool
# its verifier of stamps knows RSA by PKCS#1 v1.5 only
@pytest.mark.parametrize("suite", ["p256-sha256", "p384-sha384", "rsa3072-pkcs1-sha256"])
def test_openssl_reads_ours(files, suite):
    office = Office(files / suite, suite)
    (files / "root.pem").write_bytes(office.pki.root.pem)
    (files / "chain.pem").write_bytes(office.pki.operating.pem)
    assert openssl("ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "query", folder=files)[0]
    query = (files / "query").read_bytes()
    (files / "reply").write_bytes(ask(office, query).body)
    at = str(int(START.timestamp()))
    good, text = openssl(*VERIFY, "-queryfile", "query", "-in", "reply", "-attime", at, folder=files)
    assert good, text
    (files / "token").write_bytes(office.client.stamp(IMPRINT))
    good, text = openssl(*VERIFY, "-data", "data", "-token_in", "-in", "token", "-attime", at, folder=files)
    assert good, text
    (files / "data").write_bytes(b"another value")
    assert not openssl(*VERIFY, "-data", "data", "-token_in", "-in", "token", "-attime", at, folder=files)[0]


@pytest.mark.tool
def test_we_read_openssls(files, office):
    certificate, chain, key = office.pki.issue("tsa", TSA)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (files / "tsa.key").write_bytes(pem)
    (files / "tsa.pem").write_bytes(certificate.pem)
    (files / "serial").write_text("0A\n")
    (files / "tsa.cnf").write_text(
        "[tsa]\ndefault_tsa = one\n[one]\nserial = serial\nsigner_digest = sha256\n"
        f"default_policy = {POLICY}\ndigests = sha256\nordering = no\ness_cert_id_chain = no\n"
        "ess_cert_id_alg = sha256\nclock_precision_digits = 0\n"
    )
    nonce = 2**60
    (files / "query").write_bytes(stamps.request(IMPRINT, nonce))
    good, text = openssl(
        *("ts", "-reply", "-config", "tsa.cnf", "-section", "one", "-queryfile", "query"),
        *("-signer", "tsa.pem", "-inkey", "tsa.key", "-chain", "chain.pem", "-out", "reply"),
        folder=files,
    )
    assert good, text
    token = stamps.read_response((files / "reply").read_bytes())
    crls = HeldCrls(office.pki.crls())
    stamp, verdict = check_stamp(token, IMPRINT, Trust(office.pki.verifier(), crls), at=START, nonce=nonce)
    assert (stamp.serial, stamp.policy) == (0x0B, POLICY)
    assert verdict.path == (certificate, *chain, office.pki.root)


def test_rfc3161_client_accepts_ours(office, clock_is_theirs):
    builder = rfc3161_client.TimestampRequestBuilder().data(b"signature value")
    query = builder.hash_algorithm(rfc3161_client.HashAlgorithm.SHA256).build()
    office.clock.at = clock_is_theirs
    assert query.nonce is not None
    reply = rfc3161_client.decode_timestamp_response(ask(office, query.as_bytes()).body)
    verifier = (
        rfc3161_client.VerifierBuilder()
        .add_root_certificate(x509.load_der_x509_certificate(office.pki.root.der))
        .add_intermediate_certificate(x509.load_der_x509_certificate(office.pki.operating.der))
        .nonce(query.nonce)
        .build()
    )
    assert verifier.verify_message(reply, b"signature value")
    with pytest.raises(rfc3161_client.VerificationError):
        verifier.verify_message(reply, b"another value")


@pytest.fixture
def clock_is_theirs():
    """The stamp's own time, at which that client judges."""
    return START + timedelta(hours=1)


def failure(reply: bytes) -> object:
    """The failure that a rejection names."""
    with pytest.raises(Refusal, match="stamp-not-granted") as caught:
        stamps.read_response(reply)
    return caught.value.facts["failure"]


SHA1 = der.sequence(
    der.sequence(der.oid("1.3.14.3.2.26"), der.tlv(der.NULL, b"")), der.octet_string(bytes(20))
)
EXTENDED = der.sequence(
    der.integer(1), message_imprint("sha256", IMPRINT), der.tlv(0xA0, der.sequence(der.oid("1.2.3"), b""))
)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (der.sequence(der.integer(1), SHA1), "badAlg"),
        (der.sequence(der.integer(2), SHA1), "badRequest"),
        (b"no query", "badDataFormat"),
        (bytes(70_000), "badDataFormat"),
        (stamps.request(IMPRINT, 5, policy="1.2.3"), "unacceptedPolicy"),
        (EXTENDED, "unacceptedExtension"),
    ],
    ids=["algorithm", "version", "garbage", "size", "policy", "extension"],
)
def test_each_refusal_names_its_failure_and_is_counted(office, query, wanted):
    for _ in range(3):
        assert failure(ask(office, query).body) == wanted
    first, *more = office.events()
    assert b'"stamp.refused"' in first
    assert not more, "the others are counted"
    office.clock.forward(minutes=2)
    office.authority.tick()
    assert b'"times":2' in office.events()[1]


def test_policies_are_chosen(office):
    authority = office.open(dating=Dating(policies=(POLICY, "1.2.3")))
    for policy in (None, POLICY, "1.2.3"):
        token = stamps.read_response(authority.answer(stamps.request(IMPRINT, 5, policy=policy)))
        assert stamps.read_token(token).policy == (policy or POLICY)
    assert failure(authority.answer(stamps.request(IMPRINT, 5, policy="1.2.4"))) == "unacceptedPolicy"


def test_time_never_goes_back_even_over_a_restart(office):
    strict = Dating()
    query = stamps.request(IMPRINT, 5)
    authority = office.open(dating=strict)
    office.clock.forward(hours=1)
    stamps.read_response(authority.answer(query))
    office.clock.forward(seconds=-1)
    stamps.read_response(authority.answer(query))
    office.clock.forward(seconds=-1)
    again = office.open(dating=strict)
    for one in (authority, again):
        assert failure(one.answer(query)) == "timeNotAvailable"
    forget_newest(office.database)
    stamps.read_response(office.open(dating=strict).answer(query))


@pytest.mark.parametrize(
    ("accuracy", "told"), [(timedelta(seconds=1), 0), (timedelta(milliseconds=999), 250_000)]
)
def test_who_claims_less_than_a_second_tells_fractions(office, accuracy, told):
    clock = SetClock(START + timedelta(microseconds=250_000))
    authority = office.open(clock=clock, dating=Dating(accuracy=accuracy))
    token = stamps.read_response(authority.answer(stamps.request(IMPRINT, 5)))
    assert stamps.read_token(token, foreign=True).at == START + timedelta(microseconds=told)
    assert stamps.read_token(token).at == START
    assert failure(authority.answer(b"")) == "badDataFormat"
    assert all(b":00Z" in event for event in office.events())


def test_a_clock_that_is_not_known_to_be_right(office):
    sound = [False]
    authority = office.open(dating=Dating(sound=lambda: sound[0]))
    assert failure(authority.answer(stamps.request(IMPRINT, 5))) == "timeNotAvailable"
    sound[0] = True
    stamps.read_response(authority.answer(stamps.request(IMPRINT, 5)))


def test_stamps_in_order(office):
    with pytest.raises(Misuse, match="bad-dating"):
        Dating(ordering=True, most_back=None)
    dating = Dating(ordering=True, named=True, accuracy=timedelta(milliseconds=250))
    query, found = stamps.request(IMPRINT, 5), []
    for _ in range(2):
        authority = office.open(dating=dating)
        with ThreadPoolExecutor(4) as pool:
            replies = pool.map(authority.answer, [query] * 20)
            found += [stamps.read_token(stamps.read_response(one), foreign=True) for one in replies]
    assert len({stamp.at for stamp in found}) == len({stamp.serial for stamp in found}) == 40
    assert {(stamp.ordering, stamp.accuracy) for stamp in found} == {(True, dating.accuracy)}


class Mute:
    """A signer whose token was removed."""

    def __init__(self, signer):
        self.certificate, self.chain, self.suite = signer.certificate, signer.chain, signer.suite

    def sign(self, _data):
        raise Refusal("token-removed", "the token was removed")


def test_a_key_that_does_not_sign_is_a_failure_of_the_system(office):
    authority = office.open(Mute(office.signer))
    assert failure(authority.answer(stamps.request(IMPRINT, 5))) == "systemFailure"
    assert b'"rule":"token-removed"' in office.events()[0]


def test_a_full_disk_dates_nothing(small_disk):  # noqa: F811
    office = Office(small_disk)
    query = stamps.request(IMPRINT, 5)
    assert ask(office, query).status == 200
    others = fill(small_disk)
    replies = [office.authority.answer(query) for _ in range(60)]
    assert failure(replies[-1]) == "systemFailure"
    others.unlink()
    stamps.read_response(office.authority.answer(query))
    given = sum(replies[n] != replies[-1] for n in range(60))
    assert sum(b'"stamp.issued"' in event for event in office.events()) == given + 2
    office.authority.close()


def test_nothing_is_granted_that_is_not_on_record(office, monkeypatch):
    def full(*_arguments):
        raise Unreachable("disk-full", "there is no room")

    monkeypatch.setattr(office.database, "transaction", full)
    assert failure(office.authority.answer(stamps.request(IMPRINT, 5))) == "systemFailure"


@pytest.mark.parametrize(
    ("suite", "above"),
    [
        ("ml-dsa-44", "p256-sha256"),
        ("ml-dsa-65", "ml-dsa-65"),
        ("ml-dsa-87", "ml-dsa-44"),
        ("p384-sha384", "ml-dsa-87"),
        ("ed25519", "p256-sha256"),
        ("rsa3072-pss-sha256", "p256-sha256"),
    ],
)
def test_authorities_of_each_kind_under_roots_of_each_kind(tmp_path, suite, above):
    office = Office(tmp_path, suite, above)
    token = office.client.stamp(IMPRINT)
    stamp, verdict = check_stamp(token, IMPRINT, office.trust)
    assert stamp.signed.signer_certificate == office.signer.certificate
    assert verdict.anchor == office.pki.root
    stamped = judge_stamp(stamp, office.pki.verifier(), crls=office.pki.crls(), require_revocation=True)
    assert stamped.accepted
    office.authority.close()


@pytest.mark.tool
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"])
def test_openssl_asks_and_verifies_by_each_digest(files, office, digest):
    at = str(int(START.timestamp()))
    for extra in ((), ("-cert",), ("-cert", "-no_nonce"), ("-cert", "-tspolicy", POLICY)):
        good, text = openssl(
            "ts", "-query", "-data", "data", f"-{digest}", *extra, "-out", "query", folder=files
        )
        assert good, text
        reply = office.open(dating=Dating(named=True)).answer((files / "query").read_bytes())
        (files / "reply").write_bytes(reply)
        whole = (*VERIFY, "-queryfile", "query", "-in", "reply", "-attime", at)
        if not extra:
            (files / "chain.pem").write_bytes(office.signer.certificate.pem + office.pki.operating.pem)
        good, text = openssl(*whole, folder=files)
        assert good, text
        assert (office.signer.certificate.der in reply) == bool(extra)


@pytest.mark.tool
def test_openssl_shows_our_refusals(files, office):
    (files / "reply").write_bytes(ask(office, stamps.request(IMPRINT, 5, policy="1.2.3")).body)
    _good, text = openssl("ts", "-reply", "-in", "reply", "-text", folder=files)
    assert "Status: Rejected" in text
    assert "the requested TSA policy is not supported" in text


def test_signer_and_certificate_belong_together(office):
    certificate, chain, _ = office.pki.issue("tsa", TSA)
    _, _, other = office.pki.issue("tsa", TSA)
    with pytest.raises(Misuse, match="wrong-key"):
        KeySigner(certificate, chain, other)
