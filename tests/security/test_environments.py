"""A PSE is delivered once, to who asked first with the invitation's secret; every attack on that is refused."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal
from e2s.base.http import Request
from e2s.crypto import oids
from e2s.crypto.cms import open_sealed, seal, sign
from e2s.security.environments import store, waiting
from e2s.security.environments.delivering import renewal_reference
from e2s.security.environments.documents import sealed
from e2s.security.environments.holding import Edges
from e2s.security.environments.in_token import TokenKeeper
from e2s.security.environments.joining import code_with_root, end, join, read_invitation, renew
from e2s.security.environments.kinds import read_kinds, shipped, written
from e2s.security.environments.messages import Ask, Look
from e2s.security.environments.parcel import read_answer
from e2s.security.environments.receiving import begin
from e2s.security.environments.service import door
from e2s.security.keys.container import Cost
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import SoftwarePse
from e2s.security.keys.where import open_key
from tests.worlds.enrolment import ANNA, World, csr
from tests.worlds.token import LABEL, PIN, place, tokens

__all__ = ["tokens"]

CHEAP = Cost(memory_kib=8, passes=1)
WORD = "a word of anna's"


class Escrow:
    """What was deposited, in its order."""

    def __init__(self):
        self.held = []

    def deposit(self, holder, certificate, key):
        self.held.append((holder, certificate, key))


class Wire:
    """Carries requests to a door in this process, and what a test does to them on the way."""

    def __init__(self, handler):
        self.handler = handler
        self.seen = []
        self.lose = ""
        self.bend = None

    def send(self, origin, request):
        del origin
        request = replace(request, client="192.0.2.1")
        if self.bend:
            request = self.bend(request)
        self.seen.append(request)
        response = self.handler(request)
        if self.lose and request.path == self.lose:
            self.lose = ""
            raise ConnectionResetError
        return response


class Delivery:
    """Key management, a holder's folder, and the wire between them."""

    def __init__(self, folder):
        self.world = World(folder)
        self.escrow = Escrow()
        self.folder = folder
        self.wire = Wire(None)
        self.open()

    def open(self):
        setting = self.world.setting(deposit=self.escrow, crls=self.world.lists.crls, origin="http://enrol")
        self.wire.handler = door(self.world.desk, setting)

    def later(self, **units):
        """Some time passes; key management renewed its own key meanwhile."""
        self.world.clock.forward(**units)
        self.wire.handler.close()
        self.open()

    @property
    def office(self):
        return self.wire.handler.office

    @property
    def edges(self):
        return Edges(clock=self.world.clock, random=secrets.token_bytes, cost=CHEAP)

    def invited(self, kind="person", names=(ANNA,)):
        reference, secret = self.world.invite(shipped()[kind].profile, names)
        with self.office.database.transaction() as connection:
            store.mean(connection, reference, kind, "{}")
        return read_invitation(code_with_root(reference, secret, self.world.pki.root))

    def join(self, invitation, name="anna.pse"):
        return join(self.folder / name, Phrase(WORD), invitation, "http://enrol", self.wire, self.edges)

    def pse(self, name="anna.pse"):
        return SoftwarePse.open(self.folder / name, Phrase(WORD))

    def renew(self, **more):
        return renew(self.folder / "anna.pse", Phrase(WORD), shipped(), self.wire, self.edges, **more)

    def state(self, reference):
        with self.office.database.reading() as connection:
            row = store.delivery(connection, reference)
        assert row is not None
        return row.state

    def kinds(self):
        with self.office.database.reading() as connection:
            rows = store.OUTBOX.waiting(connection, "audit", 1000)
        return [wire.decode(body)["kind"] for _, body in rows]


@pytest.fixture
def delivery(tmp_path):
    made = Delivery(tmp_path)
    yield made
    made.wire.handler.close()
    made.world.close()


def refused(act, *arguments, **named):
    with pytest.raises(Refusal) as refusal:
        act(*arguments, **named)
    return refusal.value.rule


# ---------------------------------------------------------------- the good way


def test_a_person_joins_by_one_code(delivery):
    invitation = delivery.invited()
    assert delivery.join(invitation) is None
    pse = delivery.pse()
    assert pse.labels() == ("signature", "agreement")
    assert {pse.certificate(label).name for label in pse.labels()} == {ANNA}
    assert pse.attributes["kind"] == "person"
    assert delivery.kinds() == ["pse.asked", "pse.sealed", "pse.delivered"]
    assert delivery.state(invitation.reference) == "delivered"
    assert not waiting.waits(delivery.folder / "anna.pse")
    letter = seal(b"for anna", oids.DATA, [pse.certificate("agreement")], secrets.token_bytes)
    assert open_sealed(letter, pse.opener("agreement"))[1] == b"for anna"


