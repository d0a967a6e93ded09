"""The attacks on the contract, at the merchant's side: each is refused by its name and leaves no trace."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.base.wire import b64u, unb64u
from e2s.commerce.order import sums
from e2s.commerce.purchasing import store
from e2s.crypto import oids
from e2s.crypto.acts import check_act_signature, read_act, sign_act
from e2s.crypto.certificates import Certificate
from e2s.crypto.stamps import read_token
from e2s.crypto.suites import signature_suite_of
from tests.worlds.pki import make_pki
from tests.worlds.shop import LINES, ShopWorld

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture
def shop(tmp_path):
    world = ShopWorld(tmp_path)
    world.load()
    return world


def kept(shop):
    with shop.purchasing.counter.store.reading() as connection:
        tables = (store.TRADE, store.ACT, store.INTENT, store.STAMP, store.RESULT)
        return [connection.execute(table.select()).all() for table in tables]


def refused(shop, person, rule, offer, act):
    """The acceptance is refused by one of the rules, and nothing is kept of it."""
    before = kept(shop)
    trade = read_act(offer).document["trade"]
    with pytest.raises(Refusal) as caught:
        shop.ask(person, "accept", trade=trade, act=b64u(act))
    assert caught.value.rule == rule
    assert kept(shop) == before
    assert shop.state(person, trade) == "offered"


@dataclass
class Fixed:
    """A signer that gives one signature, whatever it is asked to sign."""

    certificate: Certificate
    chain: tuple[Certificate, ...]
    signature: bytes

    @property
    def suite(self):
        return signature_suite_of(self.certificate.public_key)

    def sign(self, _data):
        return self.signature


def malleated(octets, signer):
    """The same act under the other of the two ECDSA signatures, (r, n - s): valid, and nobody's key needed."""
    act = read_act(octets)
    r, s = decode_dss_signature(act.signature)
    other = Fixed(signer.certificate, signer.chain, encode_dss_signature(r, P256_ORDER - s))
    twin = sign_act(act.document, act.over, other, act.at)
    check_act_signature(read_act(twin))
    assert twin != octets
    return twin


def test_offer_of_other_organisation(shop):
    """Beta's buyer takes Alpha's offer: neither under Alpha's trade nor by her own key."""
    anna, carl = shop.person(), shop.person("carl", "beta")
    offer = shop.offer(anna)
    trade = read_act(offer).document["trade"]
    with pytest.raises(Refusal, match="no-such-trade"):
        shop.ask(carl, "accept", trade=trade, act=b64u(shop.acceptance(carl, offer)))
    refused(shop, anna, "offer-of-other-organisation", offer, shop.acceptance(carl, offer))
    own = shop.offer(carl, trade)
    assert read_act(own).document["terms"]["id"] == "B-1"
    crossed = shop.acceptance(carl, own, over=[offer], offer=read_act(offer).id)
    with pytest.raises(Refusal, match="wrong-offer"):
        shop.ask(carl, "accept", trade=trade, act=b64u(crossed))


def test_price_changed_after_view(shop):
    anna = shop.person()
    seen = shop.list(anna)
    shop.load()
    before = kept(shop)
    with pytest.raises(Refusal, match="price-changed"):
        shop.ask(
            anna,
            "offer",
            trade=b64u(b"t" * 16),
            list=seen,
            lines=LINES,
            deliverTo="Dock 3",
            buyer=anna.buyer.certificate.id,
        )
    assert kept(shop) == before


def forged_offer(shop, offer, **change):
    """The offer with other members, signed by the merchant's true key: as an outsider never could."""
    act = read_act(offer)
    return sign_act({**act.document, **change}, [], shop.signers["merchant"], act.at)


def test_altered_line(shop):
    """An acceptance over an offer with another line is of another offer, whoever signed that."""
    anna = shop.person()
    offer = shop.offer(anna)
    document = read_act(offer).document
    lines = [{k: v for k, v in line.items() if k not in ("n", "net")} for line in document["lines"]]
    lines[0]["unit"] = "0.0001"
    other = forged_offer(shop, offer, **sums(lines, "EUR"))
    refused(shop, anna, "wrong-offer", offer, shop.acceptance(anna, other))
    refused(
        shop, anna, "stripped-inner-signature", offer, shop.acceptance(anna, other, offer=read_act(offer).id)
    )


