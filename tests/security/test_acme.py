"""The ACME door in memory: accounts, orders, what proves hosts, certificates, renewal, and every state."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from types import MappingProxyType

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Refusal, Unreachable
from e2s.base.http import Request
from e2s.base.instants import format_instant
from e2s.base.wire import b64u
from e2s.security.acme.client import identifier
from e2s.security.acme.identifiers import host_name, names_of_request, read_identifier, read_identifiers
from e2s.security.acme.nonces import Nonces
from e2s.security.acme.renewal import name_of, window
from e2s.security.acme.states import ACCOUNT, AUTHORISATION, CHALLENGE, ORDER, after, order_act
from tests.worlds.acme import BASE, SHOP, AcmeWorld, Carried, Word, csr, problem
from tests.worlds.enrolment import OLGA
from tests.worlds.pki import START

DESK = "desk.alpha.example"


@pytest.fixture
def world(tmp_path):
    made = AcmeWorld(tmp_path)
    yield made
    made.close()


@pytest.fixture
def client(world):
    return world.client(SHOP, DESK)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A world for what changes nothing in it."""
    made = AcmeWorld(tmp_path_factory.mktemp("acme"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_client(shared):
    client = shared.client()
    return client, shared.obtain(client)[0]


def rule(act, *arguments, **named) -> str:
    with pytest.raises(Refusal) as caught:
        act(*arguments, **named)
    return caught.value.rule


# ---------------------------------------------------------------- the whole way
def test_an_account_gets_a_certificate_and_its_events_are_on_record(world, client):
    chain = world.obtain(client)
    assert chain[0].dns == (SHOP,)
    assert chain[0].ekus == {"1.3.6.1.5.5.7.3.1"}
    assert chain[1:] == (world.world.pki.operating,)
    assert world.kinds() == ["acme.account", "acme.order", "acme.proven", "acme.certificate"]
    facts = world.events()[-1]["facts"]
    assert int(facts["serial"], 16) == chain[0].serial
    # the same desk as every door's: who was invited, by which officer, is on its record
    issued = [event for event in world.world.events() if event["kind"] == "enrolment.issued"][-1]["facts"]
    assert (issued["door"], issued["officer"], issued["name"]) == ("acme", OLGA, SHOP)


def test_hosts_that_are_proven_need_not_be_proven_again_for_a_while(world, client):
    world.obtain(client)
    asked = len(world.hosts.asked)
    placed = client.order([SHOP])
    assert placed.status == "ready"
    client.finalise(placed, csr(SHOP))
    assert len(world.hosts.asked) == asked
    world.clock.forward(days=31)
    placed = client.order([SHOP])
    assert placed.status == "pending"
    assert "acme.order-ended" not in world.kinds()


def test_an_address_is_proven_like_a_name(world):
    client = world.client("192.0.2.7", "2001:db8::7", SHOP)
    chain = client.obtain(
        ["192.0.2.7", "2001:db8::7", SHOP],
        csr("192.0.2.7", "2001:db8::7", SHOP),
        Word(world.hosts, "tls-alpn-01"),
    )
    assert (chain[0].ips, chain[0].dns) == (("192.0.2.7", "2001:db8::7"), (SHOP,))
    assert {proof.kind for proof in world.hosts.asked} == {"tls-alpn-01"}


def test_an_end_that_is_asked_for_is_the_certificates(world, client):
    end = format_instant(START + timedelta(days=10))
    placed = client.order([SHOP], not_after=end)
    assert placed.document["notAfter"] == end
    client.prove(placed, Word(world.hosts))
    assert client.finalise(placed, csr(SHOP))[0].not_after == START + timedelta(days=10)
    late = client.order([SHOP], not_after="2036-01-01T00:00:00+01:00")
    assert rule(client.finalise, late, csr(SHOP)) == "bad-end"
    assert rule(client.order, [SHOP], not_after="tomorrow") == "bad-end"


def test_a_restart_loses_nothing_but_nonces(world, client):
    placed = client.order([SHOP])
    world.reopen()
    client.exchange = Carried(world.door)
    client.prove(placed, Word(world.hosts))
    world.reopen()
    client.exchange = Carried(world.door)
    request = csr(SHOP)
    made = client.finalise(placed, request)
    world.reopen()
    client.exchange = Carried(world.door)
    assert client.finalise(placed, request) == made


def test_a_kill_between_the_desks_answer_and_ours_doubles_nothing(world, client, monkeypatch):
    placed = client.order([SHOP])
    client.prove(placed, Word(world.hosts))
    request = csr(SHOP)
    from e2s.security.acme import orders

    def killed(*_arguments, **_named):
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(orders, "_became", killed)
        with pytest.raises(RuntimeError):
            client.finalise(placed, request)
    assert client.look(placed.url)["status"] == "ready"
    made = client.finalise(placed, request)
    assert world.world.kinds().count("enrolment.issued") == 1
    assert made[0].dns == (SHOP,)


def test_what_an_officer_must_say_yes_to_is_processing_until_then(world, client, monkeypatch):
    from dataclasses import replace

    office = world.world.office
    rules = {**office.policy.rules, "tls-server": replace(office.policy.rules["tls-server"], officer=True)}
    object.__setattr__(office, "policy", replace(office.policy, rules=MappingProxyType(rules)))
    client.looks = 2
    placed = client.order([SHOP])
    client.prove(placed, Word(world.hosts))
    with pytest.raises(Unreachable, match="still-waiting"):
        client.finalise(placed, csr(SHOP))
    assert client.look(placed.url)["status"] == "processing"
    (waiting,) = world.world.requests("waiting")
    world.world.decide(waiting.case)
    assert client.finalise(placed, csr(SHOP))[0].dns == (SHOP,)
    again = client.order([SHOP])
    with pytest.raises(Unreachable, match="still-waiting"):
        client.finalise(again, csr(SHOP))
    (waiting,) = world.world.requests("waiting")
    world.world.decide(waiting.case, "decline", why="no such shop")
    assert rule(client.finalise, again, csr(SHOP))
    assert client.look(again.url)["status"] == "invalid"
    assert client.look(again.url)["error"]["rule"]


def test_a_ca_that_does_not_answer_leaves_the_order_processing(world, client, monkeypatch):
    placed = client.order([SHOP])
    client.prove(placed, Word(world.hosts))
    client.looks = 1
    ca = world.world.office.ca

    def away(*_arguments):
        raise Unreachable("unreachable", "no answer")

    with monkeypatch.context() as patched:
        patched.setattr(type(ca), "issue", away)
        with pytest.raises(Unreachable, match="still-waiting"):
            client.finalise(placed, csr(SHOP))
        assert client.look(placed.url)["status"] == "processing"
    assert client.finalise(placed, csr(SHOP))[0].dns == (SHOP,)


# ---------------------------------------------------------------- accounts
def test_an_account_is_found_by_its_key_changed_and_closed(world, client):
    assert client.register(existing=True) == f"{BASE}/account/1"
    assert client.register() == f"{BASE}/account/1"
    shown = client.look(client.account)
    assert shown == {
        "status": "valid",
        "contact": ["mailto:anna@alpha.example"],
        "orders": f"{BASE}/account/1/orders",
    }
    client.post(client.account, {"contact": []})
    assert client.look(client.account)["contact"] == []
    client.deactivate()
    assert rule(client.look, client.account) == "account-deactivated"
    client.account = ""
    assert rule(client.register) == "account-deactivated"
    assert world.kinds() == ["acme.account", "acme.account-changed", "acme.account-closed", "acme.refused"]


def test_an_accounts_orders_are_listed_page_by_page(world, client):
    placed = [client.order([SHOP]).url for _ in range(3)]
    assert client.look(f"{client.account}/orders")["orders"] == placed
    world.world.desk.offer = lambda *_: None  # what is asked a hundred times need not be judged each time
    placed += [client.order([SHOP]).url for _ in range(100)]
    answer = client.post(f"{client.account}/orders", None)
    assert json.loads(answer.body)["orders"] == placed[:100]
    following = answer.headers["link"].split("<")[-1].split(">")[0]
    assert client.look(following)["orders"] == placed[100:]
    assert rule(client.look, f"{client.account}/orders?cursor=x") == "not-found"


def test_a_key_change_leaves_the_old_key_without_an_account(world, client):
    old, new = client.key, ec.generate_private_key(ec.SECP384R1())
    account = client.account
    client.change_key(new)
    assert client.look(account)["status"] == "valid"
    client.key = old
    assert rule(client.look, account) == "wrong-algorithm"
    client.key = new
    assert world.obtain(client)[0].dns == (SHOP,)


def test_terms_are_agreed_to_first(tmp_path):
    world = AcmeWorld(tmp_path, terms="https://enrol.market.example/terms")
    client = world.client(register=False)
    meta = json.loads(world.door(Request("GET", "/acme/directory")).body)["meta"]
    assert meta == {"externalAccountRequired": True, "termsOfService": "https://enrol.market.example/terms"}
    assert rule(client.register, binding=world.invite()) == "terms-not-agreed"
    client.register(binding=world.invite(), agree=True)
    world.close()


def test_without_external_accounts_the_policy_alone_says_who_is_certified(tmp_path):
    world = AcmeWorld(tmp_path, external_account=False)
    client = world.client(register=False)
    client.register()
    assert world.obtain(client)[0].dns == (SHOP,)
    world.close()


@pytest.mark.parametrize(
    ("contact", "expected"),
    [
        (["mailto:a@b.example", "mailto:c@d.example"], ""),
        (["tel:+1"], "contact-not-supported"),
        (["mailto:a@b.example?subject=x"], "bad-contact"),
        (["mailto:a@b.example,c@d.example"], "bad-contact"),
        (["a@b.example"], "bad-contact"),
        ("mailto:a@b.example", "bad-contact"),
        ([1], "bad-contact"),
        (["mailto:" + "a" * 300 + "@b.example"], "bad-contact"),
        ([f"mailto:a{n}@b.example" for n in range(11)], "bad-contact"),
    ],
)
def test_contacts_are_mail_addresses(shared_client, contact, expected):
    client, _ = shared_client
    if expected:
        assert rule(client.post, client.account, {"contact": contact}) == expected
    else:
        client.post(client.account, {"contact": contact})


# ---------------------------------------------------------------- what proves a host
def test_a_host_that_answers_late_is_tried_again(world, client):
    placed = client.order([SHOP])
    url = placed.document["authorizations"][0]
    challenge = client.look(url)["challenges"][0]
    client.post(challenge["url"], {})
    world.settle()
    seen = client.look(challenge["url"])
    assert (seen["status"], seen["error"]["rule"]) == ("processing", "wrong-answer")
    assert client.post(challenge["url"], None).headers["retry-after"] == "1"
    thumb = world.hosts.asked[0].authorisation
    world.hosts.shown[SHOP, challenge["token"]] = thumb
    world.clock.forward(seconds=2)
    world.door.tick(world.clock.now())
    world.settle()
    assert client.look(url)["status"] == "pending"
    world.clock.forward(seconds=1)
    world.door.tick(world.clock.now())
    world.settle()
    shown = client.look(url)
    assert shown["status"] == "valid"
    (only,) = shown["challenges"]
    assert only["validated"] == format_instant(world.clock.now())
    assert "error" not in only
    assert client.look(placed.url)["status"] == "ready"


def test_a_host_that_never_answers_ends_its_orders(world, client):
    placed = client.order([SHOP, DESK])
    assert rule(client.prove, placed, Silent(world.hosts)) == "wrong-answer"
    assert len(world.hosts.asked) == 4
    assert client.look(placed.url)["status"] == "invalid"
    assert rule(client.finalise, placed, csr(SHOP, DESK)) == "order-not-ready"
    assert world.kinds()[-3:-1] == ["acme.not-proven", "acme.order-ended"]


class Silent(Word):
    """Shows nothing anywhere."""

    def show(self, proof):
        pass

    def hide(self, proof):
        pass


def test_what_no_second_try_makes_good_is_not_tried_again(world, client):
    world.hosts.fault = Refusal("network-not-permitted", "no")
    placed = client.order([SHOP])
    assert rule(client.prove, placed, Word(world.hosts)) == "network-not-permitted"
    assert len(world.hosts.asked) == 1


def test_a_fault_of_ours_proves_nothing_and_ends(world, client, caplog):
    def broken(_proof):
        raise ZeroDivisionError

    world.door._challenges._validate = broken
    placed = client.order([SHOP])
    assert rule(client.prove, placed, Word(world.hosts)) == "internal-error"
    assert "ZeroDivisionError" in caplog.text


def test_a_slow_host_stops_nobody(world, client):
    begun, go_on = threading.Event(), threading.Event()
    quick = world.door._challenges._validate

    def slow(proof):
        if proof.host.value == DESK:
            begun.set()
            go_on.wait(20)
        quick(proof)

    world.door._challenges._validate = slow
    placed = client.order([DESK])
    (challenge, _) = client.look(placed.document["authorizations"][0])["challenges"]
    client.post(challenge["url"], {})
    begun.wait(20)
    other = world.client(SHOP)
    other.pause = lambda _: threading.Event().wait(0.005)
    assert world.obtain(other)[0].dns == (SHOP,)
    assert client.look(challenge["url"])["status"] == "processing"
    go_on.set()
    world.settle()


def test_many_slow_hosts_of_one_account_leave_threads_for_others(world):
    names = [f"slow-{n}.alpha.example" for n in range(12)]
    client, other = world.client(*names), world.client(SHOP)
    go_on, most = threading.Event(), [0]
    quick = world.door._challenges._validate

    def slow(proof):
        if proof.host.value in names:
            most[0] = max(most[0], len(world.door._challenges._trying))
            go_on.wait(20)
        quick(proof)

    world.door._challenges._validate = slow
    placed = client.order(names)
    word = Word(world.hosts)
    for url in placed.document["authorizations"]:
        (challenge, _) = client.look(url)["challenges"]
        authorisation = f"{challenge['token']}.{world.door._book.account(1).thumbprint}"
        world.hosts.shown[client.look(url)["identifier"]["value"], challenge["token"]] = authorisation
        client.post(challenge["url"], {})
    other.pause = lambda _: threading.Event().wait(0.005)
    assert other.obtain([SHOP], csr(SHOP), word)[0].dns == (SHOP,)
    go_on.set()
    client.pause = other.pause
    assert client.finalise(placed, csr(*names))[0].dns == tuple(names)
    assert most[0] <= 4


def test_what_was_begun_is_tried_after_a_restart(world, client):
    placed = client.order([SHOP])
    challenge = client.look(placed.document["authorizations"][0])["challenges"][0]
    world.door._challenges._closed = True  # the process dies before a thread took it
    client.post(challenge["url"], {})
    world.reopen()
    client.exchange = Carried(world.door)
    world.door.tick(world.clock.now())
    world.settle()
    assert len(world.hosts.asked) == 1


def test_an_authorisation_is_given_back(world, client):
    placed = client.order([SHOP])
    url = placed.document["authorizations"][0]
    assert json.loads(client.post(url, {"status": "deactivated"}).body)["status"] == "deactivated"
    assert rule(client.post, url, {"status": "deactivated"}) == "wrong-state"
    assert rule(client.post, url, {"status": "valid"}) == "wrong-state"
    assert client.look(placed.url)["status"] == "invalid"
    again = client.order([SHOP])
    client.prove(again, Word(world.hosts))
    client.post(again.document["authorizations"][0], {"status": "deactivated"})
    assert rule(client.finalise, again, csr(SHOP)) == "order-not-ready"


def test_time_ends_what_was_begun(world, client):
    placed = client.order([SHOP])
    url = placed.document["authorizations"][0]
    challenge = client.look(url)["challenges"][0]
    world.clock.forward(days=2)
    assert client.look(url)["status"] == "expired"
    assert rule(client.post, challenge["url"], {}) == "wrong-state"
    assert client.look(placed.url)["status"] == "invalid"
    ready = client.order([SHOP])
    client.prove(ready, Word(world.hosts))
    world.clock.forward(days=8)
    assert rule(client.finalise, ready, csr(SHOP)) == "order-not-ready"


def test_hosts_that_wait_are_bounded(tmp_path):
    from e2s.security.acme.book import Lifetimes
    from e2s.security.acme.service import Bounds
    from tests.worlds.acme import FREE

    world = AcmeWorld(tmp_path, bounds=Bounds(rates=FREE.rates, lifetimes=Lifetimes(most_pending=3)))
    client = world.client(SHOP, DESK)
    client.order([SHOP, DESK])
    assert rule(client.order, [SHOP, DESK]) == "too-many-pending"
    assert client.order([SHOP]).status == "pending"
    world.clock.forward(days=2)
    assert client.order([SHOP, DESK]).status == "pending"
    world.close()


# ---------------------------------------------------------------- renewal and withdrawal
def test_a_window_is_suggested_and_a_revoked_certificate_is_renewed_now(world, client):
    (made, _) = world.obtain(client)
    start, end = client.window(made)
    assert made.not_before < start < end < made.not_after
    assert world.door(Request("GET", f"/acme/renewal-info/{name_of(made)}")).headers["retry-after"] == "21600"
    client.revoke(made, 1)
    assert client.window(made)[1] < world.clock.now() + timedelta(hours=1)
    assert rule(client.revoke, made) == "already-revoked"
    assert world.world.desk.revoked(made.serial)


def test_revoked_at_another_door_is_renewed_now_too(world, client):
    (made, _) = world.obtain(client)
    from e2s.security.enrolment.asking import Holder

    world.world.desk.withdraw(made.serial, "superseded", Holder(certificate=made), door="est")
    assert client.window(made) == window(made, gone=True)


def test_the_key_of_a_certificate_revokes_it(world, client):
    key = ec.generate_private_key(ec.SECP256R1())
    placed = client.order([SHOP])
    client.prove(placed, Word(world.hosts))
    (made, _) = client.finalise(placed, csr(SHOP, key=key))
    stranger = world.client(DESK)
    assert rule(stranger.revoke, made, key=ec.generate_private_key(ec.SECP256R1())) == "foreign-certificate"
    stranger.revoke(made, key=key)
    assert world.world.desk.revoked(made.serial)


def test_who_controls_all_its_hosts_now_revokes_it(world, client):
    (made, _) = world.obtain(client)
    other = world.client(SHOP)
    assert rule(other.revoke, made) == "not-yours"
    placed = other.order([SHOP])
    other.prove(placed, Word(world.hosts))
    other.revoke(made)
    assert world.world.desk.revoked(made.serial)


@pytest.mark.parametrize("reason", [2, 6, 8, 10, -1, "1", True, 7, 99])
def test_a_reason_is_one_that_a_holder_may_give(shared, shared_client, reason):
    client, made = shared_client
    assert rule(client.revoke, made, reason) == "bad-reason"
    assert not shared.world.desk.revoked(made.serial)


def test_a_certificate_is_replaced_once_and_by_its_account(world, client):
    (made, _) = world.obtain(client)
    stranger = world.client(DESK)
    assert rule(stranger.order, [DESK], replaces=made) == "not-yours"
    assert rule(client.order, [DESK], replaces=made) == "not-yours"
    placed = client.order([SHOP, DESK], replaces=made)
    assert placed.document["replaces"] == name_of(made)
    assert rule(client.order, [SHOP], replaces=made) == "already-replaced"
    # an order that came to nothing replaces nothing
    world.clock.forward(days=8)
    client.look(placed.url)
    assert client.order([SHOP], replaces=made).status == "ready"
    assert rule(client.order, [SHOP], replaces=world.world.pki.operating) == "not-found"


@pytest.mark.parametrize("name", ["x", "a.b", "..", "AAAA.AQ", "A" * 200, "AAAA.AQ.AQ"])
def test_nothing_is_told_of_what_is_not_here(shared, name):
    answer = shared.door(Request("GET", f"/acme/renewal-info/{name}"))
    assert problem(answer)["rule"] == "not-found"


def test_a_certificate_is_named_as_the_rfc_does():
    """RFC 9773, 4.1: the serial's leading zero octet stays, as DER has it."""
    from e2s.security.acme.renewal import _serial_octets

    assert b64u(_serial_octets(0x87654321)) == "AIdlQyE"


# ---------------------------------------------------------------- hosts
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"type": "dns", "value": "Shop.Example"}, ("dns", "shop.example")),
        ({"type": "dns", "value": "xn--bcher-kva.example"}, ("dns", "xn--bcher-kva.example")),
        ({"type": "dns", "value": "*.shop.example"}, "wildcard"),
        ({"type": "dns", "value": "shop.*.example"}, "bad-identifier"),
        ({"type": "dns", "value": "b\u00fccher.example"}, "bad-identifier"),
        ({"type": "dns", "value": "192.0.2.7"}, "bad-identifier"),
        ({"type": "dns", "value": "0x7f.1"}, "bad-identifier"),
        ({"type": "dns", "value": "shop.0x1"}, "bad-identifier"),
        ({"type": "dns", "value": "shop..example"}, "bad-identifier"),
        ({"type": "dns", "value": "shop.example."}, "bad-identifier"),
        ({"type": "dns", "value": "-shop.example"}, "bad-identifier"),
        ({"type": "dns", "value": "shop_1.example"}, "bad-identifier"),
        ({"type": "dns", "value": ""}, "bad-identifier"),
        ({"type": "dns", "value": "a" * 64 + ".example"}, "bad-identifier"),
        ({"type": "dns", "value": ".".join(["a" * 60] * 5)}, "bad-identifier"),
        ({"type": "dns", "value": "shop.example:80"}, "bad-identifier"),
        ({"type": "dns", "value": "shop.example/x"}, "bad-identifier"),
        ({"type": "dns", "value": "a\r\nb.example"}, "bad-identifier"),
        ({"type": "ip", "value": "192.0.2.7"}, ("ip", "192.0.2.7")),
        ({"type": "ip", "value": "2001:db8::7"}, ("ip", "2001:db8::7")),
        ({"type": "ip", "value": "2001:DB8::7"}, "bad-identifier"),
        ({"type": "ip", "value": "fe80::1%eth0"}, "bad-identifier"),
        ({"type": "ip", "value": "192.0.2.07"}, "bad-identifier"),
        ({"type": "ip", "value": "192.0.2.0/24"}, "bad-identifier"),
        ({"type": "email", "value": "a@b.example"}, "identifier-not-supported"),
        ({"type": 1, "value": "x"}, "bad-identifier"),
        ({"type": "dns"}, "bad-identifier"),
        ("shop.example", "bad-identifier"),
    ],
    ids=str,
)
def test_a_host_has_one_form(value, expected):
    if isinstance(expected, tuple):
        assert read_identifier(value) == expected
    else:
        assert rule(read_identifier, value) == expected


