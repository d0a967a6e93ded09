"""A CA obeys officers' signed words, each once, and refuses by rule whatever else its doors are given."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.base.rights import TableAuthoriser
from e2s.base.wire import b64u
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.signing import sign
from e2s.crypto.keys import KeySigner, spki_of
from e2s.security.certificates.certify import request
from e2s.security.certificates.profiles import PROFILES, profile
from e2s.security.keys.generation import generate
from e2s.security.pki import store
from e2s.security.pki.approvals import Judge, read_approval
from e2s.security.pki.ca import RIGHTS, Authority
from e2s.security.pki.service import doors, for_peers
from e2s.security.pki.statement import request_stated
from e2s.security.status.entries import decode
from tests.worlds.ca_client import CaClient
from tests.worlds.pki import SetClock, make_pki

CA = "authority-ca"
OLGA, OSKAR, OTTO = (f"urn:e2s:market:authority:{name}" for name in ("olga", "oskar", "otto"))
RIGHTS_GIVEN = frozenset(
    {
        (OLGA, RIGHTS.register, CA),
        (OLGA, RIGHTS.approve, CA),
        (OLGA, RIGHTS.revoke, CA),
        (OSKAR, RIGHTS.approve, CA),
    }
)
DAY = timedelta(days=1)


class Door:
    """A CA's doors, with officers at hand; ``ask`` is a link."""

    def __init__(self, folder):
        self.pki = make_pki()
        self.clock = SetClock(self.pki.at)
        self.olga, self.oskar, self.otto = (self.pki.signer("officer", name) for name in (OLGA, OSKAR, OTTO))
        authoriser = TableAuthoriser(RIGHTS_GIVEN)
        self.authority = Authority(
            self.pki.operating_ca.signer,
            Database.open(folder / "register.sqlite", store.TABLES),
            kind="operating-ca",
            component=CA,
            clock=self.clock,
            random=secrets.token_bytes,
            authoriser=authoriser,
        )
        judge = Judge(trust=self.pki.trust(self.clock), authoriser=authoriser, community="market", ca=CA)
        self.doors = doors(self.authority, judge)
        self.client = CaClient(self)

    def ask(self, path, body):
        return self.doors[path]("authority-registration", body)

    def order(self, key, **more):
        said = {
            "case": f"c-{secrets.token_hex(4)}",
            "profile": "tls-server",
            "names": ["urn:e2s:market:volt", "shop.volt.example"],
            "spki": b64u(sha256(spki_of(key.public_key())).digest()),
            "confidence": "",
            "evidence": [b64u(bytes(32))],
        }
        return said | more

    def registration(self, orders, signer=None, **more):
        officer = signer or self.olga
        now = self.clock.now()
        document = {
            "type": "e2s/1/registration",
            "community": "market",
            "ca": CA,
            "case": "bulk-1",
            "orders": orders,
            "officer": officer.certificate.name,
            "at": format_instant(now),
            "until": format_instant(now + DAY),
        }
        return self.signed(document | more, officer)

    def approved(self, inner, officer=None, **more):
        officer = officer or self.oskar
        document = {
            "type": "e2s/1/registration-approval",
            "of": b64u(sha256(inner).digest()),
            "registration": b64u(inner),
            "officer": officer.certificate.name,
            "at": format_instant(self.clock.now()),
        }
        return self.signed(document | more, officer)

    def withdrawal(self, of, act="revoke", signer=None, **more):
        officer = signer or self.olga
        now = self.clock.now()
        document = {
            "type": "e2s/1/withdrawal",
            "community": "market",
            "ca": CA,
            "case": "",
            "serial": f"{of:x}",
            "act": act,
            "reason": "keyCompromise" if act == "revoke" else "",
            "officer": officer.certificate.name,
            "at": format_instant(now),
            "until": format_instant(now + DAY),
        }
        return self.signed(document | more, officer)

    def signed(self, document, officer):
        return sign(wire.encode(document), oids.DATA, officer, self.clock.now())

    def issued(self):
        with self.authority.database.reading() as connection:
            return [row.serial for row in store.valid(connection, self.clock.now())]

    def kinds(self):
        with self.authority.database.reading() as connection:
            bodies = [body for _, body in self.authority.outbox.waiting(connection, "audit")]
        return [(event["kind"], event["outcome"]) for event in map(wire.decode, bodies)]


