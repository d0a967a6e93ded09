"""The CMP door: what it gives, and what it refuses with which rule; our client speaks to it in memory."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest

from e2s.base.errors import Refusal, Unreachable
from e2s.base.http import Request, Response
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import KeySigner, spki_of
from e2s.crypto.password_mac import MAX_ITERATIONS
from e2s.crypto.suites.identifiers import NULL, SHA256, algorithm
from e2s.security.certificates.certify import request
from e2s.security.cmp import states, store
from e2s.security.cmp.answers import Confirmation, confirmation, poll_request, read_certified, read_error
from e2s.security.cmp.client import CmpClient
from e2s.security.cmp.enrolled import Enrolled, Waiting
from e2s.security.cmp.header import Header
from e2s.security.cmp.lapsing import TOLERANCE
from e2s.security.cmp.message import Part, protected_part, read_message, write_message
from e2s.security.cmp.pieces import Information
from e2s.security.cmp.protection import Shared, Signed, protected_message
from e2s.security.cmp.requests import Ending, Named, write_ending, write_request
from e2s.security.cmp.transactions import CONFIRMING
from e2s.security.cmp.vocabulary import IMPLICIT_CONFIRM, MAX_MESSAGE_BYTES, MEDIA_TYPE, Body
from e2s.security.pki.statement import request_stated
from tests.worlds.enrolment import ANNA, World, key

BOX, OTHER = "urn:e2s:market:alpha:box", "urn:e2s:market:alpha:other"
STAMPS = "urn:e2s:market:authority:stamps"


class Line:
    """Carries a client's messages to a door, and remembers them; ``lost`` answers do not arrive."""

    def __init__(self, door) -> None:
        self.door = door
        self.sent: list[bytes] = []
        self.lost = 0

    def send(self, _origin: str, asked: Request) -> Response:
        self.sent.append(asked.body)
        answer = self.door(asked)
        if self.lost:
            self.lost -= 1
            raise Unreachable("lost", "the answer did not arrive")
        return answer


class Place:
    """A world, its CMP door, and clients before it."""

    def __init__(self, folder, **more) -> None:
        self.world = World(folder, **more)
        self.door = self.world.door("cmp")
        self.line = Line(self.door)

    def client(self, protector, **more) -> CmpClient:
        world = self.world

        def judge(certificate, beside) -> None:
            world.trust.check_certificate(certificate, beside, purpose=None, name=None, at=world.clock.now())

        return CmpClient(
            exchange=self.line,
            origin="http://enrol",
            protector=protector,
            clock=world.clock,
            random=secrets.token_bytes,
            judge=judge,
            **more,
        )

    def invited(self, profile="component", names=(BOX,), way="pbmac1") -> Shared:
        reference, secret = self.world.invite(profile, names)
        return Shared(reference=reference.encode(), secret=secret, random=secrets.token_bytes, way=way)

    def held(self, name=BOX) -> KeySigner:
        return self.world.enrolled("component", (name,))

    def post(self, octets: bytes) -> Response:
        return self.door(Request("POST", "/cmp", octets, {"content-type": MEDIA_TYPE}, "192.0.2.1"))

    def header(self, **more) -> Header:
        given = {"time": self.world.clock.now(), "transaction": secrets.token_bytes(16)}
        return Header(**{**given, "nonce": secrets.token_bytes(16), **more})

    def rule(self, octets: bytes) -> str:
        """What a message is refused with."""
        answer = self.post(octets)
        if answer.status == 200 and answer.headers.get("e2s-rule"):
            said = read_error(read_message(answer.body).body.content)
            assert said.details == (answer.headers["e2s-rule"],)
        return answer.headers.get("e2s-rule", "")

    def revoked(self, certificate: bytes | Certificate) -> bool:
        read = certificate if isinstance(certificate, Certificate) else Certificate.read(certificate)
        return self.world.desk.revoked(read.serial)

    def states(self) -> list[str]:
        with self.door.database.reading() as connection:
            return [row.state for row in connection.execute(store.TRANSACTION.select())]


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    made.door.close()
    made.world.close()


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """One place for tests that look at their own messages alone."""
    made = Place(tmp_path_factory.mktemp("standing"))
    yield made
    made.door.close()
    made.world.close()


def ir(place: Place, private=None, *, names=(), implicit=True) -> tuple[Header, Part]:
    """A request for a component's certificate, not protected yet."""
    information = (Information(IMPLICIT_CONFIRM, NULL),) if implicit else ()
    content = write_request(private or key(), subject=der.sequence(), names=names)
    return place.header(information=information), Part(Body.IR, content)


