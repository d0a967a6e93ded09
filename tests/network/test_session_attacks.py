"""Each attack on the session that the protocol names is refused, or harmless."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from e2s.base import wire
from e2s.base.errors import Refusal, Unreachable
from e2s.base.http import Response
from e2s.crypto import cms, oids
from e2s.crypto.acts import read_act, read_parcel, sign_act, write_parcel
from e2s.crypto.exchange import Ephemeral
from e2s.crypto.suites import SESSIONS
from e2s.network.sessions.calls import LOGIN_PATH, PAGE_PATH, RECORD_PATH, Call, write_call
from e2s.network.sessions.keys import derive
from e2s.network.sessions.local import (
    Delay,
    alter_answer,
    alter_request,
    drop_answer,
    duplicate,
    nth,
    to,
)
from e2s.network.sessions.login import Binding
from e2s.network.sessions.pages import PAGE
from e2s.network.sessions.records import HEADER_BYTES, Channel, Kind, Side
from tests.network.market import SUITES, Market, Seller, wire_instant

WEAK = SUITES[-1]
P384 = "p384-hkdf-sha384-aes256gcm"


def refused(rule: str):
    """The block is refused by ``rule``."""
    return pytest.raises(Refusal, check=lambda refusal: refusal.rule == rule)


def unanswered(rule: str):
    """The block gets no authentic answer, because of ``rule``."""
    return pytest.raises(Unreachable, check=lambda error: error.rule == rule)


def rewritten(page_answer: bytes, **changes) -> bytes:
    """The page with members replaced, its certificates as they were."""
    page, *certificates = read_parcel(page_answer, PAGE)
    return write_parcel(PAGE, [wire.encode({**wire.decode(page), **changes}), *certificates])


def request(seller: Seller, channel: Channel, op: str = "search", rid: str = "r") -> bytes:
    return seller.sessions.receive(channel.seal(Kind.REQUEST, write_call(Call(rid, op))), seller.serve)


def test_replay_login():
    market = Market()
    market.visit().ask("search", {})
    path, login, _ = market.traffic[1]
    assert login.path == LOGIN_PATH
    with refused("replayed-login"):
        market.volt.sessions.login(login.body)
    again = market.exchange.send(path, login)
    assert again.headers["e2s-rule"] == "replayed-login"
    assert len(market.volt.sessions) == 1


def test_replay_login_under_a_new_signature():
    market = Market()
    login = market.begin()
    market.volt.sessions.login(login.octets)
    document = market.opened(login).document
    for signer in (market.anna, market.buyer("eve")):
        with refused("replayed-login"):
            market.volt.sessions.login(market.sealed(document, signer))


def test_stale_page():
    market = Market()
    page = market.volt.sessions.page()
    login = market.begin(page)
    market.clock.forward(seconds=119)
    fresh = market.begin(page)
    market.clock.forward(seconds=1)
    for late in (login, fresh):
        with refused("stale-page"):
            market.volt.sessions.login(late.octets)
    market.clock.forward(seconds=240)
    with refused("stale-page"):
        market.begin(page)
    assert len(market.volt.sessions) == 0


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"suites": [WEAK]}, "suite-stripped"),
        ({"at": "2026-03-02T09:00:01Z"}, "unknown-page"),
        ({"until": "2026-03-02T10:00:00Z"}, "altered-page"),
        ({"nM": wire.b64u(bytes(32))}, "unknown-page"),
    ],
)
def test_altered_page(changes, rule):
    market = Market()
    login = market.begin(rewritten(market.volt.sessions.page(), **changes))
    with refused(rule):
        market.volt.sessions.login(login.octets)
    assert len(market.volt.sessions) == 0


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"merchant": "urn:e2s:market:evil"}, "wrong-name"),
        ({"origin": "https://evil.example:443"}, "wrong-origin"),
        ({"signing": "sha-256:" + "A" * 43}, "altered-page"),
        ({"agreement": "sha-256:" + "A" * 43}, "altered-page"),
    ],
)
def test_altered_page_is_seen_by_the_wallet_where_it_can(changes, rule):
    market = Market()
    with refused(rule):
        market.begin(rewritten(market.volt.sessions.page(), **changes))


@pytest.mark.parametrize("name", ["merchant", "origin", "signing", "agreement"])
def test_altered_page_is_refused_even_when_the_buyer_signs_it(name):
    """A wallet that looked at nothing would still be told."""
    market = Market()
    login = market.begin()
    document = market.opened(login).document
    page = wire.decode(wire.unb64u(document["page"]))
    page[name] = "sha-256:" + "A" * 43 if page[name].startswith("sha") else "urn:e2s:market:evil"
    with refused("altered-page"):
        market.volt.sessions.login(
            market.sealed({**document, "page": wire.b64u(wire.encode(page))}, market.anna)
        )


def test_altered_page_with_an_agreement_certificate_of_the_attacker():
    """Whoever delivers the page can't have the login sealed to himself."""
    market = Market()
    evil = market.pki.opener("merchant-agreement", "urn:e2s:market:evil").certificate
    gateway = market.pki.opener("gateway-agreement", market.volt.name).certificate
    for certificate, rule in ((evil, "wrong-name"), (gateway, "wrong-purpose")):
        page, signing, _, *chain = read_parcel(market.volt.sessions.page(), PAGE)
        changed = wire.encode({**wire.decode(page), "agreement": certificate.id})
        with refused(rule):
            market.begin(write_parcel(PAGE, [changed, signing, certificate.der, *chain]))