@pytest.fixture
def door(tmp_path):
    made = Door(tmp_path)
    yield made
    made.authority.close()


def new_key():
    return generate("p256-sha256", secrets.token_bytes)


def csr(key):
    return request(key, ("urn:e2s:market:whoever",))


def test_registration_is_carried_out_once(door):
    keys = [new_key() for _ in range(3)]
    word = door.registration([door.order(key) for key in keys])
    first = door.client.issue(word, [csr(key) for key in keys[:2]])
    assert [one.public_key for one in first] == [key.public_key() for key in keys[:2]]
    again = door.client.issue(word, [csr(key) for key in keys])
    assert again[:2] == first
    assert len(door.issued()) == 3
    assert door.kinds() == [
        ("registration.accepted", "done"),
        *[("certificate.issued", "done")] * 3,
    ]


def test_certificate_says_what_was_ordered(door):
    key, end = new_key(), door.clock.now() + 10 * DAY
    order = door.order(key, subject="CN=Volt's shop,O=market", notAfter=format_instant(end))
    (made,) = door.client.issue(door.registration([order]), [csr(key)])
    assert made.subject == "CN=Volt's shop,O=market"
    assert (made.not_after, made.dns) == (end, ("shop.volt.example",))


def test_lost_answer_is_found_after_the_word_is_over(door):
    key = new_key()
    word = door.registration([door.order(key)])
    (made,) = door.client.issue(word, [csr(key)])
    door.pki.revoke(door.olga.certificate)
    door.clock.forward(days=2)
    assert door.client.issue(word, [csr(key)]) == [made]


def test_another_signature_over_the_same_registration_issues_nothing_new(door):
    key = new_key()
    document = wire.decode(read_approval(door.registration([door.order(key)])).first.content)
    one, two = (door.signed(document, door.olga) for _ in range(2))
    assert one != two
    assert door.client.issue(one, [csr(key)]) == door.client.issue(two, [csr(key)])


def test_four_eyes(door):
    key = new_key()
    inner = door.registration([door.order(key, profile="officer", names=["urn:e2s:market:authority:new"])])
    with pytest.raises(Refusal, match="four-eyes"):
        door.client.issue(inner, [csr(key)])
    (made,) = door.client.issue(door.approved(inner), [csr(key)])
    assert made.name == "urn:e2s:market:authority:new"


def test_four_eyes_of_a_profile_of_ones_own(door):
    asks = replace(profile("tls-server"), four_eyes=True)
    door.authority.profiles = {**PROFILES, "tls-server": asks}
    key = new_key()
    inner = door.registration([door.order(key)])
    with pytest.raises(Refusal, match="four-eyes"):
        door.client.issue(inner, [csr(key)])
    (made,) = door.client.issue(door.approved(inner), [csr(key)])
    assert isinstance(made, Certificate)


def test_one_order_refused_spares_the_others(door):
    keys = [new_key() for _ in range(5)]
    more: tuple[dict[str, Any], ...] = (
        {},
        {"profile": "card-holder"},
        {"names": ["urn:e2s:elsewhere:volt"]},
        {"profile": "no-such"},
        {"subject": "no name"},
    )
    word = door.registration([door.order(key, **m) for key, m in zip(keys, more, strict=True)])
    results = door.client.issue(word, [csr(key) for key in keys])
    assert isinstance(results[0], Certificate)
    assert [one.rule for one in results[1:]] == [
        "wrong-profile",
        "foreign-name",
        "no-such-profile",
        "bad-subject",
    ]
    assert len(door.issued()) == 1


