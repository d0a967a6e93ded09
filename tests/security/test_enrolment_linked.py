"""A desk whose CA another process holds: ordered from by an officer's key, over doors that lose answers."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import E2SError, Refusal, Unreachable
from e2s.crypto.certificates import Certificate
from e2s.security.certificates.profiles import PROFILES
from e2s.security.enrolment import linked, store
from e2s.security.enrolment.asking import Asked, Holder, Issued, Pending
from e2s.security.enrolment.desk import EnrolmentDesk
from e2s.security.enrolment.linked import LinkedCa
from e2s.security.pki import store as pki_store
from e2s.security.pki.approvals import Judge
from e2s.security.pki.renewals import RECERTIFY, renewal_doors
from e2s.security.pki.rights import RIGHTS
from e2s.security.pki.service import ISSUE, doors
from tests.worlds.enrolment import ANNA, CA, NAME, World, csr, key


class Apart:
    """The world's desk over links to its CA."""

    def __init__(self, folder, door: str) -> None:
        self.world = World(folder)
        self.world.rights.__dict__["table"] |= {(NAME, RIGHTS.revoke, CA)}
        judge = Judge(trust=self.world.trust, authoriser=self.world.rights, community="market", ca=CA)
        orders = doors(self.world.authority, judge, self.world.queue.issue_ders)
        self.doors = {**orders, **renewal_doors(self.world.authority, orders)}
        self.lost = 0
        self.refusal: Refusal | None = None
        tables = sa.MetaData()
        for table in (*store.TABLES.sorted_tables, *linked.TABLES.sorted_tables):
            table.to_metadata(tables)
        database = Database.open(folder / "enrolment.sqlite", tables)
        self.world.office.database.close()
        self.ca = LinkedCa(
            component=CA,
            kind="operating-ca",
            certificate=self.world.pki.operating,
            chain=(),
            profiles=PROFILES,
            authoriser=self.world.rights,
            community="market",
            officer=NAME,
            signer=self.world.officer(NAME),
            ask=self.ask,
            database=database,
            clock=self.world.clock,
            door=door,
        )
        office = self.world.office.__class__(
            **{**_members(self.world.office), "ca": self.ca, "database": database}
        )
        self.world.office, self.world.desk = office, EnrolmentDesk(office)

    def ask(self, path: str, body: bytes) -> bytes:
        if self.refusal is not None:
            raise self.refusal
        answer = self.doors[path]("authority-enrolment", body)
        if self.lost:
            self.lost -= 1
            raise Unreachable("dropped", "the answer was lost")
        return answer

    def issued(self) -> int:
        with self.world.authority.database.reading() as connection:
            table = pki_store.CERTIFICATES
            rows = connection.execute(sa.select(table).where(table.c.approval != b""))
            return sum(row.der is not None for row in rows)


def _members(office) -> dict:
    return {name: getattr(office, name) for name in office.__dataclass_fields__}


@pytest.fixture
def apart(tmp_path, request):
    made = Apart(tmp_path, getattr(request, "param", ISSUE))
    yield made
    made.world.close()


def asked(shown, request: bytes, transaction: bytes = b"1") -> Asked:
    return Asked(door="world", transaction=transaction, request=request, shown=shown)


def rule(act, *given) -> str:
    with pytest.raises(E2SError) as caught:
        act(*given)
    return caught.value.rule


def test_who_was_invited_is_certified_at_the_word_of_the_components_officer(apart):
    world = apart.world
    made = world.desk.ask(asked(world.invited(), csr()))
    assert isinstance(made, Issued)
    assert Certificate.read(made.certificate).name == ANNA


def test_a_lost_answer_leads_to_the_same_certificate(apart):
    world = apart.world
    ask = asked(world.invited(), csr())
    apart.lost = 2
    assert rule(world.desk.ask, ask) == "dropped"
    world.clock.forward(hours=1)
    assert world.desk.tick() == 0
    assert apart.issued() == 1
    world.clock.forward(days=3)  # the word is over; what was issued at it is given all the same
    assert isinstance(world.desk.ask(ask), Issued)
    assert apart.issued() == 1


def test_a_refusal_is_final_where_the_ca_says_so(apart):
    world = apart.world
    shown = world.invited()
    apart.refusal = Refusal("link-stale", "the message was under way for too long")
    assert rule(world.desk.ask, asked(shown, csr(), b"1")) == "link-stale"
    assert [row.state for row in world.requests("intended")] == ["intended"]
    apart.refusal = None
    assert world.desk.tick() == 1
    other = world.invited()
    apart.refusal = Refusal("not-authorised", "the officer may not")
    assert rule(world.desk.ask, asked(other, csr(), b"2")) == "not-authorised"
    apart.refusal = None
    assert isinstance(world.desk.ask(asked(other, csr(), b"3")), Issued)  # the use was given back


def test_four_eyes_are_registrations_matter(apart):
    world = apart.world
    assert isinstance(world.desk.ask(asked(world.invited("code-signing"), csr())), Pending)


def test_a_holder_renews_and_withdraws(apart):
    world = apart.world
    private = key()
    first = world.desk.ask(asked(world.invited("component"), csr(private=private)))
    assert isinstance(first, Issued)
    held = Holder(certificate=Certificate.read(first.certificate), certificates=(world.pki.operating,))
    world.clock.forward(days=300)
    second = world.desk.ask(asked(held, csr(), b"2"))
    assert isinstance(second, Issued)
    world.desk.withdraw(held.certificate.serial, "superseded", held, door="world")
    assert world.desk.revoked(held.certificate.serial)
    assert not world.desk.revoked(Certificate.read(second.certificate).serial)
    assert rule(world.desk.ask, asked(held, csr(), b"3")) == "certificate-revoked"


@pytest.mark.parametrize("apart", [RECERTIFY], indirect=True, ids=["renewals"])
def test_a_door_for_renewals_certifies_nothing_new(apart):
    world = apart.world
    assert rule(world.desk.ask, asked(world.invited(), csr())) == "not-a-renewal"
    assert apart.issued() == 0