def test_suite_stripped():
    market = Market()
    market.exchange.faults.append(
        alter_answer(to(PAGE_PATH), lambda r: replace(r, body=rewritten(r.body, suites=[WEAK])))
    )
    with refused("suite-stripped"):
        market.visit()
    assert len(market.volt.sessions) == 0


def test_suite_stripped_by_the_answer():
    """Even the merchant's own signature does not talk the wallet into a weaker suite."""
    market = Market()
    login = market.begin()
    document = market.opened(login).document
    share = Ephemeral(WEAK, market.random).share
    answer = read_act(market.volt.sessions.login(login.octets)).document
    weaker = {**answer, "kex": {"suite": WEAK, "share": wire.b64u(share)}}
    assert document["kex"][0]["suite"] != WEAK
    with refused("suite-stripped"):
        market.finish(login, market.volt.sign_document(weaker, []))


def test_suite_stripped_from_the_login_needs_the_buyers_signature():
    market = Market()
    login = market.begin()
    document = market.opened(login).document
    kex = [item for item in document["kex"] if item["suite"] == WEAK]
    with refused("suite-stripped"):  # her offer still names the others, and so does the shop's
        market.volt.sessions.login(market.sealed({**document, "kex": kex}, market.anna))
    mallory = market.buyer("mallory")
    stripped = {**document, "kex": kex, "suites": [WEAK]}
    answer = market.volt.sessions.login(market.sealed(stripped, mallory))
    with refused("wrong-audience"):
        market.finish(login, answer)


def test_the_strongest_common_suite_is_taken_where_one_end_permits_less():
    market = Market()
    document = market.opened(market.begin(suites=(WEAK,))).document
    assert [item["suite"] for item in document["kex"]] == [WEAK]
    assert market.visit(suites=(WEAK,)).ask("search", {})["op"] == "search"
    with refused("suite-not-permitted"):
        market.visit(suites=())


def test_login_relayed_to_other_merchant():
    market = Market()
    other = Seller(market.pki, market.clock, "ohm")
    login = market.begin()
    with refused("not-for-me"):
        other.sessions.login(login.octets)
    signed = market.volt.open_envelope(login.octets)
    resealed = cms.seal(signed, oids.ACT, [other.opener.certificate], market.random)
    with refused("wrong-audience"):
        other.sessions.login(resealed)
    assert len(other.sessions) == 0