@pytest.mark.parametrize("value", [None, [], {}, [{"type": "dns", "value": "a.example"}] * 2, [{}] * 101])
def test_an_order_names_each_host_once_and_not_too_many(value):
    assert rule(read_identifiers, value) == "bad-identifier"


@given(st.text(max_size=80))
def test_a_hosts_name_is_good_or_refused(text):
    try:
        name = host_name(text)
    except Refusal as refusal:
        assert refusal.rule in {"bad-identifier", "wildcard"}
    else:
        assert name == host_name(name)
        assert identifier(name) == ("dns", name)


def test_a_requests_names_are_read():
    assert names_of_request(csr("Shop.example", "192.0.2.7")) == {"shop.example", "192.0.2.7"}
    assert rule(names_of_request, csr("urn:e2s:market:alpha:anna")) == "bad-csr"
    assert rule(names_of_request, csr("anna@alpha.example")) == "bad-csr"
    assert rule(names_of_request, b"no request") == "bad-csr"


# ---------------------------------------------------------------- states and nonces
TABLES = {"account": ACCOUNT, "order": ORDER, "authorisation": AUTHORISATION, "challenge": CHALLENGE}


@pytest.mark.parametrize("name", TABLES)
def test_each_cell_of_each_table_leads_on_or_is_refused(name):
    table = TABLES[name]
    known = {state for state, _ in table} | set(table.values())
    for state in known:
        for act in {act for _, act in table} | {"unknown"}:
            if (state, act) in table:
                assert after(table, state, act) == table[state, act]
            else:
                assert rule(after, table, state, act) == "wrong-state"
    # RFC 8555, 7.1.6: from an end nothing leads on
    ends = {"invalid", "deactivated", "revoked", "expired"} | (
        {"valid"} if name in {"order", "challenge"} else set()
    )
    assert not ends & {state for state, _ in table}


