"""In a community, officers have people certified through its registration authority, and taken back again."""

from __future__ import annotations

import secrets

import pytest

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.cli.main import main
from e2s.community.assembly_registration import office_of
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import KeySigner
from e2s.security.certificates.certify import request
from e2s.security.keys.generation import generate
from e2s.security.keys.software import SoftwarePse
from e2s.security.registration import acts, approving, store, withdrawing
from e2s.security.registration.evidence import Evidence
from e2s.security.registration.naming import name_key
from tests.worlds.whole import Whole

REGISTRATION, OFFICERS = "authority-registration", ("authority-officer-1", "authority-officer-2")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    made = Whole(tmp_path_factory.mktemp("market"))
    made.tick(2)
    yield made
    for built in made.running.values():
        built.close()


class Tools:
    """What the officers' tools do: one asks over her link, the other works in the home itself."""

    def __init__(self, whole: Whole) -> None:
        self.whole = whole
        self.office = office_of(whole.place(REGISTRATION))
        self.pses = [
            SoftwarePse.open(whole.home.component(whole.community.component(name)).pse, whole.phrase(name))
            for name in OFFICERS
        ]
        self.olga, self.oskar = (pse.signer("officer") for pse in self.pses)
        place = whole.place(OFFICERS[0])
        self.link = place.link(whole.community.component(REGISTRATION))

    def say(self, document, signer, path="/act"):
        return wire.decode(self.link.ask(path, acts.signed(document, signer)))

    def case(self, profile, key, title="Clara Stein", number="P0000001"):
        office, olga = self.office, self.olga
        name = olga.certificate.name
        opened = acts.open_document(
            office,
            name,
            profile=profile,
            party="alpha",
            title=title,
            request=request(key, ("urn:e2s:market:alpha:anyone",)),
            protection="card",
        )
        case = self.say(opened, olga)["case"]
        said = wire.encode({"kind": "passport", "issuer": "Utopia", "number": number})
        seen = Evidence(
            kind="passport",
            issuer="Utopia",
            document=wire.decode(self.link.ask("/document", said))["document"],
            expires="2090-01-01",
            seen="original",
            place="Alpha",
            at=opened["at"],
            officer=name,
        )
        self.say(acts.evidence_document(office, name, case, seen), olga)
        self.say(acts.name_document(office, name, case), olga)
        return case

    def row(self, case):
        with self.office.database.reading() as connection:
            return store.case(connection, case)


@pytest.fixture(scope="module")
def tools(whole):
    made = Tools(whole)
    yield made
    made.office.database.close()


def test_a_person_is_certified_by_the_communitys_ca_and_taken_back(whole, tools):
    key = generate("p256-sha256", secrets.token_bytes)
    case = tools.case("person", key)
    asked = wire.encode({"cases": [case], "officer": tools.olga.certificate.name})
    draft = wire.decode(tools.link.ask("/draft", asked))
    assert tools.say(draft, tools.olga, "/approve")["state"] == "ready"
    whole.tick(2)
    row = tools.row(case)
    assert row.state == "certified"
    certificate = Certificate.read(row.certificate)
    shop = whole.place("volt-purchasing").trust()
    chain = whole.home.certificates("authority-ca", "ca")
    shown = {"purpose": None, "name": "urn:e2s:components-market:alpha:clara-stein", "at": whole.clock.now()}
    shop.check_certificate(certificate, chain, **shown)
    holder = KeySigner(certificate, chain, key)
    said = withdrawing.withdrawal_document(
        tools.office, certificate.name, certificate.serial, "revoke", "keyCompromise"
    )
    assert tools.say(said, holder, "/withdraw")["state"] == "waiting"
    whole.tick(5)
    assert tools.row(case).state == "withdrawn"
    with pytest.raises(Refusal, match="revoked"):
        shop.check_certificate(certificate, chain, **{**shown, "at": whole.clock.now()})


def test_two_officers_of_the_ceremony_approve_a_third(whole, tools):
    key = generate("p256-sha256", secrets.token_bytes)
    case = tools.case("officer", key, "Otto Kern", "P0000002")
    said = approving.draft(tools.office, [case], tools.olga.certificate.name)
    first = tools.say(said, tools.olga, "/approve")
    assert first["state"] == "once"
    whole.tick()
    assert tools.row(case).state == "countersign"
    second = approving.second_document(tools.office, first["approval"], tools.oskar.certificate.name)
    assert tools.say(second, tools.oskar, "/countersign")["state"] == "ready"
    whole.tick(2)
    assert tools.row(case).state == "certified"


def test_the_people_of_the_community_file_keep_their_names(whole, tools):
    people = {(c.party, c.person) for c in whole.community.components.values() if c.person}
    assert ("authority", "olga") in people
    with tools.office.database.reading() as connection:
        register = store.Register(connection)
        for party, person in people:
            owner = register.owner(name_key(party, person))
            assert owner is not None
            assert owner.name == f"urn:e2s:components-market:{party}:{person}"


def test_the_registration_authoritys_own_key_has_no_say(whole, tools):
    place = whole.place(REGISTRATION)
    pse = place.pse()
    label = next(iter(pse.labels()))
    said = acts.open_document(
        tools.office,
        pse.certificate(label).name,
        profile="person",
        party="alpha",
        title="Eve",
        request=request(generate("p256-sha256", secrets.token_bytes), ("urn:e2s:market:alpha:eve",)),
        protection="card",
    )
    with pytest.raises(Refusal, match="wrong-purpose"):
        tools.say(said, pse.signer(label))


def test_the_command_line_finds_a_communitys_registration(whole, tools, capsys):
    case = tools.case("person", generate("p256-sha256", secrets.token_bytes), "Dora Lind", "P0000003")
    home = whole.home.component(whole.community.component(REGISTRATION)).path
    with pytest.raises(SystemExit) as ended:
        main(["ra", "show", case, "--home", str(home)])
    assert not ended.value.code
    assert "name: urn:e2s:components-market:alpha:dora-lind" in capsys.readouterr().out