def test_login_relayed_with_the_other_merchants_page():
    """A dishonest merchant shows the page of another and passes the login on: the page names the other."""
    market = Market()
    other = Seller(market.pki, market.clock, "ohm")
    with refused("wrong-name"):
        market.begin(other.sessions.page())


def test_answer_for_other_buyer():
    market = Market()
    hers = market.begin()
    his = market.begin(signer=market.buyer("bob"))
    answer_to_him = market.volt.sessions.login(his.octets)
    with refused("wrong-audience"):
        market.finish(hers, answer_to_him)


def test_answer_to_an_earlier_login_of_the_same_buyer():
    market = Market()
    first, second = market.begin(), market.begin()
    answer = market.volt.sessions.login(first.octets)
    with refused("wrong-answer"):
        market.finish(second, answer)


def test_unknown_key_share():
    """Mallory signs Anna's share as his own: the shop would know him, and the keys would not agree."""
    market = Market()
    mallory = market.buyer("mallory")
    login = market.begin()
    answer = market.volt.sessions.login(market.sealed(market.opened(login).document, mallory))
    with refused("wrong-audience"):
        market.finish(login, answer)
    # were Anna to take it nonetheless, the transcripts differ, so not one record opens
    document = read_act(answer).document
    anna_act = market.opened(login)
    forced = market.volt.sign_document(
        {**document, "to": [market.anna.certificate.id], "req": anna_act.id}, []
    )
    session = market.finish(login, forced)
    with refused("altered-record"):
        request(market.volt, session.channel)
    assert market.volt.served == []


def test_reflected_record():
    market = Market()
    visit = market.visit()
    market.exchange.faults.append(
        lambda _origin, req, deliver: Response(200, req.body) if req.path == RECORD_PATH else deliver(req)
    )
    with unanswered("wrong-direction"):
        visit.ask("search", {})
    session = market.agreed()
    answer = request(market.volt, session.channel)
    with refused("wrong-direction"):
        market.volt.sessions.receive(answer, market.volt.serve)


def test_replayed_record():
    market = Market()
    visit = market.visit()
    second: list[Response] = []
    market.exchange.faults.append(duplicate(to(RECORD_PATH), second))
    visit.ask("basket", {"sku": "x"})
    assert second[0].headers["e2s-rule"] == "replayed-record"
    assert market.volt.ops() == ["basket"]
    old = market.traffic[-1][2]
    market.exchange.faults[:] = [alter_answer(to(RECORD_PATH), lambda _: old)]
    with unanswered("replayed-record"):
        visit.ask("basket", {"sku": "y"})


def test_reordered_record():
    market = Market()
    visit = market.visit()
    delay = Delay(nth(1, to(RECORD_PATH)))
    market.exchange.faults.append(delay)
    with unanswered("delayed"):
        visit.ask("basket", {"n": 1}, rid="one")
    assert visit.ask("basket", {"n": 2}, rid="two")["echo"] == {"n": 2}
    with refused("replayed-record"):
        market.volt.sessions.receive(delay.held[0][0].body, market.volt.serve)
    assert delay.release().headers["e2s-rule"] == "replayed-record"
    assert [call.rid for _, call in market.volt.served] == ["two"]
    assert visit.ask("basket", {"n": 1}, rid="one")["echo"] == {"n": 1}


def test_an_answer_that_comes_late_is_not_taken_for_the_next():
    market = Market()
    visit = market.visit()
    channel = visit.session.channel
    held = request(market.volt, channel)
    market.exchange.faults.append(alter_answer(to(RECORD_PATH), lambda r: replace(r, body=held)))
    with unanswered("wrong-answer"):
        visit.ask("basket", {})