# ------------------------------------------------------------------ what is given


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("way", ["pbm", "pbmac1"])
def test_by_a_secret(place, way, implicit):
    private = key()
    client = place.client(place.invited(way=way), implicit=implicit)
    made = client.initial(private, subject=der.sequence(), names=(BOX,))
    assert isinstance(made, Enrolled)
    assert (made.certificate.names, made.chain, made.anchors) == (
        (BOX,), (place.world.pki.operating,), (place.world.pki.root,))  # fmt: skip
    assert place.states() == ["done"]
    assert len(place.line.sent) == 2 - implicit


@pytest.mark.parametrize("implicit", [True, False])
def test_renewed_by_the_key_that_it_replaces(place, implicit):
    held, new = place.held(), key()
    made = place.client(Signed(signer=held), implicit=implicit).renew(new)
    assert isinstance(made, Enrolled)
    assert made.certificate.names == held.certificate.names
    assert made.certificate.spki == spki_of(new.public_key())


def test_by_pkcs_10_and_for_a_profile_by_name(place):
    private = key()
    client = place.client(place.invited("person", (ANNA,)), profile="person")
    made = client.by_pkcs10(request(private, (ANNA,)), spki_of(private.public_key()))
    assert isinstance(made, Enrolled)
    with pytest.raises(Refusal, match="wrong-profile"):
        replace(client, profile="officer").by_pkcs10(request(key(), (ANNA,)), b"")


@pytest.mark.parametrize("suite", ["x25519-aes256gcm", "ml-kem-768-aes256gcm"])
def test_a_key_that_signs_nothing_by_a_statement(place, suite):
    """Of the key that its holder has certified (RFC 9883); CMP's own proofs for it are not spoken."""
    holder = place.world.enrolled("person", (ANNA,))
    private = key(suite)
    client = place.client(place.invited("person", (ANNA,)), profile="person-agreement")
    octets = request_stated(private.public_key(), (ANNA,), holder)
    made = client.by_pkcs10(octets, spki_of(private.public_key()))
    assert isinstance(made, Enrolled)
    assert made.certificate.subject == holder.certificate.subject


@pytest.mark.parametrize("suite", ["ed25519", "ed448", "ml-dsa-65", "rsa3072-pss-sha256"])
def test_each_kind_of_key_and_of_ca(tmp_path_factory, suite):
    """A signature that fixes no digest has it said beside the confirmation (RFC 9810, 5.3.18)."""
    made = Place(tmp_path_factory.mktemp("suite"), suite=suite)
    private = key(suite)
    first = made.client(made.invited(), implicit=False).initial(private, subject=der.sequence())
    assert isinstance(first, Enrolled)
    held = KeySigner(first.certificate, first.chain, private)
    renewed = made.client(Signed(signer=held), implicit=False).renew(key(suite))
    assert isinstance(renewed, Enrolled)
    assert made.states() == ["done", "done"]
    made.door.close()
    made.world.close()


def test_the_same_request_is_the_same_certificate_at_every_door(place):
    """But for its serial: the desk decides, not the door."""
    by_cmp = place.client(place.invited()).initial(key(), subject=der.sequence(), names=(BOX,))
    assert isinstance(by_cmp, Enrolled)
    by_desk = place.held()
    assert by_cmp.certificate.ekus == by_desk.certificate.ekus
    assert by_cmp.certificate.subject == by_desk.certificate.subject


def test_who_waits_asks_again(place):
    client = place.client(place.invited("tsa", (STAMPS,)))
    waits = client.initial(key(), subject=der.sequence())
    assert isinstance(waits, Waiting)
    waits = client.ask_again(waits)
    assert isinstance(waits, Waiting)
    assert waits.seconds == place.world.policy.retry_seconds
    place.world.decide(place.world.requests("waiting")[0].case)
    made = client.ask_again(waits)
    assert isinstance(made, Enrolled)
    assert made.certificate.names == (STAMPS,)
    with pytest.raises(Refusal, match="cmp-step"):
        client.ask_again(waits)


def test_who_is_declined_hears_why(place):
    client = place.client(place.invited("tsa", (STAMPS,)))
    waits = client.initial(key(), subject=der.sequence())
    place.world.decide(place.world.requests("waiting")[0].case, "decline", why="not yet")
    with pytest.raises(Refusal, match="declined: not yet"):
        client.ask_again(waits)