def test_no_certificate_outlasts_its_profile(door):
    keys = [new_key(), new_key()]
    ends = (door.clock.now() + 4000 * DAY, door.clock.now())
    orders = [door.order(key, notAfter=format_instant(end)) for key, end in zip(keys, ends, strict=True)]
    results = door.client.issue(door.registration(orders), [csr(key) for key in keys])
    assert [one.rule for one in results] == ["bad-end", "bad-end"]


def at(door, **forward):
    return format_instant(door.clock.now() + timedelta(**forward))


def altered(octets, old, new):
    assert octets.count(old) == 1
    return octets.replace(old, new)


def twice(door, key):
    return door.registration([door.order(key), door.order(key)])


def too_many(door, key):
    return door.registration([door.order(key), *(door.order(new_key()) for _ in range(3))] * 251)


def of_other(door, key):
    first, other = (door.registration([door.order(key)]) for _ in range(2))
    return door.approved(first, registration=b64u(other))


REFUSED = {
    "officer without the right": (
        "not-authorised",
        lambda d, k: d.registration([d.order(k)], d.otto),
    ),
    "officer who may only approve": (
        "not-authorised",
        lambda d, k: d.registration([d.order(k)], d.oskar),
    ),
    "no officer": (
        "wrong-purpose",
        lambda d, k: d.registration([d.order(k)], d.pki.signer("buyer", OLGA)),
    ),
    "another's name": ("wrong-name", lambda d, k: d.registration([d.order(k)], d.otto, officer=OLGA)),
    "foreign officer": (
        "unknown-root",
        lambda d, k: d.registration([d.order(k)], make_pki().signer("officer", OLGA)),
    ),
    "same person twice": (
        "same-officer",
        lambda d, k: d.approved(d.registration([d.order(k)]), d.olga),
    ),
    "same person's other key": (
        "same-officer",
        lambda d, k: d.approved(d.registration([d.order(k)]), d.pki.signer("officer", OLGA)),
    ),
    "second without the right": (
        "not-authorised",
        lambda d, k: d.approved(d.registration([d.order(k)]), d.otto),
    ),
    "another CA": ("other-ca", lambda d, k: d.registration([d.order(k)], ca="other-ca")),
    "another community": (
        "other-community",
        lambda d, k: d.registration([d.order(k)], community="bazaar"),
    ),
    "over": ("approval-lapsed", lambda d, k: d.registration([d.order(k)], until=at(d))),
    "over, at another's word": (
        "approval-lapsed",
        lambda d, k: d.approved(d.registration([d.order(k)], until=at(d))),
    ),
    "of herself": (
        "own-case",
        lambda d, k: d.registration([d.order(k, names=[OLGA])]),
    ),
    "of the second officer": (
        "own-case",
        lambda d, k: d.approved(d.registration([d.order(k, names=[OSKAR])])),
    ),
    "another time than its signature's": (
        "wrong-time",
        lambda d, k: d.registration([d.order(k)], at=at(d, hours=-1)),
    ),
    "altered": (
        "altered-content",
        lambda d, k: altered(d.registration([d.order(k)]), b"shop.volt", b"shop.bolt"),
    ),
    "second over another": ("bad-approval", of_other),
    "a key ordered twice": ("bad-approval", twice),
    "more orders than allowed": ("bad-document", too_many),
    "no orders": ("bad-document", lambda d, _k: d.registration([])),
    "a member too many": (
        "bad-document",
        lambda d, k: d.registration([d.order(k, issuer="anybody")]),
    ),
    "no registration": ("wrong-label", lambda d, _k: d.withdrawal(1 << 127)),
    "approval of an approval": (
        "wrong-label",
        lambda d, k: d.approved(d.approved(d.registration([d.order(k)]))),
    ),
    "garbage": ("der-", lambda _d, _k: b"garbage"),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_word_refused(door, case):
    rule, make = REFUSED[case]
    key = new_key()
    word = make(door, key)
    with pytest.raises(Refusal, match=rf"^{rule}"):
        door.client.issue(word, [csr(key)])
    assert door.issued() == []


def test_revoked_officer(door):
    key = new_key()
    word = door.registration([door.order(key)])
    door.pki.revoke(door.olga.certificate)
    with pytest.raises(Refusal, match="revoked"):
        door.client.issue(word, [csr(key)])


def test_word_of_a_clock_that_is_ahead(door):
    key = new_key()
    door.clock.forward(hours=1)
    word = door.registration([door.order(key)])
    door.clock.forward(hours=-1)
    with pytest.raises(Refusal, match=r"stale-word"):
        door.client.issue(word, [csr(key)])


def bent(octets):
    return octets[:-1] + bytes((octets[-1] ^ 1,))


REQUESTS = {
    "another key": ("foreign-key", lambda _k: [csr(new_key())]),
    "one key twice": ("foreign-key", lambda k: [csr(k), csr(k)]),
    "no possession": ("no-possession|bad-request", lambda k: [bent(csr(k))]),
    "garbage": ("bad-request", lambda _k: [b"garbage"]),
    "too large": ("bad-document", lambda k: [csr(k) + bytes(20_000)]),
    "none": ("bad-document", lambda _k: []),
    "too many": ("bad-document", lambda k: [csr(k)] * 251),
}


@pytest.mark.parametrize("case", sorted(REQUESTS))
def test_requests_refused(door, case):
    rule, make = REQUESTS[case]
    key = new_key()
    word = door.registration([door.order(key)])
    with pytest.raises(Refusal, match=rule):
        door.client.issue(word, make(key))
    assert door.issued() == []


def test_key_that_signs_nothing_needs_a_statement_that_the_ca_believes(door):
    """RFC 9883: stated by a certificate of this CA for the same holder, and by no other's."""
    name, key = "urn:e2s:market:alpha:ada", generate("ml-kem-768-aes256gcm", secrets.token_bytes)
    strange, own = make_pki().signer("buyer", name), holder(door, name)
    order = door.order(key, profile="buyer-agreement", names=[name])
    word = door.approved(door.registration([order]))
    (refused,) = door.client.issue(word, [request_stated(key.public_key(), (name,), strange)])
    assert refused.rule == "no-possession"
    (made,) = door.client.issue(word, [request_stated(key.public_key(), (name,), own)])
    assert made.public_key == key.public_key()


def test_key_of_another_use(door):
    key = new_key()
    names = ["urn:e2s:market:volt"]
    door.client.issue(door.registration([door.order(key)]), [csr(key)])
    order = door.order(key, profile="catalogue", names=names)
    word = door.approved(door.registration([order]))
    (result,) = door.client.issue(word, [csr(key)])
    assert result.rule == "key-reused"


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"type":"e2s/1/withdraw"}', bytes(5 * 1024 * 1024)])
@pytest.mark.parametrize("path", ["/issue", "/revoke"])
def test_bodies_refused(door, path, body):
    with pytest.raises(Refusal, match=r"not-canonical|bad-document|wrong-label|too-large"):
        door.ask(path, body)