def test_key_management_makes_the_key_that_goes_into_escrow(delivery):
    delivery.join(delivery.invited("employee"))
    pse = delivery.pse()
    ((holder, certificate, _key),) = delivery.escrow.held
    assert (holder, certificate) == (ANNA, pse.certificate("agreement"))
    letter = seal(b"for anna", oids.DATA, [certificate], secrets.token_bytes)
    assert open_sealed(letter, pse.opener("agreement"))[1] == b"for anna"


def test_a_whole_pse_is_made_by_key_management_where_its_kind_says_so(delivery):
    text = written((shipped()["person"],)).replace("software", 'software"\ncentral = true#', 1)
    text = text.replace('"person"', '"whole"', 1).replace('made = "holder"', 'made = "key-management"')
    whole = read_kinds(text.encode())["whole"]
    assert whole.central
    delivery.wire.handler.office = replace(delivery.office, kinds={**shipped(), "whole": whole})
    invitation = delivery.invited()
    with delivery.office.database.transaction() as connection:
        connection.execute(store.MEANT.update().values(kind="whole"))
    assert delivery.join(invitation) is None
    pse = delivery.pse()
    assert pse.labels() == ("signature", "agreement")
    assert pse.certificate("signature").name == ANNA
    assert delivery.kinds()[-1] == "pse.delivered"
    assert delivery.escrow.held == []


def test_a_key_is_deposited_before_it_is_released(delivery):
    class Full:
        def deposit(self, *_what):
            raise Refusal("escrow-full", "no more")

    delivery.wire.handler.office = replace(delivery.office, deposit=Full())
    invitation = delivery.invited("employee")
    assert refused(delivery.join, invitation) == "escrow-full"
    assert delivery.state(invitation.reference) == "asked"
    delivery.wire.handler.office = replace(delivery.office, deposit=delivery.escrow)
    delivery.join(invitation)
    assert len(delivery.world.authority.changes(0)) == 1 + 2  # the door's own, and one for each key


def test_without_an_escrow_no_such_key_is_made(delivery):
    delivery.wire.handler.office = replace(delivery.office, deposit=None)
    assert refused(delivery.join, delivery.invited("employee")) == "no-escrow"


@pytest.mark.parametrize("lost", ["", "/pse/ask", "/pse/receipt"])
def test_keys_are_made_in_a_token_and_stay_there(delivery, tokens, lost):
    invitation = delivery.invited("person-token")
    delivery.wire.lose = lost
    folder = delivery.folder / "anna-token"

    def joined():
        with TokenKeeper(
            folder, place(LABEL), Phrase(PIN), name="anna", random=secrets.token_bytes
        ) as keeper:
            told = (folder, Phrase(WORD), invitation, "http://enrol", delivery.wire, delivery.edges)
            return join(*told, keeper=keeper)

    if lost:
        with pytest.raises(ConnectionResetError):
            joined()
    assert joined() is None
    opened = open_key(folder / "signature", Phrase(PIN), label="signature")
    assert opened.signer().certificate.name == ANNA
    opened.close()
    assert delivery.kinds() == ["pse.asked", "pse.sealed", "pse.delivered"]
    assert len(delivery.world.authority.changes(0)) == 1 + 1
    with pytest.raises(Misuse) as misused:
        delivery.join(delivery.invited("person-token"), "bert.pse")
    assert misused.value.rule == "other-keeping"


def test_what_waits_for_another_invitation_is_not_lost(delivery):
    delivery.wire.lose = "/pse/ask"
    with pytest.raises(ConnectionResetError):
        delivery.join(delivery.invited())
    with pytest.raises(Misuse) as misused:
        delivery.join(delivery.invited())
    assert misused.value.rule == "key-waits"


# ---------------------------------------------------------------- once


@pytest.mark.parametrize("lost", ["/pse/look", "/pse/ask", "/pse/receipt"])
def test_a_lost_answer_is_repeated_to_the_same_key(delivery, lost):
    invitation = delivery.invited("employee")
    delivery.wire.lose = lost
    with pytest.raises(ConnectionResetError):
        delivery.join(invitation)
    assert delivery.join(invitation) is None
    assert len(delivery.world.authority.changes(0)) == 1 + 2
    assert delivery.kinds() == ["pse.asked", "pse.sealed", "pse.delivered"]