def test_a_holder_ends_her_own_certificate_alone(place):
    held, other = place.held(), place.held(OTHER)
    client = place.client(Signed(signer=held))
    with pytest.raises(Refusal, match="foreign-certificate"):
        client.revoke(other.certificate)
    client.revoke(held.certificate, "superseded")
    assert place.revoked(held.certificate)
    assert not place.revoked(other.certificate)


def test_what_the_ca_tells(standing):
    place = standing
    found = place.client(place.invited()).ca_certificates()
    assert found == (place.world.pki.operating,)


# ------------------------------------------------------------------ repeats and kills


@pytest.mark.parametrize("implicit", [True, False])
def test_a_repeat_of_a_lost_answer_is_answered_as_the_first_was(place, implicit):
    shared = place.invited()
    octets = protected_message(*ir(place, implicit=implicit), shared)
    first, again = place.post(octets).body, place.post(octets).body
    assert first == again
    assert len(place.world.requests("issued")) == 1


def test_a_repeat_after_a_restart_is_the_same_too(place):
    shared = place.invited()
    octets = protected_message(*ir(place, implicit=False), shared)
    first = place.post(octets).body
    place.door.close()
    place.world.reopen()
    place.door = place.world.door("cmp")
    assert place.post(octets).body == first


def test_what_was_noted_and_never_answered_is_revoked_in_time(place, monkeypatch):
    """Killed between the desk's word and its record: nobody knows whether the certificate is wanted."""
    octets = protected_message(*ir(place, implicit=False), place.invited())
    acts = type(place.door)
    monkeypatch.setattr(place.door._transactions, "_conclude", _killed)
    with pytest.raises(KeyboardInterrupt):
        place.post(octets)
    assert place.states() == ["asked"]
    place.door.close()
    place.door = place.world.door("cmp")
    assert isinstance(place.door, acts)
    (row,) = place.world.requests("issued")
    place.door.tick(place.world.clock.forward(seconds=CONFIRMING.total_seconds() - 1))
    assert not place.revoked(row.certificate)
    place.door.tick(place.world.clock.forward(seconds=2))
    assert place.revoked(row.certificate)
    assert place.states() == ["lapsed"]


def _killed(*_arguments, **_more):
    raise KeyboardInterrupt


def unconfirmed(place) -> tuple[Shared, Header, Certificate]:
    """A certificate that waits to be confirmed, and the answer's header."""
    shared = place.invited()
    answer = read_message(place.post(protected_message(*ir(place, implicit=False), shared)).body)
    return shared, answer.header, Certificate.read(read_certified(answer.body.content).certificate)


def confirm(place, protector, answer: Header, digest: bytes, **more) -> bytes:
    header = place.header(**{"transaction": answer.transaction, "answered": answer.nonce, **more})
    return protected_message(header, Part(Body.CERT_CONF, confirmation(Confirmation(digest, 0))), protector)


def test_what_is_not_confirmed_in_time_is_revoked_whatever_was_killed(place):
    shared, answer, made = unconfirmed(place)
    octets = confirm(place, shared, answer, sha256(made.der).digest())
    place.door.close()
    place.door = place.world.door("cmp")
    late = place.world.clock.forward(seconds=CONFIRMING.total_seconds() + 1)
    assert place.rule(octets) == "cmp-time"
    place.door.tick(late)
    assert place.revoked(made)
    assert place.states() == ["lapsed"]
    assert place.rule(confirm(place, shared, answer, sha256(made.der).digest())) == "cmp-too-late"
    place.door.tick(place.world.clock.forward(hours=1))
    assert place.states() == []


def test_what_is_confirmed_stays_and_is_confirmed_once(place):
    shared, answer, made = unconfirmed(place)
    octets = confirm(place, shared, answer, sha256(made.der).digest())
    assert read_message(place.post(octets).body).body.kind is Body.PKICONF
    assert read_message(place.post(octets).body).body.kind is Body.PKICONF
    place.door.tick(place.world.clock.forward(hours=1))
    assert not place.revoked(made)


def test_an_empty_confirmation_takes_nothing(place):
    shared, answer, made = unconfirmed(place)
    header = place.header(transaction=answer.transaction, answered=answer.nonce)
    octets = protected_message(header, Part(Body.CERT_CONF, der.sequence()), shared)
    assert read_message(place.post(octets).body).body.kind is Body.PKICONF
    assert place.revoked(made)