def test_false_total(shop):
    anna = shop.person()
    offer = shop.offer(anna)
    other = forged_offer(shop, offer, total="0.01")
    refused(shop, anna, "wrong-offer", offer, shop.acceptance(anna, other))


def test_acceptance_replayed(shop):
    """An acceptance sent again, or for another trade, makes no second contract."""
    anna = shop.person()
    offer, second = shop.offer(anna), shop.offer(anna)
    act = shop.acceptance(anna, offer)
    trade = read_act(offer).document["trade"]
    first = shop.ask(anna, "accept", trade=trade, act=b64u(act))
    after = kept(shop)
    assert shop.ask(anna, "accept", trade=trade, act=b64u(act)) == first
    assert kept(shop) == after
    refused(shop, anna, "wrong-offer", second, act)


def test_two_acceptances_one_offer(shop):
    anna = shop.person()
    offer = shop.offer(anna)
    first = shop.accept(anna, offer)
    after = kept(shop)
    with pytest.raises(Refusal, match="already-accepted"):
        shop.accept(anna, offer)
    assert kept(shop) == after
    assert "confirm" in first


def test_malleated_signature_duplicate(shop):
    """The same acceptance under another valid signature is the same acceptance."""
    anna = shop.person()
    offer = shop.offer(anna)
    act = shop.acceptance(anna, offer)
    twin = malleated(act, anna.buyer)
    trade = read_act(offer).document["trade"]
    first = shop.ask(anna, "accept", trade=trade, act=b64u(act))
    after = kept(shop)
    assert shop.ask(anna, "accept", trade=trade, act=b64u(twin)) == first
    assert kept(shop) == after


def test_malleated_offer_inside_is_the_same_offer(shop):
    anna = shop.person()
    offer = shop.offer(anna)
    answer = shop.accept(anna, offer, over=[malleated(offer, shop.signers["merchant"])])
    assert read_act(unb64u(answer["confirm"])).inner().inner().id == read_act(offer).id


def test_late_acceptance(shop):
    """After confirmBy the answer is the merchant's signed Void over it, the same for each repeat."""
    anna = shop.person()
    offer = shop.offer(anna)
    act = shop.acceptance(anna, offer)
    trade = read_act(offer).document["trade"]
    shop.confirm_by(offer)
    answer = shop.ask(anna, "accept", trade=trade, act=b64u(act))
    void = read_act(unb64u(answer["void"]))
    assert (void.document["reason"], void.document["accept"]) == ("late", read_act(act).id)
    assert void.inner().octets == act
    assert shop.state(anna, trade) == "void"
    after = kept(shop)
    assert shop.ask(anna, "accept", trade=trade, act=b64u(act)) == answer
    assert kept(shop) == after
    with pytest.raises(Refusal, match="already-accepted"):
        shop.accept(anna, offer)


def test_backdated_confirmation(shop):
    """A confirmation says no time but its own: the stamp over its signature shows when it was made."""
    anna = shop.person()
    offer = shop.offer(anna)
    act = shop.acceptance(anna, offer)
    shop.clock.forward(minutes=14)
    answer = shop.ask(anna, "accept", trade=read_act(offer).document["trade"], act=b64u(act))
    assert read_token(unb64u(answer["stamp"])).at == read_act(unb64u(answer["confirm"])).at == shop.clock.at


def test_stripped_inner_signature(shop):
    anna = shop.person()
    offer = shop.offer(anna)
    stripped = shop.acceptance(anna, offer, over=[])
    refused(shop, anna, "stripped-inner-signature", offer, stripped)
    impostor = shop.pki.signer("merchant", (shop.name, shop.origin))
    act = read_act(offer)
    resigned = sign_act({**act.document, "from": impostor.certificate.id}, [], impostor, act.at)
    swapped = shop.acceptance(anna, offer, over=[resigned])
    refused(shop, anna, "stripped-inner-signature", offer, swapped)


