"""How a merchant's server is built: five components, each knowing only those that it must (figure 6.5).

The outside reaches purchasing alone; purchasing, payment and catalogue reach the key handler; the key
handler reaches nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

from e2s.commerce.payment import store as payment_store
from e2s.commerce.payment.merchant import Till
from e2s.commerce.payment.service import MerchantPayment
from e2s.commerce.purchasing import publishing, store
from e2s.commerce.purchasing.acts import Purchasing
from e2s.commerce.purchasing.counter import Counter, PartyFacts
from e2s.commerce.purchasing.publishing import Publisher, serves_files
from e2s.commerce.purchasing.service import PurchasingService, opens_logins, signs_logins
from e2s.commerce.purchasing.shelf import Shelf
from e2s.community.description import Component
from e2s.community.peers import gateway_of, issuers_of
from e2s.community.place import Assembled, Place
from e2s.crypto.keys import spki_of
from e2s.network.sessions.link import LinkDoor, make_key, read_key
from e2s.network.sessions.merchant import Sessions
from e2s.network.sessions.pages import Shop
from e2s.security.keys import key_handler as handler
from e2s.security.keys.key_handler import KeyClient, KeyHandler
from e2s.security.timestamping.client import StampClient
from e2s.server.webserver.outside import Outside

#: Kind of component to its place in the key handler's table.
_ROLES: Final = {
    "merchant-purchasing": "purchasing",
    "merchant-payment": "payment",
    "merchant-catalogue": "catalogue",
}
#: Who may load files, by the name of her link.
CONTENT_MANAGER: Final = "content-manager"
_ELECTRICAL_PARTS: Final = "5065"  # ISO 18245


def sibling(place: Place, kind: str) -> Component:
    """The component of ``kind`` of the same merchant."""
    (found,) = place.community.of_party(place.component.party, kind)
    return found


def _keys(place: Place) -> KeyClient:
    return KeyClient(place.link(place.peer("merchant-key-handler")))


def _links(place: Place, *kinds: str) -> Mapping[str, bytes]:
    """The link keys of the siblings that may speak to this component."""
    keys = place.link_keys()
    return {name: keys[name] for name in (sibling(place, kind).name for kind in kinds)}


def key_handler(place: Place) -> Assembled:
    """The key handler: it signs and opens for the three siblings in its table."""
    pse = place.pse()
    database = place.database(handler.TABLES)
    signing = ("merchant", "merchant-payment", "catalogue")
    agreement = ("merchant-agreement", "payment-agreement")
    built = KeyHandler(
        store=database,
        signers={label: pse.signer(label) for label in signing},
        openers={label: pse.opener(label) for label in agreement},
        roles={sibling(place, kind).name: role for kind, role in _ROLES.items()},
        clock=place.clock,
        component=place.name,
    )
    keys = place.link_keys()
    door = LinkDoor(place.name, keys, built.doors, place.clock, place.random)
    return Assembled(
        handle=door.handle,
        tick=built.tick,
        close=built.close,
        outboxes=(("", database, handler.OUTBOX),),
    )


def purchasing(place: Place) -> Assembled:
    """Purchasing: sessions, offers, contracts, deliveries."""
    keys, trust, database = _keys(place), place.trust(), place.database(store.TABLES)
    counter = Counter(
        store=database,
        keys=keys,
        trust=trust,
        stamper=StampClient(
            exchange=place.exchange,
            authorities=tuple(peer.origin for peer in place.peers("time-stamping")),
            trust=trust,
            clock=place.clock,
            random=place.random,
        ),
        clock=place.clock,
        random=place.random,
        party=PartyFacts(
            name=place.party,
            gateways=tuple(
                place.certificates(gateway.name, "gateway")[0].id
                for gateway in place.community.of_kind("gateway")
            ),
        ),
        component=place.name,
    )
    shelf = Shelf(
        database=database,
        folder=place.home.path / "catalogue",
        trust=trust,
        clock=place.clock,
        merchant=place.party,
    )
    service = PurchasingService(
        purchasing=Purchasing(
            counter=counter,
            shelf=shelf,
            payment=place.link(place.peer("merchant-payment")),
            evidence=place.home.path / "evidence",
        ),
        sessions=Sessions(
            _shop(place),
            checker=trust,
            open_envelope=opens_logins(keys),
            sign_document=signs_logins(keys),
            clock=place.clock,
            random=place.random,
        ),
        me=place.name,
        outside=sibling(place, "merchant-outside").name,
        catalogue=sibling(place, "merchant-catalogue").name,
        keys=_links(place, "merchant-outside", "merchant-catalogue"),
        clock=place.clock,
        random=place.random,
    )
    return Assembled(
        handle=service.handle,
        tick=service.tick,
        close=service.close,
        outboxes=(("", database, store.OUTBOX),),
    )


def _shop(place: Place) -> Shop:
    """What login pages say: the shop's origin, keys, own TLS ends, and suites permitted where it stands."""
    outside = sibling(place, "merchant-outside")
    holder = sibling(place, "merchant-key-handler").name
    signing, *chain = place.certificates(holder, "merchant")
    fronts: tuple[bytes, ...] = ()
    if outside.tls:
        front = place.certificates(outside.name, "tls-server")[0]
        fronts = (sha256(spki_of(front.public_key)).digest(),)
    return Shop(
        merchant=place.party,
        origin=outside.origin,
        location=place.component.location,
        policy=place.community.policy,
        signing=signing,
        agreement=place.certificates(holder, "merchant-agreement")[0],
        chain=tuple(chain),
        fronts=fronts,
        plain=not outside.tls,
    )