def test_sid_alone():
    market = Market()
    visit = market.visit()
    visit.ask("search", {})
    record = next(r.body for _, r, _ in market.traffic if r.path == RECORD_PATH)
    sid = visit.session.terms.sid
    assert sid in record
    other = market.agreed()
    stolen = Channel(Side.BUYER, sid, derive(SESSIONS[SUITES[0]], bytes(48), bytes(32)))
    stolen.sent = 50
    with refused("altered-record"):
        request(market.volt, stolen)
    theirs = bytearray(other.channel.seal(Kind.REQUEST, write_call(Call("r", "search"))))
    theirs[6:22] = sid
    theirs[29] = 99
    with refused("altered-record"):
        market.volt.sessions.receive(bytes(theirs), market.volt.serve)
    assert visit.ask("search", {})["op"] == "search"
    assert len(market.volt.served) == 2


def test_foreign_tls_key():
    """A relay with a certificate of its own: the wallet signs which key it saw."""
    market = Market(spki=b"R" * 32)
    with refused("foreign-tls-key"):
        market.visit()
    assert len(market.volt.sessions) == 0
    login = market.begin(tls=Binding("spki", b""))
    with refused("foreign-tls-key"):
        market.volt.sessions.login(login.octets)


def test_foreign_tls_key_between_page_and_login():
    market = Market()
    market.exchange.faults.append(alter_answer(to(LOGIN_PATH), lambda r: replace(r, spki=b"R" * 32)))
    with refused("foreign-tls-key"):
        market.visit()


def test_plain_downgrade():
    market = Market(spki=b"")
    with refused("plain-downgrade"):
        market.visit()
    with refused("plain-downgrade"):
        market.visit(plain=True)  # a wallet that was talked into it: the shop does not declare it
    declared = Market(spki=b"", plain=True)
    with refused("plain-downgrade"):
        declared.visit()
    assert declared.visit(plain=True).ask("search", {})["op"] == "search"


def test_plain_downgrade_by_altering_what_the_wallet_signed():
    market = Market(plain=True)
    login = market.begin()
    document = market.opened(login).document
    mallory = market.buyer("mallory")
    answer = market.volt.sessions.login(
        market.sealed({**document, "tls": {"kind": "plain", "spki": ""}}, mallory)
    )
    with refused("wrong-audience"):
        market.finish(login, answer)


BAD_POINTS = [
    b"",
    b"\x00",
    b"\x04",
    b"\x04" + bytes(96),
    b"\x04" + b"\xff" * 96,
    b"\x02" + bytes(48),
    b"\x04" + bytes(95) + b"\x01",
    b"\x04" + bytes(64),
]


@pytest.mark.parametrize(
    "point", BAD_POINTS, ids=lambda point: f"{len(point)}-{point[:1].hex()}-{point[-1:].hex()}"
)
def test_invalid_point(point):
    market = Market(suites=(P384,))
    login = market.begin()
    document = market.opened(login).document
    kex = [{"suite": P384, "share": wire.b64u(point)}]
    with refused("invalid-point" if point else "bad-document"):
        market.volt.sessions.login(market.sealed({**document, "kex": kex}, market.anna))
    assert len(market.volt.sessions) == 0
    good = market.begin()
    answer = read_act(market.volt.sessions.login(good.octets)).document
    forged = {**answer, "kex": {"suite": P384, "share": wire.b64u(point)}}
    with refused("invalid-point" if point else "bad-document"):
        market.finish(good, market.volt.sign_document(forged, []))


def test_nonce_after_restart():
    """No key, counter or page outlives the process: nothing of before is taken, and no nonce recurs."""
    market = Market()
    page = market.volt.sessions.page()
    waiting = market.begin(page)
    visit = market.visit()
    visit.ask("search", {})
    before = [r.body for _, r, _ in market.traffic if r.path == RECORD_PATH]
    market.volt.restart()
    for record in before:
        with refused("no-session"):
            market.volt.sessions.receive(record, market.volt.serve)
    with refused("unknown-page"):
        market.volt.sessions.login(waiting.octets)
    with refused("unknown-page"):
        market.volt.sessions.login(market.traffic[1][1].body)
    with refused("no-session"):
        visit.ask("search", {})
    assert not visit.is_open
    with refused("no-session"):
        visit.ask("search", {})
    assert market.visit().session.terms.sid != visit.session.terms.sid
    assert len(market.volt.served) == 1