def test_wrong_label(shop):
    """A receipt, or the buyer's login, is no acceptance, however good its signature."""
    anna = shop.person()
    offer = shop.offer(anna)
    now = shop.clock.now()
    document = {
        **read_act(shop.acceptance(anna, offer)).document,
        "type": "e2s/1/receipt",
        "at": format_instant(now),
    }
    refused(shop, anna, "wrong-label", offer, sign_act(document, [offer], anna.buyer, now))


def test_wrong_audience(shop):
    anna = shop.person()
    offer = shop.offer(anna)
    refused(shop, anna, "wrong-audience", offer, shop.acceptance(anna, offer, to=["urn:e2s:market:watt"]))


def test_wrong_eku(shop):
    """Her session key, used since login, cannot accept; an offer to it cannot be accepted at all."""
    anna = shop.person()
    anna.buyer = anna.session
    offer = shop.offer(anna)
    refused(shop, anna, "wrong-purpose", offer, shop.acceptance(anna, offer))
    assert oids.SIGNING["buyer"] not in anna.session.certificate.ekus


def test_other_community(shop):
    """The same name certified under another root is nobody here."""
    other = make_pki()
    anna = shop.person()
    names = anna.buyer.certificate.names
    anna.buyer = other.signer("buyer", names)
    offer = shop.offer(anna)
    refused(shop, anna, "unknown-root", offer, shop.acceptance(anna, offer))


def test_expired_signer(shop):
    anna = shop.person()
    names = anna.buyer.certificate.names
    end = shop.clock.now().replace(minute=5)
    anna.buyer = shop.pki.signer("buyer", names, not_after=end)
    offer = shop.offer(anna)
    shop.clock.at = end.replace(minute=6)
    refused(shop, anna, "expired", offer, shop.acceptance(anna, offer))


def test_revoked_signer(shop):
    anna = shop.person()
    offer = shop.offer(anna)
    act = shop.acceptance(anna, offer)
    shop.pki.revoke(anna.buyer.certificate, shop.clock.now())
    refused(shop, anna, "revoked", offer, act)


def test_wrong_deadlines(shop):
    anna = shop.person()
    offer = shop.offer(anna)
    later = read_act(offer).document["payBy"]
    refused(shop, anna, "wrong-deadlines", offer, shop.acceptance(anna, offer, confirmBy=later))


def test_equivocating_merchant(shop):
    """Under one key of idempotency the merchant's own records give one act, whatever is lost or killed."""
    anna = shop.person()
    trade = b64u(secrets.token_bytes(16))
    offers, confirmations = set(), set()
    for _ in range(3):
        offer = shop.offer(anna, trade)
        offers.add(read_act(offer).id)
        shop.restart()
    act = shop.acceptance(anna, offer)
    for _ in range(3):
        answer = shop.ask(anna, "accept", trade=trade, act=b64u(act))
        confirmations.add(read_act(unb64u(answer["confirm"])).id)
        shop.restart()
    assert len(offers) == len(confirmations) == 1


@pytest.mark.parametrize(
    "member", ["offer", "confirmBy", "payBy", "trade", "to", "decision", "salt", "until"]
)
def test_each_altered_field_of_an_acceptance_is_refused(shop, member):
    """A signed field altered on its way breaks the signature, or the form before that."""
    anna = shop.person()
    offer = shop.offer(anna)
    act = shop.acceptance(anna, offer)
    value = read_act(act).document[member]
    old = (value[0] if isinstance(value, list) else value).encode()
    new = old[:-2] + bytes([old[-2] ^ 1]) + old[-1:]
    altered = act.replace(old, new)
    assert altered != act
    trade = read_act(offer).document["trade"]
    with pytest.raises(Refusal):
        shop.ask(anna, "accept", trade=trade, act=b64u(altered))
    assert shop.state(anna, trade) == "offered"
