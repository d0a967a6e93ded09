"""The key handler signs exactly what it is handed, for exactly the component that may, and records each use."""

from __future__ import annotations

import itertools
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.base.wire import b64u
from e2s.crypto import oids
from e2s.crypto.acts import check_act_signature, read_act, sign_act
from e2s.crypto.cms import seal
from e2s.network.sessions.link import Link, LinkDoor
from e2s.network.sessions.local import LocalExchange
from e2s.security.keys.key_handler import GRANTS, OUTBOX, TABLES, KeyClient, KeyHandler
from tests.worlds.pki import SetClock, make_pki

NAMES = ("urn:e2s:market:volt", "https://volt.test")
SIGNING = ("merchant", "merchant-payment", "catalogue")
OPENING = ("merchant-agreement", "payment-agreement")
COMPONENTS = ("purchasing", "payment", "catalogue", "outside")
TYPES = sorted(set().union(*(kinds for grant in GRANTS.values() for kinds in grant.sign.values())))


class World:
    """A key handler behind sealed links, and a client for each component of the merchant."""

    def __init__(self, folder):
        self.clock = SetClock()
        pki = make_pki()
        self.signers = {label: pki.signer(label, NAMES) for label in SIGNING}
        self.openers = {
            "merchant-agreement": pki.opener("merchant-agreement", NAMES),
            "payment-agreement": pki.opener("merchant-payment-agreement", NAMES),
        }
        self.store = Database.open(folder / "keys.db", TABLES)
        self.handler = KeyHandler(
            store=self.store,
            signers=self.signers,
            openers=self.openers,
            roles={name: name for name in COMPONENTS},
            clock=self.clock,
            component="volt-keys",
        )
        keys = {name: secrets.token_bytes(32) for name in COMPONENTS}
        door = LinkDoor("keys", keys, self.handler.doors, self.clock, secrets.token_bytes)
        exchange = LocalExchange({"link:keys": door.handle})
        self.links = {
            name: Link(name, "keys", key, exchange, "link:keys", self.clock, secrets.token_bytes)
            for name, key in keys.items()
        }
        self.clients = {name: KeyClient(link) for name, link in self.links.items()}

    def document(self, kind, label="merchant"):
        at = format_instant(self.clock.now())
        return {"type": kind, "from": self.signers[label].certificate.id, "to": ["x"], "at": at}

    def events(self):
        with self.store.reading() as connection:
            return [wire.decode(body) for _, body in OUTBOX.waiting(connection, "audit", 1_000_000)]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("keys"))


@pytest.mark.parametrize(("component", "label"), list(itertools.product(COMPONENTS, SIGNING)))
def test_key_handler_wrong_component(world, component, label):
    """Each component signs with its own key and the types listed for it, and with nothing else."""
    for kind in [*TYPES, "e2s/1/pay", "e2s/1/accept", "e2s/1/login"]:
        document = world.document(kind, label)
        grant = GRANTS.get(component)
        if grant and kind in grant.sign.get(label, ()):
            act = read_act(world.clients[component].sign_document(label, document))
            check_act_signature(act)
            assert act.doc_octets == wire.encode(document)
            continue
        before = len(world.events())
        with pytest.raises(Refusal) as caught:
            world.clients[component].sign_document(label, document)
        mine = grant is not None and label in grant.sign
        assert caught.value.rule == ("key-handler-wrong-type" if mine else "key-handler-wrong-component")
        events = world.events()
        assert len(events) == before + 1
        assert events[-1]["outcome"] == "refused"


@pytest.mark.parametrize(("component", "label"), list(itertools.product(COMPONENTS, OPENING)))
def test_envelopes_open_for_their_component_alone(world, component, label):
    envelope = seal(b"for one", oids.ACT, [world.openers[label].certificate], secrets.token_bytes)
    grant = GRANTS.get(component)
    if grant and label in grant.open:
        assert world.clients[component].open(label, envelope) == (oids.ACT, b"for one")
        assert world.events()[-1]["kind"] == "key.open"
    else:
        with pytest.raises(Refusal, match="key-handler-wrong-component"):
            world.clients[component].open(label, envelope)


def test_the_asker_is_who_the_link_says(world):
    """A component cannot give itself another's name: the link's key is the name."""
    outside = world.links["outside"]
    outside.me = "purchasing"
    try:
        with pytest.raises(Exception, match="link"):
            KeyClient(outside).sign_document("merchant", world.document("e2s/1/offer"))
    finally:
        outside.me = "outside"


def test_every_use_is_recorded_with_what_was_signed(world):
    document = world.document("e2s/1/confirm")
    over = sign_act(world.document("e2s/1/offer"), [], world.signers["merchant"], world.clock.now())
    act = read_act(world.clients["purchasing"].sign_document("merchant", document, [over]))
    assert act.over == (over,)
    event = world.events()[-1]
    assert (event["kind"], event["outcome"]) == ("key.sign", "done")
    assert event["facts"]["peer"] == "purchasing"
    assert event["facts"]["type"] == "e2s/1/confirm"


def test_signing_again_after_a_kill_gives_the_same_act(world):
    octets = wire.encode(world.document("e2s/1/offer"))
    one, other = (world.clients["purchasing"].sign_octets("merchant", octets) for _ in range(2))
    assert read_act(one).id == read_act(other).id


def test_a_component_learns_only_its_own_certificates(world):
    client = world.clients["payment"]
    assert client.certificate("merchant-payment") == world.signers["merchant-payment"].certificate
    assert client.chain("merchant-payment") == world.signers["merchant-payment"].chain
    assert client.certificate("payment-agreement") == world.openers["payment-agreement"].certificate
    with pytest.raises(Refusal, match="no-such-key"):
        client.certificate("merchant")
    with pytest.raises(Refusal, match="key-handler-wrong-component"):
        world.clients["outside"].certificate("merchant")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"from": "sha-256:" + "A" * 43}, "wrong-certificate"),
        ({"at": "yesterday"}, "bad-instant"),
        ({"at": 5}, "bad-request"),
        ({"type": ["e2s/1/offer"]}, "bad-request"),
        ({"type": "e2s/1/offer", "at": "2026-03-02T09:00:00z"}, "bad-instant"),
    ],
)
def test_documents_that_no_key_signs(world, change, rule):
    with pytest.raises(Refusal, match=rule):
        world.clients["purchasing"].sign_document("merchant", {**world.document("e2s/1/offer"), **change})


@pytest.mark.parametrize(
    "body",
    [
        {"key": "merchant"},
        {"key": 1, "document": "", "over": []},
        {"key": "merchant", "document": "!", "over": []},
        {"key": "merchant", "document": b64u(b"[]"), "over": []},
        {"key": "merchant", "document": b64u(b"{}"), "over": ["AA"] * 5},
        {"key": "merchant", "document": b64u(b"{}"), "over": "AA"},
    ],
)
def test_requests_of_another_form(world, body):
    with pytest.raises(Refusal):
        world.links["purchasing"].ask("/sign", wire.encode(body))
    with pytest.raises(Refusal):
        world.links["purchasing"].ask("/open", wire.encode(body))


@given(st.binary(max_size=200))
def test_garbage_is_refused(world, body):
    for door in (world.handler.sign, world.handler.open):
        with pytest.raises(Refusal):
            door("purchasing", body)