class RemovedCard:
    """Ba while the card is out: the certificate is known, nothing can be signed."""

    def __init__(self, signer) -> None:
        self.certificate = signer.certificate
        self.chain = signer.chain
        self.suite = signer.suite
        self._signer = signer
        self.present = True

    def sign(self, data: bytes) -> bytes:
        if not self.present:
            raise Refusal("card-removed", "the card is not in its reader")
        return self._signer.sign(data)


def test_card_removed_no_presence():
    market = Market()
    card = RemovedCard(market.anna)
    visit = market.visit(card)
    card.present = False
    assert visit.ask("search", {})["op"] == "search"
    with refused("card-removed"):
        visit.ask("offer", {}, rid="offer")
    with refused("card-removed"):  # nothing more is given while the challenge waits
        visit.ask("search", {})
    assert market.volt.ops() == ["search"]
    card.present = True
    assert visit.ask("offer", {}, rid="offer")["op"] == "offer"
    card.present = False
    market.clock.forward(seconds=299)
    assert visit.ask("offer", {}, rid="offer")["op"] == "offer"  # a repetition, not another offer
    market.clock.forward(seconds=1)
    with refused("card-removed"):
        visit.ask("search", {})


def test_card_removed_no_presence_by_another_key_or_on_another_challenge():
    market = Market()
    session = market.agreed()
    channel = session.channel

    def challenge(rid: str):
        _, seq, body = channel.open(request(market.volt, channel, "offer", rid))
        return wire.decode(body)["presence"], seq

    def prove(signer, **changes):
        asked, seq = challenge("o")
        at = market.clock.now()
        document = {
            "type": "e2s/1/presence",
            "from": signer.certificate.id,
            "to": [market.volt.name],
            "at": wire_instant(at),
            "until": wire_instant(at),
            "challenge": asked,
            "sid": wire.b64u(session.terms.sid),
            "th": wire.b64u(session.th),
            "seq": seq,
            **changes,
        }
        record = channel.seal(Kind.PRESENCE, sign_act(document, [], signer, at))
        answer = market.volt.sessions.receive(record, market.volt.serve)
        return wire.decode(channel.open(answer)[2])

    wrong = {
        "challenge": wire.b64u(bytes(32)),
        "sid": wire.b64u(bytes(16)),
        "th": wire.b64u(bytes(32)),
        "seq": 1,
    }
    assert prove(market.buyer("bob"))["refused"]["rule"] == "no-presence"
    assert prove(market.buyer("anna"))["refused"]["rule"] == "no-presence"
    assert (
        prove(market.pki.signer("buyer", "urn:e2s:market:north:anna"))["refused"]["rule"] == "wrong-purpose"
    )
    assert prove(market.anna, to=["urn:e2s:market:ohm"])["refused"]["rule"] == "wrong-audience"
    for name, value in wrong.items():
        assert prove(market.anna, **{name: value})["refused"]["rule"] == "no-presence"
    assert market.volt.served == []
    assert prove(market.anna)["present"] is True
    assert wire.decode(channel.open(request(market.volt, channel, "offer", "o"))[2])["op"] == "offer"
    assert market.volt.ops() == ["offer"]


def test_a_proof_is_not_taken_twice_and_a_challenge_grows_old():
    market = Market()
    session = market.agreed()
    channel = session.channel
    body = wire.decode(channel.open(request(market.volt, channel, "offer", "o"))[2])
    market.clock.forward(seconds=120)
    later = wire.decode(channel.open(request(market.volt, channel, "offer", "o"))[2])
    assert later["presence"] != body["presence"]