def test_nobody_else_fetches_with_the_same_code(delivery):
    invitation = delivery.invited()
    delivery.wire.lose = "/pse/ask"
    with pytest.raises(ConnectionResetError):
        delivery.join(invitation)
    # a thief who has the code, and asks with a key of his own
    thief = begin(
        delivery.folder / "thief.pse",
        Phrase(WORD),
        invitation,
        shipped()["person"],
        (ANNA,),
        "http://enrol",
        delivery.edges,
    )
    response = delivery.wire.send("", replace(delivery.wire.seen[-1], body=thief.ask))
    assert response.headers["e2s-rule"] == "already-delivered"
    assert delivery.join(invitation) is None


@pytest.mark.parametrize("same", [True, False], ids=["one-ask", "many-asks"])
def test_who_asks_at_once_gets_one_delivery(delivery, same):
    """Eight threads: the same ask has one parcel, of different ones a single one wins."""
    invitation = delivery.invited("employee")
    told = (Phrase(WORD), invitation, shipped()["employee"], (ANNA,), "http://enrol", delivery.edges)
    made = [begin(delivery.folder / f"{n}.pse", *told) for n in range(1 if same else 8)]
    asks = [made[0].ask] * 8 if same else [one.ask for one in made]
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(lambda ask: delivery.wire.handler(replace(_post("/pse/ask"), body=ask)), asks)
        )
    good = [one for one in answers if one.status == 200]
    if same:
        assert len({read_answer(one.body)[0] for one in good}) == 1
    else:
        assert len(good) == 1
        rules = {one.headers["e2s-rule"] for one in answers if one not in good}
        assert rules <= {"already-delivered", "invitation-used"}  # as far as the other one had come
    assert delivery.kinds().count("pse.sealed") == 1
    assert len(delivery.world.authority.changes(0)) == 1 + 2


def test_after_the_receipt_the_same_ask_gets_nothing(delivery):
    delivery.join(delivery.invited())
    ask = next(one for one in delivery.wire.seen if one.path == "/pse/ask")
    assert delivery.wire.send("", ask).headers["e2s-rule"] == "already-delivered"
    receipt = delivery.wire.seen[-2]
    assert receipt.path == "/pse/receipt"
    assert delivery.wire.send("", receipt).status == 200
    assert delivery.kinds().count("pse.delivered") == 1


def test_what_nobody_receives_is_revoked(delivery):
    invitation = delivery.invited()
    delivery.wire.lose = "/pse/ask"
    with pytest.raises(ConnectionResetError):
        delivery.join(invitation)
    given_out = delivery.world.authority.changes(0)[1:]
    delivery.world.clock.forward(days=15)
    delivery.wire.handler.tick(delivery.world.clock.now())
    assert delivery.state(invitation.reference) == "over"
    assert all(delivery.world.desk.revoked(one.serial) for one in given_out)
    assert refused(delivery.join, invitation) in {"stale", "delivery-over"}


def test_what_was_interrupted_before_its_parcel_is_revoked(delivery):
    class Gone:
        def deposit(self, *_what):
            raise Refusal("escrow-full", "no more")

    delivery.wire.handler.office = replace(delivery.office, deposit=Gone())
    assert refused(delivery.join, delivery.invited("employee")) == "escrow-full"
    given_out = delivery.world.authority.changes(0)[1:]
    assert len(given_out) == 2
    delivery.world.clock.forward(days=15)
    delivery.wire.handler.tick(delivery.world.clock.now())
    assert all(delivery.world.desk.revoked(one.serial) for one in given_out)


# ---------------------------------------------------------------- attacks


def test_a_key_put_in_between_is_refused(delivery):
    """Who carries the ask replaces the key to which is sealed; he does not know the secret."""
    invitation = delivery.invited("employee")

    def bend(request):
        if request.path != "/pse/ask":
            return request
        document = wire.decode(request.body)
        mallory, _chain, _key = delivery.world.pki.issue("person-agreement", "urn:e2s:market:x:mallory")
        return replace(request, body=wire.encode({**document, "seal-to": wire.b64u(mallory.der)}))

    delivery.wire.bend = bend
    assert refused(delivery.join, invitation) in {"wrong-mac", "wrong-code"}
    assert delivery.kinds() == []


