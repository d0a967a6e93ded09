"""Each report finds what it says, and nothing else; the book follows the register and notices a cut."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import replace
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from e2s.base.errors import Refusal
from e2s.crypto.suites.policy import table
from e2s.security.administration.reports import REPORTS, Scope, counts, report
from e2s.security.administration.weakness import weak_hash, weak_key, weak_terms
from e2s.security.certificates.profiles import PROFILES
from e2s.security.keys.generation import generate
from e2s.security.pki.store import CHANGES
from e2s.security.registration.tables import CASE
from tests.worlds.administration import Administration, findings
from tests.worlds.pki import make_pki

ALPHA = "urn:e2s:market:alpha:"


@pytest.fixture(scope="module")
def pki():
    return make_pki()


@pytest.fixture
def world(tmp_path, pki):
    made = Administration(tmp_path, pki)
    yield made
    made.close()


def found(world, kind, **scope):
    world.desk.book.follow()
    return list(report(kind, world.desk.sources, Scope(at=world.clock.now(), **scope)))


def certified(world, number="C01X00T47", **given):
    """A case that was certified."""
    case = world.named(number, **given)
    world.first([case])
    world.submit()
    return case


# ---------------------------------------------------------------- reports
def test_what_expires_and_what_was_renewed(world):
    now = world.clock.now()
    world.issue("person", ALPHA + "soon", not_after=now + timedelta(days=10))
    world.issue("person", ALPHA + "again", not_after=now + timedelta(days=10))
    world.issue("person", ALPHA + "again")
    world.issue("person", ALPHA + "late")
    assert findings(found(world, "expiring", days=30)) == [("soon", "expiring"), ("again", "renewed")]
    assert findings(found(world, "expiring", days=5)) == []
    world.clock.forward(days=11)
    assert findings(found(world, "expiring", days=30)) == []
    assert counts(world.desk.sources, world.clock.now()) == {"expired": 2, "good": 2}


def test_what_nobody_answers_for(world):
    kept, ended = certified(world), certified(world, "C01X00T48", title="Bea Kern")
    world.issue("person", ALPHA + "stray")
    world.issue("person", ALPHA + "lost", case="c-aaaaaaaaaaaaaaaa")
    world.issue("person", world.row(kept).name)
    with world.office.database.transaction() as connection:
        connection.execute(sa.update(CASE).where(CASE.c.id == ended).values(state="withdrawn"))
    assert findings(found(world, "orphaned")) == [
        ("bea-kern", "case-ended"),
        ("stray", "no-registration"),
        ("lost", "case-unknown"),
    ]
    sources = world.desk.sources
    parties = list(
        report("orphaned", replace(sources, parties=frozenset({"beta"})), Scope(at=world.clock.now()))
    )
    assert {row.finding for row in parties} == {"party-unknown"}
    names = replace(sources, names=frozenset({ALPHA + "stray"}))
    assert "stray" not in dict(findings(list(report("orphaned", names, Scope(at=world.clock.now())))))


def test_what_shows_no_sign_of_use(world):
    certified(world)  # never delivered
    world.issue("person", ALPHA + "idle")
    world.issue("person", ALPHA + "renewed")
    world.clock.forward(days=40)
    world.issue("person", ALPHA + "renewed")
    world.issue("person", ALPHA + "new")
    assert findings(found(world, "unused", days=30)) == [
        ("anna-berg", "not-delivered"),
        ("idle", "no-sign-of-use"),
    ]


def test_a_holders_word_is_a_sign_of_use(world):
    from e2s.crypto.keys import KeySigner
    from e2s.security.registration import withdrawing
    from e2s.security.registration.acts import signed
    from tests.worlds.registration import csr

    key = generate("p256-sha256", secrets.token_bytes)
    case = certified(world, der=csr(key))
    world.clock.forward(days=40)
    assert findings(found(world, "unused")) == [("anna-berg", "not-delivered")]
    holder = KeySigner(withdrawing.certificate_of(world.office, case), (), key)
    said = withdrawing.withdrawal_document(
        world.office, holder.certificate.name, holder.certificate.serial, "hold"
    )
    withdrawing.take_withdrawal(world.office, signed(said, holder))
    assert findings(found(world, "unused")) == []


def test_what_is_held_too_long_and_what_was_released(world):
    one, other = world.issue("person", ALPHA + "one"), world.issue("person", ALPHA + "other")
    for serial in (one, other):
        world.ca.authority.hold(serial, officer="urn:e2s:market:authority:olga")
    assert findings(found(world, "held")) == []
    world.clock.forward(days=31)
    assert findings(found(world, "held")) == [("one", "held"), ("other", "held")]
    world.ca.authority.release(one, officer="urn:e2s:market:authority:olga")
    world.ca.authority.revoke(other, "superseded", officer="urn:e2s:market:authority:olga")
    assert findings(found(world, "held")) == []
    assert counts(world.desk.sources, world.clock.now()) == {"good": 1, "revoked": 1}


def test_one_key_for_two_names_and_one_name_twice(world):
    key, other = (generate("p256-sha256", secrets.token_bytes) for _ in range(2))
    world.issue("person", ALPHA + "a", key=key)
    world.issue("person", ALPHA + "b", key=key)
    world.issue("person", ALPHA + "c", key=other)
    world.issue("person", ALPHA + "c", key=other)
    world.issue("person", ALPHA + "d")
    assert findings(found(world, "duplicates")) == [
        ("a", "other-name"),
        ("b", "other-name"),
        ("c", "same-name"),
        ("c", "same-name"),
    ]


def test_what_is_weak_now_and_by_a_day(world):
    world.issue("person", ALPHA + "plain")
    assert findings(found(world, "weak")) == [("plain", "no-place")]
    assert findings(found(world, "weak", by=date(2036, 1, 1))) == [("plain", "key no-place")]


@pytest.mark.parametrize(
    ("key", "bits", "agree", "day", "weak"),
    [
        ("rsa", 2048, False, date(2026, 1, 1), "at least 3072"),
        ("rsa", 3072, False, date(2026, 1, 1), ""),
        ("rsa", 3072, False, date(2036, 1, 1), "not after 2035-12-31"),
        ("rsa", 2048, True, date(2026, 1, 1), "at least 3072"),
        ("ec", 224, False, date(2026, 1, 1), "at least 256"),
        ("ec", 256, False, date(2026, 1, 1), ""),
        ("ec", 256, True, date(2026, 1, 1), ""),
        ("ec", 256, True, date(2036, 1, 1), "not after 2035-12-31"),
        ("ed25519", 256, False, date(2026, 1, 1), ""),
        ("x25519", 256, True, date(2026, 1, 1), ""),
        ("x25519", 256, False, date(2026, 1, 1), "no document names it"),
        ("ml-dsa", 65, False, date(2040, 1, 1), ""),
        ("ml-kem", 512, True, date(2026, 1, 1), "at least 768"),
        ("dsa", 2048, False, date(2026, 1, 1), "no document names it"),
    ],
)  # fmt: skip
def test_keys_below_policy(key, bits, agree, day, weak):
    said = weak_key(table(), "*", day, key=key, bits=bits, agree=agree)
    assert weak in said
    assert bool(weak) == bool(said)


@pytest.mark.parametrize(
    ("hashing", "weak"), [("sha1", "sha1"), ("md5", "md5"), ("sha224", "at least 256"), ("sha256", ""), ("", "")]
)  # fmt: skip
def test_signatures_below_policy(hashing, weak):
    said = weak_hash(table(), "*", date(2026, 1, 1), hashing)
    assert (weak in said, bool(said)) == (True, bool(weak))


def test_terms_below_policy():
    days = PROFILES["person"].lifetime.days
    good = weak_terms(PROFILES, profile="person", seconds=days * 86400, places=True)
    long = weak_terms(PROFILES, profile="person", seconds=(days + 2) * 86400, places=False)
    assert (good, [rule for rule, _ in long]) == ((), ["lifetime", "no-place"])
    assert weak_terms(PROFILES, profile="gone", seconds=1 << 40, places=True) == ()


# ---------------------------------------------------------------- the book
def test_a_report_goes_on_where_it_stopped(world):
    for number in range(5):
        world.issue("person", f"{ALPHA}p{number}")
    rows = found(world, "weak")
    again = list(report("weak", world.desk.sources, Scope(at=world.clock.now(), after=rows[2].id)))
    assert again == rows[3:]


def test_reading_twice_or_anew_gives_the_same(world):
    serial = world.issue("person", ALPHA + "anna")
    world.ca.authority.hold(serial, officer="urn:e2s:market:authority:olga")
    first = found(world, "weak")
    assert world.desk.book.follow() == 0
    world.desk.close()
    (world.folder / "administration" / "book.db").unlink()
    world.__dict__["desk"] = world.new_desk()
    assert found(world, "weak") == first


def test_a_register_that_was_cut_or_exchanged_is_noticed(world):
    for name in ("a", "b"):
        world.issue("person", ALPHA + name)
    world.desk.book.follow()
    with world.ca.authority.database.transaction() as connection:
        connection.execute(sa.delete(CHANGES).where(CHANGES.c.number == 2))
    with pytest.raises(Refusal) as caught:
        world.desk.book.follow()
    assert caught.value.rule == "register-cut"


def test_the_book_changes_nothing_in_the_register(world):
    world.issue("person", ALPHA + "a")
    register = world.desk.book._register
    with pytest.raises(sqlite3.OperationalError, match="readonly"), register.transaction() as connection:
        connection.execute(sa.delete(CHANGES))


def test_there_is_no_other_report(world):
    with pytest.raises(Refusal) as caught:
        found(world, "everything")
    assert caught.value.rule == "no-such-report"
    assert set(REPORTS) == {"expiring", "orphaned", "unused", "weak", "held", "duplicates"}
