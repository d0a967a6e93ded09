"""From revocation to refusal: whoever meets a certificate refuses it within the bound, and takes it again.

A certificate of each kind of component and person is suspended at its CA, at the worst moment: everybody has
just heard from the repository that nothing was revoked.  Clocks are the test's own.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from e2s.base import wire
from e2s.base.errors import E2SError, Refusal
from e2s.base.instants import format_instant
from e2s.community.authority import open_component_ca
from e2s.community.content import load_catalogue
from e2s.community.place import Place
from e2s.community.publishers import publisher_of
from e2s.crypto import oids
from e2s.crypto.cms.signing import sign
from e2s.network.sessions.link import Link, read_key
from e2s.security.ceremonies.ceremony import Setting, open_root
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import SoftwarePse
from e2s.security.pki.ca import Authority
from e2s.security.repository.files import Repository
from e2s.security.verification.services import EVERY
from e2s.security.verification.trust import Trust
from tests.worlds.ca_client import CaClient
from tests.worlds.pki import SetClock
from tests.worlds.whole import CHEAP, CSV, LINES, Whole

#: What is promised on one machine (docs/repository.md): a tick of the repository and what a component waits.
BOUND = timedelta(seconds=5)
TICK = timedelta(seconds=1)
REACHED = TICK + EVERY
PEOPLE = "people"


class Reach:
    """The community, its two CAs, and who refuses what because it is revoked."""

    def __init__(self, folder) -> None:
        self.names: dict[int, str] = {}
        self.sources: list[Any] = []
        self.refusers: list[str] = []
        #: Who does not look: broken into, say.  Those behind it refuse by themselves.
        self.blind: set[str] = set()
        self._patch = pytest.MonkeyPatch()
        plain_trust, plain_check = Place.trust, Trust.check_certificate

        def trust(place: Place) -> Trust:
            made = plain_trust(place)
            self.names[id(made)] = place.name
            self.sources.append(made)
            return made

        def check(one: Trust, *arguments: Any, **named: Any) -> Any:
            try:
                return plain_check(one, *arguments, **named)
            except Refusal as refusal:
                name = self.names.get(id(one), PEOPLE)
                if refusal.rule != "revoked" or name not in self.blind:
                    self.refusers += [name] if refusal.rule == "revoked" else []
                    raise
                return None

        self._patch.setattr(Place, "trust", trust)
        self._patch.setattr(Trust, "check_certificate", check)
        self.whole = Whole(folder, clock=SetClock())
        self.whole.load()
        self.whole.permit()
        self.whole.buy()
        community = self.whole.community
        self.cas: dict[str, Authority] = {
            name: open_component_ca(self.whole.place(name), kind=kind)
            for name, kind in (("authority-ca", "operating-ca"), ("issuer-desk", "card-ca"))
        }
        self.officers = {"authority-ca": community.urn("authority"), "issuer-desk": community.urn("issuer")}

    def close(self) -> None:
        for authority in self.cas.values():
            authority.close()
        self.whole.close()
        self._patch.undo()

    def ca_of(self, label: str) -> str:
        return "issuer-desk" if label == "card" else "authority-ca"

    def serial(self, component: str, label: str) -> int:
        return self.whole.home.certificates(component, label)[0].serial

    def everybody_hears(self) -> None:
        """Whoever judges has just been told that its lists are the newest."""
        self.whole.tick()
        self.whole.clock.forward(seconds=2)
        people = [home.wallet.desk.trust for home in self.whole.wallets.values()]
        people += [home.desk.office.trust for home in self.whole.managers.values()]
        for one in (*self.sources, *people):
            one.source.crls(*self.whole.home.anchors())

    def hold(self, component: str, label: str) -> None:
        ca = self.ca_of(label)
        self.cas[ca].hold(self.serial(component, label), officer=self.officers[ca])

    def release(self, component: str, label: str) -> None:
        ca = self.ca_of(label)
        self.cas[ca].release(self.serial(component, label), officer=self.officers[ca])
        self.wait()
        self.whole.clock.forward(seconds=10)

    def wait(self) -> None:
        """The repository asks its CA once, and then a component may ask again."""
        self.whole.tick()
        self.whole.clock.forward(seconds=EVERY.total_seconds())

    def refused_by(self, act: Callable[[], object]) -> set[str]:
        self.refusers.clear()
        with suppress(E2SError):
            act()
        return set(self.refusers)


@pytest.fixture(scope="module")
def reach(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reach]:
    reach = Reach(tmp_path_factory.mktemp("market"))
    yield reach
    reach.close()


def shop(whole: Whole) -> str:
    return whole.wallet().wallet.desk.shops[0].name


def log_in(whole: Whole) -> Callable[[], object]:
    whole.close_wallet()
    return lambda: whole.wallet().wallet.basket(shop(whole), LINES)


def ask(whole: Whole) -> Callable[[], object]:
    home = whole.wallet()
    basket = home.wallet.basket(shop(whole), LINES)
    return lambda: home.wallet.ask(basket, home.deliver_to, home.cost_centre)


def accept(whole: Whole) -> Callable[[], object]:
    review: Any = ask(whole)()
    return lambda: whole.wallet().wallet.accept(review.trade, whole.phrase("alpha-wallet"))


def pay(whole: Whole) -> Callable[[], object]:
    accepted: Any = accept(whole)()
    return lambda: whole.wallet().wallet.pay(accepted.trade, whole.phrase("alpha-wallet"))


def control(whole: Whole) -> Callable[[], object]:
    return whole.permit


def load(whole: Whole) -> Callable[[], object]:
    more = CSV + b"FUSE:1,Fuse,Fuse,0.10,19,piece,glass\n"
    place = whole.place("volt-catalogue")
    return lambda: load_catalogue(place, more, currency="EUR", source="test")


CASES = [
    ("alpha-wallet", "session", log_in, ["volt-purchasing"]),
    ("alpha-wallet", "buyer", accept, ["volt-purchasing"]),
    ("alpha-wallet", "card", pay, ["volt-payment", "acquirer-gateway", "issuer-desk"]),
    ("volt-keys", "merchant", ask, [PEOPLE]),
    ("volt-keys", "catalogue", load, ["volt-purchasing"]),
    ("volt-keys", "merchant-payment", pay, [PEOPLE, "acquirer-gateway"]),
    ("acquirer-gateway", "gateway", pay, [PEOPLE, "issuer-desk", "volt-payment"]),
    ("issuer-desk", "issuer", pay, [PEOPLE, "acquirer-gateway", "volt-payment"]),
    ("issuer-desk", "issuer", control, [PEOPLE]),
    ("alpha-manager", "manager", control, ["issuer-desk"]),
    ("authority-stamps-1", "tsa", accept, ["volt-purchasing"]),
]


@pytest.mark.parametrize(
    ("component", "label", "prepare", "refusers"),
    CASES,
    ids=[f"{one[0]}-{one[1]}-{one[2].__name__}" for one in CASES],
)
def test_whoever_meets_it_refuses_it_within_the_bound_and_takes_it_again(
    reach: Reach,
    component: str,
    label: str,
    prepare: Callable[[Whole], Callable[[], object]],
    refusers: list[str],
) -> None:
    acts = [prepare(reach.whole) for _ in refusers]
    reach.everybody_hears()
    since = reach.whole.clock.now()
    reach.hold(component, label)
    reach.wait()
    assert reach.whole.clock.now() - since == REACHED <= BOUND
    try:
        for act, refuser in zip(acts, refusers, strict=True):
            assert reach.refused_by(act) == {refuser}
            reach.blind.add(refuser)
    finally:
        reach.blind.clear()
        reach.release(component, label)
    assert reach.refused_by(prepare(reach.whole)) == set()


def test_the_ca_itself_refuses_an_officer_at_once(reach: Reach) -> None:
    whole = reach.whole
    name = "authority-officer-1"
    pse = SoftwarePse.open(
        reach.whole.home.component(whole.community.component(name)).pse, whole.phrase(name)
    )
    signer = pse.signer("officer")
    place = whole.place("authority-registration")
    key = read_key(place.home.link_key("authority-ca"))
    origin = whole.community.component("authority-ca").origin
    link = Link(place.name, "authority-ca", key, whole.exchange, origin, whole.clock, secrets.token_bytes)

    def withdraw(act: str) -> object:
        now = whole.clock.now()
        document = {
            "type": "e2s/1/withdrawal",
            "community": whole.community.name,
            "ca": "authority-ca",
            "case": secrets.token_hex(4),
            "serial": f"{reach.serial('beta-wallet', 'session'):x}",
            "act": act,
            "reason": "",
            "officer": signer.certificate.name,
            "at": format_instant(now),
            "until": format_instant(now + timedelta(hours=1)),
        }
        return CaClient(link).withdraw(sign(wire.encode(document), oids.DATA, signer, now))

    withdraw("hold")
    whole.clock.forward(seconds=1)
    withdraw("release")
    reach.hold(name, "officer")
    whole.clock.forward(seconds=1)
    with pytest.raises(Refusal, match="revoked"):
        withdraw("hold")
    reach.release(name, "officer")
    withdraw("hold")


def test_a_ca_that_the_root_revoked_takes_all_with_it(reach: Reach) -> None:
    """The root's list is made at a ceremony and put into the repository by hand."""
    whole, home = reach.whole, reach.whole.home
    act = ask(whole)
    reach.everybody_hears()
    ca = home.certificates("authority-ca", "ca")[0]
    phrase = home.root_offline.with_name("root-offline.phrase").read_text().strip()
    root = open_root(
        home.root_offline,
        Phrase(phrase),
        setting=Setting(clock=whole.clock, random=secrets.token_bytes, cost=CHEAP),
    )
    root.revoke(ca.serial, "cACompromise", officer=whole.community.urn("authority"))
    publisher = publisher_of(whole.community, whole.community.component("authority-ca"))
    Repository(home.component(publisher).path / "repository").publish_crl(root.certificate, root.crl())
    root.close()
    reach.wait()
    assert reach.refused_by(act)
    assert reach.refused_by(log_in(whole))