# ------------------------------------------------------------------ attacks


def test_a_confirmation_of_another_certificate(place):
    shared, answer, made = unconfirmed(place)
    assert place.rule(confirm(place, shared, answer, sha256(b"else").digest())) == "cmp-certificate-hash"
    assert place.rule(confirm(place, shared, answer, b"")) == "cmp-certificate-hash"
    assert place.states() == ["issued"]
    assert not place.revoked(made)


def test_a_confirmation_that_answers_nothing_of_ours(place):
    shared, answer, made = unconfirmed(place)
    digest = sha256(made.der).digest()
    assert place.rule(confirm(place, shared, answer, digest, answered=secrets.token_bytes(16))) == "cmp-nonce"
    assert (
        place.rule(confirm(place, shared, answer, digest, transaction=secrets.token_bytes(16))) == "cmp-step"
    )


def test_a_transaction_of_another_is_not_gone_on_with(place):
    _shared, answer, made = unconfirmed(place)
    octets = confirm(place, place.invited(), answer, sha256(made.der).digest())
    assert place.rule(octets) == "cmp-transaction"
    assert place.rule(confirm(place, Signed(signer=place.held()), answer, b"")) == "cmp-transaction"


def test_a_transaction_is_used_once(place):
    shared = place.invited()
    header, body = ir(place)
    place.post(protected_message(header, body, shared))
    _, other = ir(place)
    assert place.rule(protected_message(header, other, shared)) == "cmp-transaction"
    swapped = replace(header, transaction=secrets.token_bytes(16))
    assert place.post(protected_message(swapped, body, shared)).headers.get("e2s-rule") is None
    assert len(place.world.requests("issued")) == 1  # the invitation was used


def test_every_altered_octet_is_refused(place):
    shared = place.invited()
    octets = protected_message(*ir(place), shared)
    for at in range(0, len(octets), 7):
        bent = octets[:at] + bytes((octets[at] ^ 1,)) + octets[at + 1 :]
        answer = place.post(bent)
        assert answer.headers.get("e2s-rule"), at
        place.door._desk._tries = type(place.door._desk._tries)(5, timedelta(minutes=1))
    assert place.world.requests("issued") == []


def test_a_wrong_secret_is_counted(place):
    shared = replace(place.invited(), secret=b"x" * 32)
    rules = [place.rule(protected_message(*ir(place), shared)) for _ in range(6)]
    assert rules[0] == "wrong-code"
    assert rules[-1] == "too-many-tries"


@pytest.mark.parametrize("seconds", [-1, 1])
def test_a_message_of_another_time(place, seconds):
    header, body = ir(place)
    at = place.world.clock.now() + seconds * (TOLERANCE + timedelta(seconds=1))
    shared = place.invited()
    assert place.rule(protected_message(replace(header, time=at), body, shared)) == "cmp-time"
    assert place.rule(protected_message(replace(header, time=None), body, shared)) == "cmp-time"


def test_a_replay_when_its_time_is_over(place):
    octets = protected_message(*ir(place), place.invited())
    place.post(octets)
    place.world.clock.forward(seconds=TOLERANCE.total_seconds() + 1)
    assert place.rule(octets) == "cmp-time"


def test_an_unprotected_message(standing):
    place = standing
    assert place.rule(write_message(*ir(place))) == "cmp-unprotected"


def test_an_invitation_that_is_none(standing):
    place = standing
    shared = replace(place.invited(), reference=b"nobody")
    assert place.rule(protected_message(*ir(place), shared)) in {"no-such-invitation", "bad-code"}
    assert place.rule(protected_message(*ir(place), replace(shared, reference=b""))) == "no-such-invitation"


def pbm(salt: bytes, iterations: int) -> bytes:
    parameters = der.sequence(
        der.octet_string(salt), SHA256, der.integer(iterations), algorithm(oids.HMAC_SHA256, NULL)
    )
    return algorithm(oids.PASSWORD_MAC, parameters)


@pytest.mark.parametrize("iterations", [MAX_ITERATIONS + 1, 2**31, 2**100, 1, 0, -5])
@pytest.mark.parametrize("way", ["pbm", "pbmac1"])
def test_iterations_beyond_reason_cost_nothing(standing, way, iterations):
    place = standing
    shared = place.invited()
    header, body = ir(place)
    named = pbm(b"s" * 16, iterations)
    if way == "pbmac1":
        mac = algorithm(oids.HMAC_SHA256, NULL)
        derived = der.sequence(der.octet_string(b"s" * 16), der.integer(iterations), der.integer(32), mac)
        named = algorithm(oids.PBMAC1, der.sequence(algorithm(oids.PBKDF2, derived), mac))
    header = replace(header, sender_key=shared.reference, algorithm=named)
    assert place.rule(write_message(header, body, b"m" * 32)) == "mac-iterations"