def test_a_wrong_secret_is_refused_and_counted(delivery):
    invitation = delivery.invited()
    wrong = replace(invitation, secret=delivery.invited().secret)
    rules = [refused(delivery.join, wrong) for _ in range(8)]
    assert rules[0] == "wrong-code"
    assert rules[-1] == "too-many-tries"


def test_an_unknown_reference_is_as_a_wrong_secret(delivery):
    known = delivery.invited()
    assert refused(delivery.join, replace(known, reference="0" * 8)) == "wrong-code"


def test_the_root_is_not_believed_unseen(delivery):
    reference, secret = delivery.world.invite()
    code = code_with_root(reference, secret, delivery.world.pki.root)
    bare = code.rpartition(".")[0]
    assert refused(read_invitation, bare) == "root-not-told"
    assert read_invitation(bare, delivery.world.pki.root.id).root == delivery.world.pki.root.digest.hex()
    assert refused(delivery.join, read_invitation(bare, "ab" * 32)) == "other-root"
    assert refused(read_invitation, code, "ab" * 32) == "other-root"
    assert refused(read_invitation, bare, "ab") == "bad-digest"


def test_a_parcel_of_another_signer_is_refused(delivery):
    """A certified key that is no component's signs nothing that counts, though it knows the secret."""
    person = delivery.world.enrolled("person", ("urn:e2s:market:alpha:mallory",))
    delivery.wire.handler.office = replace(delivery.office, signer=person)
    assert refused(delivery.join, delivery.invited()) == "wrong-purpose"


def test_a_parcel_whose_signer_was_revoked_is_refused(delivery):
    signer = delivery.office.signer.certificate
    delivery.world.pki.revoke(signer)
    lists = delivery.world.pki.crls
    delivery.wire.handler.office = replace(delivery.office, crls=lambda: lists(delivery.world.clock.now()))
    assert refused(delivery.join, delivery.invited()) == "revoked"


def test_without_lists_nothing_is_believed(delivery):
    delivery.wire.handler.office = replace(delivery.office, crls=tuple)
    assert refused(delivery.join, delivery.invited()) == "revocation-unknown"


def test_an_answer_to_another_ask_is_refused(delivery):
    honest, second = delivery.wire.handler, delivery.invited()
    kept = begin(
        delivery.folder / "first.pse",
        Phrase(WORD),
        delivery.invited(),
        shipped()["person"],
        (ANNA,),
        "http://enrol",
        delivery.edges,
    )
    first = honest(replace(_post("/pse/ask"), body=kept.ask))
    delivery.wire.handler = lambda request: first if request.path == "/pse/ask" else honest(request)
    assert refused(delivery.join, second, "second.pse") == "not-for-me"
    delivery.wire.handler = honest


def test_what_was_said_to_another_component_or_long_ago_is_refused(delivery):
    invitation = delivery.invited()
    for origin, at, rule in (
        ("http://other", delivery.world.clock.now(), "other-origin"),
        ("http://enrol", delivery.world.clock.now() - timedelta(days=2), "stale"),
    ):
        question = Look(reference=invitation.reference, origin=origin, at=at, nonce=bytes(16))
        body = sealed(question.said(), invitation.secret)
        response = delivery.wire.handler(replace(_post("/pse/look"), body=body, client="192.0.2.1"))
        assert response.headers["e2s-rule"] == rule


def test_an_ask_without_all_keys_is_refused(delivery):
    invitation = delivery.invited()
    made = begin(
        delivery.folder / "a.pse",
        Phrase(WORD),
        invitation,
        shipped()["component"],
        (ANNA,),
        "http://enrol",
        delivery.edges,
    )
    response = delivery.wire.handler(replace(_post("/pse/ask"), body=made.ask))
    assert response.headers["e2s-rule"] == "wrong-keys"


def _post(path):
    return Request("POST", path, b"", {}, "192.0.2.1")


@given(octets=st.binary(max_size=300), path=st.sampled_from(["look", "ask", "renew", "receipt", "end"]))
def test_garbage_is_refused_by_its_rule(garbage_door, octets, path):
    response = garbage_door(replace(_post(f"/pse/{path}"), body=octets))
    assert response.status in {400, 429}
    assert response.headers["e2s-rule"]


@pytest.fixture(scope="module")
def garbage_door(tmp_path_factory):
    made = Delivery(tmp_path_factory.mktemp("garbage"))
    yield made.wire.handler
    made.wire.handler.close()
    made.world.close()


# ---------------------------------------------------------------- renewal and end


