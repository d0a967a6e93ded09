"""How the banks' components are built: the acquirer's gateway, and the issuer's desk with its card CA."""

from __future__ import annotations

from e2s.commerce.bankcard import store as bank_store
from e2s.commerce.bankcard.bank import Bank
from e2s.commerce.bankcard.cards import PAN_KEY_BYTES
from e2s.commerce.bankcard.service import Issuer
from e2s.commerce.payment import gateway_store
from e2s.commerce.payment.gateway import Acquirer, Gateway
from e2s.community.authority import open_component_ca
from e2s.community.peers import issuers_of, merchants_of
from e2s.community.place import Assembled, Place
from e2s.security.keys.durable import replace_file
from e2s.security.pki.publishing import Publisher
from e2s.security.repository.door import limited
from e2s.security.repository.files import Repository
from e2s.security.verification.trust import Trust

_PAN_KEY = "pan.key"


def gateway(place: Place) -> Assembled:
    """The acquirer's gateway."""
    pse = place.pse()
    database = place.database(gateway_store.TABLES)
    built = Gateway(
        Acquirer(
            name=place.party,
            store=database,
            signer=pse.signer("gateway"),
            opener=pse.opener("gateway-agreement"),
            trust=place.trust(),
            clock=place.clock,
            exchange=place.exchange,
            random=place.random,
            merchants=merchants_of(place),
            issuers=issuers_of(place),
            component=place.name,
        )
    )
    return Assembled(
        handle=built.handle,
        tick=built.tick,
        close=built.close,
        outboxes=(("", database, gateway_store.OUTBOX),),
    )


def bank_of(place: Place, trust: Trust) -> Bank:
    """The issuing bank in the component's home: what its desk and its counter for cards both work with."""
    pse = place.pse()
    return Bank(
        name=place.party,
        store=place.database(bank_store.TABLES),
        signer=pse.signer("issuer"),
        opener=pse.opener("issuer-agreement"),
        trust=trust,
        clock=place.clock,
        random=place.random,
        component=place.name,
    )


def pan_key(place: Place) -> bytes:
    """The key of the bank's card digests, made at first use."""
    path = place.home.path / _PAN_KEY
    if not path.exists():
        replace_file(path, place.random(PAN_KEY_BYTES))
    return path.read_bytes()


def issuer(place: Place) -> Assembled:
    """The issuing bank's desk; its card CA's list stands at the same door."""
    bank = bank_of(place, place.trust())
    desk = Issuer(bank, pan_key=pan_key(place))
    authority = open_component_ca(place, kind="card-ca")
    lists = Publisher(Repository(place.home.path / "repository"), (authority,))
    files = limited(lists.handle, place.clock)

    def tick() -> None:
        desk.tick()
        lists.tick()

    def close() -> None:
        desk.close()
        lists.close()

    return Assembled(
        handle=lambda request: desk.handle(request) if request.method == "POST" else files(request),
        tick=tick,
        close=close,
        outboxes=(
            ("", bank.store, bank_store.OUTBOX),
            ("card-ca", authority.database, authority.outbox),
        ),
    )
