"""Nobody learns more than the table in section 5 says, neither by reading nor by guessing."""

from __future__ import annotations

import hashlib
import itertools
from decimal import Decimal
from pathlib import Path

import pytest

from e2s.base import wire
from e2s.base.wire import Document, b64u
from e2s.commerce.bankcard.cards import card_number
from e2s.commerce.payment.documents import instruction_digest, pan_commitment
from e2s.commerce.payment.instructions import commitment_of, order_information
from e2s.crypto import der
from e2s.crypto.acts import act_id, read_parcel
from e2s.crypto.cms import open_sealed
from e2s.network.sessions.local import record_traffic
from tests.leaks.scan import Haystack, guesses, leaks
from tests.worlds.market import GATEWAY, ISSUER, PREFIX, Market, refused
from tests.worlds.payer import LINES, Purchase
from tests.worlds.trade import Play


@pytest.fixture
def paying(market: Market) -> Purchase:
    market.permit(market.alpha, market.anna)
    return Purchase(market, market.anna)


def guessed(target: str, tries) -> bool:
    """Whether one of the tries has the digest that was seen."""
    return any(b64u(instruction_digest(document)) == target for document in tries)


def test_pan_guess_from_hpi(market: Market, paying: Purchase):
    """The merchant knows all of PI but card number, its secret and salt, and tries every number of the bank."""
    paying.pinit()
    paying.instruct()
    account = int(market.anna.card.pan[len(PREFIX) : -1])
    numbers = [card_number(PREFIX, n) for n in range(account - 50, account + 50)]
    assert market.anna.card.pan in numbers
    salts = [bytes(32), paying.xid.ljust(32, b"\0"), hashlib.sha256(paying.xid).digest()]
    tried = list(itertools.product(numbers, salts))

    def tries(known: Document):
        return ({**known, "pan": pan, "salt": b64u(salt)} for pan, salt in tried)

    assert not guessed(paying.ds.document["hPI"], tries({**paying.pi, "panSecret": b64u(bytes(32))}))
    # not even with the card's secret: the salt alone hides the number
    assert not guessed(paying.ds.document["hPI"], tries(paying.pi))
    # nor from the commitment in the certificate, which everybody sees
    assert all(
        pan_commitment(salt, pan) != commitment_of(market.anna.signer.certificate) for pan, salt in tried
    )
    # a PI without salt would be found
    weak = {**paying.pi, "salt": b64u(bytes(32))}
    assert guessed(b64u(instruction_digest(weak)), tries(paying.pi))


def test_order_guess_from_hoi(market: Market, paying: Purchase):
    """The gateway knows catalogue, total and all names, and tries every basket that would cost as much."""
    paying.pinit()
    paying.instruct()
    total = Decimal(paying.sums["total"])
    baskets = _baskets(total)
    assert any(lines == LINES for lines in baskets)
    salts = [bytes(32), paying.xid.ljust(32, b"\0")]
    seen = paying.ds.document["hOI"]
    assert not guessed(seen, _orders(market, paying, baskets, salts))
    paying.oi = {**paying.oi, "salt": b64u(salts[0])}
    assert guessed(b64u(instruction_digest(paying.oi)), _orders(market, paying, baskets, salts))


def _baskets(total: Decimal) -> list[list[dict[str, str]]]:
    """Baskets of the two things on sale that could have this total."""
    found = []
    for many, few in itertools.product(range(900, 1100, 10), range(1, 4)):
        found.append([{**LINES[0], "qty": str(many)}, {**LINES[1], "qty": str(few)}])
    assert total > 0
    return found


def _orders(market: Market, paying: Purchase, baskets, salts):
    from e2s.commerce import order

    for lines, salt in itertools.product(baskets, salts):
        sums = order.sums(lines, market.currency)
        yield order_information(sums, roles=market.roles, xid=paying.xid, cid=paying.cid, salt=salt)


def test_order_guess_from_cid():
    """cid is a digest over the contract: even who has every signature in it cannot try lines, for the salts."""
    play = Play().contract()
    offer, accept, confirm = (play.read(name) for name in ("offer", "accept", "confirm"))
    cid = confirm.id

    def rebuilt(offered: Document, accepted: Document) -> str:
        """cid as it would be, by splicing guessed documents into the acts that were signed."""
        inner = offer.octets.replace(offer.signed.octets, _content(offered, []))
        outer = accept.octets.replace(accept.signed.octets, _content(accepted, [inner]))
        return act_id(confirm.document, [outer])

    assert rebuilt(offer.document, accept.document) == cid
    zero = b64u(bytes(32))
    assert rebuilt({**offer.document, "salt": zero}, accept.document) != cid
    assert rebuilt(offer.document, {**accept.document, "salt": zero}) != cid
    salts = [b64u(hashlib.sha256(play.trade.encode() + bytes([n])).digest()) for n in range(50)]
    assert all(rebuilt({**offer.document, "salt": salt}, accept.document) != cid for salt in salts)


def _content(document: Document, over: list[bytes]) -> bytes:
    return der.sequence(
        der.octet_string(wire.encode(document)), der.sequence(*(der.octet_string(one) for one in over))
    )