_STATES = st.sampled_from(["pending", "valid", "invalid", "expired", "deactivated", "revoked"])


@given(
    st.sampled_from(["pending", "ready", "processing", "valid", "invalid"]),
    st.lists(_STATES, max_size=4),
    st.booleans(),
)
def test_an_order_is_what_its_authorisations_make_it(state, authorisations, lapsed):
    act = order_act(state, tuple(authorisations), lapsed=lapsed)
    then = after(ORDER, state, act) if act else state
    if state not in {"pending", "ready"}:
        assert then == state
    elif lapsed or set(authorisations) - {"pending", "valid"}:
        assert then == "invalid"
    elif then == "ready" != state:
        assert set(authorisations) == {"valid"}
    else:
        assert then == state


@given(st.lists(st.integers(0, 40), max_size=80), st.integers(1, 16))
def test_a_nonce_is_good_once_and_while_it_is_remembered(takes, most):
    nonces = Nonces(bytes, most=most)
    given_out: list[str] = []
    used: set[int] = set()
    for take in takes:
        if take % 2:
            given_out.append(nonces.give())
            continue
        number = take // 2
        if number >= len(given_out):
            continue
        good = number not in used and number >= len(given_out) - most
        if good:
            nonces.take(given_out[number])
            used.add(number)
        else:
            assert rule(nonces.take, given_out[number]) == "bad-nonce"


