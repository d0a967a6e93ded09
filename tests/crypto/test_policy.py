"""What is permitted where and until when: rows with their sources, judged by place, use and day."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import suites
from e2s.crypto.suites import Barred, Permitted, policy, rows
from e2s.crypto.suites.mechanisms import MECHANISMS, OLD

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
P256, P384 = "p256-hkdf-sha256-aes256gcm", "p384-hkdf-sha384-aes256gcm"
HYBRID = "p384-ml-kem-1024-hkdf-sha384-aes256gcm"
X_HYBRID = "x25519-ml-kem-768-hkdf-sha256-aes256gcm"
KNOWN: dict[suites.Kind, dict[str, Any]] = {
    "signature": {**suites.SIGNATURES, **suites.OLD_SIGNATURES},
    "sealing": {**suites.SEALINGS, **suites.OLD_SEALINGS},
    "session": dict(suites.SESSIONS),
}
EU = "AT BE BG HR CY CZ DK EE FI GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE".split()


def on(year: int, month: int = 1, day: int = 1, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def barred(kind: suites.Kind, name: str, location: str, at: datetime = NOW, **more) -> Barred:
    found = suites.judge(kind, name, location, at=at, **more)
    assert isinstance(found, Barred), found
    return found


def allowed(kind: suites.Kind, name: str, location: str, at: datetime = NOW, **more) -> Permitted:
    found = suites.judge(kind, name, location, at=at, **more)
    assert isinstance(found, Permitted), found
    return found


def made(*given: str, document: str = "A document", locations: str = '["XA"]') -> suites.Policy:
    """A table of one document with the rows in ``given``."""
    return suites.Policy(suites.read_rows(written(*given, document=document, locations=locations)))


def written(*given: str, document: str = "A document", locations: str = '["XA"]') -> bytes:
    lines = ",\n".join(f"  {{ {one} }}" for one in given)
    text = (
        f'[[document]]\nname = "{document}"\nedition = "1"\nlocations = {locations}\nrow = [\n{lines},\n]\n'
    )
    return text.encode()


def row(mechanism: str, more: str = "", use: str = "confidentiality", status: str = "permitted") -> str:
    tail = f", {more}" if more else ""
    return f'use = ["{use}"], mechanism = "{mechanism}", status = "{status}", clause = "1"{tail}'


# ------------------------------------------------------------------ the table that comes with E2S


def test_the_table_speaks_about_every_suite_in_the_order_of_strength():
    for kind in suites.KINDS:
        assert tuple(suites.PARTS[kind]) == tuple(KNOWN[kind])
        assert all(suites.PARTS[kind].values())
    assert {
        *(name for name, one in KNOWN["sealing"].items() if one.old),
        *(name for name, one in KNOWN["signature"].items() if one.old),
    } == OLD


def test_every_mechanism_has_a_row_for_places_without_their_own():
    assert {one.mechanism for one in suites.table().of("JP")} == MECHANISMS
    for kind in suites.KINDS:
        assert suites.permitted(kind, "JP", "*", at=NOW) == suites.CHOSEN[kind]


def test_every_row_names_document_edition_and_clause():
    for one in suites.table().rows:
        assert one.document
        assert any(character.isdigit() for character in one.edition), one
        assert any(character.isalnum() for character in one.clause), one
        assert one.minimum <= one.maximum
        assert one.since <= one.until
        assert one.status != "forbidden"
        assert one.source == f"{one.document}, {one.edition}: {one.clause}"


def test_the_table_is_for_the_places_that_the_architecture_names():
    assert set(suites.table().locations) == {"*", "DE", "FR", "US", "US-NSS", *EU}


@pytest.mark.parametrize("kind", suites.KINDS)
def test_any_two_places_agree_on_something_today(kind):
    for here in suites.table().locations:
        for there in suites.table().locations:
            assert suites.permitted(kind, here, there, at=NOW), (here, there)


# What the documents say, figure by figure; each case is (kind, suite, place, last day or "", status).
FIGURES = [
    # BSI TR-02102-1 2026-01: key agreement alone until the end of 2031, signatures until the end of 2035
    ("session", P384, "DE", "2031-12-31", "permitted"),
    ("sealing", "rsa-oaep-aes256gcm", "DE", "2031-12-31", "recommended"),
    ("signature", "p256-sha256", "DE", "2035-12-31", "permitted"),
    ("session", HYBRID, "DE", "", "recommended"),
    # ANSSI-PG-083 3.00
    ("session", HYBRID, "FR", "", "recommended"),
    ("session", X_HYBRID, "FR", "", "permitted"),
    ("signature", "rsa3072-pss-sha256", "FR", "", "recommended"),
    ("signature", "rsa3072-pkcs1-sha256", "FR", "", "legacy"),
    # SOG-IS ACM 1.3 and ECCG ACM 2
    ("signature", "rsa3072-pss-sha256", "NL", "", "recommended"),
    ("sealing", "ecdh-p256-aes256gcm", "SE", "", "recommended"),
    ("session", HYBRID, "IT", "", "recommended"),
    # NIST: SP 800-131A revision 2, IR 8547 (draft), FIPS 186-5, 203 and 204, SP 800-227
    ("signature", "ed25519", "US", "2035-12-31", "permitted"),
    ("signature", "ml-dsa-44", "US", "", "permitted"),
    ("sealing", "ml-kem-768-aes256gcm", "US", "", "permitted"),
    ("session", X_HYBRID, "US", "", "permitted"),
    # CNSSP 15 (2016) until CNSA 2.0 is mandated; CNSA 2.0
    ("signature", "p384-sha384", "US-NSS", "2031-12-31", "legacy"),
    ("signature", "ml-dsa-87", "US-NSS", "", "recommended"),
    ("session", P384, "US-NSS", "2031-12-31", "legacy"),
    ("session", HYBRID, "US-NSS", "", "permitted"),
]


@pytest.mark.parametrize(("kind", "name", "place", "until", "status"), FIGURES)
def test_figures_of_the_documents(kind, name, place, until, status):
    found = allowed(kind, name, place)
    assert found.status == status
    assert found.until == (date.fromisoformat(until) if until else date.max)
    if until:
        last = datetime(found.until.year, 12, 31, 23, 59, 59, tzinfo=UTC)
        allowed(kind, name, place, last)
        after = barred(kind, name, place, on(found.until.year + 1))
        assert after.why == "ended"
        assert f"not after {until} (" in after.because


@pytest.mark.parametrize(
    ("kind", "name", "place", "why"),
    [
        ("signature", "ed25519", "DE", "unnamed"),
        ("session", "x25519-hkdf-sha256-aes256gcm", "DE", "unnamed"),
        ("session", X_HYBRID, "DE", "unnamed"),
        # lattices only beside a classical mechanism: BSI, ANSSI, ECCG
        *(("sealing", "ml-kem-1024-aes256gcm", place, "unnamed") for place in ("DE", "FR", "PL")),
        *(("signature", "ml-dsa-87", place, "unnamed") for place in ("DE", "FR", "PL")),
        # SP 800-131A revision 2, table 5: disallowed after 2023
        ("sealing", "rsa-pkcs1-aes256cbc", "US", "ended"),
        ("session", "x25519-hkdf-sha256-aes256gcm", "US", "unnamed"),
        # CNSA: P-384 alone, SHA-384 or SHA-512
        ("signature", "p256-sha256", "US-NSS", "size"),
        ("signature", "p521-sha512", "US-NSS", "size"),
        ("signature", "ml-dsa-65", "US-NSS", "size"),
        ("session", P256, "US-NSS", "size"),
        ("sealing", "ml-kem-1024-aes256gcm", "US-NSS", "size"),  # its derivation is with SHA-256
    ],
)
def test_what_the_documents_do_not_permit(kind, name, place, why):
    assert barred(kind, name, place).why == why


def test_rsa_minima_come_from_the_table():
    assert suites.least("rsa-pss", "authentication", "*", at=NOW) == suites.MIN_RSA_BITS == 3072
    assert suites.least("rsa-oaep", "confidentiality", "JP", at=NOW) == suites.MIN_RSA_BITS
    assert suites.least("rsa-pss", "authentication", "DE", at=NOW) == 3000
    assert suites.least("rsa-pss", "authentication", "FR", at=on(2030, 12, 31)) == 2048
    assert suites.least("rsa-pss", "authentication", "FR", at=on(2031)) == 3072
    assert suites.least("rsa-pss", "authentication", "US", at=on(2030, 12, 31)) == 2048
    assert suites.least("rsa-pss", "authentication", "US", at=on(2031)) == 3072
    assert suites.least("rsa-oaep", "confidentiality", "DE", at=on(2032)) is None
    assert suites.least("ml-dsa", "authentication", "DE", at=NOW) is None


# ------------------------------------------------------------------ judging


def test_a_suite_is_permitted_at_both_ends():
    assert suites.permitted("session", "DE", "US", at=NOW) == (HYBRID, P384, P256)
    assert suites.permitted("session", "US", "DE", at=NOW) == (HYBRID, P384, P256)
    assert suites.permitted("session", "FR", "US", at=NOW) == (HYBRID, X_HYBRID, P384, P256)
    assert suites.permitted("session", "DE", "US-NSS", at=NOW) == (HYBRID, P384)
    assert suites.strongest("session", "DE", "US", at=NOW) == HYBRID
    suites.check("session", P384, "DE", "US-NSS", at=NOW)
    with pytest.raises(Refusal, match="suite-not-permitted") as caught:
        suites.check("session", P256, "DE", "US-NSS", at=NOW)
    assert caught.value.facts == {"suite": P256, "location": "US-NSS"}
    assert caught.value.message.startswith("ecdh-256 for confidentiality at US-NSS: at least 384 (CNSSP 15")


def test_authentication_and_confidentiality_are_chosen_apart():
    """6.3.3: strong authentication with the option of weaker confidentiality, and the other way round."""
    weak = made(
        row("ecdsa", "minimum = 521", use="authentication"),
        row("sha2", use="authentication"),
        row("sha2"),
        row("ecdh", "maximum = 256"),
        row("aes-gcm"),
    )
    assert suites.strongest("signature", "XA", "XA", at=NOW, policy=weak) == "p521-sha512"
    assert suites.strongest("session", "XA", "XA", at=NOW, policy=weak) == P256


def test_a_use_is_not_permitted_by_the_other():
    """SHA-2 for signatures says nothing about key derivation."""
    only = made(
        row("ecdsa", use="authentication"), row("sha2", use="authentication"), row("ecdh"), row("aes-gcm")
    )
    assert suites.permitted("signature", "XA", "XA", at=NOW, policy=only) != ()
    assert suites.permitted("session", "XA", "XA", at=NOW, policy=only) == ()
    assert str(barred("session", P256, "XA", policy=only).part) == "sha2-256"


def test_dates_are_days_in_utc_and_inclusive():
    dated = made(row("ecdh", "since = 2027-01-01, until = 2027-12-31"), row("sha2"), row("aes-gcm"))
    for at, why in (
        (on(2026, 12, 31, 23), "early"),
        (on(2027), ""),
        (on(2027, 12, 31, 23), ""),
        (on(2028), "ended"),
    ):
        found = suites.judge("session", P256, "XA", at=at, policy=dated)
        assert (found.why if isinstance(found, Barred) else "") == why
    beyond = datetime.fromisoformat("2028-01-01T01:30:00+02:00")  # still 2027 in UTC
    allowed("session", P256, "XA", beyond, policy=dated)


def test_a_place_has_its_own_rows_or_its_countrys_or_those_of_every_place():
    table = suites.table()
    assert table.of("US-NSS") != table.of("US")
    assert table.of("US-CA") == table.of("US")
    assert table.of("JP") == table.of("*")
    assert made(row("ecdh")).of("JP") == ()
    assert suites.permitted("session", "JP", "XA", at=NOW, policy=made(row("ecdh"))) == ()


@pytest.mark.parametrize("place", ["", "de", "DEU", "D", "DE-", "DE-ABCD", "**", "DE\n", "ДЕ"])
def test_a_location_that_is_none_is_misuse(place):
    with pytest.raises(Misuse, match="bad-location"):
        suites.permitted("session", place, "DE", at=NOW)


def test_an_unknown_suite_is_misuse():
    for kind in suites.KINDS:
        with pytest.raises(Misuse, match="suite-unknown"):
            suites.judge(kind, "rot13", "DE", at=NOW)
    with pytest.raises(Misuse, match="suite-unknown"):
        suites.check("session", "p256-sha256", "DE", "DE", at=NOW)


def test_a_refusal_names_the_row_and_whose_location_when_nothing_is_left():
    with pytest.raises(Refusal, match="suite-not-permitted") as caught:
        suites.strongest("signature", "DE", "US-NSS", at=on(2033))
    assert caught.value.facts == {"kind": "signature", "here": "DE", "there": "US-NSS"}
    assert caught.value.message.startswith(
        "no signature suite is permitted at DE and US-NSS: ecdsa-384 for authentication at US-NSS: "
        "not after 2031-12-31 (CNSSP 15 (CNSA 1.0), October 2016: annex B"
    )
    assert "more" in caught.value.message


def test_suites_for_old_peers_are_judged_by_name_and_never_chosen():
    assert allowed("sealing", "rsa-pkcs1-aes256cbc", "*").status == "legacy"
    for kind in suites.KINDS:
        for here in suites.table().locations:
            assert not OLD & set(suites.permitted(kind, here, here, at=NOW))


LOCATIONS = st.sampled_from([*suites.table().locations, "JP", "US-CA"])
DAYS = st.dates(date(2020, 1, 1), date(2050, 1, 1)).map(
    lambda d: datetime(d.year, d.month, d.day, tzinfo=UTC)
)


@given(st.sampled_from(suites.KINDS), LOCATIONS, LOCATIONS, DAYS)
def test_negotiation_is_the_same_from_both_ends_and_only_what_each_permits(kind, here, there, at):
    found = suites.permitted(kind, here, there, at=at)
    assert found == suites.permitted(kind, there, here, at=at)
    own = [set(suites.permitted(kind, place, place, at=at)) for place in (here, there)]
    assert set(found) == own[0] & own[1]
    assert list(found) == [name for name in suites.CHOSEN[kind] if name in found]
    left = dict(suites.barred(kind, here, there, at=at))
    assert left.keys() | set(found) == set(suites.CHOSEN[kind])
    assert not left.keys() & set(found)
    for one in left.values():
        assert one.location in {here, there}
        assert one.because.isprintable()


@given(st.sampled_from(suites.KINDS), LOCATIONS, DAYS, DAYS)
def test_nothing_that_ended_comes_back(kind, here, first, second):
    """The table has no row that begins after another ended, so later never means more."""
    earlier, later = sorted((first, second))
    assert set(suites.permitted(kind, here, here, at=later)) <= set(
        suites.permitted(kind, here, here, at=earlier)
    )


# ------------------------------------------------------------------ a community's own rows


def test_own_rows_take_the_place_of_the_tables_for_the_same_mechanism():
    more = suites.read_rows(
        written(
            row("ecdh", "minimum = 384, until = 2028-12-31"),
            row("x25519"),
            row("ecdh+ml-kem", status="forbidden"),
            document="Our bank's rules",
            locations='["DE"]',
        )
    )
    ours = suites.table().with_rows(more)
    assert suites.permitted("session", "DE", "DE", at=NOW, policy=ours) == (
        P384,
        "x25519-hkdf-sha256-aes256gcm",
    )
    assert suites.permitted("session", "FR", "FR", at=NOW, policy=ours) == suites.permitted(
        "session", "FR", "FR", at=NOW
    )
    assert barred("session", HYBRID, "DE", policy=ours).because == (
        "ecdh+ml-kem-1024 for confidentiality at DE: forbidden (Our bank's rules, 1: 1)"
    )
    assert barred("session", P384, "DE", on(2029), policy=ours).why == "ended"
    # authentication is not touched, nor is the table that others hold
    assert suites.permitted("signature", "DE", "DE", at=NOW, policy=ours) == suites.permitted(
        "signature", "DE", "DE", at=NOW
    )
    assert suites.permitted("session", "DE", "DE", at=NOW) == (HYBRID, P384, P256)


def test_own_rows_for_one_of_several_places_leave_the_others_alone():
    more = suites.read_rows(written(row("ecdh", status="forbidden"), locations='["IT"]'))
    ours = suites.table().with_rows(more)
    assert barred("session", P384, "IT", policy=ours).why == "forbidden"
    allowed("session", P384, "ES", policy=ours)


# ------------------------------------------------------------------ reading rows


GOOD = row("ecdh", "minimum = 256")


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\xff",
        b"not toml",
        b"a = 1",
        b"document = 1",
        b"document = [1]",
        b"document = []",
        written(GOOD) + b"more = 1\n",
        written(GOOD).replace(b'edition = "1"', b""),
        written(GOOD).replace(b'edition = "1"', b'edition = ""'),
        written(GOOD).replace(b'edition = "1"', b'edition = "1"\nurl = "x"'),
        written(GOOD, document="x" * 201),
        written(GOOD, locations='["Germany"]'),
        written(GOOD, locations="[]"),
        written(GOOD, locations='"DE"'),
        written(GOOD, locations="[1]"),
        written(GOOD.replace("ecdh", "rot13")),
        written(GOOD.replace("confidentiality", "secrecy")),
        written(GOOD.replace('["confidentiality"]', '"confidentiality"')),
        written(GOOD.replace('["confidentiality"]', "[]")),
        written(GOOD.replace("permitted", "fine")),
        written(GOOD.replace('clause = "1"', "clause = 1")),
        written(GOOD.replace(', clause = "1"', "")),
        written(GOOD.replace("256", "-1")),
        written(GOOD.replace("256", "true")),
        written(GOOD.replace("256", "70000")),
        written(row("ecdh", "until = 2030-01-01T00:00:00Z")),
        written(row("ecdh", 'until = "2030-01-01"')),
        written(row("ecdh", "until = 2030")),
        written(row("ecdh", "ever = 1")),
        written(GOOD).replace(b"row = [\n", b"row = [ 1,\n"),
        written(*[GOOD] * 1001),
        b'[[document]]\nname = "x"\nedition = "1"\nlocations = ["DE"]\nrow = 1\n',
        b"a = " + b"[" * 5000,
    ],
)
def test_a_bad_table_is_refused(octets):
    with pytest.raises(Refusal) as caught:
        suites.read_rows(octets)
    assert caught.value.rule == "bad-suite-table"


def test_a_table_is_bounded():
    with pytest.raises(Refusal, match="too-large"):
        suites.read_rows(bytes(rows.MAX_TABLE_BYTES + 1))


@given(st.binary(max_size=200))
def test_garbage_is_no_table(octets):
    with pytest.raises(Refusal):
        suites.read_rows(octets)


@given(
    st.sampled_from(sorted(MECHANISMS)),
    st.integers(0, 4096),
    st.dates(),
    st.sampled_from(rows.STATUSES),
)
def test_a_row_is_read_as_it_is_written(mechanism, minimum, until, status):
    (found,) = suites.read_rows(
        written(row(mechanism, f"minimum = {minimum}, until = {until.isoformat()}", status=status))
    )
    assert (found.mechanism, found.minimum, found.until, found.status) == (mechanism, minimum, until, status)
    assert found.locations == ("XA",)


def test_the_table_is_read_once_and_not_at_import():
    assert policy.table() is policy.table()
    program = "from e2s.crypto import suites; print(suites.table.cache_info().currsize)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
