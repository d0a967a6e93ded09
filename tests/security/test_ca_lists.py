"""Lists tell every withdrawal from the moment it is recorded, and nobody leaves them too early."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

import pytest

from e2s.base.database import Database
from e2s.base.errors import Misuse, Refusal
from e2s.base.rights import TableAuthoriser
from e2s.security.certificates.places import NOWHERE, Places
from e2s.security.keys.generation import generate
from e2s.security.pki import finding, listing, store
from e2s.security.pki.ca import RIGHTS, Authority, Lifetimes
from e2s.security.pki.feed import Kind
from e2s.security.status.entries import decode
from e2s.security.verification.crls import CrlIndex
from tests.worlds.pki import SetClock, make_pki

OFFICER = "urn:e2s:market:ca:officer"
BASE = "http://repository.example"
DELTAS = Places(base=BASE, deltas=True)


class World:
    """One operating CA whose places may change from one start to the next."""

    def __init__(self, folder):
        self.folder = folder
        self.pki = make_pki()
        self.clock = SetClock(self.pki.at)
        self.authority: Any = None

    def start(self, places=NOWHERE, **more):
        if self.authority is not None:
            self.authority.close()
        authoriser = TableAuthoriser(
            frozenset((OFFICER, right, "ca") for right in (RIGHTS.certify, RIGHTS.revoke))
        )
        self.authority = Authority(
            self.pki.operating_ca.signer,
            Database.open(self.folder / "register.sqlite", store.TABLES),
            kind="operating-ca",
            component="ca",
            clock=self.clock,
            random=secrets.token_bytes,
            authoriser=authoriser,
            places=places,
            **more,
        )
        return self.authority

    def issue(self, **more):
        key = generate("p256-sha256", secrets.token_bytes).public_key()
        return self.authority.issue("tls-server", key, ("shop.example",), officer=OFFICER, **more)

    def revoke(self, certificate, **more):
        self.authority.revoke(certificate.serial, "superseded", officer=OFFICER, **more)

    def revoked(self, count=1):
        made = [self.issue() for _ in range(count)]
        for one in made:
            self.revoke(one)
        return made

    def lists(self):
        """The lists that stand now, read, by part and whether they are delta lists."""
        found = {(one.shard, one.delta): one for one in self.authority.current_lists()}
        read = {label: CrlIndex.read(one.der) for label, one in found.items()}
        assert all(read[label].number == one.number for label, one in found.items())
        assert all(one.signed_by(self.pki.operating) for one in read.values())
        return read

    def told(self, part=None):
        """What somebody knows who has the complete list and the delta list over it."""
        lists = self.lists()
        known = dict(lists[part, False].revoked)
        delta = lists.get((part, True))
        if delta is not None:
            assert delta.base <= lists[part, False].number
            known |= delta.revoked
        return {serial for serial, entry in known.items() if entry.reason != "removeFromCRL"}


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    made.start()
    yield made
    made.authority.close()


def test_hold_and_release(world):
    certificate = world.issue()
    ca, serial = world.authority, certificate.serial
    ca.hold(serial, officer=OFFICER)
    ca.hold(serial, officer=OFFICER)
    assert world.lists()[None, False].revoked[serial].reason == "certificateHold"
    ca.release(serial, officer=OFFICER)
    assert serial not in world.lists()[None, False].revoked
    with pytest.raises(Refusal, match="not-held"):
        ca.release(serial, officer=OFFICER)
    kinds = [change.kind for change in ca.changes(0)]
    assert kinds == [Kind.ISSUED, Kind.HELD, Kind.RELEASED]


def test_what_was_held_is_revoked_from_then_on(world):
    certificate = world.issue()
    ca, since = world.authority, world.clock.now()
    ca.hold(certificate.serial, officer=OFFICER)
    world.clock.forward(hours=3)
    world.revoke(certificate)
    entry = world.lists()[None, False].revoked[certificate.serial]
    assert (entry.at, entry.reason) == (since, "superseded")
    for act in (ca.hold, ca.release):
        with pytest.raises(Refusal, match=r"already-revoked|not-held"):
            act(certificate.serial, officer=OFFICER)


@pytest.mark.parametrize("act", ["hold", "release"])
def test_who_may_not(world, act):
    with pytest.raises(Refusal, match="not-authorised"):
        getattr(world.authority, act)(world.issue().serial, officer="urn:e2s:market:eve")
    with pytest.raises(Refusal, match="no-such-certificate"):
        getattr(world.authority, act)(1 << 127, officer=OFFICER)


def test_hold_is_no_reason_and_a_key_is_lost_in_the_past(world):
    serial = world.issue().serial
    with pytest.raises(Misuse, match="bad-reason"):
        world.authority.revoke(serial, "certificateHold", officer=OFFICER)
    later = world.clock.now() + timedelta(hours=1)
    with pytest.raises(Refusal, match="bad-invalidity"):
        world.authority.revoke(serial, "keyCompromise", officer=OFFICER, invalidity=later)


def test_invalidity_date_is_in_the_entry(world):
    certificate, lost = world.issue(), world.clock.now() - timedelta(days=2)
    world.revoke(certificate, invalidity=lost)
    change = world.authority.changes(1)[0]
    assert decode(change.entry).invalidity == lost


def test_expired_leaves_only_after_a_list_beyond_its_end(world):
    """RFC 5280, 3.3; an entry that left when its certificate ended was once lost before anybody saw it."""
    certificate = world.issue(not_after=world.clock.now() + timedelta(hours=1))
    world.clock.forward(minutes=59)
    world.revoke(certificate)
    world.clock.forward(minutes=10)  # it ends before the first list that could tell it
    assert certificate.serial in world.lists()[None, False].revoked
    world.clock.forward(hours=13)
    assert certificate.serial not in world.lists()[None, False].revoked


def test_listed_before_its_end_is_listed_once_beyond(world):
    certificate = world.issue(not_after=world.clock.now() + timedelta(hours=20))
    world.revoke(certificate)
    for hours, there in ((0, True), (13, True), (13, True), (13, False), (13, False)):
        world.clock.forward(hours=hours)
        assert (certificate.serial in world.lists()[None, False].revoked) is there


def test_revoked_after_its_end(world):
    certificate = world.issue(not_after=world.clock.now() + timedelta(hours=1))
    world.clock.forward(hours=30)
    world.lists()
    world.revoke(certificate)
    assert certificate.serial in world.lists()[None, False].revoked


def test_small_list_is_made_whole(world):
    world.start(DELTAS)
    (one,) = world.revoked()
    before = world.lists()
    (two,) = world.revoked()
    after = world.lists()
    assert set(after[None, False].revoked) == {one.serial, two.serial}
    assert set(after[None, True].revoked) == {two.serial}
    # both of one moment: of one number, over the list before
    assert after[None, True].number == after[None, False].number
    assert after[None, True].base == before[None, False].number


def test_large_list_is_told_by_deltas(world, monkeypatch):
    monkeypatch.setattr(listing, "SMALL", 2)
    world.start(DELTAS)
    old = {one.serial for one in world.revoked(8)}
    whole = world.lists()[None, False]
    new = {one.serial for one in world.revoked(3)}
    lists = world.lists()
    assert lists[None, False].number == whole.number
    assert set(lists[None, True].revoked) == new
    assert world.told() == old | new
    numbers = [lists[None, True].number]
    new |= {one.serial for one in world.revoked(2)}
    assert world.told() == old | new
    numbers.append(world.lists()[None, True].number)
    assert numbers == sorted(set(numbers))
    assert numbers[0] > whole.number
    # as much changed as it holds: time for another whole
    new |= {one.serial for one in world.revoked(5)}
    assert world.told() == old | new
    assert world.lists()[None, False].number > numbers[-1]


def test_release_leaves_a_large_list_by_the_delta(world, monkeypatch):
    monkeypatch.setattr(listing, "SMALL", 0)
    world.start(DELTAS)
    held, *others = (world.issue() for _ in range(5))
    for one in (held, *others):
        world.authority.hold(one.serial, officer=OFFICER)
    assert held.serial in world.told()
    world.authority.release(held.serial, officer=OFFICER)
    assert world.lists()[None, True].revoked[held.serial].reason == "removeFromCRL"
    assert world.told() == {one.serial for one in others}


def test_lists_are_renewed_when_half_their_time_is_over(world, monkeypatch):
    monkeypatch.setattr(listing, "SMALL", 0)
    world.start(DELTAS, lifetimes=Lifetimes(complete=timedelta(hours=8), delta=timedelta(hours=2)))
    world.revoked()
    first = world.lists()
    world.clock.forward(minutes=59)
    assert world.lists() == first
    world.clock.forward(minutes=1)
    second = world.lists()
    assert second[None, False] == first[None, False]
    assert second[None, True].next_update - second[None, True].this_update == timedelta(hours=2)
    assert second[None, True].number > first[None, True].number
    world.clock.forward(hours=3)
    assert world.lists()[None, False].number > second[None, True].number


def test_list_in_parts(world):
    world.start(Places(base=BASE, shards=4))
    made = world.revoked(12)
    lists = world.lists()
    assert set(lists) == {(part, False) for part in range(4)}
    for part in range(4):
        serials = {one.serial for one in made if one.serial % 4 == part}
        assert set(lists[part, False].revoked) == serials
        assert lists[part, False].scope.names
    with pytest.raises(Misuse, match="lists-in-parts"):
        world.authority.current_crl()


def test_only_the_part_that_changed_is_made_anew(world):
    world.start(Places(base=BASE, shards=4))
    before = world.lists()
    (one,) = world.revoked()
    after = world.lists()
    changed = {label for label, read in after.items() if read.number != before[label].number}
    assert changed == {(one.serial % 4, False)}


def test_certificates_of_before_the_parts_stay_on_the_whole_list(world):
    old = world.issue()
    world.lists()
    world.start(Places(base=BASE, shards=2))
    new = world.issue()
    for one in (old, new):
        world.revoke(one)
    lists = world.lists()
    assert set(lists[None, False].revoked) == {old.serial, new.serial}
    assert set(lists[new.serial % 2, False].revoked) == {new.serial}


@pytest.mark.parametrize("places", [{"shards": 2}, {"deltas": True}, {"shards": 0}])
def test_parts_have_places(world, places):
    with pytest.raises(Misuse, match="bad-places"):
        world.start(Places(**places))
    world.authority = None
    world.start()


def test_feed_has_no_gaps_and_is_read_in_pieces(world):
    made = [world.issue() for _ in range(7)]
    world.revoke(made[3])
    whole = world.authority.changes(0)
    assert [change.number for change in whole] == list(range(1, 9))
    assert [change.der for change in whole] == [*(one.der for one in made), b""]
    assert whole[-1].serial == made[3].serial
    pieces, after = [], 0
    while some := world.authority.changes(after, most=3):
        pieces += some
        after = some[-1].number
    assert pieces == whole


def test_found_in_memory_in_the_index_and_between(world, monkeypatch):
    """The register finds serials and keys whether they wait, are being put into the index, or stand there."""
    monkeypatch.setattr(finding, "WAITING", 20)
    monkeypatch.setattr(finding, "SLICE", 6)
    made = []
    for round_ in range(6):
        made += [world.issue() for _ in range(6)]
        if round_ % 2:
            world.start()
        with world.authority.database.reading() as connection:
            for one in made:
                row = store.by_serial(connection, world.authority.finder, one.serial)
                assert row is not None
                assert row.der == one.der
            assert store.by_serial(connection, world.authority.finder, made[0].serial ^ 1) is None
    key = generate("p256-sha256", secrets.token_bytes).public_key()
    for _ in range(15):
        world.authority.issue("merchant", key, ("urn:e2s:market:volt",), officer=OFFICER)
    with pytest.raises(Refusal, match="key-reused"):
        world.authority.issue("catalogue-agreement", key, ("urn:e2s:market:volt",), officer=OFFICER)
    made_key = made[0].public_key
    with pytest.raises(Refusal, match="key-reused"):
        world.authority.issue("catalogue-agreement", made_key, ("urn:e2s:market:volt",), officer=OFFICER)
    with world.authority.database.reading() as connection:
        found, indexed = (
            connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one()
            for name in ("found", "indexed")
        )
    assert indexed == 1
    assert found > 60