def test_a_message_that_is_too_large(standing):
    place = standing
    answer = place.post(b"\x30\x84" + MAX_MESSAGE_BYTES.to_bytes(4, "big") + bytes(MAX_MESSAGE_BYTES))
    assert (answer.status, answer.headers["e2s-rule"]) == (413, "too-large")


def test_another_kind_of_message(standing):
    place = standing
    assert place.door(Request("GET", "/cmp")).status == 405
    assert place.door(Request("POST", "/cmp", b"", {"content-type": "text/plain"})).status == 415
    assert place.post(b"").status == 400
    shared = place.invited()
    assert place.rule(protected_message(place.header(), Part(Body.IP, der.sequence()), shared)) == "cmp-body"


def test_several_requests_in_one_message(standing):
    place = standing
    header, body = ir(place)
    twice = der.tlv(der.SEQUENCE, 2 * der.Reader(body.content).content(der.SEQUENCE))
    shared = place.invited()
    assert place.rule(protected_message(header, Part(Body.IR, twice), shared)) == "cmp-one-request"
    assert place.rule(protected_message(header, Part(Body.IR, der.sequence()), shared)) == "cmp-one-request"


@pytest.mark.parametrize("proof", [b"", b"\x80\0", b"\xa2\x03\x81\x01\0", b"\xa3\x03\x81\x01\0"])
def test_possession_is_proven_by_a_signature_alone(standing, proof):
    place = standing
    content = write_request(key(), subject=der.sequence())
    asked = der.Reader(content).enter().enter().element()
    header, _ = ir(place)
    body = Part(Body.IR, der.sequence(der.sequence(asked, proof)))
    assert place.rule(protected_message(header, body, place.invited())) == "cmp-possession"


def test_possession_of_another_key(standing):
    place = standing
    mine, his = (write_request(key(), subject=der.sequence()) for _ in range(2))
    asked = der.Reader(his).enter().enter().element()
    reader = der.Reader(mine).enter().enter()
    reader.element()
    body = Part(Body.IR, der.sequence(der.sequence(asked, reader.element())))
    assert place.rule(protected_message(place.header(), body, place.invited())) == "cmp-possession"


def test_a_renewal_of_anothers_certificate(standing):
    place = standing
    held, other = place.held(), place.held(OTHER)
    named = Named(other.certificate.slices.issuer, other.certificate.serial)
    content = write_request(key(), subject=der.sequence(), old=named)
    octets = protected_message(place.header(), Part(Body.KUR, content), Signed(signer=held))
    assert place.rule(octets) == "foreign-certificate"


def test_a_renewal_by_an_invitation(standing):
    place = standing
    content = write_request(key(), subject=der.sequence())
    octets = protected_message(place.header(), Part(Body.KUR, content), place.invited())
    assert place.rule(octets) == "cmp-renewal"


def test_a_renewal_under_other_names(standing):
    place = standing
    client = place.client(Signed(signer=place.held()))
    with pytest.raises(Refusal, match="names-differ"):
        client.renew(key(), names=(OTHER,))


def test_a_certificate_of_another_ca(place, tmp_path_factory):
    stranger = World(tmp_path_factory.mktemp("stranger"))
    foreign = stranger.enrolled("component", (BOX,))
    stranger.close()
    with pytest.raises(Refusal, match="other-ca"):
        place.client(Signed(signer=foreign)).renew(key())


def test_a_certificate_beside_the_message_that_did_not_sign_it(standing):
    place = standing
    held, other = place.held(), place.held(OTHER)
    header, body = place.header(), Part(Body.KUR, write_request(key(), subject=der.sequence()))
    header = Signed(signer=held).begin(header)
    protection = other.sign(protected_part(header, body))
    assert place.rule(write_message(header, body, protection, (held.certificate,))) == "cmp-protection"
    assert place.rule(write_message(header, body, protection, (other.certificate,))) == "cmp-sender"
    assert place.rule(write_message(header, body, protection)) == "cmp-no-certificate"


