"""Attacks at the ACME door: each is refused, by its rule, and changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.http import Request
from e2s.base.wire import b64u
from e2s.crypto import jose
from e2s.crypto.jose import jwk_of
from e2s.security.acme.messages import JOSE
from e2s.security.acme.service import Bounds
from e2s.security.certificates.certify import request as make_request
from e2s.security.repository.rates import Rates
from tests.worlds.acme import BASE, ORIGIN, SHOP, AcmeWorld, Carried, Word, csr, problem
from tests.worlds.enrolment import OLGA

DESK = "desk.alpha.example"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = AcmeWorld(tmp_path_factory.mktemp("acme"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(world):
    return world.client(SHOP, DESK)


@pytest.fixture(scope="module")
def stranger(world):
    return world.client("stranger.example")


def rule(act, *arguments, **named) -> str:
    with pytest.raises(Refusal) as caught:
        act(*arguments, **named)
    return caught.value.rule


def nonce(world) -> str:
    return world.door(Request("HEAD", "/acme/new-nonce")).headers["replay-nonce"]


def sent(world, path: str, body: bytes, kind: str = JOSE, method: str = "POST"):
    return world.door(Request(method, path, body, {"content-type": kind}, "192.0.2.9"))


def signed(world, client, path: str, payload: bytes, **header) -> bytes:
    """A message as the client would sign it, with ``header`` in place of its members; None leaves one out."""
    members = {"nonce": nonce(world), "url": ORIGIN + path, "kid": client.account, **header}
    return jose.sign(
        {name: value for name, value in members.items() if value is not None}, payload, client.key
    )


ORDER = wire.encode({"identifiers": [{"type": "dns", "value": SHOP}]})


def refused(world, path: str, body: bytes, **more) -> str:
    answer = sent(world, path, body, **more)
    told = problem(answer)
    assert answer.headers["replay-nonce"], "a refusal brings the next nonce (RFC 8555, 6.5)"
    return told["rule"]


# ---------------------------------------------------------------- messages
def test_a_replayed_message_does_nothing(world, client):
    body = signed(world, client, "/acme/new-order", ORDER)
    assert sent(world, "/acme/new-order", body).status == 201
    before = len(world.events())
    answer = sent(world, "/acme/new-order", body)
    assert problem(answer)["type"] == "urn:ietf:params:acme:error:badNonce"
    assert len(world.events()) <= before + 1


def test_a_message_for_one_address_is_good_at_no_other(world, client):
    body = signed(world, client, "/acme/account/1", b'{"status":"deactivated"}')
    for path in ("/acme/account/2", "/acme/new-order", "/acme/account/1?x", "/acme/key-change"):
        assert refused(world, path, body) == "wrong-url"
    for url in ("http://enrol.market.example/acme/new-order", "https://evil.example/acme/new-order", None, 1):
        body = signed(world, client, "/acme/new-order", ORDER, url=url)
        assert refused(world, "/acme/new-order", body) == "wrong-url"


@pytest.mark.parametrize("part", ["protected", "payload", "signature"])
def test_an_altered_message_is_refused(world, client, part):
    message = json.loads(signed(world, client, "/acme/new-order", ORDER))
    octets = bytearray(jose.read(json.dumps(message).encode()).signature)
    if part == "protected":
        header = jose.read(json.dumps(message).encode()).header
        message[part] = b64u(wire.encode({**header, "kid": f"{BASE}/account/2"}))
    elif part == "payload":
        message[part] = b64u(ORDER.replace(SHOP.encode(), b"evil.alpha.example"))
    else:
        octets[7] ^= 1
        message[part] = b64u(bytes(octets))
    assert refused(world, "/acme/new-order", json.dumps(message).encode()) in {
        "bad-signature",
        "no-such-account",
    }


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"kid": None}, "bad-header"),
        ({"jwk": {}}, "bad-header"),
        ({"kid": f"{BASE}/account/999"}, "no-such-account"),
        ({"kid": f"{BASE}/account/1/"}, "no-such-account"),
        ({"kid": f"{BASE}/account/01"}, "no-such-account"),
        ({"kid": "https://evil.example/acme/account/1"}, "no-such-account"),
        ({"kid": 1}, "no-such-account"),
        ({"nonce": None}, "bad-nonce"),
        ({"nonce": "AAAA"}, "bad-nonce"),
        ({"nonce": b64u(bytes(24))}, "bad-nonce"),
        ({"crit": ["url"]}, "bad-jws"),
        ({"b64": False}, "bad-jws"),
    ],
    ids=str,
)
def test_a_header_says_who_and_where_and_nothing_else_is_believed(world, client, header, expected):
    assert (
        refused(world, "/acme/new-order", signed(world, client, "/acme/new-order", ORDER, **header))
        == expected
    )


def test_no_message_is_unsigned_nor_signed_by_a_public_key(world, client):
    header = {"nonce": nonce(world), "url": f"{BASE}/new-order", "kid": client.account}
    parts = (b64u(wire.encode({**header, "alg": "none"})), b64u(ORDER), "")
    body = json.dumps(dict(zip(("protected", "payload", "signature"), parts, strict=True))).encode()
    told = problem(sent(world, "/acme/new-order", body))
    assert told["type"] == "urn:ietf:params:acme:error:badSignatureAlgorithm"
    assert "ES256" in told["algorithms"]
    assert "none" not in told["algorithms"]
    public = wire.encode(jwk_of(client.key.public_key()))
    body = jose.sign_mac({**header, "nonce": nonce(world)}, ORDER, public)
    assert refused(world, "/acme/new-order", body) == "wrong-algorithm"


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b"{}", "application/json", "wrong-content-type"),
        (b"{}", "", "wrong-content-type"),
        (b"", JOSE, "bad-json"),
        (b"x" * 70_000, JOSE, "too-large"),
        (b"[" * 60_000, JOSE, "too-large"),
        (b'{"protected":"","payload":"","signature":""}', JOSE, "bad-json"),
    ],
)
def test_what_is_no_message_is_refused(world, body, kind, expected):
    assert refused(world, "/acme/new-order", body, kind=kind) == expected


@pytest.mark.parametrize(
    ("path", "payload", "expected"),
    [
        ("/acme/new-order", b"", "bad-payload"),
        ("/acme/new-order", b"[]", "bad-json"),
        ("/acme/new-order", b'{"identifiers":[],"identifiers":[]}', "bad-json"),
        ("/acme/new-order", b'{"identifiers":[{"type":"dns","value":"*.alpha.example"}]}', "wildcard"),
        (
            "/acme/new-order",
            b'{"identifiers":[{"type":"dns","value":"a.example"}],"notBefore":""}',
            "bad-start",
        ),
        (
            "/acme/new-order",
            b'{"identifiers":[{"type":"dns","value":"a.example"}],"replaces":"x"}',
            "host-not-permitted",
        ),
        ("/acme/key-change", b"{}", "bad-jws"),
        ("/acme/key-change", b"", "bad-payload"),
        ("/acme/revoke-cert", b"{}", "bad-certificate"),
        ("/acme/revoke-cert", b'{"certificate":"AAAA"}', "bad-certificate"),
        ("/acme/order/99999", b"", "not-found"),
        ("/acme/order/99999", b"{}", "bad-payload"),
        ("/acme/certificate/99999", b"", "not-found"),
        ("/acme/authorization/99999", b"", "not-found"),
        ("/acme/challenge/99999", b"{}", "not-found"),
        ("/acme/order/x", b"", "not-found"),
        ("/acme/account/x", b"", "not-found"),
        ("/acme/new-account", b"{}", "bad-header"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_refused(world, client, path, payload, expected):
    assert refused(world, path, signed(world, client, path, payload)) == expected


@given(st.binary(max_size=300))
def test_any_octets_are_answered_by_a_problem(octets):
    class Nobody:
        origin = ORIGIN

    nobody: Any = Nobody()
    from e2s.security.acme.messages import hear
    from e2s.security.acme.nonces import Nonces

    with pytest.raises(Refusal):
        hear(nobody, Nonces(bytes), Request("POST", "/acme/new-order", octets, {"content-type": JOSE}))


# ---------------------------------------------------------------- others' things
def test_nobody_reaches_another_accounts_things(world, client, stranger):
    placed = client.order([SHOP])
    authorisation = placed.document["authorizations"][0]
    challenge = client.look(authorisation)["challenges"][0]["url"]
    for url, payload in (
        (placed.url, None),
        (placed.document["finalize"], {"csr": b64u(csr(SHOP))}),
        (placed.url.replace("/order/", "/certificate/"), None),
        (authorisation, None),
        (authorisation, {"status": "deactivated"}),
        (challenge, {}),
        (client.account, None),
        (client.account, {"status": "deactivated"}),
        (f"{client.account}/orders", None),
    ):
        assert rule(stranger.post, url, payload) == "not-yours"
    assert client.look(placed.url)["status"] == "pending"
    assert client.look(client.account)["status"] == "valid"


def test_a_host_that_one_account_proved_is_not_anothers(world, client):
    world.obtain(client)
    other = world.client(SHOP)
    assert other.order([SHOP]).status == "pending"


def test_a_challenge_answered_by_another_accounts_key_proves_nothing(world, stranger):
    """The file holds the account's thumbprint, so a host that shows another's proves it for that one alone."""
    other = world.client(SHOP, DESK)
    placed = other.order([DESK])

    class Theirs(Word):
        def show(self, proof):
            from e2s.crypto.jose import thumbprint

            world.hosts.shown[proof.host.value, proof.token] = (
                f"{proof.token}.{thumbprint(stranger.key.public_key())}"
            )

    assert rule(other.prove, placed, Theirs(world.hosts)) == "wrong-answer"


# ---------------------------------------------------------------- orders
@pytest.mark.parametrize(
    "names", [(DESK,), (SHOP, DESK), ("evil.example",), (f"{SHOP}.", SHOP), ("*." + SHOP,)], ids=" ".join
)
def test_a_request_for_other_hosts_is_refused_and_the_order_stays_ready(world, client, names):
    placed = client.order([SHOP])
    client.prove(placed, Word(world.hosts))
    assert rule(client.finalise, placed, csr(*names)) == "names-differ"
    assert client.look(placed.url)["status"] == "ready"


def test_a_request_that_is_none_or_is_not_proven_leaves_the_order_ready(world, client):
    placed = client.order([SHOP])
    client.prove(placed, Word(world.hosts))
    good = csr(SHOP)
    altered = good[:-1] + bytes((good[-1] ^ 1,))
    for octets, expected in (
        (b"", "bad-csr"),
        (b"x" * 40_000, "too-large"),
        (altered, "no-possession"),
        (make_request(client.key, (SHOP,)), "account-key"),
    ):
        assert rule(client.finalise, placed, octets) == expected
    for payload in ({}, {"csr": 1}, {"csr": "="}):
        assert rule(client.post, placed.document["finalize"], payload) in {"bad-csr", "bad-base64"}
    assert client.look(placed.url)["status"] == "ready"
    assert client.finalise(placed, good)[0].dns == (SHOP,)


def test_an_order_that_is_not_ready_is_not_finalised(world, client):
    client.register(existing=True)
    fresh = world.client("new.alpha.example")
    placed = fresh.order(["new.alpha.example"])
    told = rule(fresh.post, placed.document["finalize"], {"csr": b64u(csr("new.alpha.example"))})
    assert told == "order-not-ready"


def test_a_second_request_gets_no_second_certificate(world, client):
    placed = client.order([SHOP])
    client.prove(placed, Word(world.hosts))
    first = client.finalise(placed, csr(SHOP))
    before = world.world.kinds().count("enrolment.issued")
    assert client.finalise(placed, csr(SHOP)) == first
    assert world.world.kinds().count("enrolment.issued") == before


def test_hosts_beyond_the_invitation_are_refused_before_anything_is_proven(world, client):
    asked = len(world.hosts.asked)
    assert rule(client.order, ["evil.example"]) == "host-not-permitted"
    assert rule(client.order, [SHOP, "evil.example"]) == "host-not-permitted"
    assert len(world.hosts.asked) == asked


# ---------------------------------------------------------------- accounts and keys
def test_an_invitations_binding_is_for_one_key_and_one_address(world):
    reference, secret = world.invite()
    url = f"{BASE}/new-account"
    mine, theirs = (world.client(register=False) for _ in range(2))
    good = wire.encode(jwk_of(mine.key.public_key()))
    cases = [
        (jose.sign_mac({"kid": reference, "url": url}, good, secret[:-1] + b"?"), "wrong-code"),
        (jose.sign_mac({"kid": "zzzzzzzz", "url": url}, good, secret), "no-such-invitation"),
        (jose.sign_mac({"kid": 1, "url": url}, good, secret), "no-such-invitation"),
        (jose.sign_mac({"kid": reference, "url": f"{BASE}/new-order"}, good, secret), "wrong-url"),
        (jose.sign_mac({"kid": reference, "url": url, "nonce": "n"}, good, secret), "wrong-url"),
        (
            jose.sign_mac(
                {"kid": reference, "url": url}, wire.encode(jwk_of(theirs.key.public_key())), secret
            ),
            "foreign-key",
        ),
        (jose.sign_mac({"kid": reference, "url": url}, b"{}", secret), "key-not-supported"),
        (jose.sign({"kid": reference, "url": url}, good, mine.key), "wrong-algorithm"),
        (b'{"protected":"e30","payload":"","signature":""}', "bad-jws"),
    ]
    for binding, expected in cases:
        body = {"externalAccountBinding": json.loads(binding)}
        assert rule(mine.post, url, body) == expected
    assert rule(mine.register) == "no-external-account"
    # a binding that was seen on its way is of no use to another
    caught = {
        "externalAccountBinding": json.loads(jose.sign_mac({"kid": reference, "url": url}, good, secret))
    }
    assert rule(theirs.post, url, caught) == "foreign-key"
    mine.post(url, caught)


def test_wrong_secrets_are_counted_and_soon_not_heard(world):
    reference, secret = world.invite()
    client = world.client(register=False)
    client.exchange = Carried(world.door, "198.51.100.7")
    wrong = secret[:-1] + (b"0" if secret[-1:] != b"0" else b"1")
    rules = [rule(client.register, binding=(reference, wrong)) for _ in range(6)]
    assert rules[0] == "wrong-code"
    assert rules[-1] == "too-many-tries"


def test_an_invitation_is_used_up_by_the_accounts_that_it_served(world):
    binding = world.invite(uses=1)
    first, second, third = (world.client(register=False) for _ in range(3))
    first.register(binding=binding)
    second.register(binding=binding)
    world.obtain(first)
    placed = second.order([SHOP]) if not rule_of(second.order, [SHOP]) else None
    assert placed is None
    assert rule(third.register, binding=binding) == "invitation-used"
    # renewals of the account that it served go on
    assert world.obtain(first)[0].dns == (SHOP,)
    from e2s.security.enrolment import inviting

    inviting.take_back(world.world.office, binding[0], officer=OLGA)
    placed = first.order([SHOP])
    assert rule(first.finalise, placed, csr(SHOP)) == "invitation-withdrawn"


def rule_of(act, *arguments) -> str:
    try:
        act(*arguments)
    except Refusal as refusal:
        return refusal.rule
    return ""


def test_a_key_change_needs_the_old_key_and_the_new_one(world):
    client, other = world.client(SHOP), world.client(SHOP)
    new = ec.generate_private_key(ec.SECP256R1())
    url = f"{BASE}/key-change"
    own, theirs = jwk_of(client.key.public_key()), jwk_of(other.key.public_key())

    def inner(key=new, **said):
        members = {"account": client.account, "oldKey": own, **said}
        header = {"jwk": jwk_of(new.public_key()), "url": url}
        return json.loads(jose.sign(header, wire.encode(members), key))

    # the old key is lost: whoever has the new one alone signs for nobody
    lost = jose.sign(
        {"nonce": nonce(world), "url": url, "kid": client.account}, wire.encode({"x": 1} | inner()), new
    )
    assert refused(world, "/acme/key-change", lost) == "bad-signature"
    bare = jose.sign(
        {"nonce": nonce(world), "url": url, "jwk": jwk_of(new.public_key())}, wire.encode(inner()), new
    )
    assert refused(world, "/acme/key-change", bare) == "no-such-account"
    # the new key is not the asker's
    assert rule(client.post, url, inner(client.key)) == "bad-signature"
    assert rule(client.post, url, inner(account=other.account)) == "old-key"
    assert rule(client.post, url, inner(oldKey=theirs)) == "old-key"
    # another account's key change, sent by this one
    assert rule(other.post, url, inner()) == "old-key"
    taken = json.loads(
        jose.sign(
            {"jwk": theirs, "url": url}, wire.encode({"account": client.account, "oldKey": own}), other.key
        )
    )
    answer = sent(world, "/acme/key-change", signed(world, client, "/acme/key-change", wire.encode(taken)))
    assert (problem(answer)["rule"], answer.status) == ("key-in-use", 409)
    assert answer.headers["location"] == other.account
    other_url = json.loads(
        jose.sign(
            {"jwk": jwk_of(new.public_key()), "url": f"{BASE}/new-order"},
            wire.encode({"account": client.account, "oldKey": own}),
            new,
        )
    )
    assert rule(client.post, url, other_url) == "wrong-url"
    assert client.look(client.account)["status"] == "valid"
    client.change_key(new)
    assert client.look(client.account)["status"] == "valid"


def test_weak_and_shown_keys_have_no_accounts(world):
    from cryptography.hazmat.primitives.asymmetric import rsa

    weak = rsa.generate_private_key(65537, 1024)
    client = world.client(register=False, key=weak)
    assert rule(client.register, binding=world.invite()) == "key-not-supported"
    key = ec.generate_private_key(ec.SECP256R1())
    header = {
        "nonce": nonce(world),
        "url": f"{BASE}/new-account",
        "jwk": {**jwk_of(key.public_key()), "d": "AAAA"},
    }
    assert refused(world, "/acme/new-account", jose.sign(header, b"{}", key)) == "private-jwk"


def test_a_bare_key_does_what_keys_may_alone(world):
    key = ec.generate_private_key(ec.SECP256R1())
    for path in (
        "/acme/new-order",
        "/acme/order/1",
        "/acme/challenge/1",
        "/acme/account/1",
        "/acme/key-change",
    ):
        header = {"nonce": nonce(world), "url": ORIGIN + path, "jwk": jwk_of(key.public_key())}
        assert (
            refused(world, path, jose.sign(header, b"" if "order/" in path else b"{}", key))
            == "no-such-account"
        )


def test_anothers_certificate_is_not_revoked(world, client, stranger):
    (made, _) = world.obtain(client)
    assert rule(stranger.revoke, made) == "not-yours"
    assert rule(stranger.revoke, made, key=stranger.key) == "foreign-certificate"
    assert rule(client.revoke, world.world.pki.root) == "no-such-certificate"
    # one that claims to be ours
    forged, _, key = world.world.pki.issue("tls-server", SHOP)
    assert rule(client.revoke, forged) == "no-such-certificate"
    assert rule(client.revoke, forged, key=key)
    assert not world.world.desk.revoked(made.serial)


# ---------------------------------------------------------------- floods
def test_one_address_does_not_keep_others_out(tmp_path):
    world = AcmeWorld(tmp_path, bounds=Bounds(rates=Rates(each=1.0, total=1000.0, burst=3.0)))
    asked = [world.door(Request("GET", "/acme/directory", client="192.0.2.1")) for _ in range(4)]
    assert [one.status for one in asked] == [200, 200, 200, 429]
    assert problem(asked[-1])["type"] == "urn:ietf:params:acme:error:rateLimited"
    assert asked[-1].headers["retry-after"] in {"1", "2"}
    assert world.door(Request("GET", "/acme/directory", client="192.0.2.2")).status == 200
    world.clock.forward(seconds=61)
    for _ in range(3):
        world.door(Request("GET", "/acme/nothing", client="192.0.2.3"))
    world.clock.forward(seconds=61)
    world.door.tick(world.clock.now())
    told = [(event["facts"]["rule"], event["facts"]["times"]) for event in world.events()]
    assert told == [("too-many-requests", 1), ("not-found", 1), ("not-found", 2)]
    world.close()


def test_old_nonces_are_forgotten_first(tmp_path):
    world = AcmeWorld(tmp_path, bounds=Bounds(rates=Rates(each=1e6, total=1e6), nonces=8))
    client = world.client()
    old = nonce(world)
    for _ in range(8):
        fresh = nonce(world)
    body = signed(world, client, "/acme/new-order", ORDER, nonce=old)
    assert refused(world, "/acme/new-order", body) == "bad-nonce"
    assert (
        sent(world, "/acme/new-order", signed(world, client, "/acme/new-order", ORDER, nonce=fresh)).status
        == 201
    )
    assert sent(world, "/acme/new-order", signed(world, client, "/acme/new-order", ORDER)).status == 201
    world.close()