@pytest.mark.parametrize("text", [None, 1, "", "x" * 32, "=" * 32, "A" * 31, "\u00e9" * 32, ["a"]])
def test_what_is_no_nonce_is_refused(text):
    assert rule(Nonces(bytes).take, text) == "bad-nonce"


def test_another_doors_nonces_are_none_of_ours():
    theirs, ours = Nonces(lambda size: b"\x01" * size), Nonces(lambda size: b"\x02" * size)
    ours.give()
    assert rule(ours.take, theirs.give()) == "bad-nonce"


# ---------------------------------------------------------------- what anyone may ask
def test_the_directory_and_nonces_are_for_anyone(shared):
    world = shared
    directory = world.door(Request("GET", "/acme/directory"))
    assert json.loads(directory.body)["newOrder"] == f"{BASE}/new-order"
    assert "replay-nonce" not in directory.headers
    head, got = (world.door(Request(method, "/acme/new-nonce")) for method in ("HEAD", "GET"))
    assert (head.status, got.status) == (200, 204)
    assert head.headers["replay-nonce"] != got.headers["replay-nonce"]
    assert head.headers["cache-control"] == "no-store"
    assert head.headers["link"] == f'<{BASE}/directory>;rel="index"'


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/acme", "not-found"),
        ("GET", "/acme/", "not-found"),
        ("GET", "/acmedirectory", "not-found"),
        ("GET", "/acme/new-authz", "not-found"),
        ("GET", "/acme/new-order/1", "not-found"),
        ("GET", "/acme/order", "not-found"),
        ("GET", "/acme/order/1", "wrong-method"),
        ("GET", "/acme/account/1/finalize", "not-found"),
        ("POST", "/acme/directory", "not-found"),
        ("PUT", "/acme/new-order", "wrong-method"),
        ("GET", "/acme/order/../directory", "not-found"),
    ],
)
def test_what_is_not_there_is_refused_by_rule(shared, method, path, expected):
    told = problem(shared.door(Request(method, path)))
    assert told["rule"] == expected
    assert told["type"].startswith("urn:ietf:params:acme:error:")


def test_an_identifier_for_people_is_a_host():
    from e2s.base.errors import Misuse

    assert identifier("2001:0db8::7") == ("ip", "2001:db8::7")
    with pytest.raises(Misuse, match="bad-host"):
        identifier("*.example")