def test_outside_injects():
    """A compromised front end can make no answer, change none, and learn nothing it was not told."""
    market = Market()
    visit = market.visit()
    real = visit.ask("basket", {"secret": "4711-lines"})
    assert real["echo"] == {"secret": "4711-lines"}
    good = market.traffic[-1][2].body
    assert not any(b"4711" in r.body + a.body for _, r, a in market.traffic)
    flipped = bytearray(good)
    flipped[HEADER_BYTES + 3] ^= 1
    for body, rule in (
        (b"", "bad-record"),
        (good[:-1], "bad-record"),
        (bytes(flipped), "replayed-record"),
        (_with_seq(good, 9), "altered-record"),
        (_with_kind(_with_seq(good, 9), Kind.CLOSE), "altered-record"),
    ):
        market.exchange.faults[:] = [alter_answer(to(RECORD_PATH), saying(body))]
        with unanswered(rule):
            visit.ask("basket", {})
    market.exchange.faults[:] = [
        alter_request(to(RECORD_PATH), lambda r: replace(r, body=_with_kind(r.body, Kind.CLOSE)))
    ]
    with unanswered("altered-record"):
        visit.ask("basket", {})
    market.exchange.faults[:] = [
        alter_answer(to(RECORD_PATH), lambda _: Response(403, b"no", {"e2s-rule": "x"}))
    ]
    with unanswered("x"):
        visit.ask("basket", {})
    market.exchange.faults.clear()
    assert visit.ask("search", {})["op"] == "search"


def saying(body: bytes) -> Callable[[Response], Response]:
    return lambda _: Response(200, body)


def _with_seq(record: bytes, seq: int) -> bytes:
    return record[:22] + seq.to_bytes(8, "big") + record[30:]


def _with_kind(record: bytes, kind: int) -> bytes:
    return record[:5] + bytes([kind]) + record[6:]


def test_outside_injects_an_answer_of_its_own_making():
    """The signed answer is the merchant's only: another certificate of another role or party is refused."""
    market = Market()
    login = market.begin()
    answer = read_act(market.volt.sessions.login(login.octets)).document
    name, origin = market.volt.name, market.volt.origin
    for signer, rule in (
        (market.pki.signer("merchant", ("urn:e2s:market:evil", origin)), "wrong-name"),
        (market.pki.signer("merchant", (name, "https://evil.example:443")), "wrong-origin"),
        (market.pki.signer("merchant-payment", (name, origin)), "wrong-purpose"),
        (market.pki.signer("merchant", (name, origin)), "altered-page"),
        (Market().pki.signer("merchant", (name, origin)), "unknown-root"),
    ):
        forged = sign_act({**answer, "from": signer.certificate.id}, [], signer, market.clock.now())
        with refused(rule):
            market.finish(login, forged)
    altered = bytearray(market.volt.sign_document(answer, []))
    altered[-5] ^= 1
    with pytest.raises(Refusal):
        market.finish(login, bytes(altered))


def test_revoked_in_session():
    market = Market()
    visit = market.visit()
    assert visit.ask("search", {})["op"] == "search"
    market.pki.revoke(market.anna.certificate, market.clock.now())
    market.clock.forward(seconds=60)
    with refused("revoked"):
        visit.ask("search", {})
    with refused("no-session"):
        visit.ask("search", {})
    with refused("revoked"):
        market.visit()
    assert market.volt.ops() == ["search"]
    assert len(market.volt.sessions) == 0


def test_expired_in_session():
    market = Market()
    short = market.buyer("carl", not_after=market.clock.now().replace(minute=10))
    visit = market.visit(short)
    assert visit.session.terms.end == short.certificate.not_after
    visit.ask("search", {})
    market.clock.forward(seconds=299)
    visit.ask("search", {})
    market.clock.forward(seconds=300)
    visit.ask("search", {})
    market.clock.forward(seconds=1)
    with refused("no-session"):
        visit.ask("search", {})


@pytest.mark.parametrize(
    ("kind", "rule"),
    [("buyer", "wrong-purpose"), ("manager", "wrong-purpose"), ("merchant", "wrong-purpose")],
)
def test_a_login_by_a_key_for_another_purpose_is_refused(kind, rule):
    market = Market()
    signer = market.pki.signer(kind, "urn:e2s:market:north:anna")
    with refused(rule):
        market.volt.sessions.login(market.begin(signer=signer).octets)