def test_line_at_gateway(market: Market, paying: Purchase):
    """Neither in what it stores nor in what it can open does the gateway find a line; the capture passes it."""
    seen: list = []
    market.exchange.faults.append(record_traffic(seen))
    paying.pay()
    paying.deliver()
    assert paying.state()["state"] == "captured"
    needles = {line[member].encode(): f"{member} of a line" for line in LINES for member in ("sku", "text")}
    catalogue = [wire.encode(line) for line in paying.sums["lines"]] + list(needles)
    haystack = Haystack(needles, guesses(catalogue, (b"", b"e2s/1 OI", b"e2s/1 LI")))
    sees = market.home / "what-the-gateway-sees"
    sees.mkdir()
    for n, (origin, request, response) in enumerate(seen):
        if origin in {GATEWAY, ISSUER}:
            for m, octets in enumerate(_openable(market.gateway_opener, request.body, response.body)):
                (sees / f"{n}-{m}").write_bytes(octets)
    market.gateway.close()
    (market.home / "gateway.db").rename(sees / "gateway.db")
    assert any(sees.iterdir())
    assert leaks(sees, haystack) == []
    # the same search finds them in what the bank got with the capture
    market.issuer.close()
    bank = market.home / "bank"
    bank.mkdir()
    (market.home / "issuer.db").rename(bank / "issuer.db")
    assert leaks(bank, Haystack(needles))


def _openable(opener, *bodies: bytes):
    """A body, what the opener opens in it, and so on within."""
    waiting = list(bodies)
    while waiting:
        octets = waiting.pop()
        if not octets:
            continue
        yield octets
        try:
            _, content = open_sealed(octets, opener)
        except Exception:  # noqa: BLE001 - a reader who tries everything
            content = b""
        if content:
            waiting.append(content)
            for label in ("e2s/1/authreq", "e2s/1/capture", "e2s/1/authiss", "e2s/1/li"):
                try:
                    waiting += read_parcel(content, label)
                except Exception:  # noqa: BLE001 - the same
                    continue


def test_bank_holds_no_line_before_the_capture(market: Market, paying: Purchase):
    paying.pay()
    market.issuer.close()
    bank = market.home / "bank"
    bank.mkdir()
    (market.home / "issuer.db").rename(bank / "issuer.db")
    needles = {line[member].encode(): member for line in LINES for member in ("sku", "text")}
    assert leaks(bank, Haystack(needles)) == []


def test_merchant_and_bank_store_no_card_number(market: Market, paying: Purchase):
    """The merchant never sees it; the bank finds the card by a keyed digest."""
    paying.pay()
    paying.deliver()
    pan = market.anna.card.pan.encode()
    market.close()
    found = leaks(market.home, Haystack({pan: "card number"}, guesses([pan], (b"", b"e2s/1 pan"))))
    assert found == []


def test_class_leak(market: Market):
    """Kinds of goods are for the issuer's eyes, as far as the buyer discloses them."""
    market.permit(market.alpha, market.anna)
    told, silent = Purchase(market, market.anna), Purchase(market, market.anna, classes=[])
    seen: list = []
    market.exchange.faults.append(record_traffic(seen))
    told.pay()
    classes = Haystack({b'["book","resistor"]': "classes"})
    sees = market.home / "sees"
    for who, opener in (("gateway", market.gateway_opener), ("merchant", market.till_opener)):
        place = sees / who
        place.mkdir(parents=True)
        for n, (origin, request, response) in enumerate(seen):
            if origin in {GATEWAY, ISSUER}:
                for m, octets in enumerate(_openable(opener, request.body, response.body)):
                    (place / f"{n}-{m}").write_bytes(octets)
        assert leaks(place, classes) == [], who
    # the issuer opens SI and finds what was disclosed; where nothing was, nothing
    assert leaks(_issuers(market, sees / "told", seen), classes)
    seen.clear()
    silent.pay()
    place = _issuers(market, sees / "silent", seen)
    assert leaks(place, classes) == []
    assert leaks(place, Haystack({silent.cid.encode(): "cid"}))
    assert silent.state()["state"] == "authorised"
    # undisclosed kinds may still be captured where every kind is permitted
    assert silent.deliver()["state"] == "captured"


def _issuers(market: Market, place: Path, seen: list) -> Path:
    """All that the issuer can open, as files."""
    place.mkdir()
    bodies = [request.body for origin, request, _ in seen if origin == ISSUER]
    for n, octets in enumerate(_openable(market.issuer_opener, *bodies)):
        (place / str(n)).write_bytes(octets)
    return place


def test_envelopes_open_for_their_readers_only(market: Market, paying: Purchase):
    paying.pinit()
    paying.instruct()
    pi, si = paying.envelopes()
    for envelope, others in (
        (pi, (market.till_opener, market.issuer_opener)),
        (si, (market.till_opener, market.gateway_opener)),
    ):
        for opener in others:
            refused("not-for-me", open_sealed, envelope, opener)


def test_pseudonym_in_the_certificate(market: Market):
    """The card-holder's certificate names neither person nor organisation."""
    certificate = market.anna.signer.certificate
    assert b"anna" not in certificate.der
    assert b"alpha" not in certificate.der
    assert certificate.name.startswith(market.bank.name + ":card:")