def test_an_invitation_revokes_what_it_gave_alone(place):
    shared, other = place.invited(), place.held(OTHER)
    named = Named(other.certificate.slices.issuer, other.certificate.serial)
    octets = protected_message(place.header(), Part(Body.RR, write_ending(Ending(named))), shared)
    assert place.rule(octets) == "not-yours"
    assert not place.revoked(other.certificate)


@pytest.mark.parametrize("code", [6, 7, 8, 99])
def test_a_reason_that_is_none(standing, code):
    place = standing
    held = place.held()
    named = Named(held.certificate.slices.issuer, held.certificate.serial)
    body = Part(Body.RR, write_ending(Ending(named, code)))
    assert place.rule(protected_message(place.header(), body, Signed(signer=held))) in {
        "bad-reason",
        "cmp-request",
    }
    assert not place.revoked(held.certificate)


def test_refusals_are_on_record_and_counted(place):
    for _ in range(5):
        place.rule(write_message(*ir(place)))
    with place.door.database.reading() as connection:
        assert len(store.OUTBOX.waiting(connection, "audit")) == 1
    place.door.tick(place.world.clock.forward(minutes=2))
    with place.door.database.reading() as connection:
        assert b'"times":4' in store.OUTBOX.waiting(connection, "audit")[1][1]


# ------------------------------------------------------------------ the client's own care


def test_a_client_takes_no_answer_by_others(place):
    """An answer to another message, by another secret, or by a signer that it does not trust."""
    client = place.client(place.invited())
    client.initial(key(), subject=der.sequence())
    old = place.post(place.line.sent[0])
    stale = replace(client, exchange=_Says(old))
    with pytest.raises(Refusal, match="cmp-nonce"):
        stale.initial(key(), subject=der.sequence())
    with pytest.raises(Refusal, match="unknown-root"):
        _renewed_by_a_stranger(place)


def _renewed_by_a_stranger(place) -> None:
    def judge(_certificate, _beside) -> None:
        raise Refusal("unknown-root", "nobody knows it")

    replace(place.client(Signed(signer=place.held())), judge=judge).renew(key())


class _Says:
    """Whatever is asked, one answer."""

    def __init__(self, answer: Response) -> None:
        self._answer = answer

    def send(self, _origin: str, _asked: Request) -> Response:
        return self._answer


def test_a_client_rejects_a_certificate_of_another_key(place):
    client = place.client(place.invited("person", (ANNA,)), implicit=False)
    with pytest.raises(Refusal, match="cmp-answer"):
        client.by_pkcs10(request(key(), (ANNA,)), b"another key")
    assert place.revoked(place.world.requests("issued")[-1].certificate)


# ------------------------------------------------------------------ states


@pytest.mark.parametrize("state", sorted(states.STATES))
@pytest.mark.parametrize("event", sorted(states.EVENTS))
def test_each_cell_of_the_table(state, event):
    wanted = states.NEXT.get((state, event))
    if wanted is not None:
        assert states.follow(state, event) == wanted
        return
    with pytest.raises(Refusal) as refused:
        states.follow(state, event)
    late = event == "confirm" and state in {"lapsing", "lapsed"}
    assert refused.value.rule == (
        "cmp-transaction" if event == "ask" else "cmp-too-late" if late else "cmp-step"
    )


@pytest.mark.parametrize("state", sorted(states.STATES - {"new"}))
@pytest.mark.parametrize("body", [Body.CERT_CONF, Body.POLL_REQ, Body.IR], ids=lambda body: body.name)
def test_each_message_in_each_state(standing, state, body):
    """What has no place in a state is refused by the door, too."""
    place = standing
    shared, answer, made = unconfirmed(place)
    with place.door.database.transaction() as connection:
        store.change(connection, answer.transaction, state=state)
    header = place.header(transaction=answer.transaction, answered=answer.nonce)
    content = {
        Body.CERT_CONF: confirmation(Confirmation(sha256(made.der).digest(), 0)),
        Body.POLL_REQ: poll_request(0),
        Body.IR: write_request(key(), subject=der.sequence()),
    }[body]
    rule = place.rule(protected_message(header, Part(body, content), shared))
    good = {("issued", Body.CERT_CONF), ("waiting", Body.POLL_REQ)}
    late = body is Body.CERT_CONF and state in {"lapsing", "lapsed"}
    usual = "cmp-transaction" if body is Body.IR else "cmp-too-late" if late else "cmp-step"
    assert rule == ("" if (state, body) in good else usual)