@given(octets=st.binary(max_size=200))
def test_garbage_is_no_approval(octets):
    with pytest.raises(Refusal):
        read_approval(octets)


def test_doors_are_for_their_peers(door):
    guarded = for_peers(door.doors, {"authority-registration": frozenset({"/issue"})})
    with pytest.raises(Refusal, match="link-no-door"):
        guarded["/revoke"]("authority-registration", b"")
    with pytest.raises(Refusal, match="link-no-door"):
        guarded["/issue"]("volt-shop", b"")
    with pytest.raises(Refusal, match="not-canonical"):
        guarded["/issue"]("authority-registration", b"")


def holder(door, name):
    key = new_key()
    order = door.order(key, profile="buyer", names=[name])
    (made,) = door.client.issue(door.approved(door.registration([order])), [csr(key)])
    return KeySigner(made, (door.pki.operating,), key)


def certified(door):
    key = new_key()
    (made,) = door.client.issue(door.registration([door.order(key)]), [csr(key)])
    return KeySigner(made, (door.pki.operating,), key)


def entry_of(door, serial):
    found = [change.entry for change in door.authority.changes(0) if change.serial == serial]
    return decode(found[-1]) if found[-1] else None


def test_withdrawal_is_carried_out_once(door):
    own = certified(door).certificate
    lost = door.clock.now() - timedelta(hours=5)
    word = door.withdrawal(own.serial, invalidity=format_instant(lost))
    first = door.client.withdraw(word)
    assert first == door.clock.now()
    door.clock.forward(days=3)
    assert door.client.withdraw(word) == first
    entry = entry_of(door, own.serial)
    assert (entry.at, entry.reason, entry.invalidity) == (first, "keyCompromise", lost)