def test_a_login_from_another_community_or_an_expired_or_revoked_card_is_refused():
    market = Market()
    foreign = Market().anna
    old = market.buyer("old", not_after=market.clock.now().replace(minute=1))
    gone = market.buyer("gone")
    market.pki.revoke(gone.certificate, market.clock.now())
    market.clock.forward(seconds=61)
    for signer, rule in ((foreign, "unknown-root"), (old, "expired"), (gone, "revoked")):
        with refused(rule):
            market.volt.sessions.login(market.begin(signer=signer).octets)
    assert len(market.volt.sessions) == 0


def test_a_lost_answer_to_the_login_leaves_nothing_open():
    market = Market()
    market.exchange.faults.append(drop_answer(nth(1, to(LOGIN_PATH))))
    with unanswered("dropped"):
        market.visit()
    assert len(market.volt.sessions) == 1
    market.clock.forward(seconds=120)
    market.volt.sessions.sweep()
    assert len(market.volt.sessions) == 0
    assert market.visit().ask("search", {})["op"] == "search"


MEMBERS = ["type", "to", "until", "page", "nM", "nB", "location", "suites", "signatures", "kex", "tls"]


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize(
    "value", [None, "", 0, [], {}, "e2s/1/offer", ["urn:e2s:market:ohm"], "2020-01-01T00:00:00Z"]
)
def test_each_signed_member_of_the_login_that_is_wrong_is_refused(name, value):
    market = Market()
    document = market.opened(market.begin()).document
    if value is None:
        del document[name]
    else:
        document[name] = value
    with pytest.raises(Refusal):
        market.volt.sessions.login(market.sealed(document, market.anna))
    assert len(market.volt.sessions) == 0


def test_a_login_with_the_nonce_of_another_page_or_suites_that_were_not_offered_is_refused():
    market = Market(suites=(SUITES[0],))
    document = market.opened(market.begin()).document
    other = market.opened(market.begin()).document
    twice = [document["kex"][0], other["kex"][0]]
    weaker = {"suite": WEAK, "share": wire.b64u(Ephemeral(WEAK, market.random).share)}
    for changes, rule in (
        ({"nM": other["nM"]}, "altered-page"),
        ({"kex": twice}, "suite-stripped"),
        ({"kex": [*document["kex"], weaker]}, "suite-stripped"),
    ):
        with refused(rule):
            market.volt.sessions.login(market.sealed({**document, **changes}, market.anna))
    assert len(market.volt.sessions) == 0


def test_a_login_over_another_act_is_refused():
    market = Market()
    login = market.begin()
    document, inner = market.opened(login).document, market.volt.open_envelope(login.octets)
    signed = sign_act(document, [inner], market.anna, market.clock.now())
    sealed = cms.seal(signed, oids.ACT, [market.volt.opener.certificate], market.random)
    with refused("bad-act"):
        market.volt.sessions.login(sealed)


def test_an_answer_that_comes_long_after_its_time_is_refused():
    market = Market()
    login = market.begin()
    answer = market.volt.sessions.login(login.octets)
    market.clock.forward(seconds=360)
    with refused("stale-answer"):
        market.finish(login, answer)


def test_a_page_or_login_altered_on_the_way_opens_nothing():
    market = Market()
    login = market.begin()
    for position in range(0, len(login.octets), 37):
        altered = bytearray(login.octets)
        altered[position] ^= 0x20
        with pytest.raises(Refusal):
            market.volt.sessions.login(bytes(altered))
    assert len(market.volt.sessions) == 0
    assert market.finish(login, market.volt.sessions.login(login.octets)).channel.sent == 0


def test_a_login_is_sealed_to_the_shop_alone():
    market = Market()
    market.visit()
    text = market.traffic[1][1].body
    assert market.anna.certificate.der not in text
    assert b"anna" not in text