def payment(place: Place) -> Assembled:
    """The payment component."""
    database = place.database(payment_store.TABLES)
    built = MerchantPayment(
        Till(
            name=place.party,
            store=database,
            keys=_keys(place),
            trust=place.trust(),
            clock=place.clock,
            exchange=place.exchange,
            random=place.random,
            gateway=gateway_of(place),
            issuers=issuers_of(place),
            mcc=place.component.settings.get("mcc", _ELECTRICAL_PARTS),
            component=place.name,
        ),
        purchasing=sibling(place, "merchant-purchasing").name,
    )
    keys = _links(place, "merchant-purchasing")
    door = LinkDoor(place.name, keys, built.doors, place.clock, place.random)
    return Assembled(
        handle=door.handle,
        tick=built.tick,
        close=built.close,
        outboxes=(("", database, payment_store.OUTBOX),),
    )


def catalogue(place: Place) -> Assembled:
    """Catalogue updating; it takes files from its content manager alone, and pushes what is not taken yet."""
    built = publisher(place)
    key = content_key(place)
    if not key.exists():
        make_key(key, place.random)
    keys = {CONTENT_MANAGER: read_key(key)}
    door = LinkDoor(place.name, keys, {"/load": serves_files(built)}, place.clock, place.random)
    return Assembled(
        handle=door.handle,
        tick=built.tick,
        close=built.close,
        outboxes=(("", built.store, publishing.OUTBOX),),
    )


def publisher(place: Place) -> Publisher:
    """The publisher in the component's home."""
    outside = place.peer("merchant-outside")
    return Publisher(
        store=place.database(publishing.TABLES),
        keys=_keys(place),
        purchasing=place.link(place.peer("merchant-purchasing")),
        outside=place.link(outside),
        merchant=place.party,
        title=place.community.parties[place.component.party].title or place.component.party,
        origin=outside.origin,
        component=place.name,
        clock=place.clock,
    )


def content_key(place: Place) -> Path:
    """The key that the content manager's tool shares with the catalogue component, in a file of its home."""
    return place.home.link_key(CONTENT_MANAGER)


def outside(place: Place) -> Assembled:
    """The outside web server."""
    built = Outside(
        ask=place.link(place.peer("merchant-purchasing")).ask,
        folder=place.home.path / "public",
        me=place.name,
        catalogue=sibling(place, "merchant-catalogue").name,
        keys=_links(place, "merchant-catalogue"),
        clock=place.clock,
        random=place.random,
    )
    return Assembled(handle=built.handle, tick=built.tick, close=built.close)