@pytest.mark.parametrize("kind", ["person", "employee"])
def test_the_holder_renews_by_her_own_key(delivery, kind):
    delivery.join(delivery.invited(kind))
    before = delivery.pse()
    old = {label: before.certificate(label) for label in before.labels()}
    letter = seal(b"before", oids.DATA, [old["agreement"]], secrets.token_bytes)
    delivery.later(days=640)
    assert delivery.renew() is None
    pse = delivery.pse()
    assert pse.labels()[:2] == ("signature", "agreement")
    for label in ("signature", "agreement"):
        assert pse.certificate(label).spki != old[label].spki
        assert pse.certificate(label).name == ANNA
    kept = next(one for one in pse.labels() if one.startswith("agreement-"))
    assert open_sealed(letter, pse.opener(kept))[1] == b"before"
    assert delivery.kinds()[-1] == "pse.delivered"
    assert len(delivery.escrow.held) == (2 if kind == "employee" else 0)


@pytest.mark.parametrize("lost", ["/pse/renew", "/pse/receipt"])
def test_an_interrupted_renewal_goes_on(delivery, lost):
    delivery.join(delivery.invited())
    delivery.later(days=640)
    delivery.wire.lose = lost
    with pytest.raises(ConnectionResetError):
        delivery.renew(new_keys=lost == "/pse/renew")
    assert delivery.renew() is None
    assert not any(label.endswith("-before") for label in delivery.pse().labels())
    assert delivery.kinds().count("pse.sealed") == 2


def test_nobody_renews_what_is_another_s(delivery):
    delivery.join(delivery.invited())
    delivery.join(delivery.invited(names=("urn:e2s:market:alpha:berta",)), "berta.pse")
    delivery.later(days=640)
    berta = delivery.pse("berta.pse").certificate("agreement")
    pse = delivery.pse()
    nonce = secrets.token_bytes(16)
    ask = Ask(
        reference=renewal_reference(nonce),
        origin="http://enrol",
        at=delivery.world.clock.now(),
        nonce=nonce,
        seal_to=pse.certificate("agreement"),
        kind="person",
        requests={"agreement": csr("urn:e2s:market:alpha:berta")},
        held={"agreement": berta},
    )
    body = sign(wire.encode(ask.said()), oids.DATA, pse.signer("signature"), delivery.world.clock.now())
    response = delivery.wire.handler(replace(_post("/pse/renew"), body=body))
    assert response.headers["e2s-rule"] == "not-yours"


def test_a_revoked_holder_renews_nothing(delivery):
    delivery.join(delivery.invited())
    pse = delivery.pse()
    delivery.later(days=640)
    end(pse, pse.signer("signature"), "keyCompromise", delivery.wire, delivery.edges)
    assert refused(delivery.renew) in {"certificate-revoked", "revoked"}


def test_the_holder_ends_her_certificates_by_her_word(delivery):
    delivery.join(delivery.invited())
    pse = delivery.pse()
    ended = end(pse, pse.signer("signature"), "cessationOfOperation", delivery.wire, delivery.edges)
    assert len(ended) == 2
    assert all(delivery.world.desk.revoked(one.serial) for one in ended)
    assert delivery.kinds()[-1] == "pse.destroyed"
    delivery.join(delivery.invited(names=("urn:e2s:market:alpha:berta",)), "berta.pse")


# ---------------------------------------------------------------- kinds


def test_kinds_are_written_as_they_are_read():
    assert read_kinds(written(tuple(shipped().values())).encode()) == shipped()


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (
            'label = "a"\nprofile = "person"\nsuite = "p256-sha256"\nmade = "key-management"',
            "nobody but its holder",
        ),
        ('label = "a"\nprofile = "person-agreement"\nsuite = "ecdh-p256-aes256gcm"', "its first key signs"),
        ('label = "a"\nprofile = "p"\nsuite = "p256-sha256"\nescrow = true', "goes into no escrow"),
        ('label = "a"\nprofile = "p"\nsuite = "rot13"', "suite is not known"),
        ('label = "a"\nprofile = "p"\nsuite = "x25519-aes256gcm"', "cannot show that it is held"),
    ],
    ids=["made", "first", "escrow", "suite", "silent"],
)
def test_a_kind_that_contradicts_itself_is_misuse(row, why):
    text = f'[[kind]]\nname = "k"\nkeeping = "software"\n[[kind.key]]\n{row}\n'
    with pytest.raises(Misuse) as misused:
        read_kinds(text.encode())
    assert misused.value.rule == "bad-kind"
    assert why in misused.value.message