def test_release_of_yesterday_does_not_work_again(door):
    serial = certified(door).certificate.serial
    door.client.withdraw(door.withdrawal(serial, "hold"))
    release = door.withdrawal(serial, "release")
    door.client.withdraw(release)
    assert entry_of(door, serial) is None
    door.clock.forward(seconds=1)
    door.client.withdraw(door.withdrawal(serial, "hold"))
    door.client.withdraw(release)
    assert entry_of(door, serial).reason == "certificateHold"


def test_holder_withdraws_her_own(door):
    own = certified(door)
    serial = own.certificate.serial
    door.client.withdraw(door.withdrawal(serial, "hold", own))
    with pytest.raises(Refusal, match="not-authorised"):
        door.client.withdraw(door.withdrawal(serial, "release", own))
    door.client.withdraw(door.withdrawal(serial, "revoke", own))
    assert entry_of(door, serial).reason == "keyCompromise"


WITHDRAWALS = {
    "officer without the right": ("not-authorised", lambda d, s: d.withdrawal(s, signer=d.oskar)),
    "another's certificate": ("wrong-purpose", lambda d, s: d.withdrawal(s, signer=certified(d))),
    "another CA": ("other-ca", lambda d, s: d.withdrawal(s, ca="other")),
    "another community": ("other-community", lambda d, s: d.withdrawal(s, community="bazaar")),
    "over": ("approval-lapsed", lambda d, s: d.withdrawal(s, until=at(d))),
    "unknown serial": ("no-such-certificate", lambda d, s: d.withdrawal(s ^ 1)),
    "no serial": ("bad-document", lambda d, s: d.withdrawal(s, serial="xyz")),
    "unknown act": ("bad-document", lambda d, s: d.withdrawal(s, act="destroy", reason="")),
    "unknown reason": ("bad-document", lambda d, s: d.withdrawal(s, reason="bored")),
    "no reason": ("bad-document", lambda d, s: d.withdrawal(s, reason="")),
    "a reason too many": ("bad-document", lambda d, s: d.withdrawal(s, "hold", reason="keyCompromise")),
    "hold as a reason": ("bad-reason", lambda d, s: d.withdrawal(s, reason="certificateHold")),
    "taken back": ("bad-document", lambda d, s: d.withdrawal(s, reason="removeFromCRL")),
    "invalidity to come": ("bad-invalidity", lambda d, s: d.withdrawal(s, invalidity=at(d, hours=1))),
    "invalidity of a hold": ("bad-document", lambda d, s: d.withdrawal(s, "hold", invalidity=at(d))),
    "not held": ("not-held", lambda d, s: d.withdrawal(s, "release")),
    "altered": ("altered-content", lambda d, s: altered(d.withdrawal(s), b"keyCompromise", b"kexCompromise")),
    "a registration": ("wrong-label", lambda d, _s: d.registration([d.order(new_key())])),
}


@pytest.mark.parametrize("case", sorted(WITHDRAWALS))
def test_withdrawal_refused(door, case):
    rule, make = WITHDRAWALS[case]
    serial = certified(door).certificate.serial
    with pytest.raises(Refusal, match=rf"^{rule}"):
        door.client.withdraw(make(door, serial))
    assert entry_of(door, serial) is None
